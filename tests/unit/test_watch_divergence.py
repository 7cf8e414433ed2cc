"""When a loss that is still a number is taken for divergence."""

from __future__ import annotations

import pytest

from lmft.errors import DivergedError
from lmft.train.watch.divergence import Divergence


def look_at(*losses: float) -> None:
    divergence = Divergence()
    for step, loss in enumerate(losses, 1):
        divergence.look(loss, step)


def test_a_loss_that_falls_or_trembles_is_none():
    look_at(9.0, 4.1, 3.9, 4.4, 3.8, 5.0)
    look_at(0.69, 0.05, 0.4, 0.01)


@pytest.mark.parametrize("last", [6.0, 12.0])
def test_a_loss_far_above_its_lowest_is_divergence(last):
    with pytest.raises(DivergedError, match=r"from 3\.80 up to .* at step 3"):
        look_at(4.1, 3.8, last)


@pytest.mark.parametrize("last", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_divergence(last):
    with pytest.raises(DivergedError, match="at step 2"):
        look_at(4.1, last)
