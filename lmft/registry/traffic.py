"""What an adapter has been asked and how it answered: counts, by window. No text of any request."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Window = Literal["hour", "day", "all"]
WINDOWS: tuple[Window, ...] = get_args(Window)
# A window is a row of slots; one falls out of it when its time has passed.
_SLOTS: dict[Window, tuple[int, int]] = {"hour": (60, 60), "day": (900, 96)}


class Counts(BaseModel):
    """Sums over requests.

    Attributes:
        requests: all that reached the model. failed, aborted: those that ended in an error, or
            because the client went away; their tokens are counted too.
        replies, reply_tokens: finished ones, several a request with `n`. stopped, cut: by a
            stop string or end of text; by the length limit. looping: see serving.watch.loops.
        sampled_tokens, sampled_logprob, sampled_temperature: of the replies whose
            log-probabilities were asked for: tokens; sum of log-probabilities in nats, by the
            model itself (temperature 1, no penalties); sum of temperature x tokens.
    """

    model_config = ConfigDict(extra="forbid")

    requests: int = 0
    failed: int = 0
    aborted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    replies: int = 0
    reply_tokens: int = 0
    stopped: int = 0
    cut: int = 0
    looping: int = 0
    sampled_tokens: int = 0
    sampled_logprob: float = 0.0
    sampled_temperature: float = 0.0

    def add(self, other: Counts) -> None:
        for name in Counts.model_fields:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Summary(BaseModel):
    """One window of traffic, in figures a person can use. None: nothing to divide by.

    Attributes:
        tokens_per_minute: prompt and reply. reply_tokens: mean of a reply.
        stop_rate, length_rate, loop_rate: shares of the finished replies.
        logprob: mean log-probability of a sampled reply's token, in nats.
        drift: `logprob` minus the mean over the adapter's held-out tokens.
        temperature: mean of the sampled tokens' requests.
    """

    requests: int
    failed: int
    aborted: int
    requests_per_minute: float
    tokens_per_minute: float
    reply_tokens: float | None
    stop_rate: float | None
    length_rate: float | None
    loop_rate: float | None
    sampled_tokens: int
    logprob: float | None
    drift: float | None
    temperature: float | None


def _no_slots() -> dict[Literal["hour", "day"], dict[int, Counts]]:
    return {"hour": {}, "day": {}}


class Traffic(BaseModel):
    """Attributes:
    since, until: Unix seconds of the first and the last request.
    heldout_logprob: mean over the held-out tokens of probe.json, in nats; None for a base.
    slots: a window's slots by their number since 1970.
    """

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    model: str
    since: float
    until: float
    heldout_logprob: float | None = None
    total: Counts = Field(default_factory=Counts)
    slots: dict[Literal["hour", "day"], dict[int, Counts]] = Field(default_factory=_no_slots)

    def add(self, counts: Counts, now: float) -> None:
        """Count what ended at `now`, Unix seconds."""
        self.until = max(self.until, now)
        self.total.add(counts)
        for window, slots in self.slots.items():
            width, _ = _SLOTS[window]
            slots.setdefault(int(now // width), Counts()).add(counts)
            self._forget(window, now)

    def window(self, window: Window, now: float) -> Counts:
        """The sums of the last hour, to the minute, of the last day, to 15 minutes, or of all."""
        if window == "all":
            return self.total
        self._forget(window, now)
        total = Counts()
        for counts in self.slots[window].values():
            total.add(counts)
        return total

    def summary(self, window: Window, now: float) -> Summary:
        counts = self.window(window, now)
        minutes = self._minutes(window, now)
        logprob = _ratio(counts.sampled_logprob, counts.sampled_tokens)
        return Summary(
            requests=counts.requests,
            failed=counts.failed,
            aborted=counts.aborted,
            requests_per_minute=round(counts.requests / minutes, 3),
            tokens_per_minute=round((counts.prompt_tokens + counts.completion_tokens) / minutes, 3),
            reply_tokens=_ratio(counts.reply_tokens, counts.replies),
            stop_rate=_ratio(counts.stopped, counts.replies),
            length_rate=_ratio(counts.cut, counts.replies),
            loop_rate=_ratio(counts.looping, counts.replies),
            sampled_tokens=counts.sampled_tokens,
            logprob=logprob,
            drift=(
                None
                if logprob is None or self.heldout_logprob is None
                else round(logprob - self.heldout_logprob, 4)
            ),
            temperature=_ratio(counts.sampled_temperature, counts.sampled_tokens),
        )

    def _minutes(self, window: Window, now: float) -> float:
        """The part of the window in which the model has been watched; at least one minute."""
        watched = now - self.since
        if window != "all":
            width, number = _SLOTS[window]
            watched = min(watched, width * number)
        return max(watched / 60, 1.0)

    def _forget(self, window: Literal["hour", "day"], now: float) -> None:
        width, number = _SLOTS[window]
        oldest = int(now // width) - number
        slots = self.slots[window]
        for slot in [slot for slot in slots if slot <= oldest]:
            del slots[slot]


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
