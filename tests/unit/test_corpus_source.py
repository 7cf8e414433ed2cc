"""Which files go in, and what they are called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile

import pytest

from lmft.corpus.decode import Unreadable
from lmft.corpus.magic import binary_kind
from lmft.corpus.source import MAX_WHOLE_BYTES, SourceFile, display_name, find_sources
from lmft.errors import InputError


def names(*inputs) -> list[str]:
    return [source.name for source in find_sources(inputs)]


def test_a_folder_is_read_in_the_order_of_names_and_below(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.MD", "sub/c.jsonl", "z.epub"):
        (tmp_path / name).write_text("x")
    assert names(tmp_path) == ["a.MD", "b.txt", "sub/c.jsonl", "z.epub"]


def test_several_inputs_keep_their_order_and_say_which_folder(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    (tmp_path / "book.txt").write_text("x")
    inputs = [tmp_path / "two", tmp_path / "book.txt", tmp_path / "one"]
    assert names(*inputs) == ["two/a.txt", "book.txt", "one/a.txt"]


def test_files_of_one_folder_know_each_other(tmp_path):
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("x")
    first, second = find_sources([tmp_path])
    assert list(first.siblings) == [first, second]


def test_hidden_files_links_and_pipes_are_left_out(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for directory in (outside, folder, folder / ".git"):
        directory.mkdir()
        (directory / "a.txt").write_text("x")
    (folder / ".hidden.txt").write_text("x")
    (folder / "link.txt").symlink_to(outside / "a.txt")
    (folder / "linked").symlink_to(outside)
    os.mkfifo(folder / "pipe.txt")
    assert names(folder) == ["a.txt"]


def test_a_hidden_folder_may_itself_be_given(tmp_path):
    folder = tmp_path / ".stories"
    folder.mkdir()
    (folder / "a.txt").write_text("x")
    assert names(folder) == ["a.txt"]


@pytest.mark.parametrize("name", ["nowhere.txt", "a" * 300, "nul\0byte"])
def test_a_missing_path_is_named(tmp_path, name):
    with pytest.raises(InputError, match="No such file or folder"):
        find_sources([tmp_path / name])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="No files in"):
        find_sources([tmp_path])


def test_a_pipe_given_by_name_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find_sources([tmp_path / "pipe"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("story.txt", "story.txt"),
        ("Žluťoučký 🦆.txt", "Žluťoučký 🦆.txt"),
        ("two\nlines\x1b[31m.txt", "two\\u000alines\\u001b[31m.txt"),
        ("exe.\u202etxt", "exe.\\u202etxt"),
        (os.fsdecode(b"raw-\xff.txt"), "raw-\\udcff.txt"),
        ("<script>.txt", "<script>.txt"),
    ],
)
def test_a_hostile_name_is_harmless_to_print(name, shown):
    assert display_name(name) == shown
    shown.encode()


def test_a_name_has_a_limit():
    assert len(display_name("x" * 255 + ".txt")) < 130


def test_files_with_hostile_names_are_read_all_the_same(tmp_path):
    for number, name in enumerate((b"two\nlines.txt", b"raw-\xff.txt", b"-o.txt", b"CON", b"$(x)")):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "w") as file:
            file.write(str(number))
    assert {source.text() for source in find_sources([tmp_path])} == set("01234")


def test_a_file_that_must_be_read_whole_has_a_limit(tmp_path):
    file = tmp_path / "big.json"
    with file.open("wb") as out:
        out.truncate(MAX_WHOLE_BYTES + 1)
    with pytest.raises(Unreadable, match="must be read whole; split it"):
        SourceFile(file, "big.json").text()


def archives() -> dict[str, bytes]:
    text = b"Once upon a time. " * 50
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("story.txt", text)
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        entry = tarfile.TarInfo("story.txt")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    made = {
        "zip": zipped.getvalue(),
        "tar": tarred.getvalue(),
        "gzip": gzip.compress(text),
        "bzip2": bz2.compress(text),
        "xz": lzma.compress(text),
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        made[f"pickle of a list, protocol {protocol}"] = pickle.dumps([1, "a"], protocol)
        made[f"pickle of a call, protocol {protocol}"] = pickle.dumps(os.getcwd, protocol)
    return made


@pytest.mark.parametrize("kind", archives())
def test_archives_and_pickles_are_known_by_their_bytes(kind):
    assert kind.split()[0] in (binary_kind(archives()[kind]) or "").lower()


@pytest.mark.parametrize(
    "text", ["", "A", "(lp", "call me Ishmael.\nSome years ago\n", "PARIS, 1 May", "c\n", "dp0"]
)
def test_text_is_not_taken_for_an_archive(text):
    assert binary_kind(text.encode()) is None
