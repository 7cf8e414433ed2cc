"""The main job in one command: text -> adapter -> served, proven, played."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmft import paths
from lmft.corpus.info import CorpusInfo
from lmft.errors import EngineError
from lmft.registry.adapters import Adapter
from lmft.report.plain import counted, visible
from lmft.server import (
    DEFAULT_PORT,
    Server,
    free_port,
    require_port,
    require_vllm,
    running_server,
)
from lmft.train.recipe import Recipe, find_recipe, load_recipe

if TYPE_CHECKING:
    from lmft.train.durable.runs import Run

_STEPS = 5
_SEED = 4
_DISK_BYTES = 300_000_000


def demo(data: Path | None, check: bool, port: int | None, console: Console) -> None:
    """Everything, in order. What can be refused is refused before training starts."""
    started = time.monotonic()
    require_vllm()
    paths.require_free(paths.home(), _DISK_BYTES, "The demo")
    if port is None:
        port = free_port() if check else DEFAULT_PORT
    require_port(port)

    recipe = load_recipe(find_recipe("adventure"), data=data)
    adapter = train_shown(recipe, console, steps=_STEPS)

    _headline(console, 4, "Serve it with vLLM and prove that it is the one that was trained")
    with running_server(port, model=str(adapter.id), ui=True) as server:
        mark = time.monotonic()
        server.wait_ready(console)
        _show_probe(server, adapter, console, time.monotonic() - mark)
        _headline(console, 5, "The same prompt, without and with the adapter")
        _side_by_side(server, adapter, console)
        if check:
            _check(server, adapter, console)
            console.print(f"[green]All checks passed[/] in {time.monotonic() - started:.0f} s.")
            return
        console.print(f"Play and compare:  [bold]{server.url}/[/]")
        console.print(f"OpenAI endpoint:   {server.url}/v1   model {adapter.id}", soft_wrap=True)
        console.print("Ctrl-C stops everything.")
        if server.process is not None:
            server.process.wait()


def train_shown(
    recipe: Recipe, console: Console, steps: int = 3, resumed: Run | None = None
) -> Adapter:
    """Compile, train and publish, saying what happens: also the body of `lmft train`."""
    _headline(console, 1, "Read the text", steps)
    from lmft.train.planning.plan_shown import plan_lines
    from lmft.train.prepare import prepare

    job = prepare(recipe)
    for note in (*job.corpus.info.notes, *job.preflight.warnings):
        console.print(Text(f"  {visible(note)}", style="yellow"))
    seen = job.preflight
    for line in (
        *_findings(job.corpus.info),
        f"{seen.train.n_tokens:,} tokens to train on, {seen.bytes_per_token:.2f} bytes a token",
        f"what was made of the text: lmft corpus show {job.corpus.path}",
    ):
        console.print(Text(f"  {visible(line)}"), soft_wrap=True)

    _headline(
        console,
        2,
        f"Fine-tune {job.base.name} ({job.base.n_parameters / 1e6:.1f}M parameters)",
        steps,
    )
    for line in plan_lines(job):
        console.print(f"  {line}", highlight=False)
    mark = time.monotonic()
    with console.status("  loading the trainer"):
        from lmft.train.environment import prepare_libraries

        prepare_libraries()
        from lmft.train.run import run
    adapter = run(job, console, resumed)

    _headline(console, 3, "Publish the adapter", steps)
    console.print(f"  [bold]{adapter.id}[/]  ({time.monotonic() - mark:.0f} s)")
    console.print(f"  {adapter.path}", soft_wrap=True, highlight=False)
    return adapter


def _findings(info: CorpusInfo) -> Iterator[str]:
    """What was made of the text: a line each on size, cast, what was left out, and secrets."""
    yield info.summary()
    if info.cast is not None:
        yield info.cast.reason
    left_out = [f"{drop.reason} ({counted(drop.places, 'place')})" for drop in info.dropped]
    if info.n_faults:
        left_out.append(f"bad input ({counted(info.n_faults, 'fault')})")
    if left_out:
        yield f"left out: {', '.join(left_out)}"
    if info.secrets:
        found = (f"{secret.kind} ({counted(secret.count, 'time')})" for secret in info.secrets)
        yield f"secrets in the text, which will be learnt: {', '.join(found)}"


def _headline(console: Console, number: int, text: str, steps: int = _STEPS) -> None:
    console.print(f"\n[bold]{number}/{steps}  {text}[/]", highlight=False)


def _show_probe(server: Server, adapter: Adapter, console: Console, seconds: float) -> None:
    proof = next(entry for entry in server.models() if entry["id"] == str(adapter.id))["lmft"][
        "probe"
    ]
    effect = proof["adapter_effect"]
    console.print(f"  vLLM answers and the adapter is proven ({seconds:.0f} s):")
    for line in (
        f"over {proof['tokens']} held-out tokens the adapter moves log-probabilities by "
        f"{effect:.3f} nats;",
        f"vLLM is {proof['adapter_difference']:.6f} off the trainer (allowed: {effect / 10:.3f}), "
        f"and {proof['mixed_difference']:.6f} more",
        f"in one batch with base and others; {proof['greedy_agreement']:.0%} of the greedy "
        "answers agree.",
    ):
        console.print(f"  {line}", highlight=False)


def _side_by_side(server: Server, adapter: Adapter, console: Console) -> None:
    opening = adapter.contract.opening or "You open the door."
    prompt = f"{opening}\n> You take the lantern and open the door.\n"
    names = (adapter.id.base, str(adapter.id))
    with ThreadPoolExecutor(2) as pool:
        texts = list(
            pool.map(
                lambda name: server.complete(name, prompt, seed=_SEED, max_tokens=60, stop=["\n>"]),
                names,
            )
        )
    console.print(Text(prompt.strip(), style="dim"))
    table = Table(expand=True, show_lines=False)
    for name in names:
        table.add_column(name, ratio=1)
    table.add_row(*(Text(text.strip()) for text in texts))
    console.print(table)


def _check(server: Server, adapter: Adapter, console: Console) -> None:
    """One turn over HTTP and the page, as a player's browser would ask for them."""
    opening = adapter.contract.opening or "You stand before a door."
    turns = [
        {"by": "narrator", "text": opening},
        {"by": "player", "mode": "do", "text": "take the lantern"},
    ]
    last = list(server.play(str(adapter.id), turns, seed=_SEED))[-1]
    if (
        last["type"] != "done"
        or not last["text"]
        or last["adapter"] != adapter.manifest.adapter_hash[:12]
    ):
        raise EngineError("The played turn came back empty or from other weights.")
    console.print(Text(f"> You take the lantern.\n{last['text']}", style="dim"))
    page = server.http.get("/", follow_redirects=True)
    if page.status_code != 200 or "gradio" not in page.text:
        raise EngineError(f"The page does not load (status {page.status_code}).")
