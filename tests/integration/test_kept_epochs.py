"""Epochs that are kept on the way and published as checkpoints: real trainings of a tiny base."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.test_training import in_process

SETUP = """
import hashlib, json, os, tempfile
from pathlib import Path
from lmft.train.environment import prepare_libraries
prepare_libraries()
from rich.console import Console
from transformers import TrainerCallback
from lmft import paths
from lmft.errors import LmftError, MachineError
from lmft.ids import AdapterId
from lmft.registry.adapters import checkpoints_of, get_adapter, list_adapters, verify
from lmft.train import run as module
from lmft.train.durable.reopen import reopen
from lmft.train.epochs import epoch_ends
from lmft.train.prepare import prepare
from lmft.train.recipe import find_recipe, load_recipe
from tests.tiny import make_base
from tests.unit.watched import tiny_job
folder = Path(tempfile.mkdtemp())
QUIET = Console(quiet=True)
GIVEN = AdapterId("base", "team", "tale", "0123abcd")
make_trainer = module.make_trainer
class Crash(TrainerCallback):
    def __init__(self, step):
        self.step = step
    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self.step:
            raise RuntimeError("crash")
def crashing(step):
    module.make_trainer = lambda *given: make_trainer(*given[:-1], [*given[-1], Crash(step)])
def weights():
    files = {str(one.id): one.path / "adapter_model.safetensors" for one in list_adapters()}
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
"""
STORIES = """
job = tiny_job(folder / "job", "training.epochs=3", "training.batch_blocks=32",
    "training.micro_blocks=8", "training.keep_epochs=2", "training.checkpoint_minutes=0")
def again(*overrides, **more):
    recipe, opened = reopen(GIVEN.directory, overrides)
    return module.run(prepare(recipe), QUIET, opened, **more)
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    return in_process(
        SETUP
        + STORIES
        + """
from lmft.train.reference import Reference
seen = {"ends": list(epoch_ends(job)), "steps": job.plan.steps}
os.environ["LMFT_HOME"] = str(folder / "whole")
final = module.run(job, QUIET, adapter_id=GIVEN)
seen["whole"], seen["final"] = weights(), str(final.id)
kept = checkpoints_of(final.id)
for one in (*kept, final):
    verify(one)
seen["left"] = sorted(one.name for one in (paths.runs_dir() / GIVEN.directory).iterdir())
def rows(one, name):
    return [json.loads(line) for line in (one.path / name).read_text().splitlines()]
seen["kept"] = [
    {
        "id": str(one.id),
        "training": one.manifest.training.model_dump(),
        "last": rows(one, "metrics.jsonl")[-1]["step"],
        "measured": [row for row in rows(one, "metrics.jsonl") if "heldout_loss" in row][-1],
        "samples": [row["step"] for row in rows(one, "samples.jsonl")],
        "card": (one.path / "README.md").read_text(),
        "files": sorted(one.manifest.files),
    }
    for one in kept
]
seen["before"] = final.manifest.training.heldout_before
seen["after"] = final.manifest.training.heldout_after
seen["probes"] = len({(one.path / "probe.json").read_text() for one in (*kept, final)})
alone = (kept[1].path / "probe.json").read_text()
Reference(paths.bases_dir() / final.manifest.variant, job.plan).write(kept[1].path, job.heldout)
seen["same alone"] = alone == (kept[1].path / "probe.json").read_text()

os.environ["LMFT_HOME"] = str(folder / "broken")
crashing(seen["ends"][0])
try:
    module.run(job, QUIET, adapter_id=GIVEN)
except RuntimeError:
    pass
run = paths.runs_dir() / GIVEN.directory
seen["kept when it broke"] = [one.name for one in (run / "epochs").iterdir()]
# It goes back before the epoch's end, which is kept anew.
max((run / "checkpoints").iterdir()).joinpath("optimizer.safetensors").write_bytes(b"broken")
ahead = run / "epochs" / "step-00009999"
ahead.mkdir()
module.make_trainer = make_trainer
calls = []
def fence(most):
    def may_publish():
        calls.append(sorted(one.name for one in paths.adapters_dir().glob("[!.]*")))
        if len(calls) > most:
            raise MachineError("another one has the job")
    return may_publish
for most in (1, 2, 9):
    try:
        again(may_publish=fence(most))
    except MachineError as error:
        seen.setdefault("refused", []).append(error.message)
        calls.append("refused")
seen["calls"], seen["went ahead"] = calls, ahead.exists()
seen["broken"] = weights()
seen["staged"] = [one.name for one in paths.adapters_dir().glob(".*")]
print(json.dumps(seen))
"""
    )


def test_the_last_epochs_before_the_end_are_published_with_the_final_model(seen) -> None:
    first, second = seen["ends"]
    final = "ft:base:team:tale:0123abcd"
    assert seen["final"] == final
    wanted = {final, *(f"{final}:ckpt-step-{step}" for step in (first, second))}
    assert seen["whole"].keys() == wanted
    assert len(set(seen["whole"].values())) == 3
    assert 0 < first < second < seen["steps"]
    assert "epochs" not in seen["left"]
    assert "run.json" in seen["left"]


def test_a_checkpoint_is_complete_and_says_what_it_is(seen) -> None:
    for number, (step, kept) in enumerate(zip(seen["ends"], seen["kept"], strict=True), 1):
        training, measured = kept["training"], kept["measured"]
        assert (training["steps"], kept["last"], measured["step"]) == (step, step, step)
        whole = measured.get("heldout_loss_all", measured["heldout_loss"])
        assert training["heldout_after"] == pytest.approx(whole, abs=1e-6)
        assert training["heldout_before"] == seen["before"]
        assert 0 <= measured["heldout_token_accuracy"] <= 1
        assert training["seconds"] > 0
        assert kept["samples"]
        assert set(kept["samples"]) == {step}
        assert f"after epoch {number}, at step {step} of {seen['steps']}" in kept["card"]
        assert seen["final"] in kept["card"]
        assert {"probe.json", "lmft_format.json", "recipe.yaml"} <= set(kept["files"])
    assert seen["after"] < seen["kept"][0]["training"]["heldout_after"] < seen["before"]


def test_each_has_a_reference_of_its_own_though_the_base_is_loaded_once(seen) -> None:
    assert seen["probes"] == 3
    assert seen["same alone"]


def test_kept_epochs_survive_a_crash_and_are_the_same_bytes(seen) -> None:
    assert seen["kept when it broke"] == [f"step-{seen['ends'][0]:08d}"]
    assert seen["broken"] == seen["whole"]
    assert not seen["went ahead"]


def test_who_may_not_publish_any_more_is_asked_before_each_directory_appears(seen) -> None:
    first, second = (f"tale-0123abcd-step-{step}" for step in seen["ends"])
    both = sorted([first, second])
    assert seen["calls"] == [[], [first], "refused", [first], "refused", [first], both]
    assert seen["refused"] == ["another one has the job"] * 2
    assert seen["staged"] == []


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_preferences_keep_epochs_too(method: str) -> None:
    seen = in_process(
        SETUP
        + f"""
os.environ["LMFT_HOME"] = str(folder)
make_base(folder / "base", "gpt2")
settings = ("method={method}", "training.epochs=2", "training.batch_blocks=32",
    "training.keep_epochs=1", f"base={{folder / 'base'}}", "quantization=none")
job = prepare(load_recipe(find_recipe("prefer"), settings))
final = module.run(job, QUIET)
(kept,) = checkpoints_of(final.id)
verify(kept)
lines = (kept.path / "metrics.jsonl").read_text().splitlines()
rows = [row for row in map(json.loads, lines) if row["step"] == kept.id.step]
print(json.dumps({{
    "ends": list(epoch_ends(job)), "step": kept.id.step, "weights": len(set(weights().values())),
    "measured": [key for row in rows for key in row],
}}))
"""
    )
    assert seen["ends"] == [seen["step"]]
    assert seen["weights"] == 2
    assert {"heldout_loss", "heldout_token_accuracy", "heldout_margin"} <= set(seen["measured"])
