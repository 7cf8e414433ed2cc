"""Token buckets: so many a minute, saved up for at most a minute."""

from __future__ import annotations

_MINUTE = 60.0


class Bucket:
    """Holds at most `per_minute` and fills evenly. What is taken may exceed what is there, as
    the tokens of an answer are known only afterwards: then it is empty until the debt is paid.

    Args:
        now: monotonic seconds, as in all its methods.
    """

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._level = float(per_minute)
        self._at = now

    def level(self, now: float) -> float:
        gained = (now - self._at) * self.per_minute / _MINUTE
        return min(float(self.per_minute), self._level + gained)

    def take(self, amount: float, now: float) -> None:
        self._level, self._at = self.level(now) - amount, now

    def seconds_until(self, amount: float, now: float) -> float:
        """How long until it holds `amount`; 0 if it does."""
        return max(0.0, (amount - self.level(now)) * _MINUTE / self.per_minute)
