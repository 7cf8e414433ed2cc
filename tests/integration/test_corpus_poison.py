"""Bad input: each kind named with its place, none of it in the corpus, never a traceback.

Through the real command, beside good text that must come through unharmed.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_lmft
from tests.unit.small_disk import mounted
from tests.unit.tales import tale, write_tales

# A process of its own between: a child's peak begins with that of whoever forks it.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
GOOD_ROW = json.dumps(
    {"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes?"}]}
)


def chat(*messages) -> str:
    return json.dumps({"messages": messages})


def user(content) -> dict:
    return {"role": "user", "content": content}


def assistant(content, **more) -> dict:
    return {"role": "assistant", "content": content, **more}


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.txt", tale(1))
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = 100
        archive.addfile(entry, io.BytesIO(b"x" * 100))
    return data.getvalue()


FILES: dict[str, tuple[bytes, str]] = {
    "empty.txt": (b"", "empty (0 bytes)"),
    "mark.txt": ("\ufeff".encode(), "no text"),
    "blank.txt": (b" \r\n\t\n", "no text"),
    "wide.txt": (tale(1).encode("utf-16-le"), "byte 1: NUL byte: it looks like UTF-16 without"),
    "invalid.txt": (b"plain text, then \x81\x8d\x8f\x90\x01\x02\x03", "byte 17: invalid UTF-8"),
    "nul.txt": (b"One.\nTwo.\0Three.", "byte 9: NUL byte"),
    "nul.jsonl": (GOOD_ROW.encode() + b"\n\0", "NUL byte"),
    "zip.txt": (zipped(), "zip archive"),
    "tar.md": (tarred(), "tar archive"),
    "gzip.jsonl": (gzip.compress(GOOD_ROW.encode()), "gzip archive"),
    "bzip2.csv": (bz2.compress(b"text\nOnce."), "bzip2 archive"),
    "pickle.txt": (pickle.dumps({"text": "Once."}), "Python pickle, which could run code"),
    "pickle0.jsonl": (pickle.dumps(os.getcwd, 0), "Python pickle, which could run code"),
    "parquet.jsonl": (b"PAR1" + b"\x15\x04" * 50, "Parquet"),
    "elf.txt": (b"\x7fELF" + bytes(60), "a program"),
    "picture.txt": (b"\x89PNG\r\n\x1a\n" + bytes(60), "PNG picture"),
    "unknown.json": (b'{"some": {"config": [1, 2, 3]}}', "JSON of a shape that lmft does not know"),
    "unknown.csv": (b"id,price\n1,2\n", "column"),
    "chunks.txt": (
        "<|endoftext|>".join(f"and so {tale(100 + n)[:-30]}" for n in range(9)).encode(),
        "stand inside a sentence",
    ),
    "ragged.csv": (b"text,note\nonly one\na,b,c\n", "ragged.csv:2: "),
    "empty-cell.csv": (b"text,note\n,lost\n", "empty-cell.csv:2: "),
}

ROWS: dict[str, tuple[str, str]] = {
    "malformed": ("{nonsense", "malformed JSON"),
    "cut short": (GOOD_ROW[:-5], "malformed JSON"),
    "not a number": ('{"prompt": "a", "completion": "b", "score": NaN}', "NaN"),
    "infinity": ('{"prompt": "a", "completion": "b", "score": -Infinity}', "Infinity"),
    "key twice": ('{"prompt": "a", "completion": "b", "prompt": "c"}', "prompt"),
    "100k deep": ("[" * 100_000 + "]" * 100_000, "deep"),
    "100k deep in a row": ('{"messages": ' + '{"a":' * 100_000 + "1" + "}" * 100_001, "deep"),
    "half a surrogate": (chat(assistant("\ud83d")), "surrogate"),
    "escaped NUL": (chat(assistant("a\0b")), "NUL"),
    "huge number": ('{"messages": ' + "9" * 10_000 + "}", "integer"),
    "not an object": ("[1, 2]", "object"),
    "no messages": (chat(), "messages"),
    "unknown role": (chat(user("Hi."), {"role": "narrator", "content": "x"}), "role"),
    "role of a wrong type": (chat({"role": 7, "content": "x"}), "role"),
    "content is a number": (chat(user(7), assistant("x")), "content"),
    "content is null": (chat(user("Hi."), assistant(None)), "content"),
    "content is empty": (chat(user("Hi."), assistant("  ")), "content"),
    "content is a picture": (
        chat(user([{"type": "image_url", "image_url": {"url": "x"}}]), assistant("x")),
        "text",
    ),
    "nobody answers": (chat(user("Hi.")), "assistant"),
    "weight of 2": (chat(user("Hi."), assistant("x", weight=2)), "weight"),
    "nothing is learnt": (chat(user("Hi."), assistant("x", weight=0)), "learn"),
}


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder of good stories and every bad file, compiled once with the bad left out."""
    folder = write_tales(tmp_path_factory.mktemp("poison") / "in")
    for name, (data, _) in FILES.items():
        (folder / name).write_bytes(data)
    out = folder.parent / "out"
    done = run_lmft("corpus", "build", str(folder), "-o", str(out), "--skip-bad", "--json")
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_named_with_its_fault(poisoned, name):
    faults = json.loads((poisoned[0] / "corpus.json").read_text())["faults"]
    mine = [fault for fault in faults if fault.startswith(f"{name}:")]
    assert mine, faults
    assert FILES[name][1] in mine[0]
    assert all("\n" not in fault and len(fault) < 300 for fault in mine)


def test_nothing_of_the_bad_files_is_in_the_corpus(poisoned):
    rows = "".join((poisoned[0] / name).read_text() for name in ("train.jsonl", "heldout.jsonl"))
    sources = {json.loads(line)["lmft"]["source"] for line in rows.splitlines()}
    assert sources == {f"{number:02}.txt" for number in range(14)}


def test_without_leave_to_skip_all_faults_are_listed_and_nothing_is_written(tmp_path):
    folder = write_tales(tmp_path / "in")
    for name, (data, _) in FILES.items():
        (folder / name).write_bytes(data)
    done = run_lmft("corpus", "build", str(folder), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in FILES:
        assert f"\n  {name}:" in done.stderr
    assert "--skip-bad" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def bad_rows(tmp_path_factory) -> list[str]:
    """Every bad row between good ones; the faults that are found."""
    folder = tmp_path_factory.mktemp("rows")
    lines = [chat(user(f"What now, {number}?"), assistant(tale(number, 8))) for number in range(30)]
    for row, _ in ROWS.values():
        lines += [row, GOOD_ROW]
    (folder / "chats.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = folder / "out"
    done = run_lmft("corpus", "build", str(folder / "chats.jsonl"), "-o", str(out), "--skip-bad")
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads((out / "corpus.json").read_text())["faults"]
    return found


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_row_is_named_with_its_line(bad_rows, name):
    line = 31 + 2 * list(ROWS).index(name)
    mine = [fault for fault in bad_rows if fault.startswith(f"chats.jsonl:{line}: ")]
    assert len(mine) == 1, bad_rows
    assert ROWS[name][1].lower() in mine[0].lower()
    assert len(mine[0]) < 400


def test_good_rows_between_bad_ones_are_no_faults(bad_rows):
    assert len(bad_rows) == len(ROWS)


def test_hostile_names_are_shown_harmlessly_and_their_text_is_learnt(tmp_path):
    folder = write_tales(tmp_path / "in", 0)
    names = [b"two\nlines.txt", b"\x1b[31mred.txt", b"raw-\xff.txt", b"-o", b"CON", b"$(touch x)"]
    names += [b"%2e%2e%2fetc", b"x" * 250, "exe.\u202etxt".encode(), "🦆.txt".encode()]
    for number, name in enumerate(names):
        with open(os.path.join(os.fsencode(folder), name), "w") as file:
            file.write(tale(number, 40))
    out = tmp_path / "out"
    done = run_lmft("corpus", "build", str(folder), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert "\x1b[31m" not in done.stdout
    sources = [file["name"] for file in json.loads((out / "corpus.json").read_text())["files"]]
    assert len(sources) == len(names)
    assert all(source.isprintable() for source in sources)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_line_of_600_mb_is_refused_in_flat_memory(tmp_path):
    path = tmp_path / "line.txt"
    with path.open("wb") as file:
        for _ in range(600):
            file.write(b"x" * 1_000_000)
    build = [sys.executable, "-m", "lmft.cli", "corpus", "build", path, "-o", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *build], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2, done.stderr
    said, peak_kib = done.stderr, int(done.stdout)
    assert "line.txt:1: a line of more than 16 million characters" in said
    assert peak_kib < 450 * 1024, f"{peak_kib / 1024:.0f} MiB"


def test_a_full_disk_is_said_and_leaves_the_older_corpus(tmp_path):
    folder = write_tales(tmp_path / "in", 20)
    with mounted(tmp_path / "disk", "size=256k") as disk:
        first = run_lmft("corpus", "build", str(folder), "-o", str(disk / "out"))
        assert first.returncode == 0, first.stderr
        older = (disk / "out" / "train.jsonl").read_bytes()
        write_tales(folder, 400)
        done = run_lmft("corpus", "build", str(folder), "-o", str(disk / "out"))
        assert done.returncode == 1
        assert "is full" in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in disk.iterdir()] == ["out"]
        assert (disk / "out" / "train.jsonl").read_bytes() == older
