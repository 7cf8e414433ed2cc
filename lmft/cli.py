"""The `lmft` command: one short function a verb. The work is elsewhere; imports wait until then."""

from __future__ import annotations

import enum
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lmft.cli_access import keys_app, projects_app, webhooks_app
from lmft.cli_db import app as db_app
from lmft.cli_jobs import jobs_app, run_worker
from lmft.cli_pretrain import run_pretrain
from lmft.console import console as _console
from lmft.errors import LmftError, Stopped

app = typer.Typer(
    help="Turn a small pile of your own text into a narrator or character to play with.",
    no_args_is_help=True,
    add_completion=False,
    # Its markup would take `[default: ...]` for markup and leave it out.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(
    help="The adapters you have trained.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(models_app, name="models")
corpus_app = typer.Typer(
    help="Text compiled for training.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(corpus_app, name="corpus")
app.add_typer(keys_app, name="keys")
app.add_typer(db_app, name="db")
app.add_typer(jobs_app, name="jobs")
app.add_typer(projects_app, name="projects")
app.add_typer(webhooks_app, name="webhooks")

Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1 [default: 8321].")
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Text of any kind that lmft reads, a folder of it, or a compiled corpus "
        "[default: the recipe's]."
    ),
]


class CorpusKind(enum.StrEnum):
    auto = "auto"
    story = "story"
    adventure = "adventure"
    chat = "chat"
    instruct = "instruct"
    preference = "preference"


@app.command()
def demo(
    data: Data = None,
    check: Annotated[
        bool, typer.Option("--check", help="Do it all, play one turn, load the page, exit.")
    ] = False,
    port: Port = None,
) -> None:
    """Train on the sample adventures (or --data), serve, prove, and open the pages."""
    from lmft.demo import demo as run_demo

    run_demo(data, check, port, _console())


@app.command()
def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A .yaml file, or a shipped recipe: adventure, character, ... "
            "With --resume: a run's id [default: the newest unfinished].",
        ),
    ] = None,
    data: Data = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key; repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was cut short.")
    ] = False,
) -> None:
    """Fine-tune by a recipe and publish the adapter."""
    from lmft.demo import train_shown
    from lmft.deploying import what_next
    from lmft.train import processes
    from lmft.train.durable.reopen import reopen
    from lmft.train.recipe import find_recipe, load_recipe

    processes.join()
    console = _console()
    if resume:
        if data is not None:
            raise typer.BadParameter("a run keeps its text; start a new one", param_hint="--data")
        loaded, run = reopen(recipe, set_ or ())
        adapter = train_shown(loaded, console, resumed=run)
    elif recipe is None:
        raise typer.BadParameter("name a recipe, or give --resume", param_hint="RECIPE")
    else:
        adapter = train_shown(load_recipe(find_recipe(recipe), set_ or (), data), console)
    console.print(f"\n{what_next(adapter)}", soft_wrap=True)


@app.command()
def plan(
    recipe: Annotated[
        str, typer.Argument(help="A .yaml file, or a shipped recipe: adventure, character, ...")
    ],
    data: Data = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key; repeatable."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="The plan as JSON, nothing else.")] = False,
) -> None:
    """What `lmft train` would do: memory, time, disk, energy, and what auto means here."""
    from lmft.train.planning.plan_shown import show_plan
    from lmft.train.recipe import find_recipe, load_recipe

    loaded = load_recipe(find_recipe(recipe), set_ or (), data)
    show_plan(loaded, _console(), json_only=json_)


@app.command()
def serve(
    port: Port = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback it needs a key.")
    ] = "127.0.0.1",
    model: Annotated[
        str | None, typer.Option(help="Adapter to have ready [default: the newest].")
    ] = None,
    memory_gib: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Memory for all engines together "
            "[default: half of what is free, 85% of a GPU's; or LMFT_SERVE_MEMORY_GIB].",
        ),
    ] = None,
    slots: Annotated[
        int, typer.Option(min=1, max=256, help="Adapters in one batch; more take turns.")
    ] = 4,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="The HTTP API only.")] = False,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Train no jobs; `lmft worker` does so elsewhere.")
    ] = False,
    log_prompts: Annotated[
        bool,
        typer.Option("--log-prompts", help="Write prompts and replies to the request log too."),
    ] = False,
) -> None:
    """Start engine, gateway and pages, until Ctrl-C."""
    from lmft.server import DEFAULT_PORT, require_port, require_vllm, server_command
    from lmft.store.chosen import chosen

    require_vllm()
    port = port or DEFAULT_PORT
    require_port(port, host)
    first = str(chosen(model).id) if model else None
    print(f"Starting on http://{host}:{port}/ (Ctrl-C stops it)", flush=True)
    command = server_command(
        port,
        host=host,
        model=first,
        ui=not no_ui,
        worker=not no_worker,
        memory_gib=memory_gib,
        slots=slots,
    )
    command += ["--log-prompts"] if log_prompts else []
    # The server takes this process's place: nothing in between that could leave it behind.
    os.execv(command[0], command)  # noqa: S606


@app.command()
def play(
    model: Annotated[str, typer.Argument(help="An adapter's id, key or name, or `embedded`.")],
    url: Annotated[
        str | None, typer.Option(help="A running server [default: the local one, or start one].")
    ] = None,
) -> None:
    """Play in the terminal."""
    from lmft.terminal import play_in_terminal

    play_in_terminal(model, url, _console())


@app.command()
def doctor() -> None:
    """What is installed, what this machine has, what would run."""
    from lmft.doctor import report

    report(_console())


app.command("pretrain")(run_pretrain)
app.command("worker")(run_worker)


@corpus_app.command("build")
def build_corpus(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Files and folders: text, Markdown, HTML, EPUB, DOCX, PDF, CSV, JSONL, scripts, "
            "Discord, WhatsApp, SillyTavern, Rasa, Twine, Ink, AI Dungeon. A folder may mix them.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for what is made of them.")],
    kind: Annotated[
        CorpusKind, typer.Option(help="What all of it is to be learnt as.")
    ] = CorpusKind.auto,
    base: Annotated[
        str, typer.Option(help="Base whose tokens the pre-flight shows and counts.")
    ] = "embedded",
    heldout: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Share of the text kept for measuring.")
    ] = 0.1,
    model_plays: Annotated[
        str | None, typer.Option(help="The speaker the model learns, for scripts and logs.")
    ] = None,
    you_play: Annotated[str | None, typer.Option(help="The speaker that you play.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows and files out instead of refusing.")
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="The report as JSON, nothing else.")
    ] = False,
) -> None:
    """Compile text: read, clean, name the speakers, drop repeats, split, and look at it all."""
    from lmft.compile import build
    from lmft.corpus.build import Settings

    settings = Settings(kind.value, heldout, model_plays, you_play, skip_bad)
    build(inputs, out, settings, base, _console(), json_only=json_)


@corpus_app.command("show")
def show_corpus(
    corpus: Annotated[Path, typer.Argument(help="A folder that `lmft corpus build` made.")],
    base: Annotated[
        str, typer.Option(help="Base whose tokens are shown and counted.")
    ] = "embedded",
    json_: Annotated[
        bool, typer.Option("--json", help="The report as JSON, nothing else.")
    ] = False,
) -> None:
    """What was made of a text, and its tokens as the model will see them."""
    from lmft.compile import show

    show(corpus, base, _console(), json_only=json_)


@models_app.command("list")
def list_models() -> None:
    """All adapters, newest first, and which of them their aliases mean."""
    from lmft.registry.show import list_shown
    from lmft.store.chosen import live_versions

    list_shown(live_versions().values(), _console())


@models_app.command("show")
def show_model(
    model: Annotated[
        str,
        typer.Argument(help="An adapter's id or key; by its name or alias, the live version."),
    ],
) -> None:
    """One adapter: what it was trained on, what it gained, what it writes."""
    from lmft.registry.show import show
    from lmft.store.chosen import chosen

    show(chosen(model), _console())


@models_app.command("deploy")
def deploy_model(
    model: Annotated[str, typer.Argument(help="A version: an adapter's id or key.")],
) -> None:
    """Let an adapter's alias, ft:BASE:ORG:NAME, mean this version."""
    from lmft.deploying import deploy

    deploy(model, _console())


@models_app.command("rollback")
def roll_back_model(
    model: Annotated[str, typer.Argument(help="An alias, ft:BASE:ORG:NAME, or its NAME.")],
) -> None:
    """Let an alias mean the version that it meant before."""
    from lmft.deploying import rollback

    rollback(model, _console())


def main() -> None:
    """Entry point: an LmftError becomes one line and its exit code, as does being stopped."""
    from lmft.train.processes import first_to_fail

    try:
        app()
    except LmftError as error:
        if first_to_fail():
            hint = f" {error.hint}" if error.hint else ""
            print(f"Error: {error.message}{hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Stopped as stop:
        if first_to_fail():
            print(stop.message, file=sys.stderr)
        sys.exit(stop.exit_code)
    except Exception:
        # What this process misses another one may have ended by, and said so.
        if not first_to_fail():
            sys.exit(1)
        raise
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
