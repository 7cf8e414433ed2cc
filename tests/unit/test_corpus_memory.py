"""What the compiler holds of one long story: far less than its text, whatever stage it is in.

Windows and batches are made small, so that a few megabytes are many of them, as 600 are in life;
and memory is what was allocated, numpy's included, so that it is the same on every machine.
"""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest
from rich.console import Console

from lmft.compile import build
from lmft.corpus.build import Settings
from lmft.corpus.prose import story
from lmft.corpus.prose.line import Line
from lmft.corpus.readers import text
from lmft.dataset import count

KB, MB = 1 << 10, 1 << 20


def write_story(path: Path, n_bytes: int) -> Path:
    """Everything is told twice, in another order: whatever is held out stands in training too,
    and every way to get it apart is tried."""
    draw = random.Random(n_bytes)
    words = ["".join(draw.choices("aeiourstlnmdhg", k=draw.randint(1, 9))) for _ in range(5_000)]
    told = [
        " ".join(draw.choices(words, k=80)).capitalize() + "." for _ in range(n_bytes // 2 // 480)
    ]
    path.write_text("\n".join((*told, *draw.sample(told, len(told)))) + "\n", encoding="utf-8")
    return path


def peak_of_build(path: Path) -> int:
    """Bytes allocated at most while `path` was compiled."""
    tracemalloc.start()
    try:
        build([path], path.with_suffix(""), Settings(), "embedded", Console(), json_only=True)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_by_less_than_the_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(text, "_WINDOW_CHARACTERS", 64 * KB)
    monkeypatch.setattr(story, "_SMALL_WINDOW_CHARACTERS", 4 * KB)
    monkeypatch.setattr(count, "_BATCH_BYTES", 64 * KB)
    small, large = (write_story(tmp_path / f"{n}.txt", n) for n in (MB // 2, 2 * MB))
    # The language model, the tokenizer and tables are loaded once, whatever follows.
    build([small], tmp_path / "first", Settings(), "embedded", Console(), json_only=True)
    grown = peak_of_build(large) - peak_of_build(small)
    assert "stand mostly in the training side too" in capsys.readouterr().out
    assert grown < 0.6 * (large.stat().st_size - small.stat().st_size)


def test_a_window_of_short_lines_has_few_characters(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text, "_WINDOW_LINES", 100)
    spaced = (Line(number, "Yes." if number % 2 else "") for number in range(1, 402))
    dense = (Line(number, "Yes.") for number in range(1, 402))
    for lines, longest in ((spaced, 102), (dense, 201)):
        (sizes,) = ([len(window) for window in windows] for windows in text._Stories(lines))
        assert sum(sizes) == 401
        assert max(sizes) <= longest
