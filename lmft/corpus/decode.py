"""Bytes to text: strict where it can be, a reasoned guess where it must be, never silent.

A file is never held whole: its encoding is found in one pass, its text comes in a second.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import charset_normalizer

CHUNK_BYTES = 1 << 20
MAX_LINE_CHARACTERS = 16 << 20
_GUESS_BYTES = 1 << 20

# Longest first: the UTF-32 little-endian mark begins with the UTF-16 one.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What old text files really are; the longer the list, the wilder the guess.
_COMMONEST = "cp1252"
_ENCODINGS = (
    *("cp1250", "cp1251", _COMMONEST, "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859_2", "koi8_r", "koi8_u", "cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_TIDY_MARGIN = 0.05


class Unreadable(Exception):
    """A whole file that cannot be used: what is wrong, and where if that is known."""

    def __init__(self, message: str, *, line: int | None = None, byte: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.byte = byte


class Encoding(NamedTuple):
    """Python's name of an encoding, and what to tell the person (empty for plain UTF-8)."""

    label: str
    note: str


def find_encoding(path: Path) -> Encoding:
    """Read the file once and say how to decode it.

    Raises:
        Unreadable: 0 bytes, a NUL byte, or bytes that no encoding explains.
    """
    with path.open("rb") as file:
        head = file.read(4)
        if not head:
            raise Unreadable("the file is empty (0 bytes)")
        for mark, label in MARKS:
            if head.startswith(mark):
                return Encoding(label, f"decoded as {label} (byte order mark)")
        file.seek(0)
        wrong = _first_wrong_byte(file)
        if wrong is None:
            return Encoding("utf-8", "")
        file.seek(max(0, wrong - _GUESS_BYTES // 2))
        sample = file.read(_GUESS_BYTES)
    if _is_broken_utf8(sample):
        raise Unreadable("invalid UTF-8 in a file that else is UTF-8; save it again", byte=wrong)
    guess = _guess(sample)
    # A guess that leaves control characters is a picture or an archive, not prose.
    if guess is None or _has_control_characters(str(guess)):
        raise Unreadable("invalid UTF-8, and no other encoding fits; save it as UTF-8", byte=wrong)
    # Where no byte tells them apart, say the name that people know.
    label = _COMMONEST if _COMMONEST in guess.could_be_from_charset else guess.encoding
    return Encoding(label, f"decoded as {label} (a guess: it is not UTF-8 from byte {wrong} on)")


def _first_wrong_byte(file: io.BufferedReader) -> int | None:
    """Offset of the first byte that is not UTF-8; a NUL, which is no text at all, raises."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    while True:
        chunk = file.read(CHUNK_BYTES)
        if (nul := chunk.find(b"\0")) >= 0:
            zeros = chunk[:4096].count(0)
            looks_wide = zeros * 3 > len(chunk[:4096])
            advice = (
                "it looks like UTF-16 without a byte order mark; save it as UTF-8"
                if looks_wide
                else "this is not a text file"
            )
            raise Unreadable(f"NUL byte: {advice}", byte=offset + nul)
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            return offset - pending + error.start
        offset += len(chunk)
        if not chunk:
            return None


def read_lines(path: Path, encoding: Encoding) -> Iterator[str]:
    """The lines without their ends; `\\r\\n` and a lone `\\r` are line ends too.

    Raises:
        Unreadable: a byte that the encoding does not have, a NUL, or a line of more than
            MAX_LINE_CHARACTERS.
    """
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    number, rest = 1, ""
    with path.open("rb") as file:
        for text in _chunks(file, encoding.label):
            if "\0" in text:
                line = number + (rest + text[: text.index("\0")]).count("\n")
                raise Unreadable("NUL character: this is not a text file", line=line)
            lines = (rest + newlines.decode(text)).split("\n")
            rest = lines.pop()
            number += len(lines)
            yield from lines
            if len(rest) > MAX_LINE_CHARACTERS:
                raise Unreadable(
                    f"a line of more than {MAX_LINE_CHARACTERS >> 20} million characters; "
                    "break it into lines",
                    line=number,
                )
    rest += newlines.decode("", final=True)
    if rest:
        yield from rest.split("\n")


def read_text(path: Path, encoding: Encoding) -> str:
    """The whole text with `\n` line ends, however long its lines. Raises Unreadable."""
    with path.open("rb") as file:
        text = "".join(_chunks(file, encoding.label))
    if "\0" in text:
        line = 1 + text.count("\n", 0, text.index("\0"))
        raise Unreadable("NUL character: this is not a text file", line=line)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _chunks(file: io.BufferedReader, label: str) -> Iterator[str]:
    offset = 0
    if label == "utf-8-sig":
        # Its decoder counts from behind the mark, ours counts the file's bytes.
        label, offset = "utf-8", file.seek(len(codecs.BOM_UTF8))
    decoder = codecs.getincrementaldecoder(label)()
    while chunk := file.read(CHUNK_BYTES):
        yield _decoded(decoder, chunk, offset, label)
        offset += len(chunk)
    yield _decoded(decoder, b"", offset, label)


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, offset: int, label: str) -> str:
    pending = len(decoder.getstate()[0])
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"a byte that {label} does not have; save the file as UTF-8",
            byte=offset - pending + error.start,
        ) from error


def _is_broken_utf8(sample: bytes) -> bool:
    """Whether more letters beyond ASCII are right as UTF-8 than wrong: in no other encoding do
    bytes form so many of its sequences by chance."""
    text = sample.decode("utf-8", errors="replace")
    n_wrong = text.count("\ufffd")
    n_beyond = sum(not character.isascii() for character in text) - n_wrong
    return n_beyond > n_wrong


def _guess(data: bytes) -> charset_normalizer.CharsetMatch | None:
    """The encoding that gives the most language, the commonest one where several tie.

    charset-normalizer's own best is the one with the fewest odd characters, of any encoding
    there is: French in cp1252 becomes Baltic, and a lone `’` a Chinese character.
    """
    matches = charset_normalizer.from_bytes(data, cp_isolation=list(_ENCODINGS))
    best = matches.best()
    if best is None:
        return None
    tidy = [match for match in matches if match.chaos <= best.chaos + _TIDY_MARGIN]
    return max(tidy, key=lambda match: (match.coherence, _COMMONEST in match.could_be_from_charset))


def _has_control_characters(text: str) -> bool:
    return any(ord(character) < 32 and character not in "\t\n\r\f" for character in text)
