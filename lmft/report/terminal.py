"""The report on the terminal, in 80 columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmft.corpus.info import CorpusInfo
from lmft.dataset.preflight import Preflight
from lmft.report.plain import counted, discreet, octave, percent, size

_MAX_FILES = 4
_MAX_SPEAKERS = 6
_MAX_REASONS = 6
_MAX_NOTES = 4
_MAX_LINES = 8
_BAR_COLUMNS = 24
_LEVELS = "▁▂▃▄▅▆▇█"


def print_summary(info: CorpusInfo, preflight: Preflight, console: Console) -> None:
    """What was made of the input, in about 40 lines; the verdict last, where it is seen."""
    console.print()
    for line in _files(info):
        console.print(line, no_wrap=True, overflow="ellipsis")
    for table in (_numbers(info, preflight), _speakers(info), _remarks(info)):
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    _print_verdict(preflight, console)


def _table() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    return table


def _words(text: str) -> Text:
    """A person's text: no markup in it is obeyed, nothing in it speaks to the terminal."""
    return Text(discreet(text))


def _files(info: CorpusInfo) -> Iterator[Text]:
    for file in info.files[:_MAX_FILES]:
        name = Text(discreet(file.name), style="bold")
        yield name.append(
            f"  {size(file.n_bytes)}, {counted(file.n_documents, 'document')}", "not bold"
        )
        yield Text(discreet(f"  {file.reader}: {file.reason}"), style="dim")
    if (more := len(info.files) - _MAX_FILES) > 0:
        yield Text(f"and {counted(more, 'more file')}")


def _numbers(info: CorpusInfo, preflight: Preflight) -> Table:
    train, heldout, tokens = info.train, info.heldout, preflight.train
    table = _table()
    table.add_column(overflow="fold")
    table.add_row(
        "Documents",
        f"{train.n_documents:,} to train on, {heldout.n_documents:,} held out "
        f"(split by {info.split_by})",
    )
    table.add_row(
        "Text", f"{info.kind}, {size(train.n_bytes)} to train on, {size(heldout.n_bytes)} held out"
    )
    table.add_row(
        "Tokens",
        f"{tokens.n_tokens:,} ({percent(tokens.n_trained / max(1, tokens.n_tokens))} learnt), "
        f"{preflight.heldout.n_tokens:,} held out; {preflight.bytes_per_token:.2f} bytes each",
    )
    longest = counted(preflight.longest_tokens, "token")
    source = f"; {preflight.longest_source}" if preflight.longest_source else ""
    table.add_row("Longest", _words(f"{longest}, context {preflight.context_length:,}{source}"))
    if info.lengths:
        table.add_row("Lengths", _lengths(info))
    if info.languages:
        shares = list(info.languages.items())[:_MAX_SPEAKERS]
        said = ", ".join(f"{code} {percent(share)}" for code, share in shares)
        table.add_row("Languages", _words(said))
    if info.person.person:
        table.add_row("Person", info.person.person)
    table.add_row("Hash", _words(info.hash))
    return table


def _lengths(info: CorpusInfo) -> str:
    counts = {length.from_bytes.bit_length(): length.count for length in info.lengths}
    first, last, most = min(counts), max(counts), max(counts.values()) or 1
    bars = "".join(
        # A lone giant must show: whatever is there has the lowest bar at least.
        _LEVELS[(len(_LEVELS) - 1) * counts[bits] // most] if counts.get(bits) else " "
        for bits in range(first, last + 1)
    )
    return f"{octave(1 << first >> 1)} {bars} {octave(1 << last)}"


def _speakers(info: CorpusInfo) -> Table:
    table = _table()
    table.columns[0].overflow, table.columns[0].max_width = "ellipsis", 26
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    parts = {} if info.cast is None else {info.cast.model: ", the model", info.cast.you: ", you"}
    most = max((speaker.turns for speaker in info.speakers), default=0) or 1
    for speaker in info.speakers[:_MAX_SPEAKERS]:
        bar = "━" * max(1, _BAR_COLUMNS * speaker.turns // most)
        turns = counted(speaker.turns, "turn") + parts.get(speaker.name, "")
        table.add_row(_words(speaker.name), bar, turns)
    if (more := len(info.speakers) - _MAX_SPEAKERS) > 0:
        table.add_row(Text(f"and {more:,} more", style="not bold"))
    return table


def _remarks(info: CorpusInfo) -> Table:
    """What was left out, what is personal, what was changed; each label said once."""
    table = _table()
    table.add_column(overflow="fold")
    for label, remarks in itertools.groupby(_labelled(info), lambda remark: remark[0]):
        for index, (_, remark) in enumerate(remarks):
            table.add_row(label if index == 0 else "", _words(remark))
    return table


def _labelled(info: CorpusInfo) -> Iterator[tuple[str, str]]:
    for dropped in info.dropped[:_MAX_REASONS]:
        places = counted(dropped.places, "place")
        characters = counted(dropped.n_characters, "character")
        yield "Left out", f"{dropped.reason}: {places}, {characters}"
    if (more := len(info.dropped) - _MAX_REASONS) > 0:
        yield "Left out", f"for {counted(more, 'more reason')}"
    if info.n_duplicates:
        yield "Left out", counted(info.n_duplicates, "duplicate")
    if info.n_faults:
        yield "Left out", f"bad input: {counted(info.n_faults, 'fault')}"
    for secret in info.secrets[:_MAX_NOTES]:
        yield "Secrets", f"{secret.kind}: {counted(secret.count, 'time')}"
    if (more := len(info.secrets) - _MAX_NOTES) > 0:
        yield "Secrets", f"{counted(more, 'more kind')}"
    for note in info.notes[:_MAX_NOTES]:
        yield "Notes", note
    if (more := len(info.notes) - _MAX_NOTES) > 0:
        yield "Notes", f"and {more:,} more"


def _print_verdict(preflight: Preflight, console: Console) -> None:
    for mark, lines in (("Warning", preflight.warnings), ("Refused", preflight.refusals)):
        table = _table()
        table.add_column(overflow="fold")
        for line in lines[:_MAX_LINES]:
            table.add_row(mark, _words(line))
        if (more := len(lines) - _MAX_LINES) > 0:
            table.add_row(mark, f"and {more:,} more")
        if lines:
            console.print(table)
    if preflight.refusals:
        reasons = counted(len(preflight.refusals), "reason")
        console.print(
            f"Refused: must not be trained on, {reasons}.", style="bold red", highlight=False
        )
    elif preflight.warnings:
        warnings = counted(len(preflight.warnings), "warning")
        console.print(f"Ready to train, with {warnings}.", style="bold yellow", highlight=False)
    else:
        console.print("Ready to train.", style="bold green", highlight=False)
