"""An adapter merged into the base it was trained over: a model of its own, for a server that takes
no LoRA there, or takes it and answers otherwise.

`python -m lmft.train.merged ADAPTER_ID` writes it in a process of its own. Imports nothing heavy
before it is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from lmft import machine, paths
from lmft.errors import DiskFullError, LmftError, NotFoundError, UserError
from lmft.processes import PARENT_VARIABLE, die_with_parent
from lmft.registry.adapters import Adapter, Manifest, get_adapter, verify

MERGED_FILE = "lmft_merged.json"
# The command's exit code where memory or disk was short: serving.pool.merging tries again then.
NO_ROOM = os.EX_TEMPFAIL
_SLACK_BYTES = 50_000_000


def merged_directory(name: str) -> Path:
    """Args: name: of an adapter's directory."""
    return paths.merged_dir() / name


def write_merged(adapter: Adapter) -> Path:
    """Write the merged model of `adapter` once; a later call finds it there.

    Raises:
        NotFoundError: the base that it was trained over is gone. AdapterCorruptError.
        DiskFullError, MachineError: see lmft.paths.publishing.
    """
    verify(adapter)
    variant = paths.bases_dir() / adapter.manifest.variant
    if not variant.is_dir():
        raise NotFoundError(
            f"The base {adapter.manifest.variant}, which {adapter.id} was trained on, is gone.",
            "Train the adapter again; its recipe.yaml lies beside it.",
        )
    target = merged_directory(adapter.id.directory)
    return merge(variant, adapter.path, target, merged_record(adapter.manifest))


def merged_record(manifest: Manifest) -> dict[str, str]:
    """What tells the merged model of one adapter from that of another."""
    return {"id": manifest.id, "adapter_hash": manifest.adapter_hash}


def merge(variant: Path, adapter: Path, target: Path, record: dict[str, str]) -> Path:
    """Write base and adapter as one model, in the type that this machine serves in.

    Args:
        variant: directory of the served base. adapter: directory with PEFT's two files.
        record: what is kept beside the model; one that is there with another record goes.
    """
    if _is_there(target, record):
        return target
    from lmft.train.variant import SIDE_FILES

    dtype = machine.serving_dtype()
    model = _merged(variant, adapter, dtype)
    n_bytes = model.num_parameters() * model.dtype.itemsize
    paths.require_free(target.parent, n_bytes + _SLACK_BYTES, "The merged model")
    with paths.publishing(target) as staging:
        model.save_pretrained(staging, safe_serialization=True)
        for file in SIDE_FILES:
            if (variant / file).is_file():
                shutil.copyfile(variant / file, staging / file)
        (staging / MERGED_FILE).write_text(json.dumps(record | {"dtype": dtype}, indent=2) + "\n")
    return target


def _is_there(target: Path, record: dict[str, str]) -> bool:
    if not target.is_dir():
        return False
    try:
        found = json.loads((target / MERGED_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if record.items() <= found.items():
        return True
    # Of a run that was cut short after this and came out otherwise the second time.
    shutil.rmtree(target)
    return False


def _merged(variant: Path, adapter: Path, dtype: str) -> Any:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(variant, dtype=getattr(torch, dtype))
    # The LoRA stays in fp32 and is multiplied out in it: each sum is rounded once.
    model = PeftModel.from_pretrained(base, adapter)
    return model.merge_and_unload(safe_merge=True)


def main() -> int:
    if parent := os.environ.get(PARENT_VARIABLE):
        die_with_parent(int(parent))
    try:
        if len(sys.argv) != 2:
            raise UserError("usage: python -m lmft.train.merged ADAPTER_ID")
        adapter = get_adapter(sys.argv[1])
        from lmft.train.environment import prepare_libraries

        prepare_libraries()
        write_merged(adapter)
    except LmftError as error:
        print(f"Error: {error}", file=sys.stderr)
        return NO_ROOM if isinstance(error, DiskFullError) else error.exit_code
    except MemoryError:
        print("Error: There is not enough memory for the merged model.", file=sys.stderr)
        return NO_ROOM
    except (RuntimeError, ValueError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        print(f"Error: The merged model could not be made: {first}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
