"""Ids: never a path, whatever they are made of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmft.ids import AdapterId, mint_adapter_id, parse_adapter_id, slug

relaxed = settings(deadline=None, max_examples=300)


@relaxed
@given(st.text(), st.text(), st.text())
@example("../../etc", "a:b", "..")
@example("", "\0", "ÅÄÖ")
@example("a" * 200, "-" * 200, "x-" * 100)
def test_a_minted_id_parses_to_itself_and_stays_in_its_directory(base, suffix, org):
    minted = mint_adapter_id(base, suffix, org)
    for made in (minted, minted.checkpoint(1), minted.checkpoint(9_999_999)):
        assert parse_adapter_id(str(made)) == made
        assert made.alias == minted.alias
        root = Path("/adapters")
        assert (root / made.directory).resolve().parent == root
        assert not made.directory.startswith(".")


@relaxed
@given(st.text())
@example("Qwen3-8B-Base")
@example("İ")
def test_a_slug_is_short_plain_and_its_own_slug(text):
    made = slug(text)
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", made)
    assert slug(made) == made


def test_slugs_are_readable():
    assert slug("Qwen3-8B Base!") == "qwen3-8b-base"
    assert slug("../../my model.v2") == "my-model-v2"
    assert slug("") == slug("...") == "model"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "embedded",
        "ft:base:me:name",
        "ft:base:me:name:0123456",
        "ft:base:me:name:0123456g",
        "ft:base:me:name:01234567\n",
        "ft:base:me:../name:01234567",
        "ft:base:me:na.me:01234567",
        "ft:base:me:na me:01234567",
        "ft:base:me:Name:01234567",
        "ft:base:me::01234567",
        "ft:base:me:-name:01234567",
        "ft:base:me:name:01234567:more",
        "ft:base:me:name:01234567:ckpt-step-",
        "ft:base:me:name:01234567:ckpt-step-0",
        "ft:base:me:name:01234567:ckpt-step-07",
        "ft:base:me:name:01234567:ckpt-step-12345678",
        "ft:base:me:name:01234567:ckpt-step-7:ckpt-step-8",
        "ft:base:me:name:01234567:ckpt-step-٣",
        "ft:base:me:name:ckpt-step-7",
        "FT:base:me:name:01234567",
        "ft:base:me:name:0123456７",
        "ft:base:me:" + "a" * 65 + ":01234567",
    ],
)
def test_what_is_no_id_is_none(text):
    assert parse_adapter_id(text) is None


@relaxed
@given(
    st.text(alphabet="ft:abc./\\-_0123 \n", max_size=60)
    | st.from_regex(r"ft:a:b:c:0123abcd:ckpt-step-\d{1,9}\n?", fullmatch=True)
)
def test_whatever_parses_is_written_the_same_again(text):
    parsed = parse_adapter_id(text)
    assert parsed is None or str(parsed) == text


def test_two_adapters_of_one_name_have_two_directories():
    first, second = mint_adapter_id("b", "s"), mint_adapter_id("b", "s")
    assert first.directory != second.directory
    assert AdapterId("b", "me", "s", "0a1b2c3d").directory == "s-0a1b2c3d"


NAMES = st.from_regex(r"[a-z](-?([0-9a-f]{8}|step|[0-9]{1,8})){0,4}", fullmatch=True)
KEYS = st.sampled_from(["01234567", "12345678", "89abcdef"])
STEPS = st.none() | st.sampled_from([1, 1234567, 9_999_999])


@relaxed
@given(NAMES, KEYS, STEPS, NAMES, KEYS, STEPS)
@example("a-01234567-step", "12345678", None, "a", "01234567", 1234567)
@example("a-01234567-step-1", "89abcdef", None, "a", "01234567", 1)
@example("a-01234567-step-1", "89abcdef", 2, "a", "01234567", 1)
def test_no_two_versions_or_checkpoints_share_a_directory(name, key, step, other, other_key, at):
    first, second = AdapterId("b", "o", name, key, step), AdapterId("b", "o", other, other_key, at)
    assert (first.directory == second.directory) == (first == second)


def test_a_checkpoint_is_of_its_version():
    final = AdapterId("b", "me", "s", "0a1b2c3d")
    kept = final.checkpoint(40)
    assert str(kept) == "ft:b:me:s:0a1b2c3d:ckpt-step-40"
    assert (kept.directory, kept.version) == ("s-0a1b2c3d-step-40", "0a1b2c3d-step-40")
    assert (final.is_checkpoint, kept.is_checkpoint) == (False, True)
