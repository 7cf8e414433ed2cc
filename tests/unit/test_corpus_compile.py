"""The whole way from a path to a corpus, on real files: the shipped samples among them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmft.corpus.compile import compile_corpus
from lmft.errors import CorpusError
from lmft.paths import recipes_dir

SAMPLES = recipes_dir() / "data"
CLASSICS = Path(__file__).resolve().parents[3] / "shared" / "corpora"


def story(number: int, quote: str = '"') -> str:
    return "\n\n".join(
        f"Story {number}, part {part}: {quote}On we go,{quote} says the ferryman."
        for part in range(12)
    )


@pytest.fixture
def folder(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.txt").write_text(story(number))
    return tmp_path


def texts(corpus) -> str:
    return "".join(document.text for document in corpus.train + corpus.heldout)


def test_the_same_bytes_are_the_same_corpus(folder):
    first, second = compile_corpus(folder), compile_corpus(folder)
    assert first == second
    (folder / "00.txt").write_text(story(99))
    assert compile_corpus(folder).hash != first.hash


def test_repeats_are_dropped_before_the_split_and_counted(folder):
    alone = compile_corpus(folder)
    for number in range(12):
        (folder / f"copy-{number:02}.txt").write_text(story(number))
    doubled = compile_corpus(folder)
    assert doubled.hash == alone.hash
    assert (doubled.n_files, doubled.n_documents, doubled.n_duplicates) == (24, 12, 12)
    assert "12 exact duplicate(s) dropped" in doubled.summary()


def test_stories_and_conversations_are_not_mixed(folder):
    told = {"messages": [{"role": "assistant", "content": "Hello."}]}
    (folder / "chat.jsonl").write_text(json.dumps(told))
    with pytest.raises(CorpusError, match="mixes stories and conversations"):
        compile_corpus(folder)


def test_quotes_are_folded_only_where_the_base_wants_it(tmp_path):
    (tmp_path / "a.txt").write_text("<|endoftext|>".join(story(n, "“") for n in range(12)))
    assert "“" in texts(compile_corpus(tmp_path))
    folded = compile_corpus(tmp_path, straight_quotes=True)
    assert "“" not in texts(folded)
    assert '"On we go,"' in texts(folded)


def test_quotes_in_conversations_are_folded_too(tmp_path):
    lines = [
        json.dumps({"messages": [{"role": "assistant", "content": f"“{number}” " * 60}]})
        for number in range(20)
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    corpus = compile_corpus(tmp_path / "c.jsonl", straight_quotes=True)
    assert "“" not in "".join(m.content for d in corpus.train for m in d.messages)


def test_what_was_done_to_a_file_is_noted_with_its_place_in_the_folder(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "windows.txt").write_text(story(50), encoding="utf-16")
    assert compile_corpus(folder).notes == ("sub/windows.txt: decoded as utf-16",)


def test_a_part_that_repeats_is_on_one_side_only(tmp_path):
    (tmp_path / "a.txt").write_text("All work and no play makes Jack a dull boy.\n" * 3_000)
    corpus = compile_corpus(tmp_path)
    assert len(corpus.train) > len({document.text for document in corpus.train})
    learnt = {document.text for document in corpus.train}
    assert not learnt & {document.text for document in corpus.heldout}


def test_the_sample_adventures_are_ours_in_size_and_letters():
    corpus = compile_corpus(SAMPLES / "adventures", straight_quotes=True)
    assert sum(file.stat().st_size for file in (SAMPLES / "adventures").iterdir()) >= 80_000
    assert corpus.train_bytes + corpus.heldout_bytes >= 80_000
    assert corpus.notes == ()
    assert corpus.n_duplicates == 0
    assert texts(corpus).isascii()
    assert texts(corpus).count("\n> You ") >= 200
    assert 0.08 <= corpus.heldout_bytes / (corpus.train_bytes + corpus.heldout_bytes) <= 0.2


def test_the_sample_innkeeper_has_conversations_enough():
    corpus = compile_corpus(SAMPLES / "innkeeper.jsonl")
    assert corpus.is_chat
    assert corpus.n_documents >= 40
    assert corpus.n_duplicates == 0
    assert (SAMPLES / "innkeeper.jsonl").read_text(encoding="utf-8").isascii()
    assert len(corpus.heldout) >= 2


@pytest.mark.parametrize("name", ["grimm_fairy_tales", "poe_works_2", "as_you_like_it"])
def test_a_classic_as_a_user_would_throw_it_in_compiles(name):
    file = CLASSICS / f"{name}.txt"
    if not file.is_file():
        pytest.skip(f"NOT TESTED: {file} is not on this machine")
    corpus = compile_corpus(file, straight_quotes=True)
    assert len(corpus.heldout) >= 2
    # Only line ends and quotes change; nothing of the text is lost.
    assert corpus.train_bytes + corpus.heldout_bytes >= 0.95 * file.stat().st_size
