"""Documents to token ids and what is learnt of them, with the embedded base's own tokenizer."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from lmft.corpus.documents import Document, Message, ToolCall
from lmft.dataset.encode import Encoder
from lmft.errors import BaseModelError
from lmft.format.contract import FormatContract, Speakers
from lmft.format.render import render_chat_prompt
from lmft.paths import EMBEDDED_BASE
from tests.unit.bos import BOS, EOS, bos_encoder

relaxed = settings(deadline=None, max_examples=150)

ENCODER = Encoder(EMBEDDED_BASE, EOS)
HESPER = Speakers(user="Traveller", assistant="Hesper")

words = st.text(min_size=1).filter(str.strip)
letters = st.text(st.characters(categories=["L"]), min_size=1)
conversations = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), words),
    min_size=1,
    max_size=6,
)


# Encode


@relaxed
@given(st.text())
@example("naïve “quotes”\n> You wait…  \r\n\t🦆\u0000")
@example(f"a{EOS}b")
def test_decoding_gives_back_the_text(text):
    assert ENCODER.decode(ENCODER.text(text)) == text


@relaxed
@given(st.lists(st.sampled_from([EOS, "<|", "endoftext", "|>", "a", " ", "\n"])).map("".join))
def test_end_of_text_in_a_text_is_text(text):
    assert ENCODER.eos_id not in ENCODER.text(text)
    assert ENCODER.eos_id not in ENCODER.encode(Document("a", text=text, ends=False), None).ids
    told = Document("c", messages=(Message("assistant", text + "."),))
    assert ENCODER.encode(told, HESPER).ids.tolist().count(ENCODER.eos_id) == 1


def test_end_of_text_stands_only_where_a_document_ends():
    whole = ENCODER.encode(Document("a", text="Once."), None)
    part = ENCODER.encode(Document("a:1", text="Once.", ends=False), None)
    assert whole.ids.tolist() == [*part.ids, ENCODER.eos_id]
    assert ENCODER.eos_id not in part.ids


def test_a_story_is_learnt_whole():
    encoded = ENCODER.encode(Document("a", text="> You wait.\nNothing comes.\n"), None)
    assert all(encoded.trained)
    assert len(encoded.trained) == len(encoded.ids)
    assert encoded.n_bytes == 27


def learnt(messages) -> tuple[str, str]:
    """The text of the tokens that are learnt, and of those that are not."""
    encoded = ENCODER.encode(Document("c", messages=tuple(messages)), HESPER)
    pairs = list(zip(encoded.ids, encoded.trained, strict=True))
    return (
        ENCODER.decode(token for token, trained in pairs if trained),
        ENCODER.decode(token for token, trained in pairs if not trained),
    )


def one_block(text: str) -> str:
    return "\n".join(line for line in text.strip().splitlines() if line.strip())


@relaxed
@given(conversations)
@example(
    [Message("user", "Bye 🦆"), Message("assistant", "é. Safe\n\nroad 🦆"), Message("user", "!")]
)
def test_the_mask_covers_the_replies_and_nothing_of_the_person(messages):
    trained, ignored = learnt(messages)
    replies = [one_block(m.content) for m in messages if m.role == "assistant"]
    assert trained == "".join(f" {reply}\n" for reply in replies)
    for message in messages:
        if message.role != "assistant":
            assert one_block(message.content) in ignored


def test_a_conversation_ends_with_a_learnt_end_of_text():
    encoded = ENCODER.encode(Document("c", messages=(Message("assistant", "Hello."),)), HESPER)
    assert (encoded.ids[-1], encoded.trained[-1]) == (ENCODER.eos_id, True)


@relaxed
@given(letters, letters)
def test_the_prompt_has_the_tokens_that_training_saw_before_the_reply(asked, answered):
    contract = FormatContract(kind="chat", speakers=HESPER, eos=EOS, context_length=64)
    messages = (Message("user", asked), Message("assistant", answered))
    trained = ENCODER.encode(Document("c", messages=messages), HESPER)
    prompt = ENCODER.text(render_chat_prompt(messages[:1], contract))
    assert trained.ids[: len(prompt)].tolist() == prompt
    assert not any(trained.trained[: len(prompt)])
    assert all(trained.trained[len(prompt) :])


def test_a_broken_tokenizer_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BaseModelError, match=r"tokenizer\.json is not a tokenizer"):
        Encoder(tmp_path, EOS)


def test_an_end_of_text_that_the_tokenizer_lacks_is_named(tmp_path):
    shutil.copy(EMBEDDED_BASE / "tokenizer.json", tmp_path)
    with pytest.raises(BaseModelError, match="has no token </s>"):
        Encoder(tmp_path, "</s>")


def test_a_base_without_a_beginning_of_text_starts_documents_with_end_of_text():
    assert (ENCODER.start_id, ENCODER.always_start) == (ENCODER.eos_id, False)


@pytest.mark.parametrize("bos", [BOS, EOS])
def test_a_beginning_of_text_that_the_tokenizer_writes_starts_everything(tmp_path, bos):
    encoder = bos_encoder(tmp_path, bos)
    assert encoder.always_start
    assert encoder.piece(encoder.start_id) == bos
    # What a block or a prompt starts with is put there by those who make them.
    assert encoder.text("Once.") == ENCODER.text("Once.")
    assert encoder.encode(Document("a", text="Once."), None).ids.tolist() == [
        *ENCODER.text("Once."),
        encoder.eos_id,
    ]


def test_an_end_that_the_tokenizer_writes_after_a_text_is_no_start(tmp_path):
    tokenizer = Tokenizer.from_file(str(EMBEDDED_BASE / "tokenizer.json"))
    tokenizer.post_processor = TemplateProcessing(single=f"$A {EOS}", special_tokens=[(EOS, 0)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert not Encoder(tmp_path, EOS).always_start


def test_a_turn_of_weight_0_is_context_and_a_name_stands_before_its_turn():
    said = (
        Message("assistant", "Not this.", trained=False),
        Message("user", "Who?", name="Adam"),
        Message("assistant", "But this.", name="Orlando"),
    )
    trained, ignored = learnt(said)
    assert trained == " But this.\n"
    assert ignored == "Hesper: Not this.\nAdam: Who?\nOrlando:"


def test_tools_and_calls_are_the_json_that_they_are():
    call = ToolCall("open", '{"door": "red"}')
    said = (
        Message("user", "Open it."),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", '{"open": true}'),
        Message("assistant", "It is open."),
    )
    encoded = ENCODER.encode(
        Document("c", kind="chat", messages=said, tools='[{"name": "open"}]'), HESPER
    )
    assert ENCODER.decode(encoded.ids) == (
        'Tools: [{"name": "open"}]\nTraveller: Open it.\n'
        'Hesper: {"name": "open", "arguments": {"door": "red"}}\n'
        'Tool: {"open": true}\nHesper: It is open.\n'
    )
    learnt_text = ENCODER.decode(encoded.ids[encoded.trained])
    assert learnt_text == ' {"name": "open", "arguments": {"door": "red"}}\n It is open.\n'


def test_the_end_after_a_persons_turn_is_not_learnt():
    said = (Message("assistant", "Bye."), Message("user", "Bye!"))
    encoded = ENCODER.encode(Document("c", kind="chat", messages=said), HESPER)
    assert encoded.ids[-1] == ENCODER.eos_id
    assert not encoded.trained[-1]


def test_quotes_are_folded_for_a_base_that_has_only_straight_ones():
    folding = Encoder(EMBEDDED_BASE, EOS, straight_quotes=True)
    text = "“Don’t,” she said — «naïve» café."
    assert folding.decode(folding.text(text)) == '"Don\'t," she said — "naïve" café.'
    assert folding.decode(folding.encode(Document("a", text=text), None).ids) == (
        '"Don\'t," she said — "naïve" café.'
    )
    said = (Message("user", "“Hm?”", name="D’Arcy"), Message("assistant", "“Yes.”"))
    chat = folding.encode(Document("c", kind="chat", messages=said), HESPER)
    assert folding.decode(chat.ids) == 'D\'Arcy: "Hm?"\nHesper: "Yes."\n'
    assert folding.decode(chat.ids[chat.trained]) == ' "Yes."\n'


def test_paragraphs_start_where_they_do_and_an_action_is_not_a_start():
    text = "You wait.\n\nRain.\n> You go.\nMud. More “mud.” And more."
    encoded = ENCODER.encode(Document("a", text=text), None)
    ids = encoded.ids.tolist()
    assert [ENCODER.decode(ids[start:])[:4] for start in encoded.starts] == ["You ", "Rain", "Mud."]
    sentences = [ENCODER.decode(ids[start:])[:5].strip() for start in encoded.sentences]
    assert sentences[-2:] == ["More", "And"]


def test_turns_start_with_their_names():
    said = (Message("user", "Hi.\nStill me."), Message("assistant", "Hello."))
    encoded = ENCODER.encode(Document("c", kind="chat", messages=said), HESPER)
    ids = encoded.ids.tolist()
    assert [ENCODER.decode(ids[start:])[:6] for start in encoded.starts] == ["Travel", "Hesper"]


@relaxed
@given(st.lists(st.text(max_size=60), max_size=6))
def test_counting_is_encoding_without_the_tokens(texts):
    assert ENCODER.count(texts) == [len(ENCODER.text(text)) for text in texts]
