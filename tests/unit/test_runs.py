"""Runs on disk: found again, owned by one process, refused where they would fail again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from lmft import paths
from lmft.errors import (
    DivergedError,
    InputError,
    MachineError,
    NotFoundError,
    RecipeError,
    Stopped,
    UserError,
)
from lmft.ids import AdapterId, mint_adapter_id
from lmft.train.durable.jobkey import JobKey
from lmft.train.durable.record import Tuning
from lmft.train.durable.reopen import reopen
from lmft.train.durable.runs import Run, create_run
from lmft.train.durable.stopping import StopSignals
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Recipe, Training
from tests.conftest import ROOT

RECIPE = Recipe(
    name="tale",
    data="/nowhere",
    quantization="none",
    training=Training(block_tokens=64, batch_blocks=8),
)
PLAN = Plan("cpu", "none", "float32", 64, 8, 40, (), micro_blocks=8)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))


def key(recipe: Recipe = RECIPE) -> JobKey:
    return JobKey.of(recipe, "base", "corpus")


def new_run() -> Run:
    return create_run(RECIPE, key(), mint_adapter_id("embedded", RECIPE.name))


def attempt(run: Run, step: int | None, ended: str | None, first_step: int = 0) -> None:
    run.begin(RECIPE, Tuning.of(PLAN), first_step)
    if step is not None:
        run.reached(step)
    if ended:
        run.end(ended, "stopped")


def test_the_newest_unfinished_run_is_found_without_its_name():
    with new_run() as older:
        attempt(older, 3, "stopped")
    with new_run() as newer:
        attempt(newer, 7, "stopped")
    with new_run() as finished:
        attempt(finished, 40, None)
        finished.published()
    recipe, run = reopen(None, ())
    with run:
        assert run.id == newer.id
        assert recipe == RECIPE
    with reopen(older.id, ())[1] as named:
        assert named.record.attempts[0].step == 3
    with pytest.raises(NotFoundError, match="No run unheard-of"):
        reopen("unheard-of", ())


def test_a_run_may_be_given_its_id_before_it_begins():
    given = AdapterId("embedded", "team", "tale", "0123abcd")
    directory = paths.runs_dir() / "tale-0123abcd"
    # As one leaves it who is killed before anything is written.
    directory.mkdir(parents=True)
    with create_run(RECIPE, key(), given) as run:
        assert (run.directory, run.adapter_id) == (directory, given)
        with pytest.raises(MachineError, match="another process"):
            create_run(RECIPE, key(), given)
    with pytest.raises(InputError, match="tale-0123abcd is there already"):
        create_run(RECIPE, key(), given)
    reopen("tale-0123abcd", ())[1].close()


def test_there_may_be_none():
    with pytest.raises(NotFoundError, match="No run is unfinished"):
        reopen(None, ())


def test_a_published_run_has_nothing_left_to_do():
    with new_run() as run:
        attempt(run, 40, None)
        run.published()
    with pytest.raises(UserError, match=r"is finished: ft:embedded:me:tale"):
        reopen(run.id, ())


def test_one_process_at_a_time_and_a_dead_one_does_not_count():
    script = (
        "import sys; from lmft.train.durable.reopen import open_run; run = open_run(None);"
        "print(run.id, flush=True); sys.stdin.read()"
    )
    new_run().close()
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        name = owner.stdout.readline().strip()
        for asked in (name, None):
            with pytest.raises(MachineError, match="another process"):
                reopen(asked, ())
        owner.kill()
        owner.wait()
        reopen(name, ())[1].close()


def test_an_attempt_that_died_is_told_with_the_step_it_reached():
    with new_run() as run:
        attempt(run, 5, None)
    with reopen(None, ())[1] as found:
        last = found.record.attempts[-1]
        assert (last.ended, last.step) == ("died", 5)


@pytest.mark.parametrize("ended", ["died", "crashed"])
def test_two_breakdowns_at_one_step_are_not_tried_a_third_time_unless_something_changes(ended):
    with new_run() as run:
        attempt(run, 5, ended)
        attempt(run, 5, ended, first_step=4)
    for name in (run.id, run.id):
        with pytest.raises(MachineError, match="twice at step 5"):
            reopen(name, ())
    assert "failed" in (run.directory / "run.json").read_text()
    recipe, again = reopen(run.id, ("training.micro_blocks=2",))
    with again:
        assert recipe.training.micro_blocks == 2
        assert again.tuned(PLAN) == PLAN


@pytest.mark.parametrize(
    "steps", [(5, 6), (None, None), (None, 5)], ids=["further", "never trained", "once"]
)
def test_breakdowns_at_different_steps_are_no_reason_to_refuse(steps):
    with new_run() as run:
        for step in steps:
            attempt(run, step, "died")
    reopen(run.id, ())[1].close()


def test_two_errors_before_training_began_are_not_tried_a_third_time():
    with new_run() as run:
        attempt(run, None, "crashed")
        attempt(run, None, "crashed")
    with pytest.raises(MachineError, match="twice at step 0"):
        reopen(run.id, ())


def test_a_person_who_stops_twice_at_one_step_is_not_refused():
    with new_run() as run:
        attempt(run, 5, "stopped")
        attempt(run, 5, "stopped")
    reopen(run.id, ())[1].close()


def test_a_diverged_run_goes_on_only_with_a_change():
    with new_run() as run:
        run.begin(RECIPE, Tuning.of(PLAN), 0)
        run.end("diverged", "failed", "the loss is nan at step 9")
    with pytest.raises(NotFoundError):
        reopen(None, ())
    with pytest.raises(MachineError, match=r"diverged.*nan at step 9.*learning_rate"):
        reopen(run.id, ())
    recipe, again = reopen(run.id, ("training.learning_rate=1e-5",))
    with again:
        assert recipe.training.learning_rate == 1e-5
        again.require(key(recipe))


@pytest.mark.parametrize(
    "override", ["training.epochs=9", "lora.rank=8", "training.seed=7", "training.batch_blocks=4"]
)
def test_what_would_make_another_job_of_it_is_refused_and_the_run_is_free_again(override):
    with new_run() as run:
        attempt(run, 3, "stopped")
    with pytest.raises(RecipeError, match="another job"):
        reopen(run.id, (override,))
    reopen(run.id, ())[1].close()


def test_another_text_or_base_than_it_began_with_is_refused():
    with new_run() as run:
        for changed, word in (("base", "base"), ("corpus", "text")):
            with pytest.raises(InputError, match=word):
                run.require(key().model_copy(update={changed: "other"}))


def test_it_goes_on_computing_as_it_did():
    smaller = Plan("cpu", "none", "float32", 64, 8, 40, (), micro_blocks=2, accumulation=4)
    with new_run() as run:
        assert run.tuned(PLAN) == PLAN
        run.begin(RECIPE, Tuning.of(smaller), 0)
        run.end("stopped", "stopped")
    with reopen(None, ())[1] as again:
        assert again.tuned(PLAN) == smaller


def test_the_record_is_replaced_whole_and_lies_in_the_data_directory(tmp_path):
    with new_run() as run:
        attempt(run, 1, "stopped")
        assert run.directory.parent == paths.runs_dir() == tmp_path / "runs"
        assert {one.name for one in run.directory.iterdir()} == {
            "run.json", "recipe.yaml", "lock", "reached",
        }  # fmt: skip


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    # The handler runs between two operations of Python, not within the call.
    for _ in range(1000):
        pass


def test_the_first_signal_waits_for_the_step_and_the_second_does_not(capfd):
    with StopSignals() as signals, signals.deferred():
        send(signal.SIGINT)
        assert signals.requested == signal.SIGINT
        with pytest.raises(Stopped) as caught:
            send(signal.SIGINT)
        signals.requested = None
    assert caught.value.exit_code == 130
    assert "after this step" in capfd.readouterr().err


def test_a_stop_that_is_told_twice_at_once_is_one_stop():
    with StopSignals() as signals, signals.deferred():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert signals.requested == signal.SIGTERM
        # Else it is obeyed here.
        signals.requested = None


def test_a_signal_outside_of_training_leaves_at_once_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals(), pytest.raises(Stopped) as caught:
        send(signal.SIGTERM)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_during_the_last_step_is_obeyed_after_it():
    def last_step() -> None:
        with StopSignals() as signals, signals.deferred():
            send(signal.SIGTERM)

    with pytest.raises(Stopped) as caught:
        last_step()
    assert caught.value.exit_code == 143


def test_a_failure_of_the_step_that_a_signal_waits_for_is_told_as_what_it_is():
    def diverge() -> None:
        with StopSignals() as signals, signals.deferred():
            send(signal.SIGTERM)
            raise DivergedError("nan")

    with pytest.raises(DivergedError):
        diverge()
