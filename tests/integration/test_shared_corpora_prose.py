"""Real files of Project Gutenberg, where the checkout has them beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.boilerplate import strip_boilerplate
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.story import story_documents

CORPORA = Path(__file__).resolve().parents[2].parent / "shared" / "corpora"
pytestmark = pytest.mark.skipif(
    not CORPORA.is_dir(),
    reason=f"REAL BOOKS NOT READ: {CORPORA} is absent; put Project Gutenberg's files there",
)


def lines_of(name: str) -> list[Line]:
    text = (CORPORA / name).read_text(encoding="utf-8-sig")
    return [Line(number, line) for number, line in enumerate(text.split("\n"), 1)]


def read(name: str) -> tuple[list[Document], Findings]:
    findings = Findings()
    return list(story_documents(name, [lines_of(name)], findings, wrapped=None)), findings


def whole(parts: list[Document]) -> str:
    return "".join(part.text + "\n\n" * part.ends for part in parts)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_grimm_is_62_tales_without_licence_and_without_broken_words():
    parts, findings = read("grimm_fairy_tales.txt")
    text = whole(parts)
    begins = [part for part in parts if part.begins]
    assert len(begins) == sum(part.ends for part in parts) == 62
    assert findings.notes == ["grimm_fairy_tales.txt: a collection of 62 pieces; each one ends"]
    assert begins[0].text.startswith("FAIRY TALES\n\nBy The Brothers Grimm\n\n")
    assert begins[1].text.startswith(
        "HANS IN LUCK\n\nSome men are born to good luck: all they do or"
    )
    assert begins[-1].text.startswith("SNOW-WHITE AND ROSE-RED\n\n")
    assert text.rstrip().endswith("children’s reading ever since.")
    for trace in ("Gutenberg", "GUTENBERG", "www.", "Produced by", "CONTENTS", "PREPARER"):
        assert trace not in text, trace
    # Each word of the tales once and in order.
    lines = lines_of("grimm_fairy_tales.txt")
    tales = "\n".join(line.text for line in lines if 125 <= line.number <= 9206)
    assert words(text)[-len(words(tales)) :] == words(tales)
    # Dialogue keeps its paragraphs, verse its lines.
    assert (
        "‘O man of the sea!\n Hearken to me!\n My wife Ilsabill\n Will have her own will,\n" in text
    )
    assert max(len(line) for line in text.split("\n")) > 2_000
    assert not re.search(r"[a-z,]\n[a-z]", text)


def test_poe_keeps_verse_and_endnotes():
    parts, findings = read("poe_works_2.txt")
    text = whole(parts)
    assert [part.text.split("\n")[0] for part in parts if part.begins][1:3] == [
        "THE THOUSAND-AND-SECOND TALE OF SCHEHERAZADE",
        "A DESCENT INTO THE MAELSTRÖM.",
    ]
    assert sum(part.begins for part in parts) == 23
    assert (
        "In the greenest of our valleys,\n    By good angels tenanted,\n"
        "Once a fair and stately palace--\n    Radiant palace--reared its head.\n"
    ) in text
    assert text.rstrip().endswith("nurse of the beautiful Halcyon--_Simonides_")
    assert "NOTES TO THIS VOLUME\n\nNotes -- Scheherezade\n\n(*1) The coralites.\n\n" in text
    assert "[_Quatrain composed for the gates of a market to be erected upon the site" in text
    for trace in ("Gutenberg", "GUTENBERG", "Redactor", "Widger", "Contents:"):
        assert trace not in text, trace
    assert not re.search(r"\w-\n", text)
    reasons = {drop.reason for drop in findings.drops}
    assert reasons == {"licence", "credits", "transcriber's note", "table of contents"}


def test_the_play_loses_its_small_print_and_no_line_of_its_own():
    lines = lines_of("as_you_like_it.txt")
    findings = Findings()
    kept = strip_boilerplate("as_you_like_it.txt", lines, findings, first=True, last=True)
    text = "\n".join(line.text for line in kept).strip()
    assert text.startswith("As you Like it\n\nActus primus. Scoena Prima.")
    assert text.endswith("FINIS. As you Like it.")
    first = next(line.number for line in kept if line.text.startswith("Actus primus"))
    assert [line for line in kept if line.number >= first] == lines[first - 1 :]
    assert {drop.reason for drop in findings.drops} == {"licence"}
