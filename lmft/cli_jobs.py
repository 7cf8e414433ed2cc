"""`lmft jobs`: fine-tuning jobs of this machine, or of a server."""

from __future__ import annotations

from typing import Annotated

import typer

from lmft.console import console

jobs_app = typer.Typer(help="Fine-tuning jobs.", no_args_is_help=True, rich_markup_mode=None)

Url = Annotated[
    str | None,
    typer.Option(help="A server, with LMFT_API_KEY as key [default: this machine's own jobs]."),
]
Job = Annotated[str, typer.Argument(metavar="ID", help="As `lmft jobs list` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="OpenAI's objects as JSON, nothing else.")]


@jobs_app.command("list")
def list_jobs(url: Url = None, json_: Json = False) -> None:
    """The newest jobs, and what became of them."""
    from lmft.jobs_shown import jobs_at, list_shown

    list_shown(jobs_at(url), console(), as_json=json_)


@jobs_app.command("show")
def show_job(job: Job, url: Url = None, json_: Json = False) -> None:
    """One job: what it is trained on, how far it is, what it has made."""
    from lmft.jobs_shown import jobs_at, show

    show(jobs_at(url), job, console(), as_json=json_)


@jobs_app.command("follow")
def follow_job(job: Job, url: Url = None) -> None:
    """What is said of a job, until it has ended; 1 if it failed. Ctrl-C leaves it running."""
    from lmft.jobs_shown import follow, jobs_at

    raise typer.Exit(follow(jobs_at(url), job, console()))


@jobs_app.command("cancel")
def cancel_job(job: Job, url: Url = None) -> None:
    """End a job for good."""
    from lmft.jobs_shown import ask, jobs_at

    ask(jobs_at(url), "cancel", job, console())


@jobs_app.command("pause")
def pause_job(job: Job, url: Url = None) -> None:
    """Have a job wait, with all it has learnt."""
    from lmft.jobs_shown import ask, jobs_at

    ask(jobs_at(url), "pause", job, console())


@jobs_app.command("resume")
def resume_job(job: Job, url: Url = None) -> None:
    """Let a paused job go on."""
    from lmft.jobs_shown import ask, jobs_at

    ask(jobs_at(url), "resume", job, console())


def run_worker(
    take_over: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Queue again what the worker of that name had in hand, and end: for one that is "
            "gone for good, as after a restore without jobs/worker.lock. The log names it, beside "
            "the job. Refused while it is seen to be at work.",
        ),
    ] = None,
) -> None:
    """Have this machine's jobs done until Ctrl-C; `lmft serve` does so by itself."""
    if take_over is not None:
        from lmft.jobs.taking_over import taken_over
        from lmft.store.database import open_store

        job = taken_over(open_store(), take_over)
        console().print(f"{job.id} is {job.status} now.")
        return
    from lmft.jobs.worker import work

    raise typer.Exit(work())
