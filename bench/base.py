"""The embedded base against the first one: what they make of text, and what becomes of them.

    python bench/base.py [--quick] [--corpora FOLDER]

Held-out nats per byte on the last 1% of the fiction (neither recipe trained on it) and on three
small corpora that neither base saw, compiled as `lmft corpus build` does; then both are fine-tuned
by the same recipe on 100 KB of each small corpus, a tenth of it held out. The first base is taken
from this repository's history. `--quick` measures on less text and trains one epoch instead of two.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lmft import machine  # noqa: E402
from lmft.bases import EXTRAS_FILE, resolve_base  # noqa: E402
from lmft.corpus.build import Settings  # noqa: E402
from lmft.corpus.compiled import build_into  # noqa: E402
from lmft.corpus.store import load_corpus  # noqa: E402
from lmft.format.fold import fold_quotes  # noqa: E402
from lmft.paths import EMBEDDED_BASE, PACKAGE  # noqa: E402
from lmft.pretrain.text import sides  # noqa: E402
from lmft.train.environment import prepare_libraries  # noqa: E402

FICTION = "fiction_pretrain.txt.xz"
SMALL = {
    "grimm": "grimm_fairy_tales.txt",
    "poe": "poe_works_2.txt",
    "as_you_like_it": "as_you_like_it.txt",
}
GAIN_WITHOUT_GPU, GAIN_WITH_GPU = 0.04, 0.12
BLOCK_TOKENS = 1024
TUNED_BYTES = 100_000
QUICK_BYTES = 150_000


def first_base(folder: Path) -> Path:
    """The one that the history of this checkout began with."""
    assets = EMBEDDED_BASE.relative_to(PACKAGE.parent)
    weights = str(assets / "model.safetensors")
    added = _git("log", "--format=%H", "--diff-filter=A", "--", weights).decode().split()
    if not added:
        sys.exit("The first base is not in this checkout's history; clone without --depth.")
    archived = _git("archive", added[-1], str(assets))
    with tarfile.open(fileobj=BytesIO(archived)) as archive:
        archive.extractall(folder, filter="data")
    # It had no such file yet, and the same vocabulary.
    (folder / assets / EXTRAS_FILE).write_bytes((EMBEDDED_BASE / EXTRAS_FILE).read_bytes())
    return folder / assets


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def texts(corpora: Path, folder: Path, quick: bool) -> dict[str, str]:
    """What is measured on, by name."""
    _, held = sides(corpora / FICTION, 0.01, chats=False)
    found = {"fiction": "\n".join(one for one in held if isinstance(one, str))}
    for name, file in SMALL.items():
        build_into([corpora / file], folder / name, Settings(kind="story"))
        corpus = load_corpus(folder / name)
        documents = sorted([*corpus.train, *corpus.heldout], key=lambda one: (one.story, one.part))
        parts = groupby(documents, key=lambda one: one.story)
        found[name] = "\n".join("".join(one.text for one in story) for _, story in parts)
    return {name: text[:QUICK_BYTES] if quick else text for name, text in found.items()}


def measured(base: Path, about: dict[str, str]) -> dict[str, float]:
    """Nats per byte of the text as the base's vocabulary has it."""
    import numpy as np
    import torch
    from tokenizers import Tokenizer

    from lmft.pretrain.measure import nats_per_byte
    from lmft.pretrain.shape import model_from

    known = resolve_base(str(base))
    model = model_from(known).to("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    found = {}
    for name, text in about.items():
        seen = fold_quotes(text) if known.fold_quotes else text
        ids = [0, *tokenizer.encode(seen, add_special_tokens=False).ids]
        found[name] = nats_per_byte(model, np.array(ids), len(seen.encode()), BLOCK_TOKENS)
    return found


def tuned(base: Path, name: str, text: str, folder: Path, quick: bool) -> dict[str, float]:
    """Held-out nats per byte before and after a fine-tuning."""
    folder.mkdir()
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    recipe = {
        "name": name.replace("_", "-"),
        "base": str(base),
        "data": f"{name}.txt",
        "corpus": {"kind": "story"},
        "format": {"kind": "story"},
        "training": {"epochs": 1 if quick else 2, "learning_rate": 1.5e-3, "evaluations": 1},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "lmft.cli", "train", str(folder / "recipe.yaml")],
        cwd=ROOT,
        env=os.environ | {"LMFT_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (manifest,) = (folder / "home" / "adapters").glob("*/MANIFEST.json")
    training = json.loads(manifest.read_text(encoding="utf-8"))["training"]
    return {"before": training["heldout_before"], "after": training["heldout_after"]}


def bar(name: str, value: float, target: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "target": target, "ok": value >= target}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--corpora", type=Path, default=ROOT.parent / "shared" / "corpora")
    parser.add_argument("--new", type=Path, default=EMBEDDED_BASE, help="the base to look at")
    chosen = parser.parse_args()
    if not chosen.corpora.is_dir():
        missing = f"No corpora in {chosen.corpora}; name their folder with --corpora."
        if not chosen.quick:
            sys.exit(missing)
        # One of many in `make bench`, and no fault of this machine.
        print(f"NOT MEASURED: {missing}")
        print(json.dumps({"bars": []}))
        return
    prepare_libraries()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bases = {"first": first_base(folder), "new": chosen.new.resolve()}
        about = texts(chosen.corpora, folder, chosen.quick)
        raw = {name: measured(base, about) for name, base in bases.items()}
        for name in about:
            print(f"{name}: {raw['first'][name]:.4f} -> {raw['new'][name]:.4f} nats per byte")
        after: dict[str, dict[str, dict[str, float]]] = {}
        for name in SMALL:
            text = about[name][:TUNED_BYTES]
            after[name] = {
                which: tuned(base, name, text, folder / f"{name}-{which}", chosen.quick)
                for which, base in bases.items()
            }
            first, new = (after[name][which]["after"] for which in ("first", "new"))
            print(f"{name}, fine-tuned: {first:.4f} -> {new:.4f} nats per byte held out")
    target = GAIN_WITH_GPU if machine.gpus() else GAIN_WITHOUT_GPU
    bars = [
        bar(f"lower on {name}", 1 - raw["new"][name] / raw["first"][name], target)
        for name in ("fiction", "grimm")
    ]
    for name, both in after.items():
        gain = 1 - both["new"]["after"] / both["first"]["after"]
        bars.append({**bar(f"lower on {name}, fine-tuned", gain, 0.0), "ok": gain > 0})
    result = {
        "what": "the embedded base against the first one, nats per byte",
        "quick": chosen.quick,
        "machine": {
            "cpu": machine.cpu_name(),
            "cores": machine.cpu_count(),
            "python": platform.python_version(),
        },
        "text_bytes": {name: len(text.encode()) for name, text in about.items()},
        "base": {
            name: {key: round(value, 4) for key, value in one.items()} for name, one in raw.items()
        },
        "fine_tuned": after,
        "bars": bars,
    }
    if not chosen.quick:
        results = ROOT / "bench" / "results" / "base.json"
        results.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({"bars": bars}))


if __name__ == "__main__":
    main()
