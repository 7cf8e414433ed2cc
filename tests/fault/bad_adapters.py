"""Publishing adapters by hand, good ones and bad ones, each with one thing wrong with it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from lmft.ids import AdapterId
from lmft.registry.adapters import MANIFEST, Adapter, write_manifest

WEIGHTS = "adapter_model.safetensors"
Change = Callable[[Path], None]


def nothing(_: Path) -> None:
    """The adapter as it is."""


def publish(
    home: Path,
    source: Adapter,
    suffix: str,
    *,
    before: Change = nothing,
    after: Change = nothing,
    **manifest: Any,
) -> str:
    """Publish a changed copy of `source` as the trainer would: by one rename.

    Args:
        before: changes files before they are hashed; after: when the manifest is written.
        manifest: fields of the manifest to change.

    Returns:
        Its id.
    """
    adapter_id = AdapterId("embedded", "me", suffix, secrets.token_hex(4))
    staging = home / "adapters" / f".making-{adapter_id.key}"
    shutil.copytree(source.path, staging)
    (staging / MANIFEST).unlink()
    before(staging)
    names = ("base", "base_hash", "variant", "quantization", "rank", "corpus_hash", "training")
    fields = {name: getattr(source.manifest, name) for name in names} | manifest
    write_manifest(staging, adapter_id=adapter_id, **fields)
    after(staging)
    staging.rename(home / "adapters" / adapter_id.directory)
    return str(adapter_id)


def edited(name: str, **changes: Any) -> Change:
    """Set keys of a JSON file; None removes one."""

    def change(directory: Path) -> None:
        content = json.loads((directory / name).read_text()) | changes
        kept = {key: value for key, value in content.items() if value is not None}
        (directory / name).write_text(json.dumps(kept))

    return change


def written(name: str, content: bytes) -> Change:
    def change(directory: Path) -> None:
        (directory / name).unlink(missing_ok=True)
        (directory / name).write_bytes(content)

    return change


def removed(name: str) -> Change:
    return lambda directory: (directory / name).unlink()


def weights(make: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Change:
    def change(directory: Path) -> None:
        save_file(make(load_file(directory / WEIGHTS)), directory / WEIGHTS)

    return change


def cut(directory: Path) -> None:
    content = (directory / WEIGHTS).read_bytes()
    (directory / WEIGHTS).write_bytes(content[: len(content) // 2])


def linked(directory: Path) -> None:
    (directory / WEIGHTS).unlink()
    (directory / WEIGHTS).symlink_to("/etc/passwd")


def foreign_tokens(directory: Path) -> None:
    probe = json.loads((directory / "probe.json").read_text())
    for prompt in probe["prompts"]:
        prompt["token_ids"] = [10**7] * len(prompt["token_ids"])
    (directory / "probe.json").write_text(json.dumps(probe))


def other_prompts(**changes: Any) -> Change:
    """Of the reference."""

    def change(directory: Path) -> None:
        probe = json.loads((directory / "probe.json").read_text())
        probe["prompts"] = [prompt | changes for prompt in probe["prompts"]]
        (directory / "probe.json").write_text(json.dumps(probe))

    return change


def filled(value: float) -> Change:
    def one(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        name = next(iter(tensors))
        return tensors | {name: np.full_like(tensors[name], value)}

    return weights(one)


def deeper(rank: int) -> Change:
    """The same adapter in more dimensions: what is added is nought, the scale stays."""

    def pad(directory: Path) -> None:
        config = json.loads((directory / "adapter_config.json").read_text())
        more, scale = rank - config["r"], config["lora_alpha"] / config["r"]
        edited("adapter_config.json", r=rank, lora_alpha=rank * scale)(directory)
        weights(
            lambda tensors: {
                name: np.pad(
                    tensor, ((0, more), (0, 0)) if "lora_A" in name else ((0, 0), (0, more))
                )
                for name, tensor in tensors.items()
            }
        )(directory)

    return pad


CONFIG, FORMAT = "adapter_config.json", "lmft_format.json"
# name -> how to publish it
BAD: dict[str, dict[str, Any]] = {
    "no-weights": {"after": removed(WEIGHTS)},
    "no-config": {"after": removed(CONFIG)},
    "no-manifest": {"after": removed(MANIFEST)},
    "no-reference": {"after": removed("probe.json")},
    "manifest-no-json": {"after": written(MANIFEST, b'{"version": 1,')},
    "manifest-of-another": {"after": edited(MANIFEST, id="ft:embedded:me:other:00000000")},
    "config-no-json": {"before": written(CONFIG, b"{")},
    "config-a-list": {"before": written(CONFIG, b"[]")},
    "config-without-rank": {"before": edited(CONFIG, r=None)},
    "rank-1024": {"before": deeper(1024), "rank": 1024},
    "rank-minus-one": {"before": edited(CONFIG, r=-1)},
    "dora": {"before": edited(CONFIG, use_dora=True)},
    "whole-modules": {"before": edited(CONFIG, modules_to_save=["lm_head"])},
    "biases": {"before": edited(CONFIG, bias="all")},
    "wrong-base": {"variant": "llama-00000000-nf4-float32"},
    "base-with-a-path": {"after": edited(MANIFEST, variant="../../etc")},
    "wrong-shapes": {
        "before": weights(lambda tensors: {name: t[:, :4].copy() for name, t in tensors.items()})
    },
    "nan": {"before": filled(np.nan)},
    "infinite": {"before": filled(np.inf)},
    "cut-short": {"before": cut},
    "no-lora": {"before": weights(lambda _: {"lm_head.weight": np.ones((4, 4), np.float32)})},
    "a-link-to-elsewhere": {"before": linked},
    "a-pickle-beside": {"after": written("adapter_model.bin", b"\x80\x04.")},
    "a-chat-template-inside": {"after": written("chat_template.jinja", b"{{ cycler }}")},
    "a-template-in-the-format": {"before": edited(FORMAT, chat_template="{{ cycler }}")},
    "changed-afterwards": {"after": filled(0.5)},
    "nothing-to-prove-it-by": {"before": written("probe.json", b'{"prompts": []}')},
    "foreign-tokens": {"before": foreign_tokens},
    "reference-too-short": {"before": other_prompts(adapter_logprobs=[-1.0])},
    "reference-of-nothing": {"before": other_prompts(base_logprobs=None)},
    "reference-in-words": {"before": other_prompts(greedy_gaps=["wide"] * 16)},
    "reference-without-gaps": {"before": other_prompts(greedy_gaps=[])},
    "no-matrix": {"before": weights(lambda t: t | {next(iter(t)): np.array(1.0, np.float32)})},
}
