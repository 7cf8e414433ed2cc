"""The corpus compiler at size: seconds and memory of the real command.

    python bench/corpus.py [--quick] [--case NAME]

Compiles, each in a process of its own by `lmft corpus build`,

- 148 MB of fiction (../shared/corpora, where that is; else as much made-up prose),
- one story of 600 MB: the same text under changed letters, so that no part repeats another,
- 148 MB of short prompts and completions, a sentence each,

and says how long it took, at what rate, and what the process held at its peak. `--quick` takes
a tenth of each; its bar for time is then a tenth too, with 10 s for what does not depend on
the size (libraries, the language model, the report).
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FICTION = ROOT.parent / "shared" / "corpora" / "fiction_pretrain.txt.xz"
FICTION_BYTES = 148_000_000
LONG_BYTES = 600_000_000
MAX_SECONDS = 120
QUICK_START_SECONDS = 10
MAX_MIB = 1024
END = "<|endoftext|>"


def fiction() -> Iterator[str]:
    """Paragraphs of real fiction, books divided by END; made-up prose without the shared folder."""
    if FICTION.is_file():
        with lzma.open(FICTION, "rt", encoding="utf-8") as lines:
            yield from lines
        return
    draw = random.Random(7)
    words = ["".join(draw.choices("aeiourstlnmdhg", k=draw.randint(1, 9))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    for number in range(10**9):
        if number % 3000 == 2999:
            yield f"{END}\n"
        sentences = (
            " ".join(draw.choices(words, weights, k=12)).capitalize() + "." for _ in range(5)
        )
        yield " ".join(sentences) + "\n"


def write_fiction(path: Path, n_bytes: int) -> None:
    written = 0
    with path.open("w", encoding="utf-8") as out:
        for line in fiction():
            out.write(line)
            written += len(line.encode())
            if written >= n_bytes:
                return


def write_long_story(path: Path, n_bytes: int) -> None:
    """One story: the fiction again and again, each time with other vowels, without end marks."""
    written = 0
    draw = random.Random(1)
    with path.open("w", encoding="utf-8") as out:
        while True:
            vowels = draw.sample("aeiouy", 6)
            changed = str.maketrans("aeiouy", "".join(vowels))
            for line in fiction():
                if line.startswith(END):
                    continue
                line = line.translate(changed)
                out.write(line)
                written += len(line.encode())
                if written >= n_bytes:
                    return


def write_chats(path: Path, n_bytes: int) -> None:
    """Many short rows: a sentence asks, the next one answers."""
    written = 0
    with path.open("w", encoding="utf-8") as out:
        for line in fiction():
            sentences = [part.strip() for part in line.split(". ") if part.strip()]
            if line.startswith(END):
                continue
            for asked, answered in zip(sentences[::2], sentences[1::2], strict=False):
                row = json.dumps({"prompt": asked, "completion": answered}, ensure_ascii=False)
                out.write(row + "\n")
                written += len(row.encode()) + 1
            if written >= n_bytes:
                return


def compile_file(path: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak MiB of `lmft corpus build`."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "lmft.cli", "corpus", "build", path, "-o", out, "--json"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"lmft corpus build {path.name} failed")
    return seconds, usage.ru_maxrss / 1024


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":")[1] for line in lines if "model name" in line)
    return {
        "cpu": model.strip(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        **{name: version(name) for name in ("tokenizers", "ftfy", "numpy")},
    }


CASES = {
    "fiction": (".txt", write_fiction, FICTION_BYTES, MAX_SECONDS),
    "one story of 600 MB": (".txt", write_long_story, LONG_BYTES, None),
    "short rows": (".jsonl", write_chats, FICTION_BYTES, None),
}


def measure(name: str, scratch: Path, quick: bool) -> tuple[dict, list[dict]]:
    """What one case took, and its bars."""
    suffix, write, n_bytes, max_seconds = CASES[name]
    path = scratch / f"{name.replace(' ', '_')}{suffix}"
    write(path, int(n_bytes * (0.1 if quick else 1.0)))
    mb = path.stat().st_size / 1e6
    seconds, mib = compile_file(path, scratch / "out")
    path.unlink()
    bars = []
    if max_seconds is not None:
        target = max_seconds if not quick else max_seconds * 0.1 + QUICK_START_SECONDS
        bars.append(bar(f"{name}, seconds", round(seconds, 1), target))
    bars.append(bar(f"{name}, peak MiB", round(mib), MAX_MIB))
    print(f"{name}: {mb:.0f} MB in {seconds:.0f} s, peak {mib:.0f} MiB", flush=True)
    return {"mb": round(mb, 1), "mb_per_second": round(mb / seconds, 2)}, bars


def bar(name: str, value: float, target: float) -> dict:
    return {"name": name, "value": value, "target": target, "ok": value < target}


def keep(measured: dict[str, dict], bars: list[dict]) -> None:
    """Write the results; those of cases that were not measured now stay."""
    path = ROOT / "bench" / "results" / "corpus.json"
    older = json.loads(path.read_text()) if path.exists() else {"measured": {}, "bars": []}
    by_name = {one["name"]: one for one in (*older["bars"], *bars)}
    result = {
        "what": "seconds and peak memory of `lmft corpus build`, tokens counted, report written",
        "text": "shared corpora" if FICTION.is_file() else "made-up prose",
        "machine": machine(),
        "measured": older["measured"] | measured,
        "bars": list(by_name.values()),
    }
    path.write_text(json.dumps(result, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of each size")
    parser.add_argument("--case", choices=CASES, action="append", help="only this; repeatable")
    arguments = parser.parse_args()
    bars: list[dict] = []
    measured = {}
    with tempfile.TemporaryDirectory(prefix="lmft-bench-") as scratch:
        for name in arguments.case or CASES:
            measured[name], found = measure(name, Path(scratch), arguments.quick)
            bars += found
            if not arguments.quick:
                keep(measured, bars)
    print(json.dumps({"bars": bars}))


if __name__ == "__main__":
    main()
