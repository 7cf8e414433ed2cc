"""How a job stands, what it writes, what happened to it, and the list of all: as HTML. What a
model, a file or a server wrote is text, never markup."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Any
from urllib.parse import quote

from ui import render
from ui import text_train as text
from ui.training import marks
from ui.training.follow import Seen
from ui.training.job import Job, Listed

Row = Mapping[str, Any]

_SHOWN_JOBS = 20
_SHOWN_SAMPLES = 60


def head(seen: Seen) -> str:
    """Name, state, how far it is, and at the end what to do with it."""
    job = seen.job
    state = text.STATES.get(job.state, job.state)
    parts = [
        f'<div class="title"><h2>{escape(job.name)}</h2>'
        f'<span class="badge {escape(job.state)}">{escape(state)}</span></div>',
        _progress(seen) if _has_begun(job) else "",
        render.says(text.SAYS.get(job.state, "")),
        _problem(job),
        _links(job),
    ]
    return (
        f'<section class="job" aria-label="{escape(job.name)}" data-testid="job"'
        f' data-state="{escape(job.state)}" data-step="{job.step}" data-id="{escape(job.id)}">'
        f"{''.join(parts)}</section>"
    )


def announced(job: Job) -> str:
    """What a screen reader says when the state changes; steps would be noise."""
    return render.announcement(f"{job.name}: {text.STATES.get(job.state, job.state)}")


def samples(rows: Sequence[Row]) -> str:
    """What the model wrote, the newest measurement first."""
    if not rows:
        return f'<p class="hint">{escape(text.SAMPLES_EMPTY)}</p>'
    parts = []
    newest = sorted(rows, key=_step, reverse=True)[:_SHOWN_SAMPLES]
    for step, group in groupby(newest, _step):
        title = text.SAMPLE_STEP.format(step=step) if step else text.SAMPLE_START
        written = "".join(
            f'<blockquote><span class="prompt">{escape(str(row.get("prompt") or ""))}</span>'
            f"{escape(str(row.get('text') or ''))}</blockquote>"
            for row in group
        )
        parts.append(f"<h3>{escape(title)}</h3>{written}")
    return (
        f'<div class="samples" role="region" tabindex="0" aria-label="{escape(text.SAMPLES)}"'
        f' data-testid="samples" data-count="{len(rows)}">{"".join(parts)}</div>'
    )


def events(rows: Sequence[Row]) -> str:
    """What happened, newest first."""
    if not rows:
        return f'<p class="hint">{escape(text.EVENTS_EMPTY)}</p>'
    items = "".join(
        f'<li class="{escape(str(row.get("level")))}"><time>{_clock(row.get("created_at"))}</time> '
        f"{escape(str(row.get('message') or ''))}</li>"
        for row in rows
    )
    return f'<ol class="events" reversed data-testid="events">{items}</ol>'


def jobs(listed: Iterable[Listed], chosen: str) -> str:
    """The newest ones, each an address of its own; plans that came to nothing are left out."""
    shown = [job for job in listed if not job.is_draft or job.id == chosen][:_SHOWN_JOBS]
    new = f'<a href="train">{escape(text.NEW)}</a>' if chosen else ""
    title = f'<div class="title"><h2>{escape(text.JOBS)}</h2>{new}</div>'
    if not shown:
        return f'{title}<p class="hint" data-testid="jobs">{escape(text.JOBS_EMPTY)}</p>'
    items = "".join(_line(job, chosen) for job in shown)
    return f'{title}<ul class="jobs" data-testid="jobs">{items}</ul>'


def _line(job: Listed, chosen: str) -> str:
    here = ' aria-current="page"' if job.id == chosen else ""
    words = text.JOB_LINE.format(name=job.name, model=job.model)
    return (
        f'<li><a href="train?job={quote(job.id, safe="")}"{here}>{escape(words)}</a>'
        f'<span class="badge {escape(job.state)}">'
        f"{escape(text.STATES.get(job.state, job.state))}</span>"
        f"<time>{_day(job.created)}</time></li>"
    )


def _progress(seen: Seen) -> str:
    job = seen.job
    steps = job.steps or 0
    if not steps:
        return render.says(text.STEPS_UNKNOWN)
    rows = [row for row in seen.rows if row.get("tokens_per_second")]
    said = [text.STEP.format(step=job.step, steps=steps)]
    if job.state == "running" and rows:
        said.append(text.SPEED.format(speed=float(rows[-1]["tokens_per_second"])))
    if job.state == "running" and (left := _seconds_left(job, rows)):
        said.append(text.LEFT.format(time=marks.duration(left)))
    if job.ended and job.started_at and job.finished_at:
        said.append(text.TOOK.format(time=marks.duration(job.finished_at - job.started_at)))
    if job.attempt > 1:
        said.append(text.TRIED.format(attempt=job.attempt))
    share = min(1.0, job.step / steps)
    words = " · ".join(said)
    return (
        f'<div class="bar-of" role="progressbar" aria-valuemin="0" aria-valuemax="{steps}"'
        f' aria-valuenow="{job.step}" aria-label="{escape(words)}">'
        f'<div style="width:{share:.1%}"></div></div><p class="status">{escape(words)}</p>'
    )


def _seconds_left(job: Job, rows: Sequence[Row]) -> float:
    if job.ends_at:
        return max(0.0, job.ends_at - time.time())
    if not rows or not job.steps:
        return 0.0
    seconds, step = float(rows[-1].get("seconds") or 0), _step(rows[-1])
    return seconds / step * (job.steps - step) if step else 0.0


def _problem(job: Job) -> str:
    if not job.problem:
        return ""
    in_files = job.problem_code in ("invalid_training_file", "invalid_file_format")
    hint = text.FAULTY_FILES if in_files else text.TRY_AGAIN
    return (
        f'<div class="verdict refused" role="alert" data-testid="problem">'
        f"<strong>{escape(text.WHY_FAILED)}</strong>"
        f'<p class="lines">{escape(job.problem)}</p><p class="note">{escape(hint)}</p></div>'
    )


def _links(job: Job) -> str:
    if job.state != "succeeded" or not job.tuned:
        return ""
    model = quote(job.tuned, safe="")
    return (
        f'<p class="onward"><a class="strong" href="./?model={model}">{escape(text.PLAY_IT)}</a>'
        f'<a href="compare?model={model}">{escape(text.COMPARE_IT)}</a></p>'
        f'<p class="status">{escape(job.tuned)}</p>'
    )


def _has_begun(job: Job) -> bool:
    return bool(job.started_at) and bool(job.steps or job.state == "running")


def _step(row: Row) -> int:
    return int(row.get("step") or 0)


def _clock(seconds: object) -> str:
    return f"{datetime.fromtimestamp(int(str(seconds))):%H:%M:%S}" if seconds else ""


def _day(seconds: int) -> str:
    made = datetime.fromtimestamp(seconds)
    return f"{made.day} {made:%b} {made:%H:%M}"
