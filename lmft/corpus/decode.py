"""Bytes to text: strict where it can be, a reasoned guess where it must be, never silent."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import charset_normalizer
import ftfy

from lmft.errors import CorpusError, InputError

# Longest first: the UTF-32 little-endian mark begins with the UTF-16 one.
_MARKS = (
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


@dataclass(frozen=True)
class Decoded:
    """Text with `\\n` line ends, and what had to be done to get it (empty: nothing)."""

    text: str
    notes: tuple[str, ...]


def decode(data: bytes, name: str) -> Decoded:
    """Decode one file's bytes; `name` only appears in messages.

    Raises:
        CorpusError: the file is empty.
        InputError: it is not text (NUL bytes, or bytes that no encoding explains).
    """
    if not data:
        raise CorpusError(f"{name} is empty (0 bytes).", "Give a file with text in it.")
    encoding = next((label for mark, label in _MARKS if data.startswith(mark)), None)
    notes: list[str] = []
    if encoding is None:
        if (nul := data.find(b"\0")) >= 0:
            raise InputError(
                f"{name} is not a text file (NUL byte at offset {nul}).",
                "Give plain text; export documents as .txt first.",
            )
        text, encoding = _decode_unmarked(data, name)
    else:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name} says it is {encoding} but has a wrong byte at offset {error.start}.",
                "Save it again as UTF-8.",
            ) from error
    if "\0" in text:
        raise InputError(
            f"{name} is not a text file (it is {encoding}, but holds NUL characters).",
            "Give plain text; export documents as .txt first.",
        )
    if encoding != "utf-8":
        notes.append(f"{name}: decoded as {encoding}")
    repaired = ftfy.fix_encoding(text)
    if repaired != text:
        notes.append(f"{name}: repaired mojibake")
    text = repaired.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise CorpusError(f"{name} holds only white space.", "Give a file with text in it.")
    return Decoded(text, tuple(notes))


def _decode_unmarked(data: bytes, name: str) -> tuple[str, str]:
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        offset = error.start
    guess = _guess(data)
    # A guess that leaves control characters is a picture or an archive, not prose.
    if guess is None or _has_control_characters(text := str(guess)):
        raise InputError(
            f"{name} is not a text file (invalid UTF-8 at byte {offset}, no other encoding fits).",
            "Give plain text, saved as UTF-8.",
        )
    # Where no byte tells them apart, say the name that people know.
    return text, _COMMONEST if _COMMONEST in guess.could_be_from_charset else guess.encoding


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
