"""Where the work of jobs is done, behind five calls: submit, poll, cancel, logs, collect.

All that passes is names and JSON, and a directory that both sides see (lmft.jobs.folder, and the
run's). So a cluster can take the place of this machine: with Ray Jobs a handle is the
`submission_id`, submit is `submit_job(entrypoint="python -m lmft.jobs.child ...")`, poll
`get_job_status`, cancel `stop_job`, logs `get_job_logs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal["validate", "train"]


@dataclass(frozen=True)
class Task:
    """A piece of work: what the process `lmft.jobs.child` does for one job.

    Attributes:
        attempt: of the job when it is trained; of validation, how often it was tried.
        environment: variables that the process gets beside its executor's own.
    """

    kind: Kind
    job: str
    attempt: int
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def handle(self) -> str:
        """The same for the same work, so that nothing is begun twice."""
        return f"{self.job}.{self.kind}.{self.attempt}"


@dataclass(frozen=True)
class Exited:
    """How the process ended.

    Attributes:
        code: None where a signal ended it, or nobody saw it end.
        signal: that ended it.
    """

    code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"signal {self.signal}"
        return "nobody saw it end" if self.code is None else f"exit code {self.code}"


class Executor(Protocol):
    def submit(self, task: Task) -> str:
        """Begin, unless it has begun already; the handle to ask for it by."""

    def poll(self, handle: str) -> Exited | None:
        """None while it goes on; also of work that an earlier process has submitted.

        Once it has ended, nothing of it is left running.
        """

    def cancel(self, handle: str, *, force: bool) -> None:
        """Ask it to end in order, or end it now; poll() says when it has."""

    def logs(self, handle: str) -> str:
        """The last of what it printed."""

    def collect(self, handle: str) -> dict[str, Any] | None:
        """What it says it came to; None where it ended without a word."""
