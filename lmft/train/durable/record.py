"""`run.json`: what a run is, how it is computed, and how each attempt at it went."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from lmft.train import processes
from lmft.train.durable.jobkey import JobKey
from lmft.train.planning.plan import Plan

State = Literal["running", "stopped", "failed", "published"]
Ending = Literal[
    "stopped", "died", "crashed", "out of memory", "disk full", "diverged", "failed", "published"
]

_OF_PLAN = (
    "micro_blocks",
    "accumulation",
    "activation_checkpointing",
    "keep_dequantised",
    "compile",
)


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tuning(_Stored):
    """How a step is computed, down to its last bit; the same blocks whatever it is."""

    micro_blocks: int
    accumulation: int
    activation_checkpointing: bool
    keep_dequantised: bool
    compile: bool
    processes: int

    @classmethod
    def of(cls, plan: Plan) -> Self:
        fields = {name: getattr(plan, name) for name in _OF_PLAN}
        return cls(**fields, processes=processes.count())

    def applied(self, plan: Plan) -> Plan:
        return replace(plan, **{name: getattr(self, name) for name in _OF_PLAN})


class Attempt(_Stored):
    """Attributes:
    first_step: of the checkpoint that it went on from; 0 without one.
    step: steps done when it ended; None if it never came to train.
    ended: `died` without a word (a kill, a power cut), `crashed` by an error that nobody
        foresaw; None while it goes on.
    """

    started_at: AwareDatetime
    first_step: int
    micro_blocks: int
    step: int | None = None
    ended: Ending | None = None
    detail: str = ""


class Record(_Stored):
    """The file.

    Attributes:
        adapter: the id that it will be published under.
        state: `stopped` goes on when asked, `failed` only when something is changed.
        tuning: of the newest attempt; None when it is to be planned afresh.
    """

    version: Literal[1] = 1
    recipe: str
    created_at: AwareDatetime
    job: JobKey
    adapter: str
    state: State
    tuning: Tuning | None = None
    attempts: tuple[Attempt, ...] = ()

    def stuck_at(self) -> int | None:
        """The step at which the last two attempts broke down, neither by anyone's wish.

        An error before training began counts at its first step. A death then does not: a person
        who kills a run that is loading may do so as often as they like.
        """
        steps = [
            one.first_step if one.step is None and one.ended == "crashed" else one.step
            for one in self.attempts[-2:]
            if one.ended in ("died", "crashed")
        ]
        return steps[0] if len(steps) == 2 and steps[0] == steps[1] else None
