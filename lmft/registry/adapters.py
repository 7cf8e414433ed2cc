"""The adapter directory: written once, never changed, found by id.

`MANIFEST.json` is written last and names the sha256 of every other file, so a directory
without a manifest that verifies is not an adapter.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, field_validator

from lmft import ids, paths
from lmft.errors import AdapterCorruptError, NotFoundError
from lmft.format.contract import FormatContract

MANIFEST = "MANIFEST.json"
# What must be there; anything that is not on the list is refused, a pickle above all.
REQUIRED_FILES = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "lmft_format.json",
    "recipe.yaml",
    "metrics.jsonl",
    "samples.jsonl",
    "probe.json",
    "README.md",
)
# What a run leaves to look at.
OPTIONAL_FILES = ("report.html", "loss.png")
_WEIGHT_FILES = ("adapter_model.safetensors", "adapter_config.json", "lmft_format.json")
_RECORDED_LIBRARIES = ("lmft", "torch", "transformers", "peft", "trl", "bitsandbytes")


class Training(BaseModel):
    """What the run cost and what it gained.

    Attributes:
        energy_source: `measured` by the hardware's counters, or `estimated` from its ratings.
        peak_memory_bytes: of the GPU where there is one, else of the process.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    heldout_before: float
    heldout_after: float
    steps: int
    tokens: int
    seconds: float
    device: str
    peak_memory_bytes: int | None = None
    energy_kwh: float | None = None
    co2_kg: float | None = None
    energy_source: Literal["measured", "estimated"] | None = None


class Manifest(BaseModel):
    """Attributes:
    method: how it was trained: `sft`, `dpo` or `kto`.
    parent: the id of the adapter whose weights it began with; None for a fresh LoRA.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    id: str
    created_at: AwareDatetime
    base: str
    base_hash: str
    variant: str
    quantization: str
    rank: int
    corpus_hash: str
    method: str = "sft"
    parent: str | None = None
    training: Training
    libraries: dict[str, str]
    files: dict[str, str]

    @field_validator("files")
    @classmethod
    def _just_these(cls, files: dict[str, str]) -> dict[str, str]:
        wanted = set(REQUIRED_FILES)
        if odd := sorted((wanted - files.keys()) | (files.keys() - wanted - set(OPTIONAL_FILES))):
            raise ValueError(f"an adapter lacks or cannot hold {', '.join(odd)}")
        return files

    @field_validator("variant")
    @classmethod
    def _a_name(cls, variant: str) -> str:
        if not variant or variant.startswith(".") or "/" in variant:
            raise ValueError("a variant is a directory's name")
        return variant

    @property
    def adapter_hash(self) -> str:
        """sha256 over weights, LoRA configuration and format: what decides an answer."""
        joined = "".join(self.files[name] for name in _WEIGHT_FILES)
        return hashlib.sha256(joined.encode()).hexdigest()


@dataclass(frozen=True)
class Adapter:
    """A published adapter."""

    id: ids.AdapterId
    path: Path
    manifest: Manifest
    contract: FormatContract


def write_manifest(
    staging: Path,
    *,
    adapter_id: ids.AdapterId,
    base: str,
    base_hash: str,
    variant: str,
    quantization: str,
    rank: int,
    corpus_hash: str,
    training: Training,
    method: str = "sft",
    parent: str | None = None,
) -> Manifest:
    """Hash what is in `staging` and write the manifest beside it."""
    manifest = Manifest(
        id=str(adapter_id),
        created_at=datetime.now(UTC),
        base=base,
        base_hash=base_hash,
        variant=variant,
        quantization=quantization,
        rank=rank,
        corpus_hash=corpus_hash,
        method=method,
        parent=parent,
        training=training,
        libraries={name: importlib.metadata.version(name) for name in _RECORDED_LIBRARIES},
        files={
            name: paths.sha256_file(staging / name)
            for name in (*REQUIRED_FILES, *OPTIONAL_FILES)
            if name in REQUIRED_FILES or (staging / name).exists()
        },
    )
    (staging / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def list_adapters() -> list[Adapter]:
    """All readable adapters and checkpoints, newest first; directories that are none are passed
    over."""
    found = []
    for directory in paths.adapters_dir().glob("[!.]*"):
        try:
            found.append(open_adapter(directory))
        except AdapterCorruptError:
            continue
    return sorted(found, key=lambda adapter: adapter.manifest.created_at, reverse=True)


def get_adapter(text: str) -> Adapter:
    """The adapter of an id (`ft:...`) or a key; of a suffix, the newest one that has it.

    A checkpoint is found by its id only.

    Raises:
        NotFoundError: none; AdapterCorruptError: there, but unreadable.
    """
    parsed = ids.parse_adapter_id(text)
    if parsed is not None:
        directory = paths.adapters_dir() / parsed.directory
        if directory.is_dir():
            adapter = open_adapter(directory)
            if str(adapter.id) == text:
                return adapter
        raise NotFoundError(f"No adapter {text}.", "`lmft models list` shows what there is.")
    matches = [
        adapter
        for adapter in list_adapters()
        if text in (adapter.id.suffix, adapter.id.key) and not adapter.id.is_checkpoint
    ]
    if not matches:
        raise NotFoundError(f"No adapter {text}.", "`lmft models list` shows what there is.")
    return matches[0]


def checkpoints_of(final: ids.AdapterId) -> list[Adapter]:
    """The readable checkpoints of a version, oldest first, whether it is there itself or not."""
    found = [
        adapter
        for adapter in list_adapters()
        if adapter.id.step is not None and final.checkpoint(adapter.id.step) == adapter.id
    ]
    return sorted(found, key=lambda adapter: adapter.id.step or 0)


def verify(adapter: Adapter) -> None:
    """Check every file against the manifest.

    Raises:
        AdapterCorruptError: a file is missing, changed or not on the list.
    """
    present = {file.relative_to(adapter.path).as_posix() for file in adapter.path.rglob("*")}
    expected = {*adapter.manifest.files, MANIFEST}
    if odd := sorted(present ^ expected):
        raise AdapterCorruptError(
            f"Adapter {adapter.id}: missing or unexpected file(s): {', '.join(odd[:5])}.",
            "Train it again; adapters are never edited in place.",
        )
    for name, digest in adapter.manifest.files.items():
        if paths.sha256_file(adapter.path / name) != digest:
            raise AdapterCorruptError(
                f"Adapter {adapter.id}: {name} is not the file that was published.",
                "Train it again; adapters are never edited in place.",
            )


def open_adapter(directory: Path) -> Adapter:
    """Read what is in a directory under `adapters/`; its files are not looked at: see `verify`.

    Raises:
        AdapterCorruptError: it is no adapter, or not the one that its name says.
    """
    try:
        manifest = Manifest.model_validate_json((directory / MANIFEST).read_text(encoding="utf-8"))
        contract = FormatContract.read(directory)
    except (OSError, ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AdapterCorruptError(
            f"{directory.name} in the adapters folder is not a readable adapter.", "Remove it."
        ) from error
    parsed = ids.parse_adapter_id(manifest.id)
    if parsed is None or parsed.directory != directory.name:
        raise AdapterCorruptError(
            f"{directory.name} in the adapters folder says it is {manifest.id}.", "Remove it."
        )
    return Adapter(parsed, directory, manifest, contract)
