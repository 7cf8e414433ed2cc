"""The format contract: what it holds, what it refuses, how text is rendered, trimmed, folded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmft.corpus.documents import Message
from lmft.format.contract import (
    FILE_NAME,
    FormatContract,
    SamplerDefaults,
    Speakers,
    default_stops,
)
from lmft.format.fold import fold_quotes
from lmft.format.render import render_chat_prompt, render_conversation
from lmft.format.trim import cut_at_stop, trim_reply

relaxed = settings(deadline=None, max_examples=200)

ADVENTURE = FormatContract(
    kind="adventure", stop=("\n>",), eos="<|endoftext|>", context_length=1024
)
HESPER = Speakers(user="Traveller", assistant="Hesper")
CHAT = FormatContract(
    kind="chat",
    speakers=HESPER,
    stop=default_stops("chat", HESPER),
    eos="<|endoftext|>",
    context_length=1024,
)


# Contract


@pytest.mark.parametrize("contract", [ADVENTURE, CHAT], ids=["adventure", "chat"])
def test_a_contract_reads_as_it_was_written(tmp_path, contract):
    contract.write(tmp_path)
    assert FormatContract.read(tmp_path) == contract


def test_a_contract_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        ADVENTURE.kind = "story"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 2),
        ("kind", "poem"),
        ("turn_template", "\n> action\n"),
        ("turn_template", "{action} {action}"),
        ("chat_template", "{{ messages }}"),
        ("context_length", 8),
        ("eos", None),
        ("pickle", "x"),
        ("sampler", {"temperature": 3}),
        ("sampler", {"top_p": 0}),
        ("sampler", {"repetition_penalty": 0.9}),
        ("sampler", {"max_tokens": 0}),
        ("speakers", {"user": "A", "assistant": "B", "narrator": "C"}),
    ],
)
def test_a_contract_that_nothing_here_could_obey_is_refused(tmp_path, key, value):
    stored = json.loads(ADVENTURE.model_dump_json()) | {key: value}
    (tmp_path / FILE_NAME).write_text(json.dumps(stored))
    with pytest.raises(ValidationError, match=key):
        FormatContract.read(tmp_path)


@pytest.mark.parametrize("name", ["", "A:", "two\nlines", " padded", "padded ", "\t", "x" * 41])
def test_a_speaker_needs_a_name_that_can_begin_a_line(name):
    for field in ("user", "assistant"):
        with pytest.raises(ValidationError, match=field):
            Speakers(**{field: name})


@pytest.mark.parametrize("name", ["Hesper", "The old woman", "Ødegård", "李", "O'Hara-2"])
def test_a_speaker_may_have_any_other_name(name):
    assert Speakers(user=name).user == name


def test_a_reply_ends_before_the_other_one_acts_or_speaks():
    assert default_stops("adventure", None) == default_stops("story", None) == ("\n>",)
    assert default_stops("chat", HESPER) == ("\nTraveller:", "\nHesper:")
    assert default_stops("chat", None) == ("\nUser:", "\nAssistant:")


def test_sampler_defaults_are_mild():
    sampler = SamplerDefaults()
    assert sampler.temperature <= 1
    assert sampler.repetition_penalty < 1.3


# Fold


@relaxed
@given(st.text())
def test_folding_keeps_the_length_and_everything_but_quotes(text):
    folded = fold_quotes(text)
    assert len(folded) == len(text)
    assert all(new == old or new in "\"'" for new, old in zip(folded, text, strict=True))
    assert fold_quotes(folded) == folded


def test_all_typographic_quotes_are_folded():
    assert fold_quotes("“a” ‘b’ „c‟ «d» ‹e› ‚f‛ don’t") == "\"a\" 'b' \"c\" \"d\" 'e' 'f' don't"


# Render


def test_a_conversation_is_lines_and_only_the_replies_words_are_learnt():
    spans = render_conversation(
        [
            Message("system", "An inn."),
            Message("user", "Any rooms?"),
            Message("assistant", "Two, duck.\n\nBoth cold."),
        ],
        HESPER,
    )
    assert "".join(span.text for span in spans) == (
        "An inn.\nTraveller: Any rooms?\nHesper: Two, duck.\nBoth cold.\n"
    )
    learnt = [span.text for span in spans if span.trained]
    assert learnt == [" Two, duck.\nBoth cold.\n"]


def test_the_prompt_of_a_chat_is_what_stood_before_the_reply_in_training():
    asked, answered = Message("user", "Any rooms?"), Message("assistant", "Two.")
    trained = "".join(span.text for span in render_conversation([asked, answered], HESPER))
    prompt = render_chat_prompt([asked], CHAT)
    assert trained == prompt + " Two.\n"


messages = st.lists(
    st.builds(
        Message,
        st.sampled_from(["system", "user", "assistant"]),
        st.text(min_size=1).filter(str.strip),
    ),
    min_size=1,
    max_size=6,
)


@relaxed
@given(messages)
def test_what_a_person_says_is_never_learnt(conversation):
    spans = render_conversation(conversation, HESPER)
    assert [span.trained for span in spans].count(True) == sum(
        message.role == "assistant" for message in conversation
    )
    for span in spans:
        if span.text.startswith("Traveller: "):
            assert not span.trained
    assert "\n\n" not in "".join(span.text for span in spans)


# Trim


@pytest.mark.parametrize(
    ("raw", "ran_out", "shown", "stopped"),
    [
        (" You wake. It is co", True, "You wake.", False),
        (" You wake. It is co", False, "You wake. It is co", False),
        ('He said "Go!" and th', True, 'He said "Go!"', False),
        ("(Then silence.) And", True, "(Then silence.)", False),
        ("It costs 3.50 in silv", True, "It costs 3.50 in silv", False),
        ("no end at all", True, "no end at all", False),
        ("You wake.\n> You run", True, "You wake.", True),
        ("You wake and\n> You run", True, "You wake and", True),
        ("\n>", False, "", True),
        ("", True, "", False),
    ],
)
def test_a_reply_is_trimmed_to_what_a_person_reads(raw, ran_out, shown, stopped):
    assert trim_reply(raw, ADVENTURE, ran_out=ran_out) == (shown, stopped)


def test_half_a_sentence_is_kept_where_the_contract_says_so():
    contract = ADVENTURE.model_copy(update={"trim_to_sentence": False})
    assert trim_reply("One. Tw", contract, ran_out=True).text == "One. Tw"


def test_the_first_stop_wins_whatever_the_order_of_the_list():
    assert cut_at_stop("a\nB: c\nA: d", ("\nA:", "\nB:")) == ("a", True)
    assert cut_at_stop("a\nC: b", ("\nA:", "\nB:")) == ("a\nC: b", False)


@relaxed
@given(st.text(alphabet="ab .!?\"'\n>…"), st.booleans())
def test_trimming_only_ever_takes_away(raw, ran_out):
    shown, stopped = trim_reply(raw, ADVENTURE, ran_out=ran_out)
    assert raw.lstrip().startswith(shown)
    assert "\n>" not in shown
    assert stopped == ("\n>" in raw)
    # A reply that is complete, or has been cut to a sentence, has nothing more to lose.
    assert trim_reply(shown, ADVENTURE, ran_out=ran_out and not stopped).text == shown
