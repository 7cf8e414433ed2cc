"""As You Like It as Project Gutenberg has it: each line to its speaker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lmft.corpus.cast import SpeakerCount, cast_document, choose_cast
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.scripts.script import READER
from lmft.corpus.source import SourceFile

CORPORA = Path(__file__).resolve().parents[2].parent / "shared" / "corpora"

pytestmark = pytest.mark.skipif(
    not CORPORA.is_dir(),
    reason=f"NOT TESTED on the real play: there is no {CORPORA}; "
    "tests/unit/test_reader_script.py holds like samples",
)

SPEECHES = {
    "Rosalind": 204,
    "Orlando": 120,
    "Celia": 108,
    "Clowne": 74,
    "Iaques": 56,
    "Oliuer": 37,
    "Duke Senior": 32,
    "Corin": 24,
    "Siluius": 24,
    "Phebe": 23,
    "Duke": 20,
    "Le Beu": 14,
    "Audrey": 12,
    "William": 11,
    "Adam": 8,
    "Charles": 8,
    "Amyens": 8,
    "1.Lord": 6,
    "1.Pa": 3,
    "Sir Oliuer Mar-text": 3,
    "Dennis": 2,
    "2.Lord": 2,
    "Lord": 2,
    "2.Pa": 2,
    "Hymen": 2,
    "2.Bro": 2,
}


def source(name: str) -> SourceFile:
    return SourceFile(CORPORA / name, name)


@pytest.fixture(scope="module")
def findings() -> Findings:
    return Findings()


@pytest.fixture(scope="module")
def play(findings: Findings) -> list[Document]:
    return list(READER.read(source("as_you_like_it.txt"), findings))


@pytest.fixture(scope="module")
def turns(play: list[Document]) -> list[tuple[str | None, str]]:
    return [(turn.name, turn.content) for document in play for turn in document.messages]


def speaker_of(turns: list[tuple[str | None, str]], words: str) -> str | None:
    (name,) = (name for name, text in turns if words in text)
    return name


def test_it_is_known_as_a_script_and_the_prose_is_not():
    assert "speakers take turns" in (READER.sniff(source("as_you_like_it.txt")) or "")
    assert READER.sniff(source("grimm_fairy_tales.txt")) is None
    assert READER.sniff(source("poe_works_2.txt")) is None


def test_every_speaker_has_one_name_and_all_of_his_speeches(turns):
    counts: dict[str, int] = {}
    for name, _ in turns:
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    assert counts == SPEECHES


def test_the_first_and_the_last_word(turns):
    assert turns[0] == (None, "Actus primus. Scoena Prima.\nEnter Orlando and Adam.")
    name, opening = turns[1]
    assert name == "Orlando"
    assert opening.startswith(
        "As I remember Adam, it was vpon this fashion bequeathed me by will, but poore a thousand "
        "Crownes, and as thou saist, charged my brother on his blessing to breed mee well:"
    )
    assert opening.endswith("I know no wise remedy how to auoid it.")
    name, epilogue = turns[-2]
    assert name == "Rosalind"
    assert epilogue.startswith("It is not the fashion to see the Ladie the Epilogue:")
    assert epilogue.endswith("when I make curt'sie, bid me farewell.")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("All the world's a stage", "Iaques"),
        ("Farewell good Charles. Now will I stirre", "Oliuer"),
        ("O poore Orlando! thou art ouerthrowne", "Orlando"),
        ("They say you are a melancholly fellow", "Rosalind"),
        ("So, so, is good, very good", "Clowne"),
        ("Faith the Priest was good enough", "Audrey"),
        ("I would not change it, happy is your Grace", "Amyens"),
        ("Not see him since? Sir, sir", "Duke"),
        ("Now my Coe-mates, and brothers in exile", "Duke Senior"),
        ("And did you leaue him in this contemplation", "Duke Senior"),
        ("Ne're a fantastical knaue of them", "Sir Oliuer Mar-text"),
        ("Neither call the giddinesse of it in question", "Oliuer"),
        ("Oh that your Highnesse knew my heart", "Oliuer"),
        ("(Yet not the son, I will not call him son)", "Adam"),
        ("Heere comes Sir Oliuer: Sir Oliuer Mar-text", "Clowne"),
        ("Art thou god, to Shepherd turn'd", "Rosalind"),
        ("Looke, here comes a Louer of mine", "Rosalind"),
        ("Blow, blow, thou winter winde", None),
        ("It was a Louer, and his lasse", None),
        ("Flourish. Enter Duke, Lords, Orlando", None),
    ],
)
def test_hard_lines_have_their_speaker(turns, words, name):
    assert speaker_of(turns, words) == name


def test_no_speech_holds_another_ones_label(turns):
    forms = r"Orl|Oli|Ol|Ros|Rosa|Cel|Clo|Clow|Iaq|Phe|Sil|Cor|Duk|Du|Sen|Adam|Aud|Amy|Will|Cha"
    label = re.compile(rf"(?:^|\n)\s*(?:{forms})\. ")
    assert [text for name, text in turns if label.search(text)] == []


def test_scenes(play):
    assert [document.scene for document in play] == list(range(22))
    assert all(document.begins and document.ends for document in play)
    assert play[0].source == "as_you_like_it.txt:395"


def test_licence_and_end_mark_are_gone_and_nothing_else(play, findings):
    text = "\n".join(turn.content for document in play for turn in document.messages)
    for word in ("Gutenberg", "etext", "Etext", "Small Print", "Scanner", "FINIS", "David Reed"):
        assert word not in text
    assert set(findings.dropped_places) == {"licence", "end mark", "before the first scene"}
    lines = (CORPORA / "as_you_like_it.txt").read_text("ascii").splitlines()[394:]
    label = re.compile(r" {2,3}(?:\d\.)?[A-Z][\w.]*(?: (?:Beu|Sen)\b)?\.? ?|FINIS.*")
    before = re.sub(r"\s", "", "".join(label.sub("", line, count=1) for line in lines))
    assert re.sub(r"\s", "", text) == before


def test_verse_keeps_its_lines_and_prose_does_not(turns):
    (verse,) = (text for _, text in turns if "All the world's a stage" in text)
    assert verse.splitlines()[:2] == [
        "All the world's a stage,",
        "And all the men and women, meerely Players;",
    ]
    (prose,) = (text for _, text in turns if "Good Mounsier Charles" in text)
    assert prose == "Good Mounsier Charles: what's the new newes at the new Court?"


def test_the_forms_that_were_unified_are_said(findings):
    note, misprints = findings.notes
    assert "twice running at line 1315, 1329, 1330, 1591, 1599, 2561;" in misprints
    for forms in ("Rosalind (Ros, Rosa, Rosalind)", "Clowne (Cle, Clo, Clow)", "Audrey (Aud, Awd)"):
        assert forms in note


def test_the_model_plays_rosalind(play):
    counts: dict[str, SpeakerCount] = {}
    for document in play:
        for turn in document.messages:
            if turn.name is not None:
                was = counts.get(turn.name, SpeakerCount(0, 0))
                n_bytes = was.n_bytes + len(turn.content.encode())
                counts[turn.name] = SpeakerCount(was.turns + 1, n_bytes)
    cast = choose_cast(counts)
    assert (cast.model, cast.you) == ("Rosalind", "Orlando")
    documents = [cast_document(document, cast) for document in play]
    learnt = [document for document in documents if document is not None]
    assert sum(turn.role == "assistant" for d in learnt for turn in d.messages) == 204
