"""Pairs to the batches that the losses of TRL's DPO and KTO trainers expect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler

from lmft.dataset.pairs import Answer, Pair
from lmft.train.batches import BlockOrder

Batch = dict[str, torch.Tensor]


class PairOrder(Sampler[int]):
    """The rows of pairs, pair by pair, in the order that `BlockOrder` gives blocks."""

    def __init__(self, n_pairs: int, n_numbers: int, seed: int, rows_per_pair: int) -> None:
        self._order = BlockOrder(n_pairs, n_numbers, seed)
        self._rows_per_pair = rows_per_pair

    def __len__(self) -> int:
        return len(self._order) * self._rows_per_pair

    def __iter__(self) -> Iterator[int]:
        for pair in self._order:
            first = pair * self._rows_per_pair
            yield from range(first, first + self._rows_per_pair)


class DpoCollate:
    """Numbers of pairs to (2 * B, T): the chosen answers, then the rejected ones.

    ref_chosen_logps, ref_rejected_logps: (B,) their log-probabilities under the reference.
    """

    def __init__(self, pairs: Sequence[Pair], reference_N2: torch.Tensor) -> None:
        self._pairs, self._reference_N2 = pairs, reference_N2

    def __call__(self, rows: Sequence[dict[str, int]]) -> Batch:
        numbers = [row["row"] for row in rows]
        pairs = [self._pairs[number] for number in numbers]
        answers = [*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)]
        chosen_B, rejected_B = self._reference_N2[numbers].unbind(1)
        return pad(answers) | {"ref_chosen_logps": chosen_B, "ref_rejected_logps": rejected_B}


class KtoCollate:
    """Numbers of answers (2n is chosen, 2n + 1 rejected of pair n) to (B, T).

    KL_*: the same prompts with answers to other prompts, on which KTO estimates how far the
    model has gone from its reference. label: (B,) whether the answer is the chosen one.
    ref_logps, ref_KL_logps: (B,) the log-probabilities under the reference.
    """

    def __init__(
        self,
        answers: Sequence[Answer],
        strangers: Sequence[Answer],
        reference_M: torch.Tensor,
        stranger_reference_M: torch.Tensor,
    ) -> None:
        self._answers, self._strangers = answers, strangers
        self._reference_M, self._stranger_reference_M = reference_M, stranger_reference_M

    def __call__(self, rows: Sequence[dict[str, int]]) -> Batch:
        numbers = [row["row"] for row in rows]
        strangers = pad([self._strangers[number] for number in numbers])
        return {
            **pad([self._answers[number] for number in numbers]),
            **{f"KL_{key}": value for key, value in strangers.items()},
            "label": torch.tensor([number % 2 == 0 for number in numbers]),
            "ref_logps": self._reference_M[numbers],
            "ref_KL_logps": self._stranger_reference_M[numbers],
        }


def pad(answers: Sequence[Answer]) -> Batch:
    """input_ids, attention_mask, completion_mask: (B, T), filled up on the right with token 0."""
    shape = len(answers), max(len(answer.ids) for answer in answers)
    ids_BT, seen_BT, scored_BT = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for row, answer in enumerate(answers):
        length = len(answer.ids)
        ids_BT[row, :length] = answer.ids
        seen_BT[row, :length] = 1
        scored_BT[row, :length] = answer.scored
    return {
        "input_ids": torch.from_numpy(ids_BT),
        "attention_mask": torch.from_numpy(seen_BT),
        "completion_mask": torch.from_numpy(scored_BT),
    }


def strangers_to(pairs: Sequence[Pair], max_tokens: int, seed: int) -> list[Answer]:
    """For each answer its prompt with the answer to another prompt, chosen with chosen.

    TRL pairs neighbours of a batch anew for every batch size; here each answer keeps one
    stranger, so that the reference is computed once, whatever the batches are. What goes
    beyond `max_tokens` is cut off: these answers are never learnt.
    """
    order = np.random.default_rng(seed).permutation(len(pairs))
    other = {int(one): int(next_) for one, next_ in zip(order, np.roll(order, 1), strict=True)}
    strangers = []
    for number, pair in enumerate(pairs):
        stranger = pairs[other[number]]
        strangers.append(_exchanged(pair.chosen, stranger.chosen, max_tokens))
        strangers.append(_exchanged(pair.rejected, stranger.rejected, max_tokens))
    return strangers


def _exchanged(own: Answer, stranger: Answer, max_tokens: int) -> Answer:
    head, tail = own.prompt_tokens, stranger.prompt_tokens
    return Answer(
        np.concatenate([own.ids[:head], stranger.ids[tail:]])[:max_tokens],
        np.concatenate([own.scored[:head], stranger.scored[tail:]])[:max_tokens],
    )
