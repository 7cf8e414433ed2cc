"""Base models: found, looked at, and refused before anything of them is loaded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from lmft.bases import inspect_base, resolve_base
from lmft.errors import BaseModelError
from lmft.paths import EMBEDDED_BASE


@pytest.fixture
def base(tmp_path) -> Path:
    """A directory with all that the embedded base has."""
    directory = tmp_path / "My Model.v2"
    directory.mkdir()
    for file in EMBEDDED_BASE.iterdir():
        os.link(file, directory / file.name) if file.suffix == ".safetensors" else shutil.copy(
            file, directory
        )
    return directory


def edit(file: Path, **changes) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refusal(name: str | Path) -> BaseModelError:
    with pytest.raises(BaseModelError) as caught:
        resolve_base(str(name))
    assert str(name) in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_embedded_base_is_there_and_small():
    base = resolve_base("embedded")
    assert base.architecture == "GPT2LMHeadModel"
    assert (base.alias, base.context_length, base.eos_token) == ("embedded", 1024, "<|endoftext|>")
    assert 6e6 < base.n_parameters < 8e6
    assert base.fold_quotes
    assert len(base.hash) == 64


def test_a_directory_is_a_base_with_a_short_name_of_its_own(base, monkeypatch):
    found = resolve_base(str(base))
    assert found.alias == "my-model-v2"
    assert found.hash == resolve_base("embedded").hash
    monkeypatch.chdir(base.parent)
    assert resolve_base("./My Model.v2").path == base
    monkeypatch.setenv("HOME", str(base.parent))
    assert resolve_base("~/My Model.v2").path == base


def test_the_hash_changes_with_each_file_that_decides_an_answer(base):
    first = resolve_base(str(base)).hash
    edit(base / "config.json", n_layer=5)
    second = resolve_base(str(base)).hash
    (base / "tokenizer.json").write_text("{}")
    third = resolve_base(str(base)).hash
    edit(base / "tokenizer_config.json", model_max_length=512)
    assert len({first, second, third}) == 3
    assert resolve_base(str(base)).hash == third


@pytest.mark.parametrize(
    "key", ["auto_map", "custom_pipelines", "trust_remote_code", "_attn_implementation_internal"]
)
@pytest.mark.parametrize("where", ["top", "nested"])
def test_a_config_that_could_bring_code_is_refused(base, key, where):
    planted = {key: "evil.py"}
    edit(base / "config.json", **(planted if where == "top" else {"text_config": [planted]}))
    assert f"config.json: {key}" in refusal(base).message


@pytest.mark.parametrize(
    "config", ["", "{", "5", "null", "[]", '"auto_map"', "{}", '{"model_type": null}', "\0"]
)
def test_a_config_that_is_none_is_refused(base, config):
    (base / "config.json").write_text(config)
    assert "config.json" in refusal(base).message


def test_a_directory_without_a_config_is_refused(tmp_path):
    assert "no readable config.json" in refusal(tmp_path).message


def test_pickled_weights_are_not_loaded(base):
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    assert "no .safetensors weights" in refusal(base).message


@pytest.mark.parametrize(
    "content",
    [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"\xff" * 64],
    ids=["empty", "git lfs pointer", "noise"],
)
def test_weights_that_are_none_are_named(base, content):
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in refusal(base).message


def test_weights_of_a_broken_download_are_named(base):
    whole = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").write_bytes(whole[:-1000])
    assert "is not a whole safetensors file" in refusal(base).message


def test_a_base_without_a_fast_tokenizer_is_refused(base):
    (base / "tokenizer.json").unlink()
    assert "no tokenizer.json" in refusal(base).message


@pytest.mark.parametrize("eos_token", [None, 5, {}])
def test_a_base_that_cannot_end_a_text_is_refused(base, eos_token):
    edit(base / "tokenizer_config.json", eos_token=eos_token)
    edit(base / "config.json", eos_token_id=None)
    assert "names no eos_token" in refusal(base).message


def test_the_eos_token_may_be_written_as_an_object(base):
    edit(base / "tokenizer_config.json", eos_token={"content": "</s>", "lstrip": False})
    assert resolve_base(str(base)).eos_token == "</s>"


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        ({"text_config": None}, 1024),
        ({"n_positions": None}, 2048),
    ],
)
def test_the_context_length_is_read_from_where_models_write_it(base, changes, length):
    edit(base / "config.json", **changes)
    assert resolve_base(str(base)).context_length == length


@pytest.mark.parametrize("architectures", [None, [], "GPT2", {}])
def test_a_base_of_no_architecture_is_unknown(base, architectures):
    edit(base / "config.json", architectures=architectures)
    assert inspect_base(base, "x", "x").architecture == "unknown"


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "~/nowhere", "a/b/c", "~nobody-here/x"])
def test_a_path_that_is_not_there_is_no_hub_id(name):
    assert "No base model directory at" in refusal(name).message


@pytest.mark.parametrize("name", ["not a model!", "a" * 300, "-x", "a..b/c"])
def test_what_is_neither_path_nor_hub_id_is_refused(name):
    assert "neither a directory nor a Hugging Face model id" in refusal(name).message


def test_a_hub_id_that_is_not_on_this_machine_is_one_line_when_offline():
    # tests/conftest.py sets HF_HUB_OFFLINE for the whole session.
    error = refusal("openai-community/lmft-test-of-no-such-model")
    assert "HF_HUB_OFFLINE is set" in error.message
    assert "embedded" in error.hint


def test_the_end_of_text_may_be_named_by_its_number_alone_as_gpt2_does(base):
    edit(base / "tokenizer_config.json", eos_token=None)
    assert resolve_base(str(base)).eos_token == "<|endoftext|>"


def test_a_base_that_is_quantised_already_is_refused(base):
    edit(base / "config.json", quantization_config={"quant_method": "bitsandbytes"})
    assert "quantised already" in refusal(base).message
