"""The local engine's text: whole characters, and stop strings that nobody sees."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from lmft.paths import EMBEDDED_BASE
from serving.engine.local.text import GrowingText


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(EMBEDDED_BASE / "tokenizer.json"))


def said(
    tokenizer: Tokenizer, text: str, stops: tuple[str, ...] = (), min_tokens: int = 0
) -> tuple[list[str], str | None]:
    """What comes out, token by token, until a stop string or the end."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    growing = GrowingText(tokenizer, [], stops, min_tokens)
    out = []
    for number, token in enumerate(ids, 1):
        growing.add(token)
        done = growing.stop is not None or number == len(ids)
        out.append(growing.take(finished=done))
        if done:
            break
    return out, growing.stop


@pytest.mark.parametrize(
    "text", [" plain words", " naïve 🦊🦊 – “quoted”", "日本語の本", "a\u2028b", "é" * 9]
)
def test_the_pieces_are_the_text_and_no_character_is_torn(tokenizer: Tokenizer, text: str) -> None:
    pieces, stop = said(tokenizer, text)
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces)
    assert stop is None


def test_a_character_of_several_tokens_comes_with_the_last_of_them(tokenizer: Tokenizer) -> None:
    n_tokens = len(tokenizer.encode("🦊", add_special_tokens=False).ids)
    assert n_tokens > 1
    assert said(tokenizer, "🦊")[0] == [""] * (n_tokens - 1) + ["🦊"]


def test_bytes_that_are_no_text_break_nothing(tokenizer: Tokenizer) -> None:
    torn = tokenizer.encode("🦊", add_special_tokens=False).ids[0]
    growing = GrowingText(tokenizer, [], (), 0)
    whole = tokenizer.encode(" fox", add_special_tokens=False).ids
    for token in (torn, torn, torn, torn, *whole):
        growing.add(token)
    assert growing.take(finished=True).endswith(" fox")


def test_a_first_word_after_a_prompt_keeps_its_space(tokenizer: Tokenizer) -> None:
    prompt = tokenizer.encode("The", add_special_tokens=False).ids
    growing = GrowingText(tokenizer, prompt, (), 0)
    for token in tokenizer.encode(" rain", add_special_tokens=False).ids:
        growing.add(token)
    assert growing.take(finished=True) == " rain"


def test_a_stop_string_across_tokens_is_cut_off_and_never_begun(tokenizer: Tokenizer) -> None:
    pieces, stop = said(tokenizer, "He went away.\n> look around and more", ("\n> look",))
    assert stop == "\n> look"
    assert "".join(pieces) == "He went away."
    assert all("\n" not in piece for piece in pieces)


def test_what_only_looked_like_a_stop_string_is_said_in_the_end(tokenizer: Tokenizer) -> None:
    text = "He went away.\n> loo"
    pieces, stop = said(tokenizer, text, ("\n> look",))
    assert stop is None
    assert "".join(pieces) == text


@pytest.mark.parametrize("length", range(1, 40))
def test_however_long_a_stop_string_is_nothing_is_said_twice_or_too_early(
    tokenizer: Tokenizer, length: int
) -> None:
    text = " I see The End. And so on it goes"
    for stop in (f"{text} for ever"[:length] + "!", f"{text} for ever"[1 : length + 1] + "!"):
        assert "".join(said(tokenizer, text, (stop,))[0]) == text


def test_a_stop_string_at_the_very_beginning_is_never_begun(tokenizer: Tokenizer) -> None:
    pieces, stop = said(tokenizer, "The End. And so on", ("The End.",))
    assert stop == "The End."
    assert "".join(pieces) == ""


def test_of_two_stop_strings_the_one_that_is_complete_first_ends_the_text(
    tokenizer: Tokenizer,
) -> None:
    pieces, stop = said(tokenizer, "one two three four", ("two three", "wo"))
    assert stop == "wo"
    assert "".join(pieces) == "one t"


def test_before_min_tokens_no_stop_string_counts(tokenizer: Tokenizer) -> None:
    text = "you you you you you"
    n_first = len(tokenizer.encode("you", add_special_tokens=False).ids)
    assert "".join(said(tokenizer, text, ("you",))[0]) == ""
    assert "".join(said(tokenizer, text, ("you",), n_first)[0]) == "you "
