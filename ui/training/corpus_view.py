"""What the compiler made of the text, as HTML: verdict, numbers, what was left out, what is wrong.

It is the server's report (`lmft corpus show --json`); every string in it may be of a stranger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ui import text_train as text
from ui.training import marks
from ui.training.tokens_view import as_seen

Tree = Mapping[str, Any]


def corpus(report: Tree) -> str:
    """Args: report: `corpus` of the job; empty before it was looked at."""
    if not report:
        return ""
    info: Tree = report.get("corpus") or {}
    tokens: Tree = report.get("tokens") or {}
    parts = (
        _verdict(report),
        marks.facts(_facts(info, tokens)),
        _bad_lines(info),
        _secrets(info),
        marks.folded(text.LEFT_OUT, _left_out(info), testid="left-out"),
        marks.folded(text.NOTES, marks.lines(map(str, info.get("notes") or ())), open=True),
        marks.folded(text.AS_SEEN, as_seen(tokens.get("shown") or ()), open=True, testid="as-seen"),
        marks.folded(text.FILES_READ, marks.lines(_files(info)), testid="files-read"),
    )
    return f'<div class="report" data-testid="corpus">{"".join(parts)}</div>'


def _verdict(report: Tree) -> str:
    refusals = list(map(str, report.get("refusals") or ()))
    warnings = list(map(str, report.get("warnings") or ()))
    if refusals:
        title, style = text.NOT_READY, "refused"
    else:
        title, style = (text.READY_WARNED, "warned") if warnings else (text.READY, "ready")
    return (
        f'<div class="verdict {style}" data-testid="verdict"><strong>{escape(title)}</strong>'
        f"{marks.lines([*refusals, *warnings])}</div>"
    )


def _facts(info: Tree, tokens: Tree) -> Iterator[tuple[str, str, str]]:
    kind, person = str(info.get("kind") or ""), (info.get("person") or {}).get("person")
    yield text.FACT_KIND, text.KINDS.get(kind, kind), text.PERSONS.get(str(person), "")
    files = marks.files(len(info.get("files") or ()))
    count = int(info.get("n_documents") or 0)
    yield text.FACT_DOCUMENTS, text.DOCUMENTS.format(count=count, files=files), ""
    for name, side, words in (
        (text.FACT_TRAIN, "train", text.TRAIN_SIDE),
        (text.FACT_HELDOUT, "heldout", text.HELDOUT_SIDE),
    ):
        held: Tree = info.get(side) or {}
        n_tokens = int((tokens.get(side) or {}).get("n_tokens") or 0)
        said = words.format(tokens=n_tokens, size=marks.size(int(held.get("n_bytes") or 0)))
        yield name, said, marks.documents(int(held.get("n_documents") or 0))
    if cast := info.get("cast"):
        said = text.CAST.format(model=cast.get("model"), you=cast.get("you"))
        yield text.FACT_CAST, said, ", ".join(map(str, cast.get("others") or ()))
    spoken = sorted((info.get("languages") or {}).items(), key=lambda one: -one[1])
    languages = ", ".join(f"{name} {share:.0%}" for name, share in spoken[:5])
    yield text.FACT_LANGUAGES, languages, ""
    longest = int(tokens.get("longest_tokens") or 0)
    context = int(tokens.get("context_length") or 0)
    said = text.LONGEST.format(tokens=longest, context=context)
    yield text.FACT_LONGEST, said, str(tokens.get("longest_source") or "")


def _files(info: Tree) -> Iterator[str]:
    for file in info.get("files") or ():
        kinds = ", ".join(map(str, file.get("kinds") or ()))
        parts = (
            str(file.get("name")),
            text.READ_AS.format(reader=file.get("reader")),
            kinds,
            marks.documents(int(file.get("n_documents") or 0)),
            marks.size(int(file.get("n_bytes") or 0)),
        )
        yield " · ".join(part for part in parts if part)


def _bad_lines(info: Tree) -> str:
    faults = list(map(str, info.get("faults") or ()))
    count = int(info.get("n_faults") or len(faults))
    title = text.BAD_LINES.format(count=count)
    listed = marks.lines(faults, mono=True)
    return marks.folded(title, listed, open=True, testid="bad-lines") if count else ""


def _secrets(info: Tree) -> str:
    found = [
        text.PERSONAL.format(
            kind=one.get("kind"),
            count=int(one.get("count") or 0),
            places=", ".join(map(str, one.get("places") or ())),
        )
        for one in info.get("secrets") or ()
    ]
    if not found:
        return ""
    hint = f'<p class="note">{escape(text.SECRETS_HINT)}</p>'
    return marks.folded(text.SECRETS, marks.lines(found) + hint, open=True, testid="secrets")


def _left_out(info: Tree) -> str:
    why = [
        text.LEFT_OUT_LINE.format(
            reason=one.get("reason"),
            places=int(one.get("places") or 0),
            characters=int(one.get("n_characters") or 0),
        )
        for one in info.get("dropped") or ()
    ]
    repeats = int(info.get("n_duplicates") or 0)
    if repeats:
        why.append(text.REPEATS.format(count=repeats))
    where = [
        text.LEFT_OUT_PLACE.format(
            file=one.get("file"),
            first=one.get("first_line"),
            last=one.get("last_line"),
            reason=one.get("reason"),
        )
        + f": {one.get('excerpt')}"
        for one in info.get("drops") or ()
    ]
    where += [
        text.REPEAT.format(source=one.get("source"), of=one.get("of"))
        for one in info.get("duplicates") or ()
    ]
    return marks.lines(why) + marks.lines(where, mono=True)
