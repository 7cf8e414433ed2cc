"""The merged model: what base and adapter answer together, as one model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmft import machine, paths
from lmft.bases import Base, inspect_base
from lmft.errors import DiskFullError, NotFoundError
from lmft.train import environment, merged
from lmft.train.merged import MERGED_FILE, NO_ROOM, merge
from lmft.train.planning.disk import disk_of
from lmft.train.recipe import find_recipe, load_recipe
from tests.tiny import VOCABULARY, make_base

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
RECORD = {"id": "ft:x:me:x:00000000", "adapter_hash": "0" * 64}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_adapter(base: Base, directory: Path, seed: int = 1) -> Path:
    """A random LoRA as lmft writes it."""
    from lmft.train.model import add_lora, load_base
    from lmft.train.planning.plan import Plan
    from lmft.train.processes import whole_adapter
    from lmft.train.recipe import Lora
    from lmft.train.weights import save_adapter

    plan = Plan("cpu", "none", "float32", 64, 4, 1, ())
    model = add_lora(load_base(base, plan), Lora(rank=4), seed=seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    save_adapter(model, whole_adapter(model), directory, base)
    return directory


def logits(model: Any) -> Any:
    ids = torch.arange(1, VOCABULARY, 400)[None]
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits.float()


@pytest.mark.parametrize("name", ["gpt2", "bloom", "falcon", "gpt_bigcode"])
def test_the_merged_model_answers_as_base_and_adapter_do(name: str, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = make_base(tmp_path / "base", name)
    adapter = make_adapter(base, tmp_path / "adapter")
    target = merge(base.path, adapter, tmp_path / "merged" / "one", RECORD)
    plain = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    untrained = logits(plain)
    wanted = logits(PeftModel.from_pretrained(plain, adapter))
    got = logits(AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32))
    if machine.serving_dtype() == "float32":
        assert (got - wanted).norm() < 1e-5 * wanted.norm()
    assert (untrained - wanted).norm() > 0.05 * wanted.norm()
    # A base like any other: the server looks at it with the same eyes.
    found = inspect_base(target, "merged", alias="merged")
    assert found.architecture == base.architecture
    assert found.eos_token == base.eos_token
    assert found.n_parameters == base.n_parameters


def test_it_is_written_in_the_type_it_is_served_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    base = make_base(tmp_path / "base", "bloom")
    adapter = make_adapter(base, tmp_path / "adapter")
    made = {}
    for dtype in ("float32", "bfloat16"):
        monkeypatch.setattr(machine, "serving_dtype", lambda dtype=dtype: dtype)
        target = merge(base.path, adapter, tmp_path / "merged" / dtype, RECORD)
        made[dtype] = load_file(target / "model.safetensors")
        assert json.loads((target / MERGED_FILE).read_text()) == RECORD | {"dtype": dtype}
        assert {tensor.dtype for tensor in made[dtype].values()} == {getattr(torch, dtype)}
    for name, whole in made["float32"].items():
        # Of a base in fp32: base and sum are each rounded once.
        assert torch.allclose(made["bfloat16"][name].float(), whole, rtol=2**-7, atol=2**-9)


def test_it_is_written_once_and_again_only_for_other_weights(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "bloom")
    adapter = make_adapter(base, tmp_path / "adapter")
    target = tmp_path / "merged" / "one"
    written = merge(base.path, adapter, target, RECORD) / "model.safetensors"
    first = written.stat()
    merge(base.path, adapter, target, RECORD)
    assert written.stat().st_mtime_ns == first.st_mtime_ns
    before = written.read_bytes()
    other = make_adapter(base, tmp_path / "other", seed=2)
    merge(base.path, other, target, RECORD | {"adapter_hash": "1" * 64})
    assert written.read_bytes() != before


def test_a_full_disk_leaves_nothing_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_base(tmp_path / "base", "bloom")
    adapter = make_adapter(base, tmp_path / "adapter")
    monkeypatch.setattr(paths, "free_bytes", lambda _: 1_000_000)
    with pytest.raises(DiskFullError, match="The merged model needs"):
        merge(base.path, adapter, tmp_path / "merged" / "one", RECORD)
    assert not (tmp_path / "merged").exists()


def test_its_disk_is_counted_for_an_architecture_that_is_served_so(tmp_path: Path) -> None:
    recipe = load_recipe(find_recipe("adventure"))
    for name, copies in (("bloom", 1), ("gpt2", 0)):
        base = make_base(tmp_path / name, name)
        disk = disk_of(recipe, base, "nf4", "float32")
        assert disk.merged == copies * 4 * base.n_parameters
        parts = disk.adapter + disk.checkpoints + disk.variant + disk.merged + disk.slack
        assert disk.total == parts


def test_the_command_refuses_an_unknown_adapter_in_one_line() -> None:
    for arguments, said in (
        (["ft:x:me:x:00000000"], "No adapter"),
        (["../adapters"], "No adapter"),
        ([], "usage"),
    ):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "lmft.train.merged", *arguments],
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(DiskFullError("x"), NO_ROOM), (MemoryError(), NO_ROOM), (NotFoundError("x"), 2)],
)
def test_the_command_tells_a_lack_of_room_from_a_refusal(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["merged", "some"])
    monkeypatch.setattr(environment, "prepare_libraries", lambda: None)
    monkeypatch.setattr(merged, "get_adapter", lambda _: None)
    monkeypatch.setattr(merged, "write_merged", fail)
    assert merged.main() == code
