"""From files to a compiled corpus: what must hold of the whole way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lmft.compile import look
from lmft.corpus.build import Settings, build_corpus
from lmft.corpus.compiled import build_into, corpus_for
from lmft.corpus.source import SourceFile
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
    info = build(folder, tmp_path / "out", heldout_share=0.2)
    assert info.n_documents >= 45, "no more is lost than must be"
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
    assert "1 .png file(s) left out: they hold no text" in info.notes


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
    assert info.faults[0].startswith("bad.jsonl:1: ")
    assert len(info.faults) == 41, "one file does not hide the others"
    assert info.faults[-1].startswith("half.txt: byte ")


def test_faults_are_capped_with_the_count(folder, tmp_path):
    for number in range(6):
        (folder / f"bad{number}.jsonl").write_text("{]\n" * 50)
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
    with pytest.raises(InputError, match="lie inside one another"):
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
    first, again = corpus_for(folder, Settings()), corpus_for(folder, Settings())
    assert first == again
    assert [path.name for path in (tmp_path / "home" / "corpora").iterdir()] == [
        first.info.hash[:12]
    ]
    assert corpus_for(first.path, Settings()) == first


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


def rows(path: Path, made: list[dict]) -> Path:
    path.write_text("\n".join(map(json.dumps, made)))
    return path


def said(*turns: tuple[str, str]) -> dict:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def test_a_long_system_message_that_all_share_makes_no_repeats(tmp_path):
    system = ("system", tale(900, 60))
    chats = [said(system, ("user", tale(n, 2)), ("assistant", tale(n + 300))) for n in range(40)]
    info = build(rows(tmp_path / "chats.jsonl", chats), tmp_path / "out")
    assert info.n_duplicates == 0
    assert info.n_documents == 40


def test_answers_to_one_long_question_are_no_repeats_and_the_same_answer_is(tmp_path):
    question = ("user", tale(900, 60))
    chats = [said(question, ("assistant", tale(n))) for n in range(40)]
    again = [said(question, ("assistant", tale(3).upper()))]
    info = build(rows(tmp_path / "chats.jsonl", chats + again), tmp_path / "out")
    assert [(found.source, found.of) for found in info.duplicates] == [
        ("chats.jsonl:41", "chats.jsonl:4")
    ]


def test_stories_that_share_their_last_chapter_still_end(tmp_path):
    folder = tmp_path / "tales"
    folder.mkdir()
    notes = f"CHAPTER 3\n\n{tale(500, 40)}"
    for n in range(14):
        chapters = f"CHAPTER 1\n\n{tale(n, 40)}\n\n\nCHAPTER 2\n\n{tale(n + 50, 40)}"
        (folder / f"{n:02}.txt").write_text(f"{chapters}\n\n\n{notes}")
    info = build(folder, tmp_path / "out")
    assert info.n_duplicates == 13
    corpus = load_corpus(tmp_path / "out")
    both = corpus.train + corpus.heldout
    assert sum(document.ends for document in both) == 14
    assert all(not document.text.endswith("\n") for document in both if document.ends)


def test_what_is_left_out_of_a_story_leaves_a_gap_in_its_numbers(tmp_path):
    folder = tmp_path / "tales"
    folder.mkdir()
    shared = tale(500, 40)
    for n in range(14):
        parts = (tale(n, 40), shared, tale(n + 50, 40))
        chapters = [f"CHAPTER {number}\n\n{text}" for number, text in enumerate(parts, 1)]
        (folder / f"{n:02}.txt").write_text("\n\n\n".join(chapters))
    build(folder, tmp_path / "out")
    corpus = load_corpus(tmp_path / "out")
    parts_of: dict[int, list[int]] = {}
    for document in corpus.train + corpus.heldout:
        parts_of.setdefault(document.story, []).append(document.part)
    assert sorted(parts_of.values()) == [[0, 1, 2], *[[0, 2]] * 13]


def test_the_scenes_of_a_script_are_one_story_when_it_becomes_one(tmp_path):
    scenes = [
        f"SCENE {scene}. A wood.\n\n"
        + "\n\n".join(f"{'ADA' if n % 2 else 'BO'}: {tale(scene * 50 + n, 3)}" for n in range(30))
        for scene in range(1, 7)
    ]
    (tmp_path / "play.txt").write_text("\n\n".join(scenes))
    assert build(tmp_path / "play.txt", tmp_path / "chat").n_documents == 6
    info = build(tmp_path / "play.txt", tmp_path / "story", kind="story")
    corpus = load_corpus(tmp_path / "story")
    assert info.n_documents == 1
    assert sum(document.ends for document in corpus.train + corpus.heldout) == 1


def test_branching_stories_are_fit_to_train_on(tmp_path):
    def tree(number: int, depth: int) -> list[dict]:
        if depth == 0:
            return []
        return [
            {
                "action": f"open the {side} door",
                "result": tale(number * 2 + turn, 6),
                "action_results": tree(number * 2 + turn, depth - 1),
            }
            for turn, side in enumerate(("left", "right"))
        ]

    story = {"tree_id": "x", "first_story_block": tale(1, 4), "action_results": tree(1, 5)}
    (tmp_path / "tree.json").write_text(json.dumps(story))
    info = build(tmp_path / "tree.json", tmp_path / "out")
    assert info.kind == "adventure"
    assert look(tmp_path / "out", info, "embedded").refusals == ()


def test_a_bad_files_speakers_do_not_play(tmp_path):
    good = [f"{'ADA' if n % 2 else 'BO'},{json.dumps(tale(n, 3))}" for n in range(80)]
    bad = [f"{'ZED' if n % 2 else 'YAN'},{json.dumps(tale(n + 100, 9))}" for n in range(80)]
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "good.csv").write_text("\n".join(["speaker,dialogue", *good]))
    (folder / "bad.csv").write_text("\n".join(["speaker,dialogue", *bad]) + "\n\0")
    info = build(folder, tmp_path / "out", skip_bad=True)
    assert {speaker.name for speaker in info.speakers} == {"ADA", "BO"}


def test_what_cannot_become_the_kind_is_said_with_its_place(folder, tmp_path):
    talk = [said(("user", tale(n, 2)), ("assistant", tale(n + 300))) for n in range(30)]
    rows(folder / "talk.jsonl", talk)
    info = build(folder, tmp_path / "out", kind="chat")
    assert info.n_documents == 30
    (dropped,) = info.dropped
    assert (dropped.reason, dropped.places) == ("story, which cannot become chat", 14)


def test_a_folder_with_anything_else_in_it_is_never_replaced(folder, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "corpus.json").write_text('{"my": "project"}')
    (mine / "novel.txt").write_text("mine")
    with pytest.raises(InputError, match="not a compiled corpus, or not only that"):
        build(folder, mine)
    assert (mine / "novel.txt").read_text() == "mine"
    out = tmp_path / "out"
    build(folder, out)
    (out / "raw").mkdir()
    with pytest.raises(InputError):
        build(folder, out)


def test_an_interrupted_replacement_leaves_the_older_corpus(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = build(folder, out)
    (folder / "new.txt").write_text(tale(60))
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "corpus":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(folder, out)
    monkeypatch.undo()
    assert load_corpus(out).info == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "tales"]


def test_a_kept_corpus_that_was_damaged_is_compiled_again(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LMFT_HOME", str(tmp_path / "home"))
    kept = corpus_for(folder, Settings())
    (kept.path / "train.jsonl").write_text("")
    assert corpus_for(folder, Settings()) == kept


def test_a_service_gives_its_uploads_the_names_that_people_know(folder, tmp_path):
    stored = tmp_path / "3f9a1c2b"
    stored.write_text("# One\n\n" + "\n\n# Two\n\n".join(tale(n, 60) for n in range(2)))
    info = build_corpus([SourceFile(stored, "my novel.md")], new(tmp_path / "made"), Settings())
    assert [(file.name, file.reason) for file in info.files] == [("my novel.md", "Markdown")]


def new(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("share", [0.0, -1.0, 0.6, float("nan")])
def test_a_share_that_makes_no_sense_is_refused(share):
    with pytest.raises(CorpusError, match="held-out share"):
        Settings(heldout_share=share)


def test_a_story_whose_ways_meet_again_is_learnt_once_and_fit_to_train_on(tmp_path):
    """Every room leads to every other: all is retold, nothing is learnt twice."""
    rooms = [f":: Start\n{tale(0, 8)}\n[[1]]\n[[2]]\n"]
    for number in range(1, 40):
        links = "\n".join(f"[[go to {n}->{n}]]" for n in (number % 39 + 1, number * 7 % 39 + 1))
        rooms.append(f":: {number}\n{tale(number, 8)}\n{links}\n")
    (tmp_path / "rooms.twee").write_text("\n".join(rooms))
    info = build(tmp_path / "rooms.twee", tmp_path / "out")
    assert look(tmp_path / "out", info, "embedded").refusals == ()
    corpus = load_corpus(tmp_path / "out")
    learnt = "\n".join(document.learnt for document in corpus.train + corpus.heldout)
    for number in range(40):
        for paragraph in tale(number, 8).split("\n\n"):
            assert learnt.count(paragraph) == 1


def test_answers_out_of_a_fixed_set_are_said_and_no_reason_to_refuse(tmp_path):
    answers = [tale(n, 4) for n in range(5)]
    chats = [
        said(
            *[
                turn
                for step in range(3)
                for turn in (
                    ("user", tale(n * 3 + step, 2)),
                    ("assistant", answers[(n + step) % 5]),
                )
            ]
        )
        for n in range(60)
    ]
    info = build(rows(tmp_path / "bot.jsonl", chats), tmp_path / "out")
    assert info.n_documents == 60
    assert look(tmp_path / "out", info, "embedded").refusals == ()


def test_chats_without_names_do_not_get_those_of_a_script(tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    lines = [f"{('ADA', 'BO')[int(bit)]}: {tale(n, 4)}" for n, bit in enumerate("0110100" * 12)]
    (folder / "play.txt").write_text("\n\n".join(lines))
    chats = [said(("user", tale(n + 200, 2)), ("assistant", tale(n + 300, 3))) for n in range(20)]
    rows(folder / "chats.jsonl", chats)
    build(folder, tmp_path / "out")
    corpus = load_corpus(tmp_path / "out")
    names = {
        (document.source.startswith("chats"), turn.role, turn.name)
        for document in corpus.train + corpus.heldout
        for turn in document.messages
    }
    assert {name for is_chat, _, name in names if is_chat} == {"User", "Assistant"}
    assert {name for is_chat, _, name in names if not is_chat} == {"ADA", "BO"}


def test_a_file_in_which_the_models_speaker_is_silent_is_named(tmp_path):
    folder = tmp_path / "plays"
    folder.mkdir()
    for name, speakers in (("long", ("ADA", "BO")), ("short", ("CLEO", "DAN"))):
        count = 120 if name == "long" else 40
        lines = [
            f"{speakers[int(bit)]}: {tale(len(name) * 200 + n, 4)}"
            for n, bit in enumerate(("0110100" * 20)[:count])
        ]
        (folder / f"{name}.txt").write_text("\n\n".join(lines))
    info = build(folder, tmp_path / "out")
    assert any(note.startswith("short.txt: left out whole, ") for note in info.notes)


def test_a_compiled_corpus_is_no_input(folder, tmp_path):
    build(folder, tmp_path / "out")
    with pytest.raises(InputError, match="is a compiled corpus already"):
        build(tmp_path / "out", tmp_path / "again")


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
