"""Bytes to text: what is read, what is said of it, what is refused and where."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import CHUNK_BYTES, Encoding, Unreadable, find_encoding, read_lines

relaxed = settings(deadline=None, max_examples=100)

CAFE = "Le café était fermé, hélas. La fenêtre était ouverte et l'été déjà passé.\n"
# Prose enough for a guess at the encoding: a few letters alone could be anything.
FRENCH = CAFE + "« Où êtes-vous ? » demanda le garçon à l'évêque, très étonné.\n" * 3
UTF8 = Encoding("utf-8", "")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.txt"


def lines_of(file, data: bytes) -> list[str]:
    file.write_bytes(data)
    return list(read_lines(file, find_encoding(file)))


def refusal(file, data: bytes) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        lines_of(file, data)
    return caught.value


def test_utf8_is_taken_without_a_word(file):
    file.write_bytes(CAFE.encode())
    assert find_encoding(file) == UTF8
    assert list(read_lines(file, UTF8)) == [CAFE.strip()]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_is_said_and_is_no_text(file, encoding):
    assert lines_of(file, CAFE.encode(encoding)) == [CAFE.strip()]
    assert encoding in find_encoding(file).note


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf16_is_read_in_both_byte_orders(file, order):
    assert lines_of(file, ("\ufeff" + CAFE).encode(order)) == [CAFE.strip()]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", FRENCH),
        ("cp1252", "It’s cold. You light the lamp.\n"),
        ("cp1252", "“You can’t,” she said — and she wasn’t laughing.\n" * 9),
        ("cp1252", "Über den Dächern läuteten Glocken. „Grüß Gott“, sagte der Müller.\n" * 3),
        ("cp1252", "Det var en gång en gammal kung. Där åt han äpplen på sin ö.\n" * 3),
        ("cp1250", "Wieczorem król poszedł do lasu, żeby znaleźć świętą łódź.\n" * 3),
        ("cp1251", "Однажды вечером король пошёл в лес искать старую лодку.\n" * 3),
        ("cp932", "昔々あるところに、おじいさんとおばあさんが住んでいました。\n" * 3),
        ("gb18030", "从前有一座山,山上有一座庙,庙里有一个老和尚在讲故事。\n" * 3),
    ],
)
def test_an_old_encoding_is_guessed_and_said(file, encoding, text):
    assert "\n".join(lines_of(file, text.encode(encoding))) + "\n" == text
    assert encoding in find_encoding(file).note


def test_the_guess_looks_where_the_odd_bytes_are(file):
    plain = b"Nothing but plain letters here.\n" * (2 * CHUNK_BYTES // 32)
    assert lines_of(file, plain + FRENCH.encode("cp1252"))[-1] == FRENCH.splitlines()[-1]


def test_line_ends_become_one_kind(file):
    assert lines_of(file, b"one\r\ntwo\rthree\n\nfour") == ["one", "two", "three", "", "four"]


@relaxed
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")))
def test_whatever_the_text_its_lines_are_the_text(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("decode") / "a.txt"
    file.write_text(text, encoding="utf-8", newline="\n")
    assert "\n".join(read_lines(file, UTF8)) == text.removesuffix("\n")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("letter", ["é", "“", "🦆"])
def test_letters_and_line_ends_survive_the_seams_between_chunks(file, ending, letter):
    for shift in range(4):
        text = "x" * (CHUNK_BYTES - 4 + shift) + letter * 3 + ending + letter
        assert lines_of(file, text.encode()) == text.split(ending)


@pytest.mark.parametrize(
    ("data", "says", "byte"),
    [
        (b"", "empty (0 bytes)", None),
        (b"abc\0def", "NUL byte", 3),
        (b"a" * CHUNK_BYTES + b"\0", "NUL byte", CHUNK_BYTES),
        (CAFE.encode("utf-16-le"), "UTF-16 without a byte order mark", 1),
        (b"\xff\xfea\0b\0c", "does not have", 6),
        (b"\xff\xfe\x00\xd8a\x00", "does not have", 2),
        (b"\xef\xbb\xbfabc\xff", "does not have", 6),
        (b"plain text, then \x81\x8d\x8f\x90\x01\x02\x03", "invalid UTF-8", 17),
    ],
)
def test_what_is_not_text_is_refused_with_the_place(file, data, says, byte):
    error = refusal(file, data)
    assert says in error.message
    assert error.byte == byte


def test_a_nul_after_a_mark_is_refused_with_its_line(file):
    error = refusal(file, "\ufeffone\ntwo\nth\0ree".encode())
    assert "NUL" in error.message
    assert error.line == 3


def test_wrong_bytes_in_utf8_are_no_other_encoding(file):
    data = FRENCH.encode() * 3 + "“Fin.”".encode("cp1252")
    error = refusal(file, data)
    assert "invalid UTF-8 in a file that else is UTF-8" in error.message
    assert error.byte == len(FRENCH.encode() * 3)


def test_noise_is_refused(file):
    noise = random.Random(0).randbytes(20_000).replace(b"\0", b"\x01")
    assert "invalid UTF-8" in refusal(file, noise).message


def test_a_line_without_end_is_refused_at_the_cap_and_never_held_whole(file):
    import tracemalloc

    with file.open("wb") as out:
        out.write(b"short\n")
        for _ in range(64):
            out.write(b"x" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="a line of more than 16 million") as caught:
            list(read_lines(file, UTF8))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.line == 2
    assert peak < 48 << 20
