"""Jobs on the terminal: a table, one in full, one as it goes on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lmft.jobs.follow import News
from lmft.jobs.sources import Jobs, LocalJobs, RemoteJobs
from lmft.jobs.states import Verb

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_COLUMNS = 40
_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "dim", "paused": "yellow"}
_ENDED = ("succeeded", "failed", "cancelled")


def jobs_at(url: str | None) -> Jobs:
    """Those of the server at `url`, or of this machine's store."""
    if url is not None:
        return RemoteJobs(url)
    from lmft.store.database import open_store

    return LocalJobs(open_store())


def list_shown(jobs: Jobs, console: Console, *, as_json: bool) -> None:
    found = jobs.list()
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    if not found:
        console.print("No jobs yet. docs/openai.md shows how to make one; so does the Train page.")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "status", "model", "made", "project", "created"):
        table.add_column(title, no_wrap=title in ("id", "status"), overflow="fold")
    for job in found:
        table.add_row(
            job["id"],
            _status(job["status"]),
            job["model"],
            job["fine_tuned_model"] or "",
            job["organization_id"],
            _time(job["created_at"]),
        )
    console.print(table)


def show(jobs: Jobs, id: str, console: Console, *, as_json: bool) -> None:
    detail = jobs.show(id)
    if as_json:
        print(json.dumps(detail, ensure_ascii=False))
        return
    job, progress = detail["job"], detail["progress"]
    error = job["error"]
    lines = {
        "status": job["status"] + (f" ({detail['wish']} asked for)" if detail["wish"] else ""),
        "error": f"{error['code']}: {error['message']}" if error else None,
        "model": job["fine_tuned_model"],
        "trained over": job["model"],
        "method": f"{detail['method']}, preset {detail['preset']}",
        "files": ", ".join(detail["files"]),
        "held out": job["validation_file"],
        "project": job["organization_id"],
        "step": f"{progress['step']} of {progress['steps'] or '?'}",
        "attempts": "; ".join(_attempt(attempt) for attempt in detail["attempts"]),
        "created": _time(job["created_at"]),
        "ended": _time(job["finished_at"]) if job["finished_at"] else None,
        "results": ", ".join(job["result_files"]),
    }
    console.print(Text(job["id"], style="bold"))
    for label, text in lines.items():
        if text:
            console.print(f"  {label:<13}", Text(text), highlight=False, soft_wrap=True)
    for line in (detail["plan"] or {}).get("lines", ()):
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)


def ask(jobs: Jobs, verb: Verb, id: str, console: Console) -> None:
    job = jobs.ask(verb, id)
    console.print(f"{job['id']} is", _status(job["status"]), end="")
    running = verb != "resume" and job["status"] not in (*_ENDED, "paused")
    console.print(f"; {verb} is asked for, its step is ended first." if running else ".")


def follow(jobs: Jobs, id: str, console: Console) -> int:
    """Show what was said, and then what is, until the job ends.

    Returns:
        1 for a job that failed; 130 when the person went, which leaves the job alone.
    """
    status = ""
    try:
        with Live(Text(), console=console, auto_refresh=False) as live:
            line = _Line()
            for news in jobs.follow(id):
                said = line.take(news)
                if said is not None:
                    live.console.print(said, highlight=False, soft_wrap=True)
                live.update(line.text(), refresh=True)
                status = line.status
    except KeyboardInterrupt:
        print(
            f"The job goes on without you: `lmft jobs follow {id}` shows it again, "
            f"`lmft jobs cancel {id}` ends it.",
            file=sys.stderr,
        )
        return 130
    return 1 if status == "failed" else 0


class _Line:
    """The last line of what is shown: how far the job is."""

    def __init__(self) -> None:
        self.status = ""
        self._losses: list[float] = []
        self._step, self._steps = 0, 0
        self._ends_at: int | None = None

    def take(self, news: News) -> Text | None:
        """What is to stand above it."""
        data = news.data
        if news.kind == "job":
            self.status = data["job"]["status"]
            self._step, self._steps = data["progress"]["step"], data["progress"]["steps"] or 0
            self._ends_at = data["job"]["estimated_finish"]
            return None
        if data["type"] == "metrics":
            row = data["data"] or {}
            if isinstance(loss := row.get("loss"), int | float):
                self._losses.append(float(loss))
            # Of steps only what was measured on the way is worth a line.
            if "heldout_loss" not in row:
                return None
        style = {"error": "red", "warn": "yellow"}.get(data["level"], "")
        return Text(f"{_time(data['created_at'])}  {data['message']}", style=style)

    def text(self) -> Text:
        text = _status(self.status or "...")
        if self._steps:
            text.append(f"  step {self._step} of {self._steps}")
        if self._losses:
            text.append(f"  loss {self._losses[-1]:.2f} {curve(self._losses)}")
        if self._ends_at is not None and self.status == "running":
            text.append(f"  about {max(0, self._ends_at - time.time()) / 60:.0f} min left")
        return text


def curve(values: Iterable[float]) -> str:
    """A line of bars, the newest at the right."""
    known = list(values)
    # The mean of as many as share a column.
    width = -(-len(known) // _CURVE_COLUMNS)
    groups = [known[start : start + width] for start in range(0, len(known), width)]
    means = [sum(group) / len(group) for group in groups]
    least, most = min(means), max(means)
    span = (most - least) or 1.0
    return "".join(_BARS[round((mean - least) / span * (len(_BARS) - 1))] for mean in means)


def _status(status: str) -> Text:
    return Text(status, style=_STYLES.get(status, ""))


def _attempt(attempt: dict[str, Any]) -> str:
    return f"{attempt['attempt']} {attempt['outcome'] or 'under way'}"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
