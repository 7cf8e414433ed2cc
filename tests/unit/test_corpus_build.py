"""From files to a compiled corpus: what must hold of the whole way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lmft.corpus.build import Settings
from lmft.corpus.compiled import build_into, corpus_for
from lmft.corpus.store import load_corpus
from lmft.errors import BadInputError, CorpusError, InputError
from lmft.paths import recipes_dir
from tests.unit.tales import tale, write_tales

SAMPLES = recipes_dir() / "data"


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_tales(tmp_path / "tales")


def build(inputs, out: Path, **settings):
    inputs = inputs if isinstance(inputs, list) else [inputs]
    return build_into(inputs, out, Settings(**settings))


def texts(path: Path) -> list[str]:
    corpus = load_corpus(path)
    return [document.text for document in corpus.train + corpus.heldout]


def chat(question: str, answer: str) -> str:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": said})


def test_the_same_bytes_give_the_same_files(folder, tmp_path):
    for out in ("one", "two"):
        build(folder, tmp_path / out)
    for name in ("corpus.json", "train.jsonl", "heldout.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == [
        "corpus.json",
        "heldout.jsonl",
        "train.jsonl",
    ]


def test_the_hash_is_of_the_text_and_not_of_its_names(folder, tmp_path):
    first = build(folder, tmp_path / "one").hash
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for file in folder.iterdir():
        shutil.copy(file, renamed / f"chapter-{file.name}")
    assert build(renamed, tmp_path / "two").hash == first
    (folder / "00.txt").write_text(tale(99))
    assert build(folder, tmp_path / "three").hash != first


def test_every_story_is_there_whole_once_and_on_one_side(folder, tmp_path):
    info = build(folder, tmp_path / "out")
    assert info.split_by == "document"
    assert sorted(texts(tmp_path / "out")) == sorted(tale(number) for number in range(14))
    assert info.train.n_documents + info.heldout.n_documents == 14


def test_repeats_go_before_the_split_near_ones_too(folder, tmp_path):
    alone = build(folder, tmp_path / "alone")
    (folder / "zz-again.txt").write_text(tale(3))
    (folder / "zz-edited.txt").write_text(tale(5).replace("Ada", "ADA").replace(".", " !"))
    doubled = build(folder, tmp_path / "doubled")
    assert doubled.hash == alone.hash
    assert doubled.n_duplicates == 2
    assert [(found.source, found.of) for found in doubled.duplicates] == [
        ("zz-again.txt", "03.txt"),
        ("zz-edited.txt", "05.txt"),
    ]


def test_a_story_that_quotes_another_never_meets_it_on_the_other_side(tmp_path):
    folder = write_tales(tmp_path / "tales", 30)
    for number in range(30):
        frame = f"{tale(number + 100, 8)}\n\n{tale(number)}\n\n{tale(number + 200, 8)}"
        (folder / f"frame-{number:02}.txt").write_text(frame)
    build(folder, tmp_path / "out", heldout_share=0.3)
    corpus = load_corpus(tmp_path / "out")
    learnt = "\n\n".join(document.text for document in corpus.train)
    assert corpus.heldout
    for document in corpus.heldout:
        paragraphs = document.text.split("\n\n")
        assert sum(paragraph in learnt for paragraph in paragraphs) <= len(paragraphs) / 2


def test_formats_mix_in_a_folder_when_they_are_one_kind(folder, tmp_path):
    (folder / "page.html").write_text(f"<html><body><p>{tale(40)}</p></body></html>")
    (folder / "rows.jsonl").write_text(json.dumps({"text": tale(41)}))
    (folder / "old.txt").write_bytes(f"It’s late — too late.\n\n{tale(42)}".encode("cp1252"))
    info = build(folder, tmp_path / "out")
    readers = {file.name: file.reader for file in info.files}
    assert len(set(readers.values())) == 3
    assert all(file.reason for file in info.files)
    assert any("old.txt: decoded as cp1252" in note for note in info.notes)
    assert any(text.startswith("It’s late — too late.") for text in texts(tmp_path / "out"))


def test_kinds_that_do_not_mix_are_refused_by_name(folder, tmp_path):
    (folder / "talk.jsonl").write_text(chat("Who?", "Me."))
    with pytest.raises(CorpusError, match=r"mixes formats up \(chat: talk\.jsonl; story: 00\.txt"):
        build(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_conversations_become_stories_when_told_to(folder, tmp_path):
    (folder / "talk.jsonl").write_text(chat("Who goes there?", "Me."))
    info = build(folder, tmp_path / "out", kind="story")
    assert info.kind == "story"
    assert "User: Who goes there?\n\nAssistant: Me." in texts(tmp_path / "out")


def test_pictures_beside_the_text_are_said_and_no_fault(folder, tmp_path):
    (folder / "cover.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    info = build(folder, tmp_path / "out")
    assert "cover.png: left out, .png files hold no text" in info.notes


def test_bad_input_is_listed_whole_and_nothing_is_written(folder, tmp_path):
    (folder / "empty.txt").write_bytes(b"")
    (folder / "nul.txt").write_bytes(b"One.\0Two.")
    with pytest.raises(BadInputError) as caught:
        build(folder, tmp_path / "out")
    assert caught.value.faults == (
        "empty.txt: the file is empty (0 bytes)",
        "nul.txt: byte 4: NUL byte: this is not a text file",
    )
    assert "2 faults in the input" in caught.value.message
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.iterdir()) == [folder]


def test_bad_input_can_be_left_out_and_is_still_listed(folder, tmp_path):
    clean = build(folder, tmp_path / "clean")
    (folder / "bad.jsonl").write_text("{]\n" * 300)
    (folder / "half.txt").write_bytes(tale(77).encode() * 40 + b"\0")
    info = build(folder, tmp_path / "out", skip_bad=True)
    assert info.hash == clean.hash
    assert info.n_faults == 301
    assert len(info.faults) == 100
    assert info.faults[0].startswith("bad.jsonl:1: ")


def test_faults_are_capped_with_the_count(folder, tmp_path):
    (folder / "bad.jsonl").write_text("{]\n" * 300)
    with pytest.raises(BadInputError, match=r"(?s)300 faults in the input.*and 200 more") as caught:
        build(folder, tmp_path / "out")
    assert len(caught.value.faults) == 100


def test_an_older_corpus_is_replaced_and_other_folders_are_not(folder, tmp_path):
    out = tmp_path / "out"
    first = build(folder, out)
    (folder / "new.txt").write_text(tale(60))
    assert build(folder, out).hash != first.hash
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "novel.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a compiled corpus"):
        build(folder, precious)
    assert (precious / "novel.txt").read_text() == "mine"


def test_a_refused_build_leaves_the_older_corpus_as_it_was(folder, tmp_path):
    out = tmp_path / "out"
    first = build(folder, out)
    (folder / "bad.txt").write_bytes(b"")
    with pytest.raises(BadInputError):
        build(folder, out)
    assert load_corpus(out).info == first


def test_the_output_may_not_lie_inside_the_input(folder):
    with pytest.raises(InputError, match="would read its own output"):
        build(folder, folder / "out")


@pytest.mark.parametrize("name", ["train.jsonl", "heldout.jsonl"])
def test_a_corpus_that_was_changed_is_refused(folder, tmp_path, name):
    build(folder, tmp_path / "out")
    with (tmp_path / "out" / name).open("a") as file:
        file.write(json.dumps({"text": "One more."}) + "\n")
    with pytest.raises(CorpusError, match=rf"{name} is not what was compiled"):
        load_corpus(tmp_path / "out")


@pytest.mark.parametrize("content", ["{}", "[]", "nonsense", '{"version": 2}'])
def test_a_folder_that_is_no_corpus_is_named(tmp_path, content):
    (tmp_path / "corpus.json").write_text(content)
    with pytest.raises(CorpusError, match="is not a corpus that this version of lmft compiled"):
        load_corpus(tmp_path)


def test_a_recipes_text_is_compiled_once_and_kept_by_its_hash(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LMFT_HOME", str(tmp_path / "home"))
    first, again = corpus_for(folder, 0.1), corpus_for(folder, 0.1)
    assert first == again
    assert [path.name for path in (tmp_path / "home" / "corpora").iterdir()] == [
        first.info.hash[:12]
    ]
    assert corpus_for(first.path, 0.1) == first


def test_one_long_story_is_held_out_by_scenes_or_parts(tmp_path):
    book = tmp_path / "book.txt"
    chapters = [f"CHAPTER {number}\n\n{tale(number, 40)}" for number in range(1, 21)]
    book.write_text("\n\n\n".join(chapters))
    info = build(book, tmp_path / "out")
    assert info.split_by == "scene"
    corpus = load_corpus(tmp_path / "out")
    assert sum(document.begins for document in corpus.train + corpus.heldout) == 1
    assert sum(document.ends for document in corpus.train + corpus.heldout) == 1
    scenes = [{document.scene for document in part} for part in (corpus.train, corpus.heldout)]
    assert not scenes[0] & scenes[1]


def test_a_small_text_is_cut_finer_so_that_some_can_be_held_out(tmp_path):
    (tmp_path / "a.txt").write_text(tale(1, 120))
    info = build(tmp_path / "a.txt", tmp_path / "out")
    assert info.split_by == "part"
    assert info.heldout.n_parts >= 1
    assert info.train.n_parts >= 10


def test_one_thing_said_again_and_again_is_not_enough(tmp_path):
    (tmp_path / "a.txt").write_text("All work and no play makes Jack a dull boy.\n" * 3_000)
    with pytest.raises(CorpusError, match=r"too small to split|repeats another"):
        build(tmp_path / "a.txt", tmp_path / "out")


def test_who_plays_can_be_chosen(tmp_path):
    names = "ABCACBABCBAC"
    speakers = {"A": "ADA", "B": "BO", "C": "CLEO"}
    lines = [f"{speakers[names[n % 12]]}: {tale(n, 4)}" for n in range(120)]
    (tmp_path / "play.txt").write_text("\n\n".join(lines))
    info = build(tmp_path / "play.txt", tmp_path / "out", model_plays="cleo", you_play="Bo")
    assert info.cast is not None
    assert (info.cast.model, info.cast.you) == ("CLEO", "BO")
    corpus = load_corpus(tmp_path / "out")
    for document in corpus.train + corpus.heldout:
        for turn in document.messages:
            assert (turn.role == "assistant") == (turn.name == "CLEO")
    with pytest.raises(CorpusError, match="ADA"):
        build(tmp_path / "play.txt", tmp_path / "other", model_plays="Dan")


def test_names_are_not_asked_of_a_story(folder, tmp_path):
    with pytest.raises(CorpusError, match="no speakers to choose from"):
        build(folder, tmp_path / "out", model_plays="Ada")


def test_secrets_are_counted_with_their_places_and_never_written_down(folder, tmp_path):
    (folder / "03.txt").write_text(f"{tale(3)}\n\nWrite to ada.lovelace@analytical.example soon.")
    info = build(folder, tmp_path / "out")
    (secret,) = info.secrets
    assert (secret.count, secret.places) == (1, ("03.txt",))
    assert "lovelace" not in (tmp_path / "out" / "corpus.json").read_text()


def test_mojibake_is_repaired_and_said(folder, tmp_path):
    (folder / "broken.txt").write_text(
        f"{tale(70)}\n\nLe café était fermé.".encode().decode("latin-1"), encoding="utf-8"
    )
    info = build(folder, tmp_path / "out")
    assert "broken.txt: mojibake repaired in 1 line(s)" in info.notes
    assert any("Le café était fermé." in text for text in texts(tmp_path / "out"))


# The shipped samples


def test_the_sample_adventures_are_ours_in_size_and_letters(tmp_path):
    info = build(SAMPLES / "adventures", tmp_path / "out")
    assert info.kind == "adventure"
    assert info.person.person == "second"
    assert info.notes == ()
    assert info.n_duplicates == 0
    assert info.dropped == ()
    files = {file.read_text().strip("\n") for file in (SAMPLES / "adventures").iterdir()}
    assert set(texts(tmp_path / "out")) == files
    told = "".join(files)
    assert told.isascii()
    assert len(told) >= 80_000
    assert told.count("\n> You ") >= 200
    share = info.heldout.n_bytes / (info.train.n_bytes + info.heldout.n_bytes)
    assert 0.08 <= share <= 0.2


def test_the_sample_innkeeper_has_conversations_enough(tmp_path):
    info = build(SAMPLES / "innkeeper.jsonl", tmp_path / "out")
    assert info.kind == "chat"
    assert info.train.n_documents + info.heldout.n_documents >= 40
    assert info.n_duplicates == 0
    assert info.heldout.n_documents >= 2
    assert (SAMPLES / "innkeeper.jsonl").read_text(encoding="utf-8").isascii()
