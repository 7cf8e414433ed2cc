"""What the watch does at the trainer's events: evaluate where it is due, keep and show figures."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback

from lmft.train.epochs import epoch_ends
from lmft.train.prepare import Job
from lmft.train.watch.bar import Bar
from lmft.train.watch.divergence import Divergence, require_finite
from lmft.train.watch.evaluation import choose_scope, measured, places, samples, undisturbed
from lmft.train.watch.journal import Row
from lmft.train.watch.rate import Rate, Smoothed
from lmft.train.watch.record import Record


class WatchCallback(TrainerCallback):  # type: ignore[misc]
    """Raises DivergedError where a loss is no number, or far above what it was."""

    def __init__(
        self, job: Job, record: Record, bar: Bar, rate: Rate, trackers: list[TrainerCallback]
    ) -> None:
        self.scope = choose_scope(job)
        self._job, self._record, self._bar, self._rate = job, record, bar, rate
        self._trackers = trackers
        # What is published is measured on everything, beginning, end and kept epochs alike.
        self._ends = frozenset({0, job.plan.steps, *epoch_ends(job)})
        evenly = places(job.plan.steps, job.recipe.training.evaluations)
        self._places = self._ends.union(evenly)
        self._loss, self._speed = Smoothed(), Smoothed()
        self._divergence = Divergence()
        self._logged_step, self._logged_seconds = 0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Also measures what an attempt that was killed at this very step did not."""
        self._bar.show(replace(self._bar.figures, step=state.global_step))
        self.on_step_end(args, state, control, model)
        self._record.clock.start()
        self._logged_step, self._logged_seconds = state.global_step, self._record.clock.seconds

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        step = state.global_step
        if step not in self._places or self._record.is_evaluated(step):
            return
        with self._record.clock.paused():
            row = self._evaluate(state, model)
            for tracker in self._trackers:
                # transformers' trackers file what begins with `eval_` by itself.
                logs = {"eval_heldout_loss": row["heldout_loss"]}
                tracker.on_log(args, state, control, model=model, logs=logs)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        # At its end the trainer logs a summary of its own.
        if "loss" not in logs:
            return
        loss, step = float(logs["loss"]), state.global_step
        smoothed = self._loss.add(loss)
        self._divergence.look(smoothed, step)
        record, seconds = self._record, self._record.clock.seconds
        n_tokens = (step - self._logged_step) * record.tokens_per_step
        speed = n_tokens / max(seconds - self._logged_seconds, 1e-9)
        self._logged_step, self._logged_seconds = step, seconds
        lately = self._speed.add(speed)
        mfu, peak = self._rate.mfu(speed), record.peak_memory_bytes
        record.keep(
            record.row(
                state,
                loss=round(loss, 5),
                learning_rate=float(logs.get("learning_rate", 0.0)),
                grad_norm=self._grad_norm(logs, step),
                tokens_per_second=round(speed, 1),
                peak_memory_bytes=peak,
                mfu=None if mfu is None else round(mfu, 4),
                **_besides(logs),
            )
        )
        tokens_left = (state.max_steps - step) * record.tokens_per_step
        self._bar.show(
            replace(
                self._bar.figures,
                step=step,
                loss=smoothed,
                tokens_per_second=lately,
                mfu=self._rate.mfu(lately),
                seconds_left=tokens_left / lately,
                peak_memory_bytes=peak,
            )
        )

    def _grad_norm(self, logs: dict[str, float], step: int) -> float | None:
        """In fp16 an overflow is how the loss scaler finds its scale: the step is left out."""
        norm = float(logs.get("grad_norm", 0.0))
        if not math.isfinite(norm) and self._job.plan.compute_dtype == "float16":
            return None
        require_finite(norm, "gradient's norm", step)
        return round(norm, 5)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._record.clock.stop()

    def _evaluate(self, state: Any, model: Any) -> Row:
        """Held-out loss and samples, kept as rows; returns the former."""
        job, scope, step = self._job, self.scope, state.global_step
        at_an_end = step in self._ends
        with undisturbed(model):
            self._bar.doing("measuring held-out loss")
            found = measured(model, job, scope.documents)
            require_finite(found.nats_per_byte, "held-out loss", step)
            row = self._record.row(
                state,
                heldout_loss=found.nats_per_byte,
                heldout_token_accuracy=round(found.token_accuracy, 5),
            )
            if at_an_end and not scope.is_everything:
                everything = measured(model, job, job.heldout)
                row["heldout_loss_all"] = everything.nats_per_byte
                row["heldout_token_accuracy_all"] = round(everything.token_accuracy, 5)
            if n_tokens := scope.end_sample_tokens if at_an_end else scope.sample_tokens:
                self._bar.doing("writing samples")
                for sample in samples(model, job, n_tokens):
                    self._record.keep_sample({"step": step, **sample})
        self._record.keep(row)
        self._bar.show(replace(self._bar.figures, heldout=found.nats_per_byte, doing="training"))
        return row


def _besides(logs: dict[str, float]) -> Row:
    """What the trainer of stories, and those of preferences, log besides the loss."""
    ours = ("token_accuracy", "rewards/", "kl", "heldout_accuracy", "heldout_margin")
    found = {key: float(logs[key]) for key in logs if key.startswith(ours)}
    return {key: round(value, 5) if math.isfinite(value) else None for key, value in found.items()}
