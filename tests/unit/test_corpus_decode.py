"""Bytes to text: what is read, what is repaired and said, what is refused."""

from __future__ import annotations

import gzip
import random

import pytest

from lmft.corpus.decode import Decoded, decode
from lmft.errors import CorpusError, InputError

CAFE = "Le café était fermé, hélas. La fenêtre était ouverte et l'été déjà passé.\n"
# Prose enough for a guess at the encoding: a few letters alone could be anything.
FRENCH = CAFE + "« Où êtes-vous ? » demanda le garçon à l'évêque, très étonné.\n" * 3


def test_utf8_is_taken_without_a_word():
    assert decode(CAFE.encode(), "a.txt") == Decoded(CAFE, ())


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8-sig", "decoded as utf-8-sig"),
        ("utf-16", "decoded as utf-16"),
        ("utf-32", "decoded as utf-32"),
    ],
)
def test_a_byte_order_mark_decides_and_is_no_text(encoding, note):
    decoded = decode(CAFE.encode(encoding), "a.txt")
    assert decoded.text == CAFE
    assert decoded.notes == (f"a.txt: {note}",)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf16_is_read_in_both_byte_orders(order):
    assert decode(("\ufeff" + CAFE).encode(order), "a.txt").text == CAFE


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
def test_an_old_encoding_is_guessed_and_said(encoding, text):
    assert decode(text.encode(encoding), "old.txt") == Decoded(
        text, (f"old.txt: decoded as {encoding}",)
    )


def test_mojibake_is_repaired_and_said():
    broken = FRENCH.encode().decode("latin-1")
    decoded = decode(broken.encode(), "a.txt")
    assert decoded.text == FRENCH
    assert decoded.notes == ("a.txt: repaired mojibake",)


@pytest.mark.parametrize(
    "text", ["“Ça va?” she said… naïvely — «bon».", "Ω≈ç√∫˜µ", "😀 \u200d 🦆", "Ã"]
)
def test_right_text_is_not_repaired(text):
    assert decode(text.encode(), "a.txt").text == text


def test_line_ends_become_one_kind():
    assert decode(b"one\r\ntwo\rthree\n", "a.txt").text == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty (0 bytes)"),
        (b" \r\n\t ", "only white space"),
        ("\ufeff".encode(), "only white space"),
        ("\ufeff \n".encode("utf-16-le"), "only white space"),
    ],
)
def test_a_file_without_text_is_a_corpus_error(data, says):
    with pytest.raises(CorpusError, match=r"a\.txt") as caught:
        decode(data, "a.txt")
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"abc\0def", "NUL byte at offset 3"),
        ("\ufeffabc\0def".encode(), "holds NUL"),
        (b"\xff\xfea\0b\0c", "wrong byte at offset 6"),
        (b"\xff\xfe\x00\xd8a\x00", "wrong byte at offset 2"),
        (b"\xef\xbb\xbfabc\xff", "wrong byte at offset"),
        (b"plain text, then \x81\x8d\x8f\x90\x01\x02\x03", "invalid UTF-8 at byte 17"),
    ],
)
def test_a_file_that_is_not_text_is_refused_with_the_place(data, says):
    with pytest.raises(InputError, match=r"a\.txt") as caught:
        decode(data, "a.txt")
    assert says in caught.value.message
    assert caught.value.hint


def test_archives_and_noise_are_refused_whatever_their_name():
    noise = random.Random(0).randbytes(20_000)
    for data in (gzip.compress(noise), noise.replace(b"\0", b"\x01"), b"\x89PNG\r\n\x1a\n" + noise):
        with pytest.raises(InputError, match="is not a text file"):
            decode(data, "picture.txt")
