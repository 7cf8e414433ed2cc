"""What a run will take, said before it begins: time, energy, disk."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lmft.train import processes
from lmft.train.planning.disk import Disk, disk_of
from lmft.train.planning.hardware import Power, assumed_power
from lmft.train.planning.shape import shape_of
from lmft.train.planning.speed import expected_seconds
from lmft.train.prepare import Job

_SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Estimate:
    """Attributes:
    seconds: of all training steps, without loading and publishing; without a probe of the real
        model by the roofline, right within about a factor of two.
    cost: in the recipe's currency; None without a price.
    """

    seconds: float
    power: Power
    disk: Disk
    cost: float | None

    @property
    def kwh(self) -> float:
        return self.power.watts * self.seconds / _SECONDS_AN_HOUR / 1000


def estimate(job: Job, measured_tokens_per_second: float | None = None) -> Estimate:
    """Args: measured_tokens_per_second: of one process; see lmft.train.planning.probe."""
    recipe, plan = job.recipe, job.plan
    share = plan.tokens // processes.count()
    if measured_tokens_per_second:
        seconds = share / measured_tokens_per_second
    else:
        seconds = expected_seconds(
            recipe,
            shape_of(job.base),
            plan.device,
            plan.block_tokens,
            share,
            plan.activation_checkpointing,
        )
    power = assumed_power(plan.device)
    price = recipe.energy.price_per_kwh
    disk = disk_of(recipe, job.base, plan.quantization, plan.compute_dtype)
    made = Estimate(seconds, power, disk, None)
    return made if price is None else replace(made, cost=made.kwh * price)
