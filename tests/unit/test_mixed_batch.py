"""The batch with twins: nothing of it stays, in the engine or on the disk."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lmft.errors import DiskFullError, EngineError
from serving.engine import mixed
from serving.engine.mixed import mixed_difference
from serving.engine.reference import Answers
from serving.engine.refusals import AdapterRefused, EngineLostError, UpstreamRefusal


def answer(model: str, prompt: list[int]) -> float:
    """Another for each model and prompt: an answer taken for another's shows."""
    return -1.0 - len(model) - prompt[1] / 10 - ("twin1" in model) / 3


class Engine:
    """Fails each call in `failing` once; loads no name twice."""

    def __init__(self, *failing: str) -> None:
        self.loaded: set[str] = set()
        self.asked: list[tuple[str, list[list[int]]]] = []
        self._failing = set(failing)

    def _fail(self, call: str) -> None:
        if call in self._failing:
            self._failing.discard(call)
            raise EngineLostError("lost")

    async def load_adapter(self, name: str, path: Path) -> None:
        if name in self.loaded:
            raise AdapterRefused("already loaded")
        assert (path / "adapter_model.safetensors").is_file()
        self.loaded.add(name)
        self._fail(f"load {name}")

    async def unload_adapter(self, name: str) -> None:
        self._fail(f"unload {name}")
        if name not in self.loaded:
            raise UpstreamRefusal(404, "not loaded")
        self.loaded.discard(name)

    async def json(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        self._fail(f"ask {body['model']}")
        self.asked.append((body["model"], body["prompt"]))
        return {
            "choices": [
                {
                    "index": number,
                    "token_ids": [5],
                    "prompt_logprobs": [
                        None,
                        {str(prompt[1]): {"logprob": answer(body["model"], prompt)}},
                    ],
                }
                for number, prompt in enumerate(body["prompt"])
            ]
        }


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def ask(engine: Engine, tmp_path: Path, prompts: int = 1) -> float:
    adapter = tmp_path / "adapter"
    adapter.mkdir(exist_ok=True)
    save_file({"x.lora_B.weight": np.ones((2, 2))}, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text("{}")
    ids = [[1, 2 + number] for number in range(prompts)]
    alone = [
        (model, Answers([[answer(model, prompt)] for prompt in ids], [[5]] * prompts))
        for model in ("base", "own")
    ]
    given: Any = (engine, SimpleNamespace(path=adapter), *alone)
    return asyncio.run(mixed_difference(*given, ids=ids, twins=2))


def test_all_models_are_asked_prompt_by_prompt(tmp_path: Path) -> None:
    """Where one model's prompts came first, vLLM had read them all before the next one's came:
    nothing was mixed, and all looked well."""
    engine = Engine()
    assert ask(engine, tmp_path, prompts=3) == 0
    alone, together = engine.asked[:2], engine.asked[2:]
    assert [len(prompts) for _, prompts in alone] == [3, 3]
    assert [len(prompts) for _, prompts in together] == [1] * 12
    names = [name for name, _ in together]
    assert all(set(names[at : at + 4]) == set(names) for at in (0, 4, 8))


def test_nothing_of_it_stays(tmp_path: Path, temporary: Path) -> None:
    engine = Engine()
    assert ask(engine, tmp_path) == 0
    assert not engine.loaded
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("call", ["load twin2-own", "ask twin1-own", "ask base"])
def test_after_an_error_nothing_stays_either_and_the_next_try_passes(
    tmp_path: Path, temporary: Path, call: str
) -> None:
    engine = Engine(call)
    with pytest.raises(EngineError):
        ask(engine, tmp_path)
    assert not engine.loaded
    assert not list(temporary.iterdir())
    assert ask(engine, tmp_path) == 0


def test_one_that_cannot_be_unloaded_is_in_nobody_elses_way(tmp_path: Path) -> None:
    engine = Engine("unload twin1-own")
    assert ask(engine, tmp_path) == 0
    assert engine.loaded == {"twin1-own"}


def test_what_a_killed_server_left_goes(tmp_path: Path, temporary: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = temporary / f".staging-{gone.pid}-abcd"
    left.mkdir()
    ask(Engine(), tmp_path)
    assert not left.exists()


def test_a_full_disk_is_no_fault_of_the_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mixed, "save_file", full)
    with pytest.raises(DiskFullError):
        ask(Engine(), tmp_path)
