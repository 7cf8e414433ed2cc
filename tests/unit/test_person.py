"""First, second or third person, by what the narrator says and not by what characters say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.survey.person import PersonCount, count_person

FIRST = (
    "I took my coat and went down. He was at the gate with his dog. She had sent her maid to me."
)
SECOND = "You open the door. He looks at you. Your lamp goes out, and you hear his steps near you."
THIRD = (
    "He took his coat and went down. She was at the gate. They had not seen him or her for years."
)


@pytest.mark.parametrize(
    ("text", "person"), [(FIRST, "first"), (SECOND, "second"), (THIRD, "third")]
)
def test_the_person_of_a_narration(text, person):
    assert count_person("\n\n".join([text] * 4)).person == person


@pytest.mark.parametrize(
    "spoken",
    [
        '"I do not know you, and you do not know me," {}',
        "“I’m sure I don’t know what you’d do with my horse if I gave you mine,” {}",
        "‘I don’t think that I’d tell you,’ {} ‘what I did with my dog, if you don’t mind.’",
        "'I don't know what I'd do with my horse if I'd lost it,' {}",
        "«I know what I want and you know it» {}",
    ],
)
def test_what_characters_say_does_not_count(spoken):
    text = spoken.format("he said. She gave him her hand, and they left them.")
    assert count_person(text) == PersonCount(first=0, second=0, third=6)


def test_an_open_quotation_ends_with_its_paragraph():
    text = f"“I had a farm, and I lost it.\n\n“Then I went to sea,” he said.\n\n{THIRD}"
    counts = count_person(text)
    assert counts.first == 0
    assert counts.third == 1 + count_person(THIRD).third


def test_paragraphs_of_one_line_each():
    assert count_person('"I went.\nHe left.\n"I came.\nShe left.').third == 2


def test_an_apostrophe_opens_nothing():
    assert count_person("'Twas he, and the boys' mother saw him. It's hers, I'd say.").third == 3
    assert count_person("The dogs' bowl was his, and I'd say so").first == 1


def test_a_numeral_is_no_narrator():
    assert count_person("CHAPTER I. In which he leaves").first == 0


def test_counts_add_up():
    one, other = count_person(FIRST), count_person(THIRD)
    both = one + other
    assert (both.first, both.third) == (one.first + other.first, one.third + other.third)
    assert PersonCount() + one == one


@pytest.mark.parametrize(
    "text",
    [
        "",
        "He left.",
        "Il me dit que je ne me souvenais plus de ce que nous avions vu dans la ville. " * 30,
        "Me dijo que no he visto el mar, y us nada. Las casas eran blancas y muy altas. " * 30,
        "Er ging in die Stadt, um sich ein Pferd zu kaufen, das er schon lange wollte. " * 30,
    ],
)
def test_too_little_english_says_nothing(text):
    assert count_person(text).person is None


def test_a_narrator_speaks_mostly_of_others():
    assert PersonCount(25, 5, 70, 50).person == "first"
    assert PersonCount(10, 5, 85, 50).person == "third"
    assert PersonCount(25, 30, 45, 50).person == "second"


WORDS = st.lists(st.sampled_from(["I", "my", "you", "He", "her", "stone", "don't"]), max_size=6)


@settings(deadline=None)
@given(
    st.lists(st.tuples(WORDS, WORDS), max_size=12),
    st.sampled_from(['"{}," {}', "“{},” {}", "‘{},’ {}", "'x {},' {}", "«{}» {}"]),
)
def test_only_what_stands_outside_quotations_is_counted(paragraphs, form):
    text = "\n\n".join(form.format(" ".join(spoken), " ".join(told)) for spoken, told in paragraphs)
    told = [word for _, words in paragraphs for word in words]
    assert count_person(text) == PersonCount(
        first=told.count("I") + told.count("my"),
        second=told.count("you"),
        third=told.count("He") + told.count("her"),
    )
