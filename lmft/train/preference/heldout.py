"""How many held-out pairs the model gets right, measured while it trains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from lmft.dataset.pairs import Pair
from lmft.train.preference.logprobs import answer_logprobs


def pair_logprobs(model: Any, pairs: Sequence[Pair]) -> torch.Tensor:
    """(N, 2) log-probability (nats) of each pair's chosen and rejected answer."""
    answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
    return answer_logprobs(model, answers).view(-1, 2)


def preference_metrics(logprobs_N2: torch.Tensor, reference_N2: torch.Tensor) -> dict[str, float]:
    """What training moved, seen on pairs that it never saw.

    heldout_accuracy: the share of pairs whose chosen answer has gained more over the reference
    than the rejected one; no difference counts half, so that the reference itself has 0.5.
    heldout_margin: by how many nats more, in the mean.
    """
    gain_N2 = logprobs_N2 - reference_N2
    margin_N = gain_N2[:, 0] - gain_N2[:, 1]
    right_N = (margin_N > 0).float() + 0.5 * (margin_N == 0).float()
    return {
        "heldout_accuracy": round(float(right_N.mean()), 4),
        "heldout_margin": round(float(margin_N.mean()), 4),
    }


class HeldoutPreference(TrainerCallback):  # type: ignore[misc]
    """Measures `preference_metrics` at the ends of `evaluations` equal parts of the run, and after
    the steps `also`.

    What it found goes into the log line of that step; see `PreferenceTrainer.log`.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        reference_N2: torch.Tensor,
        evaluations: int,
        also: Collection[int] = (),
    ) -> None:
        self.found: dict[str, float] = {}
        self._pairs, self._reference_N2 = pairs, reference_N2
        self._evaluations, self._also = evaluations, also

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        ends = {
            round(state.max_steps * number / self._evaluations)
            for number in range(1, self._evaluations + 1)
        }
        if state.global_step in ends.union(self._also):
            self.found = preference_metrics(pair_logprobs(model, self._pairs), self._reference_N2)
            control.should_log = True
