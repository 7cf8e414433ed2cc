"""When training has gone wrong for good, though every figure is still a number."""

from __future__ import annotations

import math

from lmft.errors import DivergedError

# The lowest smoothed loss so far, times this and at least this many nats more: no batch of odd
# text does that to an average, a learning rate that is too high does it within some steps.
_TIMES, _NATS = 1.5, 2.0


class Divergence:
    """Raises DivergedError for a loss that is no number or has left its lowest value far behind."""

    def __init__(self) -> None:
        self._lowest = math.inf

    def look(self, smoothed_loss: float, step: int) -> None:
        """At the smoothed training loss in nats per token."""
        require_finite(smoothed_loss, "loss", step)
        self._lowest = min(self._lowest, smoothed_loss)
        if smoothed_loss > max(_TIMES * self._lowest, self._lowest + _NATS):
            raise DivergedError(
                f"Training diverged: the loss went from {self._lowest:.2f} up to "
                f"{smoothed_loss:.2f} at step {step}.",
                _HINT,
            )


def require_finite(value: float, what: str, step: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(f"Training diverged: the {what} is {value} at step {step}.", _HINT)


_HINT = "Lower training.learning_rate, for example by half."
