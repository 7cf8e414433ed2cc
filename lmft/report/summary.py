"""The head of the page: may it be trained on, and the numbers that say how much there is."""

from __future__ import annotations

from lmft.corpus.info import CorpusInfo
from lmft.dataset.preflight import Preflight
from lmft.report.page import listing, safe
from lmft.report.plain import counted, percent, size

_SPLIT_BY = {
    "document": "whole documents",
    "scene": "whole scenes",
    "part": "parts of documents",
}
_PERSONS = {person: f"in the {person} person" for person in ("first", "second", "third")}


def verdict(preflight: Preflight) -> tuple[str, str]:
    """In words, and as the box with every reason."""
    warnings = listing(preflight.warnings)
    if preflight.refusals:
        title, style = "Refused: this must not be trained on", "refused"
        reasons = listing(preflight.refusals) + "<p>Mend the text and compile it again.</p>"
        warnings = warnings and f"<h3>Warnings</h3>{warnings}"
    elif preflight.warnings:
        title, style = "Ready to train, with warnings", "warned"
        reasons = ""
    else:
        title, style = "Ready to train", "ready"
        reasons = "<p>Nothing was found that would spoil it.</p>"
    box = f'<section class="verdict {style}"><h2>{title}</h2>{reasons}{warnings}</section>\n'
    return title, box


def numbers(info: CorpusInfo, preflight: Preflight) -> str:
    """How much there is, in what the model and a person count."""
    train, heldout = info.train, info.heldout
    tokens, held_tokens = preflight.train, preflight.heldout
    longest, context = preflight.longest_tokens, preflight.context_length
    held_share = heldout.n_bytes / max(1, train.n_bytes + heldout.n_bytes)
    over = (
        f"{preflight.n_over_context:,} longer than the context of {context:,}"
        if preflight.n_over_context
        else f"fits the context of {context:,}"
    )
    facts = [
        ("Kind", info.kind, _PERSONS.get(info.person.person or "", "")),
        ("Files", f"{len(info.files):,}", size(sum(file.n_bytes for file in info.files))),
        (
            "Documents",
            f"{info.n_documents:,}",
            f"{train.n_documents:,} to train on, {heldout.n_documents:,} held out; "
            f"in {train.n_parts:,} and {counted(heldout.n_parts, 'part')}",
        ),
        ("Text to train on", size(train.n_bytes), counted(tokens.n_tokens, "token")),
        ("Text held out", size(heldout.n_bytes), counted(held_tokens.n_tokens, "token")),
        (
            "Trained tokens",
            percent(tokens.n_trained / max(1, tokens.n_tokens)),
            f"{tokens.n_trained:,} of {tokens.n_tokens:,} to train on",
        ),
        ("Bytes per token", f"{preflight.bytes_per_token:.2f}", safe(preflight.base)),
        (
            "Longest document",
            counted(longest, "token"),
            f"{over}{'; ' if preflight.longest_source else ''}{safe(preflight.longest_source)}",
        ),
        ("Split by", _SPLIT_BY[info.split_by], f"{percent(held_share)} held out"),
    ]
    cells = "".join(
        f'<div><dt>{name}<dd><strong>{value}</strong><div class="note">{note}</div></div>'
        for name, value, note in facts
    )
    return (
        f'<dl class="facts">{cells}'
        f'<div class="wide"><dt>Hash<dd><code>{safe(info.hash)}</code></div></dl>'
    )
