"""Rasa training data of versions 2 and 3."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.findings import Findings
from lmft.corpus.readers.rasa.rasa import READER
from lmft.corpus.source import SourceFile, find_sources

NLU = """\
version: "3.1"
# What users say
nlu:
- intent: greet
  examples: |
    - hi
    - hey there, [Sara](name)
    - good “morning”

- intent: travel
  examples: |
    - to [Paris](city)
    - from [NYC]{"entity": "city", "role": "from"} please
- synonym: Paris
  examples: |
    - paname
- intent: yes
  examples:
  - text: |
      yes
  - text: of course
    metadata: {sentiment: good}
"""
DOMAIN = """\
version: "3.1"
intents: [greet, travel, "yes"]
slots:
  city: {type: text}
responses:
  utter_greet:
  - text: "Hey!"
  - text: Hello.
    buttons: [{title: Go, payload: /travel}]
  utter_booked:
  - text: >-
      Booked: you fly to {city}.
  utter_picture:
  - image: https://example.org/x.png
"""
STORIES = """\
version: "3.1"
stories:
- story: a trip
  steps:
  - checkpoint: start
  - intent: greet
  - action: utter_greet
  - intent: travel
    entities:
    - city: Paris
  - action: action_search
  - slot_was_set:
    - city: Paris
  - action: utter_booked
"""


def sources(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    return {source.path.stem: source for source in find_sources([tmp_path])}


def read(source):
    findings = Findings()
    return list(READER.read(source, findings)), findings


def read_one(tmp_path, text):
    return read(sources(tmp_path, one=text)["one"])


def turns(document):
    return [(turn.role, turn.content) for turn in document.messages]


def words(documents):
    return [[turn.content for turn in document.messages] for document in documents]


def test_a_story_is_told_in_the_words_of_its_siblings(tmp_path):
    files = sources(tmp_path, nlu=NLU, domain=DOMAIN, stories=STORIES, notes="Not YAML: [")
    documents, findings = read(files["stories"])
    assert [(d.source, d.kind, d.uncast) for d in documents] == [
        ("stories.yml:3", "chat", False)
    ] * 3
    assert turns(documents[0]) == [
        ("user", "hi"),
        ("assistant", "Hey!"),
        ("user", "to Paris"),
        ("assistant", "Booked: you fly to {city}."),
    ]
    assert words(documents[1:]) == [
        ["hey there, Sara", "Hello.", "from NYC please", "Booked: you fly to {city}."],
        ["good “morning”", "Hey!", "to Paris", "Booked: you fly to {city}."],
    ]
    assert not findings.faults
    assert not findings.notes


def test_what_the_other_files_are_for_is_noted(tmp_path):
    files = sources(tmp_path, nlu=NLU, domain=DOMAIN, stories=STORIES)
    for name, counts in (("nlu", "7 examples and 0"), ("domain", "0 examples and 3")):
        documents, findings = read(files[name])
        assert documents == []
        assert findings.notes == [f"{name}.yml: its {counts} responses are used by the stories"]


def test_a_file_alone_is_all_it_needs_if_it_has_all(tmp_path):
    path = tmp_path / "bot.yml"
    path.write_text(
        f"{NLU}{DOMAIN.split('responses')[0].split(chr(10), 1)[1]}"
        f"responses{DOMAIN.split('responses')[1]}{STORIES.split(chr(10), 1)[1]}"
    )
    assert len(read(SourceFile(path, "bot.yml"))[0]) == 3


def test_rules_or_and_words_in_the_steps(tmp_path):
    documents, _ = read_one(
        tmp_path,
        NLU
        + """\
rules:
- rule: either
  steps:
  - or:
    - intent: greet
    - user: "off to [Rome](city)"
  - bot: Ciao
  - bot: bella
""",
    )
    assert words(documents) == [
        ["hi", "Ciao\nbella"],
        ["off to Rome", "Ciao\nbella"],
        ["hey there, Sara", "Ciao\nbella"],
        ["good “morning”", "Ciao\nbella"],
    ]


def test_a_retrieval_intent_is_answered_by_the_response_of_its_sub_intent(tmp_path):
    documents, _ = read_one(
        tmp_path,
        """\
nlu:
- intent: faq/price
  examples: |
    - how much?
    - the price?
- intent: faq/place
  examples: |
    - where?
responses:
  utter_faq/price:
  - text: Two pence.
  utter_faq/place:
  - text: Here.
rules:
- rule: answer
  steps:
  - intent: faq
  - action: utter_faq
""",
    )
    assert words(documents) == [
        ["how much?", "Two pence."],
        ["the price?", "Two pence."],
        ["where?", "Here."],
    ]


def test_a_story_is_told_at_most_eight_times_and_that_is_said(tmp_path):
    examples = "".join(f"    - example {number}\n" for number in range(20))
    documents, findings = read_one(
        tmp_path,
        f"nlu:\n- intent: ask\n  examples: |\n{examples}"
        "stories:\n- story: s\n  steps:\n  - intent: ask\n  - bot: Yes.\n",
    )
    assert words(documents) == [[f"example {number}", "Yes."] for number in range(8)]
    assert findings.notes == ["one.yml: a story is told 8 times, not more"]


def test_stories_that_cannot_be_told_are_dropped_with_the_reason(tmp_path):
    documents, findings = read_one(
        tmp_path,
        """\
stories:
- story: no examples
  steps:
  - intent: goodbye
  - bot: Bye.
- story: only asked
  steps:
  - user: Hello?
  - action: utter_unknown
- story: told
  steps:
  - user: Hello?
  - bot: Hello.
""",
    )
    assert words(documents) == [["Hello?", "Hello."]]
    assert [(drop.reason, drop.first_line) for drop in findings.drops] == [
        ("story whose intent has no examples: goodbye", 2),
        ("story without words of both sides", 6),
    ]


def test_without_stories_a_response_answers_the_intent_of_its_name(tmp_path):
    files = sources(tmp_path, nlu=NLU, domain=DOMAIN)
    documents, findings = read(files["nlu"])
    assert words(documents) == [
        ["hi", "Hey!"],
        ["hey there, Sara", "Hello."],
        ["good “morning”", "Hey!"],
    ]
    documents, findings = read(files["domain"])
    assert documents == []
    assert findings.notes[0].endswith("used where an intent and a response have the same name")


def test_examples_without_anything_to_answer_are_noted(tmp_path):
    documents, findings = read_one(tmp_path, NLU)
    assert documents == []
    assert findings.notes[0].endswith("give the folder that has them all")


def test_wrong_types_are_faults_with_their_line(tmp_path):
    documents, findings = read_one(
        tmp_path,
        """\
nlu:
- greet
- intent: [a]
  examples: {b: c}
responses:
  utter_x: {text: y}
stories:
- told
- story: s
  steps:
  - hello
  - user: [1]
- story: t
  steps: 5
- story: good
  steps:
  - user: Hello?
  - bot: Hello.
rules: none
""",
    )
    assert words(documents) == [["Hello?", "Hello."]]
    assert sorted(fault.line for fault in findings.faults) == [2, 3, 4, 6, 8, 11, 12, 14, 19]


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nnlu: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (BOMB, "anchors and aliases", 1),
        ("nlu:\n- intent: *x\n", "anchors and aliases", 2),
        ("nlu: !!python/object/apply:os.system [ls]\n", "tags", 1),
        ("nlu: " + "[" * 100_000, "nested deeper than 50", 1),
        ("- " * 10_000 + "x", "nested deeper than 50", 1),
        ("nlu:\n- intent: 'x\n", "not YAML", None),
        ("nlu: []\nnlu: []\n", "the key `nlu` twice", 2),
        ("nlu: []\n---\nnlu: []\n", "more than one document", 3),
        ("? [a]\n: b\n", "a key that is not text", 1),
        ("- nlu\n", "not a mapping", None),
        ('nlu: "\\0"\n', "no character", 1),
        ("nlu: \x01", "control characters", None),
        ("", "0 bytes", None),
    ],
)
def test_a_hostile_file_is_unreadable(tmp_path, text, message, line):
    with pytest.raises(Unreadable, match=message) as caught:
        read_one(tmp_path, text)
    if line:
        assert caught.value.line == line


def test_an_unreadable_sibling_is_no_harm(tmp_path):
    files = sources(tmp_path, nlu=NLU, domain=DOMAIN, stories=STORIES, bad=f"{NLU}nlu: []\n")
    documents, findings = read(files["stories"])
    assert len(documents) == 3
    assert not findings.faults


def test_nothing_of_the_files_outlives_their_reading(tmp_path):
    files = sources(tmp_path, nlu=NLU, domain=DOMAIN, stories=STORIES)
    assert read(files["stories"])[0]
    stories = weakref.ref(files.pop("stories"))
    files.clear()
    gc.collect()
    assert stories() is None


def test_yes_is_a_word(tmp_path):
    documents, _ = read_one(
        tmp_path, f"{NLU}stories:\n- story: s\n  steps:\n  - intent: yes\n  - bot: no\n"
    )
    assert words(documents) == [["yes", "no"], ["of course", "no"]]


WHOLE = NLU + STORIES.split("\n", 1)[1] + DOMAIN[DOMAIN.index("responses") :]
VALUES = st.sampled_from(["x", "~", "[a, {b: c}]", "{a: [b]}", "[[]]", "''", "*a", "1.5", "|"])


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, WHOLE.count(":") - 1), VALUES, st.booleans())
def test_any_value_anywhere_is_at_most_unreadable(tmp_path, nth, value, cut):
    parts = WHOLE.split(":")
    rest = "" if cut else parts[nth + 1].partition("\n")[2]
    text = f"{':'.join(parts[: nth + 1])}: {value}\n{':'.join([rest, *parts[nth + 2 :]])}"
    try:
        documents, _ = read_one(tmp_path, text)
    except Unreadable:
        return
    for document in documents:
        assert {turn.role for turn in document.messages} == {"user", "assistant"}
        assert all(turn.content for turn in document.messages)


@pytest.mark.parametrize("text", [NLU, DOMAIN, STORIES, f"# a bot\n\n---\n{NLU}", WHOLE])
def test_it_is_known_by_its_keys(tmp_path, text):
    assert READER.sniff(sources(tmp_path, one=text)["one"])


CONFIG = (
    "recipe: default.v1\nlanguage: en\npipeline:\n- name: WhitespaceTokenizer\npolicies: null\n"
)
ENDPOINTS = "# action server\naction_endpoint:\n  url: http://localhost:5055/webhook\n"
CREDENTIALS = "rest:\n#  nothing\nmy.channel.Input:\n  token: abc\n"
INTENTS = 'version: "3.1"\nintents:\n- greet\nslots: {}\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config", CONFIG),
        ("en", "pipeline:\n"),
        ("endpoints", ENDPOINTS),
        ("endpoints", "# nlg:\n#   url: x\n\n"),
        ("credentials", CREDENTIALS),
        ("domain", INTENTS),
        ("slots", "slots:\n  city:\n    type: text\n"),
    ],
)
def test_settings_of_a_project_are_known_and_nothing_is_learnt_from_them(tmp_path, name, text):
    files = sources(tmp_path, **{name: text, "nlu": NLU, "stories": STORIES, "answers": DOMAIN})
    assert READER.sniff(files[name])
    documents, findings = read(files[name])
    assert documents == []
    assert findings.faults == []
    assert findings.notes == [f"{name}.yml: settings of Rasa, nothing to learn"]
    assert len(read(files["stories"])[0]) == 3


@pytest.mark.parametrize(
    "text",
    [
        "pipeline: oil\nowner: Tom\n",
        "slack:\n  channel: general\n",
        "# only a comment\n",
        "recipe: soup\nserves: 4\n",
        "Slots: many\n",
        "Rasa has keys.\n\nnlu:\n- intent: greet\n",
        "rules:\n- be kind\n- be brief\n",
        "responses: many\n\n  utter nonsense\n",
        "name: CI\non: push\njobs: {}\n",
        "stories: Once upon a time\n\nThere was a king.\n",
        '{"nlu": []}',
        "",
    ],
)
def test_other_texts_are_not_claimed(tmp_path, text):
    assert READER.sniff(sources(tmp_path, one=text)["one"]) is None
