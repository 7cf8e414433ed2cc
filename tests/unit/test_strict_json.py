"""JSON from strangers: what is refused, how it is said, and that the rest is kept as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmft.corpus.readers.rows.json_scan import Element, elements, first_keys
from lmft.corpus.readers.rows.strict_json import JsonFault, parse, shown_key

relaxed = settings(deadline=None, max_examples=60)

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
scalar = scalar.filter(lambda value: value not in (float("inf"), float("-inf")))
value = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def fault_of(source: str, **limits: int) -> str:
    with pytest.raises(JsonFault) as caught:
        parse(source, **limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@relaxed
@given(value, st.booleans(), st.sampled_from([None, 2]))
def test_valid_json_is_kept_as_it_is(value, ascii_only, indent):
    assert parse(json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == value


pieces = ["{", "}", "[", "]", '"', "\\", "\\u", "d83d", "dc00", "0000", ":", ",", "1e999", "NaN"]
soup = st.lists(st.sampled_from([*pieces, "a", "1", " ", "\n", "\0"]), max_size=20).map("".join)


@relaxed
@given(st.text() | soup)
@example('"\ud800"')
@example("[" * 100_000)
@example('"' + '\\"' * 50_000)
def test_anything_is_a_value_or_a_fault(source):
    try:
        value = parse(source)
    except JsonFault:
        return
    assert value == json.loads(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{"a": 1,, "b": 2}', "malformed JSON at column 9: expecting property name"),
        ('{"a": "b', "malformed JSON at column 7: unterminated string"),
        ('{"a": "b\tc"}', "malformed JSON at column 9: invalid control character"),
        ('{"a": 1} {"a": 2}', "malformed JSON at column 10: extra data"),
        ("", "malformed JSON at column 1: expecting value"),
    ],
)
def test_malformed_json_is_told_with_its_column(source, message):
    assert fault_of(source).startswith(message)
    assert not fault_of(source).endswith(("at", ":", " "))


def test_the_line_is_known_in_a_text_of_several():
    with pytest.raises(JsonFault) as caught:
        parse('{"a": 1,\n "b": ]}')
    assert caught.value.line == 2
    assert "column 7" in str(caught.value)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(constant):
    assert fault_of(f'{{"a": [{constant}]}}') == f"{constant} is not JSON; give null or a number"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400 + ".5"])
def test_a_number_that_would_become_infinite_is_refused(number):
    assert "larger than any float" in fault_of(number)


def test_a_huge_integer_is_refused():
    assert "thousands of digits" in fault_of('{"a": ' + "9" * 5_000 + "}")
    assert parse("9" * 400) == int("9" * 400)


def test_a_key_that_occurs_twice_is_named():
    assert fault_of('{"a": {"role": 1, "x": 2, "role": 1}}') == (
        "the key `role` occurs twice in one object; keep one"
    )
    assert "`role`" in fault_of('{"role": 1, "r\\u006fle": 2}')


def test_the_same_key_in_two_objects_is_fine():
    assert parse('[{"a": {"a": 1}}, {"a": 2}]') == [{"a": {"a": 1}}, {"a": 2}]


def test_a_long_or_hostile_key_is_shortened_and_made_harmless():
    shown = fault_of(json.dumps({"k" * 500: 1})[:-1] + f', "{"k" * 500}": 2}}')
    assert len(shown) < 120
    assert shown_key("a\x1b[31m\u202eb") == "a\\u001b[31m\\u202eb"


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_deep_nesting_is_refused_without_recursion(opening):
    assert fault_of(opening * 100_000) == "nested more than 64 levels deep"


def test_the_depth_limit_is_exact_and_the_callers():
    def nested(depth: int) -> str:
        # Brackets side by side and in strings are not depth.
        return "[" * (depth - 1) + '["[[{{", "\\"[[", {}, {}, []' + "]" * depth

    assert parse(nested(4), max_depth=5)
    assert parse("[" + ", ".join(["[]"] * 50) + "]", max_depth=2)
    assert fault_of(nested(5), max_depth=5) == "nested more than 5 levels deep"


@pytest.mark.parametrize(
    "source",
    [
        r'"\ud800"',
        r'"\uD83D and no more"',
        r'"\ude00\ud83d"',
        r'"\ud83d\ud83d\ude00"',
        r'"\ud83d\ude00\ude00"',
        r'"\ud83d\\ude00"',
        r'{"\udfff": 1}',
        '"\ud800"',
    ],
)
def test_half_a_surrogate_pair_is_refused(source):
    assert fault_of(source).startswith("half a surrogate pair at column ")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (r'"\ud83d\ude00"', "😀"),
        (r'"\\ud800"', r"\ud800"),
        (r'"\\\\u0000"', r"\\u0000"),
        (r'"\\\ud83d\ude00"', "\\😀"),
    ],
)
def test_a_pair_and_an_escaped_backslash_are_text(source, value):
    assert parse(source) == value


@pytest.mark.parametrize("source", [r'"a\u0000"', r'{"\u0000": 1}', r'"\\\u0000"'])
def test_nul_is_refused(source):
    assert fault_of(source).startswith("a NUL character at column ")


def test_a_wrong_character_has_line_and_column():
    with pytest.raises(JsonFault, match="at column 3,") as caught:
        parse('["a",\n "\\u0000"]')
    assert caught.value.line == 2


# Arrays taken apart


@relaxed
@given(st.lists(value, max_size=6), st.sampled_from([None, 1]))
def test_an_array_comes_apart_into_its_elements(values, indent):
    source = json.dumps(values, indent=indent)
    found = list(elements(source))
    assert [json.loads(element.text) for element in found] == values
    assert [element.number for element in found] == list(range(1, len(values) + 1))
    lines = source.split("\n")
    assert all(element.text.split("\n")[0] in lines[element.line - 1] for element in found)


@relaxed
@given(st.text() | soup)
def test_taking_apart_anything_ends_in_a_fault_at_worst(rest):
    source = f"[{rest}"
    try:
        found = list(elements(source))
    except JsonFault:
        with pytest.raises(json.JSONDecodeError):
            json.loads(source)
    else:
        assert all(element.text in source for element in found)
    assert isinstance(first_keys(source), list)


def test_a_bad_element_leaves_the_others_whole():
    found = elements('\n[ {"a": ["]", 1]},\n\n  nonsense {,},\n {"b": 2}\n]\n')
    assert list(found) == [
        Element(1, 2, '{"a": ["]", 1]}'),
        Element(2, 4, "nonsense {,}"),
        Element(3, 5, '{"b": 2}'),
    ]


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ('\n[{"a": 1},\n{"b": 2}', "never closed", 2),
        ('[{"a": 1}}', "never closed", 1),
        ('[{"a": 1}\n]\n, 2', "follows the end of the list", 3),
    ],
)
def test_an_array_without_a_right_end_is_a_fault_after_its_elements(source, message, line):
    found: list[Element] = []
    with pytest.raises(JsonFault, match=message) as caught:
        found.extend(elements(source))
    assert caught.value.line == line
    assert found


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ('{"messages": [{"role": "user"}], "tools": []} {"x": 1}', ["messages", "tools"]),
        ('[{"instruction": "a, \\"b\\": {", "output": {"text": 1', ["instruction", "output"]),
        ('{"text": "cut o', ["text"]),
        ("[[1], 2]", []),
        ('[[{"a": 1}]]', []),
        ('["a", "b"]', []),
        ('say "a": b', []),
        ("", []),
    ],
)
def test_the_first_keys_are_those_of_the_outer_object(source, keys):
    assert first_keys(source) == keys
