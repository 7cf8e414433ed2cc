"""The page's sections on what the corpus holds: files, speakers, lengths, languages, letters.

Each gives HTML, or nothing where nothing is known.
"""

from __future__ import annotations

from lmft.corpus.info import CorpusInfo
from lmft.dataset.preflight import Preflight, script_title
from lmft.report.page import MAX_ROWS, bars, rest, safe, table, together
from lmft.report.plain import counted, octave, percent, size

_MAX_SPEAKERS = 24
_MAX_LANGUAGES = 24


def files(info: CorpusInfo) -> str:
    """What each file was read as, and why."""
    rows = [
        (
            safe(file.name),
            size(file.n_bytes),
            safe(file.reader),
            safe(file.reason),
            ", ".join(file.kinds),
            f"{file.n_documents:,}",
        )
        for file in info.files[:MAX_ROWS]
    ]
    heads = ("File", "Size", "Read as", "Why", "Kind", "Documents")
    return (
        table("What was made of each file", heads, rows, "tntttn")
        + rest(len(rows), len(info.files))
        if rows
        else ""
    )


def speakers(info: CorpusInfo) -> str:
    """Who is played by whom, and how much each speaker says."""
    cast = ""
    if info.cast is not None:
        others = ", ".join(map(safe, info.cast.others))
        cast = (
            f"<p>The model plays <strong>{safe(info.cast.model)}</strong>, you play "
            f"<strong>{safe(info.cast.you)}</strong>"
            f"{f'; the others are {others}' if others else ''}."
            f'<p class="faint">{safe(info.cast.reason)}</p>'
        )
    rows = [
        (
            safe(speaker.name),
            speaker.turns,
            f"{counted(speaker.turns, 'turn')}, {size(speaker.n_bytes)}",
        )
        for speaker in info.speakers[:_MAX_SPEAKERS]
    ]
    chart = (
        bars("Turns of each speaker", rows) + rest(len(rows), len(info.speakers)) if rows else ""
    )
    return cast + chart


def lengths(info: CorpusInfo) -> str:
    """Documents in octaves of bytes."""
    counts = {length.from_bytes.bit_length(): length.count for length in info.lengths}
    if not counts:
        return ""
    rows = [
        (
            f"{together(octave(1 << bits >> 1))} to {together(octave(1 << bits))}",
            counts.get(bits, 0),
            counted(counts.get(bits, 0), "document"),
        )
        for bits in range(min(counts), max(counts) + 1)
    ]
    return bars("Documents by their length", rows)


def languages(info: CorpusInfo) -> str:
    """Shares of bytes, the largest first."""
    rows = [
        (
            safe("too short or too mixed to tell" if code == "unknown" else code),
            share,
            percent(share),
        )
        for code, share in list(info.languages.items())[:_MAX_LANGUAGES]
    ]
    if not rows:
        return ""
    return bars("Share of the text, by ISO 639-1 code", rows) + rest(len(rows), len(info.languages))


def person(info: CorpusInfo) -> str:
    """Which person the narration is in, with the pronouns that say so."""
    counts = [(name, getattr(info.person, name)) for name in ("first", "second", "third")]
    if not any(count for _, count in counts):
        return ""
    told = info.person.person
    sentence = (
        f"The narration is in the {told} person."
        if told
        else "Too few English pronouns in the narration to say its person."
    )
    rows = [(f"{name} person", count, counted(count, "pronoun")) for name, count in counts]
    return f"<p>{sentence}</p>" + bars("English pronouns outside quotation marks", rows)


def coverage(preflight: Preflight) -> str:
    """How well the base knows the letters, by script."""
    found = preflight.coverage
    if found is None or not found.scripts:
        return ""
    base = safe(preflight.base)
    rows = [
        (
            safe(script_title(script.name)),
            f"{script.n_characters:,}",
            percent(script.single_share),
            f"{script.tokens_per_character:.2f}",
            "hardly known" if script.unknown else "known",
        )
        for script in found.scripts[:MAX_ROWS]
    ]
    sentences = "".join(
        f"<p><strong>{safe(script_title(script.name))}</strong>: {base} hardly knows these "
        f"characters. It spells each in {script.tokens_per_character:.1f} tokens and will write "
        "them badly.</p>"
        for script in found.scripts[:MAX_ROWS]
        if script.unknown
    )
    whole = (
        f"<p>{percent(found.single_share)} of {counted(found.n_characters, 'character')} "
        f"(spaces aside) have a token of their own in {base}.</p>"
    )
    heads = ("Script", "Characters", "With a token", "Tokens each", "By the base")
    return whole + sentences + table("Scripts", heads, rows, "tnnnt")
