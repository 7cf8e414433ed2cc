"""`lmft corpus build` and `show`: compile, look at the tokens, write and print the report."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from lmft.bases import resolve_base
from lmft.corpus import gather
from lmft.corpus.build import Settings, build_corpus, no_progress
from lmft.corpus.compiled import compiling_into
from lmft.corpus.info import CorpusInfo
from lmft.corpus.store import HELDOUT_FILE, REPORT_FILE, TRAIN_FILE, load_info, read_side
from lmft.dataset.encode import Encoder
from lmft.dataset.preflight import Preflight, preflight
from lmft.report.html import render_html
from lmft.report.json_report import as_json
from lmft.report.terminal import print_summary
from lmft.report.terminal_tokens import print_tokens


def build(
    inputs: Sequence[Path],
    out: Path,
    settings: Settings,
    base: str,
    console: Console,
    *,
    json_only: bool,
) -> None:
    """Compile into `out`, with the report beside it. What is refused is not written.

    Raises:
        UserError: bad input, or a corpus that must not be trained on; all reasons at once.
    """
    resolve_base(base)
    with compiling_into(out, inputs) as made:
        with _progress(console, shown=not json_only) as progress:
            info = build_corpus(inputs, made, settings, progress)
            seen = look(made, info, base, progress, compare_sides=False)
        (made / REPORT_FILE).write_text(render_html(info, seen), encoding="utf-8")
        _say(info, seen, console, json_only=json_only)
        seen.require("This corpus")
    if not json_only:
        console.print(f"Report: {out / REPORT_FILE}", soft_wrap=True, highlight=False)


def show(corpus: Path, base: str, console: Console, *, json_only: bool) -> None:
    """Print what is known of a compiled corpus, and the tokens of any base.

    Raises:
        CorpusError: not a compiled corpus, or changed since.
    """
    info = load_info(corpus)
    with _progress(console, shown=not json_only) as progress:
        seen = look(corpus, info, base, progress)
    _say(info, seen, console, json_only=json_only)


def look(
    corpus: Path,
    info: CorpusInfo,
    base_name: str,
    progress: gather.Progress = no_progress,
    *,
    compare_sides: bool = True,
) -> Preflight:
    """The pre-flight of a compiled corpus on disk, streamed."""
    base = resolve_base(base_name)
    return preflight(
        info,
        lambda: read_side(corpus / TRAIN_FILE),
        lambda: read_side(corpus / HELDOUT_FILE),
        Encoder(base.path, base.eos_token, straight_quotes=base.fold_quotes),
        base.name,
        base.context_length,
        info.speakers_found,
        progress,
        compare_sides=compare_sides,
    )


def _say(info: CorpusInfo, seen: Preflight, console: Console, *, json_only: bool) -> None:
    if json_only:
        print(json.dumps(as_json(info, seen), ensure_ascii=True))
        return
    print_tokens(seen, console)
    print_summary(info, seen, console)


@contextlib.contextmanager
def _progress(console: Console, *, shown: bool) -> Iterator[gather.Progress]:
    """A bar for each stage; silent where nobody watches."""
    if not shown or not console.is_terminal:
        yield no_progress
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance
