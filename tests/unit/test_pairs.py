"""Preferences as token ids: rendered as served, never cut in silence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lmft import paths
from lmft.corpus.documents import Document, Message
from lmft.dataset.blocks import IGNORED
from lmft.dataset.encode import Encoder
from lmft.dataset.pairs import Pairs, encode_pairs
from lmft.errors import CorpusError
from lmft.format.contract import FormatContract, Speakers
from lmft.format.render import render_chat_prompt
from lmft.train.preference.batches import PairOrder, strangers_to
from lmft.train.preference.heldout import preference_metrics

SPEAKERS = Speakers(user="Traveller", assistant="Hesper")
CONTRACT = FormatContract(
    kind="chat", speakers=SPEAKERS, stop=(), eos="<|endoftext|>", context_length=1024
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(paths.EMBEDDED_BASE, "<|endoftext|>", straight_quotes=True)


def preference(*prompt: Message, chosen: str = "Wipe “those” boots.") -> Document:
    return Document(
        "pairs.jsonl:1",
        "preference",
        messages=prompt or (Message("user", "Have you a bed?"),),
        chosen=(Message("assistant", chosen),),
        rejected=(Message("assistant", "Yes, we have rooms available."),),
    )


def test_the_prompt_is_what_is_served_and_the_answer_is_what_is_scored(encoder: Encoder) -> None:
    document = preference(Message("system", "An inn."), Message("user", "Have you a bed?"))
    (pair,) = encode_pairs([document], encoder, SPEAKERS, 1024).pairs
    served = [encoder.start_id, *encoder.text(render_chat_prompt(document.messages, CONTRACT))]
    for answer, said in ((pair.chosen, ' Wipe "those" boots.\n'), (pair.rejected, " Yes, we have")):
        assert answer.ids[: answer.prompt_tokens].tolist() == served
        assert not answer.scored[: answer.prompt_tokens].any()
        assert answer.scored[answer.prompt_tokens :].all()
        assert encoder.decode(answer.ids[answer.scored]).startswith(said)
        assert answer.ids[-1] == encoder.eos_id


def test_your_turns_within_an_answer_are_not_scored(encoder: Encoder) -> None:
    said = (Message("assistant", "Boots."), Message("user", "Why?"), Message("assistant", "Mud."))
    (pair,) = encode_pairs(
        [dataclasses.replace(preference(), chosen=said)], encoder, SPEAKERS, 99
    ).pairs
    assert encoder.decode(pair.chosen.ids[pair.chosen.scored]) == " Boots.\n Mud.\n"


def test_earlier_replies_in_the_prompt_are_not_scored(encoder: Encoder) -> None:
    prompt = (Message("user", "Hm?"), Message("assistant", "Soup."), Message("user", "And?"))
    (pair,) = encode_pairs([preference(*prompt)], encoder, SPEAKERS, 1024).pairs
    assert "Soup" not in encoder.decode(pair.chosen.ids[pair.chosen.scored])


def test_a_long_prompt_loses_its_oldest_turns_in_both_answers_and_is_counted(
    encoder: Encoder,
) -> None:
    turns = [Message("system", "An inn.")]
    for number in range(8):
        turns += [Message("user", f"Question {number}?"), Message("assistant", f"No {number}.")]
    long = preference(*turns, Message("user", "The last one?"))
    cut = encode_pairs([long, preference()], encoder, SPEAKERS, 64)
    pair = cut.pairs[0]
    assert cut.n_cut == 1
    assert cut.longest <= 64
    text = encoder.decode(pair.chosen.ids)
    assert text.startswith("An inn.\n")
    assert "Question 0" not in text
    assert "No 7." in text
    assert "The last one?" in text
    head = pair.chosen.prompt_tokens
    assert pair.rejected.ids[:head].tolist() == pair.chosen.ids[:head].tolist()
    # What is cut once is cut the same under the length that came of it.
    again = encode_pairs([long, preference()], encoder, SPEAKERS, cut.longest)
    assert again.pairs[0].chosen.ids.tolist() == pair.chosen.ids.tolist()


def test_an_answer_is_never_cut(encoder: Encoder) -> None:
    documents = [preference(chosen="So it was. " * 30), preference()]
    with pytest.raises(CorpusError, match=r"1 preference\(s\) are longer than 64.*jsonl:1\. Shor"):
        encode_pairs(documents, encoder, SPEAKERS, 64)


def test_blocks_hold_both_answers_and_learn_nothing_of_the_filling(encoder: Encoder) -> None:
    pairs = encode_pairs([preference(), preference(chosen="Aye.")], encoder, SPEAKERS, 1024)
    blocks = pairs.as_blocks(pairs.longest + 3)
    assert blocks.ids_NT.shape == (4, pairs.longest + 3)
    answers = [answer for pair in pairs.pairs for answer in (pair.chosen, pair.rejected)]
    for answer, ids, labels in zip(answers, blocks.ids_NT, blocks.labels_NT, strict=True):
        assert ids[: len(answer.ids)].tolist() == answer.ids.tolist()
        assert np.flatnonzero(labels != IGNORED).tolist() == np.flatnonzero(answer.scored).tolist()


def test_no_pairs_have_no_length() -> None:
    assert Pairs(()).longest == 0


def test_the_shipped_pairs_fit_and_differ(encoder: Encoder) -> None:
    from lmft.train.prepare import prepare
    from lmft.train.recipe import find_recipe, load_recipe

    job = prepare(load_recipe(find_recipe("prefer")))
    assert job.pairs is not None
    assert len(job.pairs.train) + len(job.pairs.heldout) == 73
    assert len(job.pairs.heldout) >= 10
    assert job.plan.batch_blocks % 2 == 0
    assert job.contract.speakers == SPEAKERS
    assert Path(job.recipe.data).name == "innkeeper-preferences.jsonl"


def test_a_stranger_is_the_answer_to_another_prompt_under_ones_own(encoder: Encoder) -> None:
    documents = [
        preference(Message("user", f"Prompt {number}?"), chosen=f"Answer {number}, at length.")
        for number in range(5)
    ]
    pairs = encode_pairs(documents, encoder, SPEAKERS, 1024).pairs
    strangers = strangers_to(pairs, 1024, seed=3)
    of_whom = []
    for number, pair in enumerate(pairs):
        chosen = strangers[2 * number]
        head = pair.chosen.prompt_tokens
        assert chosen.ids[:head].tolist() == pair.chosen.ids[:head].tolist()
        assert chosen.prompt_tokens == head
        said = encoder.decode(chosen.ids[chosen.scored])
        of_whom.append(int(said.split()[1].rstrip(",")))
    assert sorted(of_whom) == list(range(5))
    assert all(other != number for number, other in enumerate(of_whom))
    assert {len(one.ids) for one in strangers_to(pairs, 10, seed=3)} == {10}


def test_the_rows_of_a_pair_stay_together_and_every_epoch_has_all() -> None:
    rows = list(PairOrder(6, 12, seed=1, rows_per_pair=2))
    assert all(second == first + 1 for first, second in zip(rows[::2], rows[1::2], strict=True))
    assert sorted(rows[:12]) == sorted(rows[12:]) == list(range(12))
    assert rows[:12] != rows[12:]


def test_a_pair_counts_as_right_by_what_it_gained_over_the_reference() -> None:
    reference_N2 = torch.tensor([[-9.0, -1.0], [-1.0, -9.0], [-5.0, -5.0], [-2.0, -3.0]])
    logprobs_N2 = torch.tensor([[-8.0, -2.0], [-4.0, -9.0], [-5.0, -5.0], [-1.0, -4.0]])
    assert preference_metrics(logprobs_N2, reference_N2) == {
        "heldout_accuracy": 0.625,
        "heldout_margin": 0.25,
    }
