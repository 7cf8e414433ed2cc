"""What a job survives: too little memory, signals, its own death; and how it says so."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import torch
from rich.console import Console
from transformers import TrainerCallback

from lmft.errors import DiskFullError, DivergedError, LmftError, MachineError, Stopped
from lmft.train import processes
from lmft.train.durable.checkpoint import step_of
from lmft.train.durable.memory import out_of_memory
from lmft.train.durable.record import Ending, State
from lmft.train.durable.runs import Run
from lmft.train.durable.stopping import StopSignals
from lmft.train.planning.plan import Plan

T = TypeVar("T")


class Keeper(TrainerCallback):  # type: ignore[misc]
    """Says when to write a checkpoint and when to stop.

    A checkpoint is due every `minutes` (0: at every step), when a signal asks to stop, and
    after the last step, so that whatever breaks in publishing costs no training.
    """

    def __init__(self, run: Run, signals: StopSignals, minutes: float) -> None:
        self._run, self._signals = run, signals
        self._seconds = minutes * 60
        self._saved = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = time.monotonic()
        self._run.reached(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._run.reached(state.global_step)
        due = time.monotonic() - self._saved >= self._seconds
        stop = self._signals.requested is not None
        if processes.count() > 1:
            due, stop = _agreed(due, stop, args.device) if control.should_log else (False, False)
            if stop and self._signals.requested is None:
                self._signals.requested = signal.SIGTERM
        control.should_training_stop = control.should_training_stop or stop
        control.should_save = due or control.should_training_stop

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = time.monotonic()


def until_it_fits(plan: Plan, run: Run, console: Console, attempt: Callable[[Plan], T]) -> T:
    """`attempt(plan)`; out of memory, again with smaller micro-batches from the last checkpoint.

    A step stays the same blocks with the same loss: half the micro-batch is twice the passes.

    Raises:
        MachineError: it does not fit block by block, with activation checkpointing, either.
    """
    has_trained = False
    while True:
        try:
            return attempt(plan)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            detail = str(error).split("\n", 1)[0]
            if processes.count() > 1:
                # The others wait for this one in the midst of a step: none can go on.
                raise MachineError(
                    f"One of {processes.count()} processes ran out of memory ({detail}).",
                    f"Go on with less at a time: lmft train --resume {run.id} --set "
                    f"training.micro_blocks={max(1, plan.micro_blocks // 2)}",
                ) from error
        # Here the error is gone, and with it the frames that held on to the tensors.
        _give_memory_back()
        has_trained = has_trained or run.step is not None
        if not has_trained:
            raise MachineError(
                f"The base does not fit into memory ({detail}).",
                "Take a smaller base."
                if plan.quantization == "nf4"
                else "Set quantization to nf4, or take a smaller base.",
            )
        smaller = with_less_memory(plan)
        run.end("out of memory", "running" if smaller else "failed", detail)
        if smaller is None:
            raise MachineError(
                f"One block of {plan.block_tokens} tokens does not fit into memory, even with "
                f"activation checkpointing ({detail}).",
                "Set training.block_tokens to half or less, quantization to nf4, or take a "
                "smaller base.",
            )
        plan = smaller
        mode = ", activation checkpointing on" if plan.activation_checkpointing else ""
        console.print(
            f"  out of memory: going on with {plan.micro_blocks} block(s) at a time, "
            f"{plan.accumulation} times a step{mode}",
            style="yellow",
            highlight=False,
        )


def _give_memory_back() -> None:
    """To the device or to the system: what the C library keeps for later counts as ours."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def with_less_memory(plan: Plan) -> Plan | None:
    """Half the micro-batch (or what divides a step just below it), then less kept; then None."""
    blocks = plan.micro_blocks * plan.accumulation
    if plan.micro_blocks > 1:
        micro = max(n for n in range(1, plan.micro_blocks // 2 + 1) if blocks % n == 0)
        return replace(plan, micro_blocks=micro, accumulation=blocks // micro)
    if not plan.activation_checkpointing:
        return replace(plan, activation_checkpointing=True, keep_dequantised=False)
    return None


@contextlib.contextmanager
def recorded(run: Run, learning_rate: float) -> Iterator[None]:
    """However the job ends, the run's record tells it, and the person how to go on."""
    again = f"lmft train --resume {run.id}"

    def tell(ended: Ending, state: State, detail: str = "") -> None:
        # Should the disk have no room for this word, the run counts as died, and goes on too.
        with contextlib.suppress(DiskFullError):
            run.end(ended, state, detail)

    try:
        yield
    except Stopped as stop:
        tell("stopped", "stopped")
        stop.message = f"stopped at step {run.position}; go on with: {again}"
        raise
    except DivergedError as error:
        tell("diverged", "failed", error.message)
        newest = max(run.checkpoints_dir.glob("step-*"), default=None)
        found = f"Step {step_of(newest)} is kept." if newest else "No step was kept yet."
        raise DivergedError(
            f"{error.message} {found}",
            f"Go on from there with a lower rate: {again} "
            f"--set training.learning_rate={learning_rate / 2:g}",
        ) from error
    except DiskFullError as error:
        tell("disk full", "stopped", error.message)
        raise DiskFullError(error.message, f"Free some space, then: {again}") from error
    except LmftError as error:
        tell("failed", "stopped", error.message)
        raise
    except BaseException as error:
        tell("crashed", "stopped", f"{type(error).__name__}: {error}")
        error.add_note(f"Stopped at step {run.position}; go on with: {again}")
        raise


def _agreed(due: bool, stop: bool, device: torch.device) -> tuple[bool, bool]:
    """What any of the processes wants, all do: at the same step. Waits for the device."""
    wishes = torch.tensor([due, stop], dtype=torch.int32, device=device)
    torch.distributed.all_reduce(wishes, op=torch.distributed.ReduceOp.MAX)
    due_anywhere, stop_anywhere = wishes.tolist()
    return bool(due_anywhere), bool(stop_anywhere)
