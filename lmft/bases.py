"""Base models: a name in a recipe -> a directory that is safe to load.

`embedded` is the one in this package, a path is a directory on this machine, anything else
is a Hugging Face id. Nothing of a base is executed: no remote code, no pickled weights, and
config keys that could bring code in by a side door are refused before transformers sees them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lmft import ids
from lmft.errors import BaseModelError
from lmft.paths import EMBEDDED_BASE, expanded, sha256_file

# CVE-2026-4372, CVE-2026-5241, CVE-2026-22807: each of these has loaded code from a config.
_FORBIDDEN_CONFIG_KEYS = frozenset(
    {"auto_map", "custom_pipelines", "trust_remote_code", "_attn_implementation_internal"}
)
_DOWNLOAD_PATTERNS = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
EXTRAS_FILE = "lmft_base.json"


@dataclass(frozen=True)
class Base:
    """A base model that has been found and looked at.

    Attributes:
        name: as the recipe says it. alias: its short form, the second part of `ft:` ids.
        hash: sha256 over config, tokenizer and weights.
        fold_quotes: its vocabulary has only straight quotes.
    """

    name: str
    alias: str
    path: Path
    architecture: str
    context_length: int
    n_parameters: int
    eos_token: str
    hash: str
    fold_quotes: bool


def resolve_base(name: str) -> Base:
    """Find the base and check it.

    Raises:
        BaseModelError: not there, not safe, or not a causal language model.
    """
    if name == "embedded":
        return inspect_base(EMBEDDED_BASE, name, alias="embedded")
    local = expanded(name)
    if os.path.isdir(local):
        return inspect_base(local.resolve(), name, alias=ids.slug(local.resolve().name))
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BaseModelError(
            f"No base model directory at {name}.",
            "Check `base:`; it can also be `embedded` or a hub id.",
        )
    return inspect_base(_from_hub(name), name, alias=ids.slug(name.rsplit("/", 1)[-1]))


def inspect_base(path: Path, name: str, alias: str) -> Base:
    """Read config and weights' headers of a base directory; nothing is loaded."""
    config = _read_config(path, name)
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise BaseModelError(
            f"The base model {name} has no .safetensors weights.",
            "lmft loads no pickled weights; convert it to safetensors first.",
        )
    if not (path / "tokenizer.json").is_file():
        raise BaseModelError(
            f"The base model {name} has no tokenizer.json.",
            "Save its fast tokenizer beside the weights first.",
        )
    extras = path / EXTRAS_FILE
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures:
        architectures = ["unknown"]
    return Base(
        name=name,
        alias=alias,
        path=path,
        architecture=str(architectures[0]),
        context_length=_context_length(config),
        n_parameters=sum(_count_parameters(file, name) for file in weights),
        eos_token=_eos_token(path, name),
        hash=_hash_directory(path, weights),
        fold_quotes=extras.is_file() and bool(json.loads(extras.read_text())["fold_quotes"]),
    )


def _read_config(path: Path, name: str) -> dict[str, Any]:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseModelError(
            f"The base model {name} has no readable config.json.",
            "Give the directory of a Hugging Face model.",
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise BaseModelError(
            f"config.json of the base model {name} names no model_type.",
            "Give the directory of a Hugging Face model.",
        )
    if found := sorted(_keys(config) & _FORBIDDEN_CONFIG_KEYS):
        raise BaseModelError(
            f"The base model {name} asks for code of its own (config.json: {', '.join(found)}).",
            "lmft runs no remote code; use a base that transformers knows.",
        )
    if "quantization_config" in config:
        raise BaseModelError(
            f"The base model {name} is quantised already.",
            "Give the unquantised one; lmft quantises it itself (`quantization: nf4`).",
        )
    return config


def _keys(value: Any) -> set[str]:
    """The keys of a config and of the configs inside it."""
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    return set(value).union(*map(_keys, value.values())) if isinstance(value, dict) else set()


def _eos_token(path: Path, name: str) -> str:
    try:
        config = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    token = config.get("eos_token")
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str):
        text = _eos_by_id(path)
    if text is None:
        raise BaseModelError(
            f"The tokenizer of the base model {name} names no eos_token.",
            "Set it in tokenizer_config.json: a model must be able to end a text.",
        )
    return text


def _eos_by_id(path: Path) -> str | None:
    """The token that config.json names by number: GPT-2's own tokenizer files leave it at that."""
    try:
        wanted = json.loads((path / "config.json").read_text(encoding="utf-8"))["eos_token_id"]
        tokenizer = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return None
    for token in tokenizer.get("added_tokens") or []:
        if token.get("id") == wanted:
            return str(token["content"])
    return None


def _context_length(config: dict[str, Any]) -> int:
    text = config.get("text_config")
    text = text if isinstance(text, dict) else config
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"):
        if isinstance(text.get(key), int):
            return int(text[key])
    return 2048


def _count_parameters(weights: Path, name: str) -> int:
    """Numbers in a safetensors file, from its header."""
    try:
        with safe_open(weights, "np") as tensors:
            return sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise BaseModelError(
            f"{weights.name} of the base model {name} is not a whole safetensors file.",
            "Download it again; a git clone without LFS leaves such files.",
        ) from error


def _hash_directory(path: Path, weights: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in [path / "config.json", path / "tokenizer.json", *weights]:
        # In a hub cache a weights file is a link to a blob that is named by its sha256.
        blob = file.resolve().name
        known = len(blob) == 64 and all(character in "0123456789abcdef" for character in blob)
        digest.update(f"{file.name}:{blob if known else sha256_file(file)}\n".encode())
    return digest.hexdigest()


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_DOWNLOAD_PATTERNS))
    except HFValidationError as error:
        raise BaseModelError(
            f"{name!r} is neither a directory nor a Hugging Face model id.",
            "Use `embedded`, an id such as openai-community/gpt2, or a path.",
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise BaseModelError(
            f"The base model {name} is not on this machine and could not be downloaded{offline}.",
            "Check the id and the network, or use `embedded` or a local directory.",
        ) from error
