"""Adapters on disk: found, verified, and refused by name when they are not what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lmft import paths
from lmft.errors import AdapterCorruptError, NotFoundError
from lmft.format.contract import FormatContract
from lmft.ids import AdapterId, mint_adapter_id
from lmft.registry.adapters import (
    MANIFEST,
    REQUIRED_FILES,
    Adapter,
    Training,
    checkpoints_of,
    get_adapter,
    list_adapters,
    verify,
    write_manifest,
)

CONTRACT = FormatContract(kind="adventure", stop=("\n>",), eos="<eos>", context_length=1024)
TRAINING = Training(
    heldout_before=1.5, heldout_after=1.2, steps=10, tokens=1000, seconds=2.5, device="cpu"
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    return tmp_path


def publish(suffix: str = "tale", adapter_id: AdapterId | None = None) -> Adapter:
    """An adapter with everything but weights."""
    adapter_id = adapter_id or mint_adapter_id("embedded", suffix)
    with paths.publishing(paths.adapters_dir() / adapter_id.directory) as staging:
        for name in REQUIRED_FILES:
            (staging / name).write_text(f"{adapter_id} {name}")
        CONTRACT.write(staging)
        write_manifest(
            staging,
            adapter_id=adapter_id,
            base="embedded",
            base_hash="b" * 64,
            variant="embedded-bbbbbbbb-nf4",
            quantization="nf4",
            rank=16,
            corpus_hash="c" * 64,
            training=TRAINING,
        )
    return get_adapter(str(adapter_id))


def edit_manifest(adapter: Adapter, **changes) -> None:
    file = adapter.path / MANIFEST
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_without_a_data_directory_there_are_none(home):
    assert list_adapters() == []
    assert list(home.iterdir()) == []


def test_adapters_are_listed_newest_first():
    made = [publish("one"), publish("two"), publish("three")]
    edit_manifest(made[1], created_at="2099-01-01T00:00:00+02:00")
    edit_manifest(made[2], created_at="2001-01-01T00:00:00Z")
    assert [adapter.id.suffix for adapter in list_adapters()] == ["two", "one", "three"]


def test_an_adapter_is_what_was_published():
    adapter = publish()
    assert adapter.contract == CONTRACT
    assert adapter.manifest.training == TRAINING
    assert adapter.manifest.base == "embedded"
    assert set(adapter.manifest.files) == set(REQUIRED_FILES)
    assert adapter.path == paths.adapters_dir() / adapter.id.directory
    verify(adapter)


def test_an_adapter_is_found_by_id_key_and_suffix():
    adapter, _ = publish("tale"), publish("other")
    for name in (str(adapter.id), adapter.id.key, "tale"):
        assert get_adapter(name).id == adapter.id


def test_a_suffix_means_the_newest_adapter_of_it():
    publish("tale")
    newest = publish("tale")
    publish("other")
    assert get_adapter("tale").id == newest.id


def test_a_checkpoint_is_found_by_its_id_alone():
    final = publish("tale")
    kept = publish(adapter_id=final.id.checkpoint(40))
    edit_manifest(kept, created_at="2099-01-01T00:00:00Z")
    assert get_adapter(str(kept.id)).id == kept.id
    assert {get_adapter(name).id for name in ("tale", final.id.key)} == {final.id}
    assert [adapter.id for adapter in list_adapters()] == [kept.id, final.id]
    older, _ = publish(adapter_id=final.id.checkpoint(9)), publish("other")
    assert [one.id for one in checkpoints_of(final.id)] == [older.id, kept.id]
    shutil.rmtree(final.path)
    for name in ("tale", final.id.key, kept.id.version):
        with pytest.raises(NotFoundError, match="No adapter"):
            get_adapter(name)


@pytest.mark.parametrize(
    "name",
    ["", "nobody", "embedded", "../tale", "ft:embedded:me:tale:00000000", "ft:x", "tal", "*"],
)
def test_an_unknown_name_is_said_with_where_to_look(name):
    publish("tale")
    with pytest.raises(NotFoundError, match="No adapter") as caught:
        get_adapter(name)
    assert name in caught.value.message
    assert "lmft models list" in caught.value.hint


def test_an_id_of_another_base_is_not_answered_by_this_one():
    adapter = publish()
    with pytest.raises(NotFoundError):
        get_adapter(f"ft:gpt2:me:tale:{adapter.id.key}")


def test_the_hash_is_of_what_decides_an_answer():
    first, second = publish("one"), publish("two")
    assert first.manifest.adapter_hash != second.manifest.adapter_hash
    other_card = first.manifest.files | {"README.md": "0" * 64}
    same = first.manifest.model_copy(update={"files": other_card})
    assert same.adapter_hash == first.manifest.adapter_hash


# Damage


def changed(adapter: Adapter) -> None:
    (adapter.path / "adapter_model.safetensors").write_text("other weights")


def missing(adapter: Adapter) -> None:
    (adapter.path / "probe.json").unlink()


def extra(adapter: Adapter) -> None:
    (adapter.path / "adapter_model.bin").write_text("a pickle")


def extra_below(adapter: Adapter) -> None:
    (adapter.path / "sub").mkdir()
    (adapter.path / "sub" / "adapter_model.bin").write_text("a pickle")


def dangling(adapter: Adapter) -> None:
    (adapter.path / "model.bin").symlink_to("/nowhere")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (changed, "adapter_model.safetensors"),
        (missing, "probe.json"),
        (extra, "adapter_model.bin"),
        (extra_below, "sub/adapter_model.bin"),
        (dangling, "model.bin"),
    ],
)
def test_verifying_names_the_file_that_is_not_as_published(damage, named):
    adapter = publish()
    damage(adapter)
    with pytest.raises(AdapterCorruptError, match=named) as caught:
        verify(adapter)
    assert str(adapter.id) in caught.value.message


def truncated(adapter: Adapter) -> None:
    file = adapter.path / MANIFEST
    file.write_text(file.read_text()[:100])


def not_utf8(adapter: Adapter) -> None:
    (adapter.path / MANIFEST).write_bytes(b"\xff\xfe\x00")


def gone(adapter: Adapter) -> None:
    (adapter.path / MANIFEST).unlink()


def without_contract(adapter: Adapter) -> None:
    (adapter.path / "lmft_format.json").unlink()


def of_the_future(adapter: Adapter) -> None:
    edit_manifest(adapter, version=2)


def with_a_pickle_on_its_list(adapter: Adapter) -> None:
    extra(adapter)
    files = adapter.manifest.files | {"adapter_model.bin": "0" * 64}
    edit_manifest(adapter, files=files)


def with_a_path_on_its_list(adapter: Adapter) -> None:
    edit_manifest(adapter, files=adapter.manifest.files | {"../../secret": "0" * 64})


def without_weights_on_its_list(adapter: Adapter) -> None:
    edit_manifest(adapter, files={})


def at_no_time_zone(adapter: Adapter) -> None:
    edit_manifest(adapter, created_at="2026-01-01T00:00:00")


def under_another_id(adapter: Adapter) -> None:
    edit_manifest(adapter, id="ft:embedded:me:other:01234567")


def under_no_id(adapter: Adapter) -> None:
    edit_manifest(adapter, id="../../tale")


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        not_utf8,
        gone,
        without_contract,
        of_the_future,
        with_a_pickle_on_its_list,
        with_a_path_on_its_list,
        without_weights_on_its_list,
        at_no_time_zone,
        under_another_id,
        under_no_id,
    ],
)
def test_an_unreadable_adapter_is_passed_over_by_the_list_and_named_by_its_id(damage):
    whole, broken = publish("whole"), publish("broken")
    damage(broken)
    assert [adapter.id for adapter in list_adapters()] == [whole.id]
    with pytest.raises(AdapterCorruptError, match=broken.id.directory) as caught:
        get_adapter(str(broken.id))
    assert caught.value.hint


def test_a_directory_under_another_name_is_no_adapter():
    adapter = publish("tale")
    copy = AdapterId("embedded", "me", "copy", adapter.id.key)
    shutil.copytree(adapter.path, paths.adapters_dir() / copy.directory)
    assert [found.id for found in list_adapters()] == [adapter.id]
    with pytest.raises(AdapterCorruptError, match=f"says it is {adapter.id}"):
        get_adapter(str(copy))


def test_what_else_lies_in_the_folder_is_passed_over():
    adapter = publish()
    folder = paths.adapters_dir()
    (folder / "notes.txt").write_text("x")
    (folder / "empty").mkdir()
    shutil.copytree(adapter.path, folder / ".staging-x")
    assert [found.id for found in list_adapters()] == [adapter.id]
