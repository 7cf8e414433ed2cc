"""Blocks to batches: the order of a run, and the tensors of a step against a plain loop."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from lmft.dataset.blocks import IGNORED, Blocks
from lmft.train.batches import BlockDataset, BlockOrder, Collate

relaxed = settings(deadline=None, max_examples=100)


@relaxed
@given(st.integers(1, 20), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_every_epoch_has_each_block_once_and_the_last_may_be_a_part(n_blocks, n_numbers, seed):
    order = BlockOrder(n_blocks, n_numbers, seed)
    numbers = list(order)
    assert len(numbers) == len(order) == n_numbers
    for start in range(0, n_numbers, n_blocks):
        epoch = numbers[start : start + n_blocks]
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(range(n_blocks))


@relaxed
@given(st.integers(1, 20), st.integers(0, 70), st.integers(0, 70))
def test_a_longer_run_and_a_second_look_begin_with_the_same_numbers(n_blocks, n_numbers, more):
    """So that a run goes on by leaving out what it has had."""
    longer = BlockOrder(n_blocks, n_numbers + more, 5)
    assert list(longer)[:n_numbers] == list(BlockOrder(n_blocks, n_numbers, 5))
    assert list(longer) == list(longer)


def test_epochs_and_seeds_have_orders_of_their_own():
    numbers = list(BlockOrder(50, 100, 1))
    assert numbers[:50] != numbers[50:]
    assert numbers[:50] != list(BlockOrder(50, 50, 2))


@st.composite
def blocks(draw) -> Blocks:
    n_blocks, length = draw(st.integers(1, 6)), draw(st.integers(2, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = (n_blocks, length)
    ids_NT = rng.integers(0, 1000, shape).astype(np.int32)
    is_new_NT = rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    is_new_NT[:, 0] = False
    # As `pack` makes them: what nothing comes before is no label.
    is_label_NT = (rng.random(shape) < 0.7) & ~is_new_NT
    is_label_NT[:, 0] = False
    labels_NT = np.where(is_label_NT, ids_NT, IGNORED).astype(np.int32)
    return Blocks(ids_NT, labels_NT, np.cumsum(is_new_NT, axis=1, dtype=np.int32))


@relaxed
@given(blocks(), st.data())
def test_a_batch_is_what_a_plain_loop_says(made, data):
    n_blocks, length = made.ids_NT.shape
    numbers = data.draw(st.lists(st.integers(0, n_blocks - 1), min_size=1, max_size=5))
    batch = Collate(made)(numbers)
    assert batch["input_ids"].tolist() == [made.ids_NT[number].tolist() for number in numbers]
    picked, targets, positions, starts = [], [], [], []
    for row, number in enumerate(numbers):
        for column in range(length):
            place = row * length + column
            segment = made.segments_NT[number]
            if column == 0 or segment[column] != segment[column - 1]:
                starts.append(place)
            positions.append(place - starts[-1])
            if made.labels_NT[number, column] != IGNORED:
                picked.append(place - 1)
                targets.append(made.ids_NT[number, column])
    assert batch["picked"].tolist() == picked
    assert batch["targets"].tolist() == targets
    assert {batch[key].dtype for key in ("input_ids", "picked", "targets")} == {torch.int64}
    if starts == [row * length for row in range(len(numbers))]:
        assert batch.keys() == {"input_ids", "picked", "targets"}
        return
    bounds = [*starts, len(numbers) * length]
    assert batch["position_ids"].flatten().tolist() == positions
    assert batch["segment_starts"].tolist() == bounds
    assert batch["segment_starts"].dtype == torch.int32
    assert batch["longest_segment"] == max(np.diff(bounds))


def test_a_step_has_the_same_blocks_however_it_is_split():
    ids_NT = np.arange(24, dtype=np.int32).reshape(12, 2)
    made = Blocks(ids_NT, ids_NT, np.zeros_like(ids_NT))

    def rows(micro_blocks: int) -> list[list[int]]:
        loader = DataLoader(
            BlockDataset(made),
            batch_size=micro_blocks,
            sampler=BlockOrder(len(BlockDataset(made)), 32, seed=3),
            collate_fn=Collate(made),
        )
        return [row for batch in loader for row in batch["input_ids"].tolist()]

    assert rows(8) == rows(4) == rows(1)
