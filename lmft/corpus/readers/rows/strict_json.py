"""JSON from strangers: what Python's parser lets through, or falls over, is a fault here."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import accumulate
from typing import Any

from lmft.corpus.source import display_name

MAX_DEPTH = 64
_KEY_CHARACTERS = 40

# A whole string in one match, in linear time whatever is in it; an unclosed one runs to the end.
STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_NO_BRACKET = re.compile(rf'[^][{{}}"]+|{STRING}', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_NUL_ESCAPE = re.compile(r"\\u0000")
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_ESCAPE = re.compile(f"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}")


class JsonFault(ValueError):
    """What is wrong with a text, in one line; `line` of the text, from 1, where that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text.

    Raises:
        JsonFault: malformed JSON; NaN, Infinity or a number too large to keep; a key twice in
            one object; objects and lists more than `max_depth` deep; half a surrogate pair or
            a NUL character in a string.
    """
    if _depth(text, max_depth) > max_depth:
        raise JsonFault(f"nested more than {max_depth} levels deep")
    try:
        value = _DECODER.decode(text)
    except JsonFault:
        raise
    except json.JSONDecodeError as error:
        reason = error.msg.rstrip(": ").removesuffix(" at").removesuffix(" starting")
        raise JsonFault(
            f"malformed JSON at column {error.colno}: {reason[:1].lower()}{reason[1:]}",
            error.lineno,
        ) from None
    except RecursionError:
        # Within `max_depth`, but the interpreter's own limit came first.
        raise JsonFault("nested too deep to be read") from None
    except ValueError:
        # int() refuses what would take it quadratic time.
        raise JsonFault("an integer of thousands of digits; give it as a string") from None
    _check_characters(text)
    return value


def shown_key(key: str) -> str:
    """A key from a file for a message: short, and harmless to print."""
    return display_name(key if len(key) <= _KEY_CHARACTERS else f"{key[:_KEY_CHARACTERS]}...")


def _depth(text: str, enough: int) -> int:
    """How deep the text nests, or anything up to `enough`; never recurses, reads no strings."""
    if (n_openings := text.count("[") + text.count("{")) <= enough:
        return n_openings
    brackets = _NO_BRACKET.sub("", text)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise JsonFault(f"the key `{shown_key(twice)}` occurs twice in one object; keep one")
    return value


def _constant(name: str) -> float:
    raise JsonFault(f"{name} is not JSON; give null or a number")


def _real(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise JsonFault("a number larger than any float; give it as a string")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_real)


def _check_characters(text: str) -> None:
    """`text` is valid JSON: a backslash is in a string, and escapes what follows."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _wrong_character(text, error.start, "half a surrogate pair") from None
    if not _SUSPECT_ESCAPE.search(text):
        return
    # An escaped backslash may stand before a `u`, or between two halves.
    escapes = text.replace("\\\\", "  ")
    if nul := _NUL_ESCAPE.search(escapes):
        raise _wrong_character(text, nul.start(), "a NUL character")
    if lone := _LONE_ESCAPE.search(escapes):
        raise _wrong_character(text, lone.start(), "half a surrogate pair")


def _wrong_character(text: str, index: int, what: str) -> JsonFault:
    column = index - text.rfind("\n", 0, index)
    return JsonFault(
        f"{what} at column {column}, which is no text; remove it", text.count("\n", 0, index) + 1
    )
