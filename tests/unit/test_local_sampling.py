"""The local engine's sampler: each field does what vLLM means by it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from serving.engine.local.sampling import Sampler, Sampling  # noqa: E402
from serving.engine.local.sequence import score  # noqa: E402

END = 7
LOGITS = torch.tensor([2.0, 1.5, 1.0, 0.5, -0.5, -1.0, -2.0, 2.5])
PROMPT = [0, 0, 1]


def sampler(**fields: Any) -> Sampler:
    return Sampler(Sampling(**fields), len(PROMPT), END, "cpu")


def greedy(said: list[int], **fields: Any) -> int:
    return sampler(temperature=0.0, **fields).choose([*PROMPT, *said], LOGITS)


def seen(n: int = 400, **fields: Any) -> Counter[int]:
    chooser = sampler(seed=3, **fields)
    return Counter(chooser.choose(PROMPT, LOGITS) for _ in range(n))


def test_at_temperature_zero_the_best_token_is_taken_and_the_logits_stay_as_they_are() -> None:
    before = LOGITS.clone()
    assert greedy([]) == 7
    assert greedy([], logit_bias=((3, 9.0),), presence_penalty=1.0, repetition_penalty=2.0) == 3
    assert torch.equal(LOGITS, before)


def test_until_min_tokens_are_said_the_end_is_not_chosen() -> None:
    assert greedy([5], min_tokens=2) == 0
    assert greedy([5, 5], min_tokens=2) == END


def test_a_bias_is_added_to_its_token() -> None:
    assert greedy([], logit_bias=((2, 1.6), (7, -100.0))) == 2
    assert greedy([], logit_bias=((2, 1.4),)) == END


def test_a_ban_of_the_end_is_not_lifted_by_a_bias() -> None:
    assert greedy([], min_tokens=1, logit_bias=((END, 50.0),)) == 0


def test_repetition_counts_prompt_and_answer_and_divides_or_multiplies_by_the_sign() -> None:
    # 7 was said: 2.5 / 2 = 1.25. 0 and 1 stand in the prompt: 1.0 and 0.75. Then 2 with 1.0.
    assert greedy([7], repetition_penalty=2.0) == 7
    assert greedy([7], repetition_penalty=2.6) == 2
    below = torch.tensor([-1.0, -1.5])
    chosen = Sampler(Sampling(temperature=0.0, repetition_penalty=2.0), 1, 9, "cpu")
    assert chosen.choose([0], below) == 1


def test_presence_counts_once_and_frequency_each_time_and_only_in_the_answer() -> None:
    # 2.5 - 0.6 < 2.0: the next best is 0, though the prompt has it twice.
    assert greedy([7], presence_penalty=0.6) == 0
    assert greedy([7], presence_penalty=0.4) == END
    assert greedy([7, 7, 7], presence_penalty=0.4) == END
    assert greedy([7, 7, 7], frequency_penalty=0.2) == 0
    assert greedy([7, 7], frequency_penalty=0.2) == END


def test_chance_follows_the_softmax_at_the_temperature() -> None:
    for heat in (0.5, 1.0, 2.0):
        wanted = torch.softmax(LOGITS / heat, -1)
        counts = seen(4000, temperature=heat)
        for token, share in enumerate(wanted.tolist()):
            assert counts[token] / 4000 == pytest.approx(share, abs=0.03)


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    # Shares: 0.41, 0.25, 0.15, 0.09, ...
    assert set(seen(top_p=0.4)) == {7}
    assert set(seen(top_p=0.5)) == {7, 0}
    assert set(seen(top_p=0.7)) == {7, 0, 1}


def test_top_k_and_min_p_keep_the_best() -> None:
    assert set(seen(top_k=2)) == {7, 0}
    assert set(seen(min_p=0.5)) == {7, 0}
    assert len(seen(4000, top_k=-1, temperature=2.0)) == len(LOGITS)


def test_a_seed_makes_the_same_choices_again_and_another_one_others() -> None:
    def choices(seed: int) -> list[int]:
        chooser = sampler(seed=seed, temperature=2.0)
        return [chooser.choose(PROMPT, LOGITS) for _ in range(20)]

    assert choices(5) == choices(5)
    assert choices(5) != choices(6)
    assert choices(-(2**63)) != choices(2**63 - 1)


def test_a_long_prompt_is_scored_in_parts_as_it_would_be_whole() -> None:
    logits = torch.randn(600, 50, generator=torch.Generator().manual_seed(1))
    tokens = tuple(number % 50 for number in range(600))
    wanted = torch.log_softmax(logits, -1)
    rows = score(logits, tokens, 1)
    assert len(rows) == 600
    for number, ((token, logprob, _), (best, highest, place)) in enumerate(rows):
        assert token == tokens[number]
        assert logprob == pytest.approx(wanted[number, token].item(), abs=1e-6)
        assert (best, place) == (wanted[number].argmax().item(), 1)
        assert highest >= logprob
