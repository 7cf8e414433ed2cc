"""`lmft keys`, `lmft projects`, `lmft webhooks`: who may use the server, and who hears of it."""

from __future__ import annotations

from typing import Annotated

import typer

from lmft.console import console

keys_app = typer.Typer(help="API keys of the server.", no_args_is_help=True, rich_markup_mode=None)
projects_app = typer.Typer(
    help="Projects: whose files, jobs and models belong together.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
webhooks_app = typer.Typer(
    help="Addresses that hear how jobs end.", no_args_is_help=True, rich_markup_mode=None
)

DiskGib = Annotated[float | None, typer.Option(min=0.001, help="Of its files [default: no limit].")]
ActiveJobs = Annotated[
    int | None,
    typer.Option(min=1, help="Fine-tuning jobs that have not ended [default: no limit]."),
]
TrainingTokens = Annotated[
    int | None, typer.Option(min=1, help="Trained in 24 hours [default: no limit].")
]
WebhookId = Annotated[str, typer.Argument(metavar="ID", help="As `lmft webhooks list` shows it.")]


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for; letters, digits, . - _.")],
    project: Annotated[str, typer.Option(help="Whose files, jobs and models it is for.")] = "me",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may: inference, models:read, models:write, files, jobs, stories, "
            "metrics, pages; repeatable [default: inference, models:read]."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this model: an adapter's id or key for one version, its name or "
            "ft:BASE:ORG:NAME for all; repeatable [default: all of the project]."
        ),
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Of prompts and answers together.")
    ] = None,
    concurrent: Annotated[
        int | None, typer.Option(min=1, help="Requests at the same time.")
    ] = None,
    active_jobs: ActiveJobs = None,
    jobs_per_day: Annotated[
        int | None, typer.Option(min=1, help="Fine-tuning jobs made in 24 hours.")
    ] = None,
) -> None:
    """Make a key. It is shown once; from the first one on, the server asks for keys."""
    from lmft.store.keys import Limits
    from lmft.store.shown import create

    limits = Limits(requests_per_minute, tokens_per_minute, concurrent, active_jobs, jobs_per_day)
    create(name, scope or (), model or (), limits, project, console())


@keys_app.command("list")
def list_keys() -> None:
    """All keys there ever were, with their last four characters."""
    from lmft.store.shown import list_shown

    list_shown(console())


@keys_app.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="The key's name.")]) -> None:
    """Make a key worthless, for good; a running server refuses it within a second."""
    from lmft.store.shown import revoke

    revoke(name, console())


@projects_app.command("create")
def create_project(
    name: Annotated[
        str, typer.Argument(help="ORG in its models' ids: lower case letters, digits, - and _.")
    ],
    disk_gib: DiskGib = None,
    active_jobs: ActiveJobs = None,
    training_tokens_per_day: TrainingTokens = None,
) -> None:
    """Make a project. Its keys see no other project's files, jobs and models."""
    from lmft.store.projects_shown import create, limits

    create(name, limits(disk_gib, active_jobs, training_tokens_per_day), console())


@projects_app.command("list")
def list_projects() -> None:
    """All projects, what they use and what they may use."""
    from lmft.store.projects_shown import list_shown

    list_shown(console())


@projects_app.command("set")
def set_project(
    name: Annotated[str, typer.Argument(help="The project's name.")],
    disk_gib: Annotated[float | None, typer.Option(min=0)] = None,
    active_jobs: Annotated[int | None, typer.Option(min=0)] = None,
    training_tokens_per_day: Annotated[int | None, typer.Option(min=0)] = None,
) -> None:
    """Change limits of a project: those that are named; 0 takes one away."""
    from lmft.store.projects_shown import set_limits

    set_limits(name, disk_gib, active_jobs, training_tokens_per_day, console())


@webhooks_app.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to send it: http or https.")],
    project: Annotated[str, typer.Option(help="Of whose jobs.")] = "me",
) -> None:
    """Tell URL of every job that succeeds, fails or is cancelled. Shows its secret once."""
    from lmft.webhooks.shown import add

    add(url, project, console())


@webhooks_app.command("list")
def list_webhooks() -> None:
    """All addresses, and what became of what was sent there."""
    from lmft.webhooks.shown import list_shown

    list_shown(console())


@webhooks_app.command("remove")
def remove_webhook(webhook: WebhookId) -> None:
    """Send nothing there any more, not even what waits."""
    from lmft.webhooks.shown import remove

    remove(webhook, console())


@webhooks_app.command("test")
def test_webhook(webhook: WebhookId) -> None:
    """Send one signed event of a job that there is not (ftjob-test), and say what came of it."""
    from lmft.webhooks.shown import send_test

    send_test(webhook, console())
