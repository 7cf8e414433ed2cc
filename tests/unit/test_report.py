"""The corpus report: the page, the terminal's summary and tokens, and the JSON."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import re

import lxml.html
import pytest
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from lmft.corpus.info import (
    Bin,
    CastInfo,
    CorpusInfo,
    DropCount,
    DropInfo,
    DuplicateInfo,
    FileInfo,
    PersonInfo,
    SecretInfo,
    SideInfo,
    SpeakerInfo,
)
from lmft.corpus.survey.coverage import Coverage, Script
from lmft.dataset.preflight import GAP, Preflight, ShownDocument, ShownToken, SideCount
from lmft.report.html import render_html
from lmft.report.json_report import as_json
from lmft.report.plain import octave, percent, size, visible
from lmft.report.terminal import print_summary
from lmft.report.terminal_tokens import print_tokens

relaxed = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
HASH = "0123456789abcdef" * 4


def side(documents: int, parts: int, n_bytes: int) -> SideInfo:
    return SideInfo(n_documents=documents, n_parts=parts, n_bytes=n_bytes, sha256=HASH)


def corpus(**changes: object) -> CorpusInfo:
    """Every optional part empty but for `changes`."""
    info = CorpusInfo(
        kind="story",
        hash=HASH,
        n_documents=0,
        heldout_share=0.1,
        split_by="scene",
        files=(),
        train=side(0, 0, 0),
        heldout=side(0, 0, 0),
        cast=None,
        speakers=(),
        person=PersonInfo(person=None, first=0, second=0, third=0),
        languages={},
        lengths=(),
        characters={},
        secrets=(),
        n_duplicates=0,
        duplicates=(),
        dropped=(),
        drops=(),
        n_faults=0,
        faults=(),
        notes=(),
    )
    return info.model_copy(update=changes)


def tokens(*texts: str, trained: bool = True) -> tuple[ShownToken, ...]:
    return tuple(ShownToken(text, trained) for text in texts)


START = ShownToken("<s>", trained=False, is_start=True)
EOS = ShownToken("<|endoftext|>", trained=True, is_eos=True)


def full(text: str = "x") -> tuple[CorpusInfo, Preflight]:
    """Every part there, and `text` in every field that holds a person's text."""
    info = corpus(
        kind="chat",
        hash=text,
        files=(
            FileInfo(
                name=text,
                n_bytes=1_234_567,
                reader=text,
                reason=text,
                kinds=("chat",),
                n_documents=9,
            ),
        ),
        n_documents=1_205,
        train=side(1_100, 2_200, 3_300_000),
        heldout=side(110, 220, 330_000),
        cast=CastInfo(model=text, you=text, others=(text, text), reason=text),
        speakers=(SpeakerInfo(name=text, turns=4_321, n_bytes=77_000),),
        person=PersonInfo(person="second", first=1, second=5_001, third=3),
        languages={text: 0.75},
        lengths=(Bin(from_bytes=1024, count=3), Bin(from_bytes=8192, count=1)),
        characters={"a": 5},
        secrets=(SecretInfo(kind=text, count=13, places=(text,)),),
        n_duplicates=1_414,
        duplicates=(DuplicateInfo(source=text, of=text),),
        dropped=(DropCount(reason=text, places=1_515, n_characters=16_161),),
        drops=(
            DropInfo(
                file=text, reason=text, first_line=17, last_line=1_818, n_characters=9, excerpt=text
            ),
        ),
        n_faults=1_919,
        faults=(text,),
        notes=(text,),
    )
    preflight = Preflight(
        base=text,
        context_length=1024,
        train=SideCount(1_000_000, 620_000),
        heldout=SideCount(101_010, 60_606),
        bytes_per_token=3.456,
        longest_source=text,
        longest_tokens=20_202,
        n_over_context=21,
        coverage=Coverage(5, 0.8, (Script(text, 5, 0.2, 2.5),)),
        shown=(
            ShownDocument(
                text, 500, (*tokens(text, trained=False), *tokens(text), GAP, *tokens("z"), EOS)
            ),
        ),
        refusals=(text,),
        warnings=(text,),
    )
    return info, preflight


def soup(info: CorpusInfo, preflight: Preflight) -> BeautifulSoup:
    return BeautifulSoup(render_html(info, preflight), "lxml")


def words(page: BeautifulSoup) -> str:
    return " ".join(page.get_text().split())


def printed(info: CorpusInfo, preflight: Preflight, **options: object) -> str:
    console = Console(file=io.StringIO(), width=80, **options)  # type: ignore[arg-type]
    print_tokens(preflight, console)
    print_summary(info, preflight, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


# Units


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 KB"),
        (99_940, "99.9 KB"),
        (99_960, "100 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (148_000_000, "148 MB"),
        (2_310_000_000, "2.3 GB"),
        (5_000_000_000_000_000, "5,000 TB"),
    ],
)
def test_sizes_have_the_unit_that_reads_best(n_bytes, shown):
    assert size(n_bytes) == shown


def test_octaves_are_binary():
    assert [octave(1 << power) for power in (0, 9, 10, 23)] == ["1 B", "512 B", "1 KiB", "8 MiB"]


def test_nothing_and_all_are_said_only_of_nothing_and_all():
    shares = (0, 0.0001, 0.01, 0.624, 0.994, 0.9999, 1)
    assert [percent(share) for share in shares] == ["0%", "<1%", "1%", "62%", "99%", ">99%", "100%"]


# Safe text


def test_what_cannot_be_seen_is_shown_by_its_number():
    assert visible("a\u202eb\x1b[31m\u200b\ud800\n\t") == (
        "a⟨U+202E⟩b⟨U+001B⟩[31m⟨U+200B⟩⟨U+D800⟩↵⇥"
    )


def test_letters_quotes_and_joined_emoji_stay():
    text = "“Schön, Казань”\u00a0雪 می\u200cخواهم 👩\u200d🚀 é"
    assert visible(text) == text


any_text = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=1>",
        "</title>",
        "</style><b>",
        "[bold]",
        "&amp;",
    ]
)


def shape(page: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every element with its attributes, but for return marks: text may have line ends."""
    return [
        (element.tag, sorted(element.items()))
        for element in lxml.html.document_fromstring(page).iter()
        if element.get("class") != "mark"
    ]


PLAIN = shape(render_html(*full()))


@given(text=any_text)
@relaxed
def test_any_text_in_any_field_stays_text(text):
    page = render_html(*full(text))
    assert shape(page) == PLAIN, "the text made or broke an element or an attribute"
    boxes = lxml.html.document_fromstring(page).iter("bdi")
    assert [box.text_content() for box in boxes].count(visible(text)) >= 20


@given(text=any_text)
@relaxed
def test_a_lone_surrogate_or_any_control_can_be_written_and_printed(text):
    _, preflight = full(text)
    render_html(corpus(), preflight).encode()
    shown = printed(corpus(), preflight)
    assert "\x1b" not in shown
    shown.encode()


def test_markup_of_the_terminal_is_not_obeyed():
    assert "[bold red]x[/]" in printed(*full("[bold red]x[/]"))


# Secrets


def test_what_is_personal_is_masked_in_every_field():
    info, preflight = full("a@example.org")
    # The tokens are masked by who cuts them: half an address in a token is none.
    preflight = dataclasses.replace(preflight, shown=())
    for shown in (soup(info, preflight).get_text(), printed(info, preflight)):
        assert "example" not in shown
        assert shown.count("•" * 13) >= 10


# The page


def test_the_page_loads_nothing_and_runs_nothing():
    text = render_html(*full("http://example.com/x.png"))
    page = BeautifulSoup(text, "lxml")
    assert not page.find_all(["script", "link", "img", "iframe", "object", "a", "form", "base"])
    assert not [name for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")]
    assert not re.search(r"url\(|@import|src=|href=", text)
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_same_input_same_bytes():
    assert render_html(*full()) == render_html(*full())


def test_each_cell_carries_its_head_for_narrow_screens():
    file = FileInfo(
        name="a.txt",
        n_bytes=9,
        reader="text",
        reason="plain text",
        kinds=("story",),
        n_documents=1,
    )
    page = soup(corpus(files=(file,)), Preflight("embedded", 1024))
    table = page.find("caption", string="What was made of each file").parent
    heads = [head.get_text() for head in table.thead.find_all("th")]
    assert [cell["data-head"] for cell in table.tbody.find_all("td")] == heads[1:]
    style = page.find("style").get_text()
    assert "attr(data-head)" in style.partition("@media (max-width: 30rem)")[2]


def test_headings_are_in_order_and_tables_have_heads():
    page = soup(*full())
    assert page.html["lang"] == "en"
    levels = [int(tag.name[1]) for tag in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for table in page.find_all("table"):
        assert table.caption.get_text()
        assert all(row.find("th", scope=True) for row in table.find_all("tr"))


def test_the_sections_come_in_the_order_in_which_a_person_asks():
    assert [tag.get_text() for tag in soup(*full()).find_all("h2")] == [
        "Refused: this must not be trained on",
        "Numbers",
        "Files",
        "Who plays whom",
        "What the model will see",
        "Length of documents",
        "Languages",
        "Person",
        "Letters",
        "Left out on purpose",
        "Duplicates",
        "Secrets and personal data",
        "Bad input, left out",
        "Notes",
    ]


def test_with_every_optional_part_empty_only_the_verdict_and_the_numbers_are_left():
    preflight = Preflight("embedded", 1024)
    page = soup(corpus(), preflight)
    assert [tag.get_text() for tag in page.find_all("h2")] == ["Ready to train", "Numbers"]
    assert printed(corpus(), preflight).rstrip().endswith("Ready to train.")


def test_the_numbers_are_right():
    shown = words(soup(*full("name")))
    for number in (
        "1,205 chat documents from 1 file",
        "1,100 to train on, 110 held out; in 2,200 and 220 parts",
        "3.3 MB",
        "330 KB",
        "1,000,000 tokens",
        "101,010 tokens",
        "62%",
        "620,000 of 1,000,000 to train on",
        "3.46",
        "20,202 tokens",
        "21 longer than the context of 1,024",
        "9% held out",
        "4,321 turns, 77.0 KB",
        "5,001 pronouns",
        "75%",
        "1,414 parts left out",
        "1,515 places, 16,161 characters",
        "17 to 1,818",
        "1,919 faults",
        "and 1,918 more.",
    ):
        assert number in shown


def test_the_histogram_has_its_gaps_and_bars_of_the_right_length():
    page = soup(*full())
    caption = page.find("caption", string="Documents by their length")
    rows = caption.find_parent("table").find_all("tr")
    assert [words(row.th) for row in rows] == [
        "1 KiB to 2 KiB",
        "2 KiB to 4 KiB",
        "4 KiB to 8 KiB",
        "8 KiB to 16 KiB",
    ]
    assert [row.find("span")["style"] if row.find("span") else None for row in rows] == [
        "width:100.0%",
        None,
        None,
        "width:33.3%",
    ]


def test_every_refusal_and_warning_is_said_on_the_page_and_on_the_terminal():
    preflight = Preflight(
        "embedded", 1024, refusals=("no token to learn", "a leak"), warnings=("too long",)
    )
    verdict = soup(corpus(), preflight).find(class_="verdict")
    assert verdict.h2.get_text() == "Refused: this must not be trained on"
    assert [tag.get_text() for tag in verdict.find_all("li")] == [
        "no token to learn",
        "a leak",
        "too long",
    ]
    lines = printed(corpus(), preflight).rstrip().splitlines()
    assert [line.rstrip() for line in lines[-4:]] == [
        "Warning  too long",
        "Refused  no token to learn",
        "Refused  a leak",
        "Refused: must not be trained on, 2 reasons.",
    ]


def test_warnings_alone_do_not_refuse():
    preflight = Preflight("embedded", 1024, warnings=("too long",))
    assert soup(corpus(), preflight).h2.get_text() == "Ready to train, with warnings"
    assert "Ready to train, with 1 warning." in printed(corpus(), preflight)


def test_long_lists_are_capped_and_the_rest_is_counted():
    drops = tuple(
        DropInfo(
            file="a.txt",
            reason="page number",
            first_line=n,
            last_line=n,
            n_characters=2,
            excerpt="9",
        )
        for n in range(1, 201)
    )
    files = tuple(
        FileInfo(name=f"{n}.txt", n_bytes=1, reader="text", reason="", kinds=(), n_documents=1)
        for n in range(1_200)
    )
    dropped = (DropCount(reason="page number", places=312, n_characters=624),)
    info = corpus(files=files, drops=drops, dropped=dropped)
    shown = words(soup(info, Preflight("embedded", 1024)))
    assert "and 287 more." in shown
    assert "and 1,100 more." in shown
    assert "and 1,196 more files" in printed(info, Preflight("embedded", 1024))


def test_why_a_file_was_read_so_reads_well_for_what_it_has_and_for_what_it_is():
    files = tuple(
        FileInfo(name=name, n_bytes=1, reader=reader, reason=why, kinds=("story",), n_documents=1)
        for name, reader, why in (("a", "text", "plain text"), ("b", "PDF", "begins as PDFs do"))
    )
    info, preflight = corpus(files=files), Preflight("embedded", 1024)
    table = soup(info, preflight).find("caption", string="What was made of each file").parent
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table("tr")]
    assert [row[2:4] for row in rows] == [
        ["Read as", "Why"],
        ["text", "plain text"],
        ["PDF", "begins as PDFs do"],
    ]
    lines = [line.strip() for line in printed(info, preflight).splitlines()]
    assert {"text: plain text", "PDF: begins as PDFs do"} <= set(lines)


def test_text_in_no_known_language_is_said_in_words():
    info = corpus(languages={"en": 0.998, "unknown": 0.002})
    rows = soup(info, Preflight("embedded", 1024)).find("table", class_="bars").find_all("tr")
    assert [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows] == [
        ["en", "", ">99%"],
        ["too short or too mixed to tell", "", "<1%"],
    ]


def test_a_script_that_the_base_hardly_knows_is_said_in_a_sentence():
    scripts = (Script("LATIN", 90, 1.0, 1.0), Script("CYRILLIC", 10, 0.0, 2.0))
    preflight = Preflight("embedded", 1024, coverage=Coverage(100, 0.9, scripts))
    shown = words(soup(corpus(), preflight))
    assert "Cyrillic: embedded hardly knows these characters" in shown
    assert "Latin: embedded" not in shown
    assert "90% of 100 characters" in shown


# Tokens


CHAT = Preflight(
    "embedded",
    1024,
    shown=(
        ShownDocument(
            "log.txt:7",
            10,
            (
                START,
                *tokens("Ann", ":", " Hi", "\n", "Bo", ":", trained=False),
                *tokens(" Hello", "\n\n"),
                EOS,
            ),
        ),
    ),
)


def test_the_page_shows_each_token_its_mask_line_ends_and_start_and_end_of_text():
    box = soup(corpus(), CHAT).find(class_="tokens")
    assert [
        (run["class"][0], [token.get_text() for token in run.find_all("i")])
        for run in box.find_all("span")
    ] == [
        ("context", ["START", "Ann", ":", " Hi", "↵\n", "Bo", ":"]),
        ("learnt", [" Hello", "↵\n↵\n", "EOS"]),
    ]
    assert [mark.get_text() for mark in box.find_all(class_="eos")] == ["START", "EOS"]
    legend = words(soup(corpus(), CHAT))
    assert "START start of a text, the token <s>, EOS end of text, the token <|endof" in legend


def test_learnt_and_context_differ_by_more_than_colour():
    style = soup(corpus(), CHAT).style.get_text()
    assert re.search(r"\.learnt i \{[^}]*border-bottom: 2px solid", style)
    assert re.search(r"\.context i \{[^}]*font-style: italic", style)


def test_what_is_left_out_of_a_long_document_is_counted():
    document = ShownDocument("a.txt", 1_003, (*tokens("a"), GAP, *tokens("b"), EOS))
    preflight = Preflight("embedded", 1024, shown=(document,))
    assert soup(corpus(), preflight).find(class_="gap").get_text() == "1,000 tokens not shown here"
    assert "(1,000 tokens not shown here)" in printed(corpus(), preflight)


def test_without_colours_the_mask_is_in_the_text():
    lines = printed(corpus(), CHAT).splitlines()
    start = lines.index("log.txt:7, 10 tokens")
    assert lines[start + 1 : start + 5] == [
        "‹<START>|Ann|:| Hi|↵",
        "|Bo|:›| Hello|↵",
        "↵",
        "|<EOS>|",
    ]


def test_with_colours_neighbouring_tokens_have_other_shades(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = printed(corpus(), CHAT, force_terminal=True, color_system="truecolor")
    line = next(line for line in shown.splitlines() if "Hello" in line)
    assert "‹" not in shown
    assert line.count("\x1b[38;2;255;255;255;48;2;") == 2
    assert "\x1b[2;3mAnn\x1b[0m\x1b[2m:\x1b[0m" in shown


def test_no_color_is_obeyed_on_a_terminal():
    shown = printed(corpus(), CHAT, force_terminal=True, color_system="truecolor", no_color=True)
    assert "‹<START>|Ann|:| Hi|↵" in shown
    assert "38;2" not in shown


# The terminal


def test_the_summary_fits_a_terminal():
    info, preflight = full("a long name that goes on and on " * 5)
    shown = printed(info, preflight)
    assert max(len(line) for line in shown.splitlines()) <= 80
    console = Console(file=io.StringIO(), width=80)
    print_summary(*full("novel.txt"), console)
    assert len(console.file.getvalue().splitlines()) <= 40  # type: ignore[attr-defined]


def test_the_summary_has_the_numbers():
    shown = " ".join(printed(*full("name")).split())
    for number in (
        "name 1.2 MB, 9 documents name: name",
        "1,100 to train on, 110 held out (split by scene)",
        "chat, 3.3 MB to train on, 330 KB held out",
        "1,000,000 (62% learnt), 101,010 held out; 3.46 bytes each",
        "20,202 tokens, context 1,024; name",
        "1 KiB █ ▃ 16 KiB",
        "4,321 turns, you",
        "name: 1,515 places, 16,161 characters",
        "1,414 duplicates",
        "bad input: 1,919 faults",
        "name: 13 times",
    ):
        assert number in shown


# JSON


def test_json_comes_back_as_it_was():
    info, preflight = full("“é”\n")
    out = as_json(info, preflight)
    back = json.loads(json.dumps(out))
    assert back == out
    assert CorpusInfo.model_validate(back["corpus"]) == info
    assert list(out) == ["ready", "refusals", "warnings", "corpus", "tokens"]
    assert (out["ready"], out["refusals"], out["warnings"]) == (False, ["“é”\n"], ["“é”\n"])
    assert out["tokens"]["train"] == {"n_tokens": 1_000_000, "n_trained": 620_000}
    shown = out["tokens"]["shown"][0]
    assert shown["n_tokens"] == 500
    assert shown["tokens"][-1] == {
        "text": "<|endoftext|>",
        "trained": True,
        "is_eos": True,
        "is_start": False,
    }
    assert as_json(corpus(), Preflight("embedded", 1024))["ready"] is True
