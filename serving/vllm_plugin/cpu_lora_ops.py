"""LoRA products on a CPU: rows grouped by adapter slot, plain matrix products for each group.

Shape letters: N rows (tokens) of the batch, n rows of one group, I inputs, O outputs, R rank,
S slots. A stacked weight holds one adapter per slot: A is (S, 1, R, I), B is (S, 1, O, R).

Products are computed in float32 whatever the dtype of model and adapter, and rounded once, on
the way into the output. Rows without an adapter (slot -1) are never read or written.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

# From so many rows on, each the only one of its adapter, one product of a stack of matrices takes
# less time than a product each.
_LONE_ROWS = 2


class Grouping(NamedTuple):
    """Which rows of a batch use which adapter slot.

    `groups` has a slot and a range of rows for each adapter in the batch. Without `order` the
    ranges are of the batch as it stands, and all work is done on views of it: one adapter, or
    adapters whose rows follow one another, as those of a prompt do. With `order`, int64 (n,),
    they are of the batch's rows in that order, which leaves out rows without an adapter.

    Attributes:
        lone: row, as the batch counts it, and slot of all that are the only ones of their
            adapters: what requests for many adapters generate. Empty if they are few.
        larger: of `groups`, the others.
    """

    order: Tensor | None
    groups: tuple[tuple[int, slice], ...]
    lone: tuple[tuple[int, int], ...]
    larger: tuple[tuple[int, slice], ...]


def group_rows(slots_N: Tensor) -> Grouping:
    """Group rows by slot; a negative slot is no adapter."""
    order = None
    runs, lengths = torch.unique_consecutive(slots_N, return_counts=True)
    used = runs[runs >= 0]
    if used.unique().numel() < used.numel():  # an adapter's rows lie in several places
        order = torch.argsort(slots_N, stable=True)
        order = order[slots_N[order] >= 0]
        runs, lengths = torch.unique_consecutive(slots_N[order], return_counts=True)
    groups, start = [], 0
    for slot, length in zip(runs.tolist(), lengths.tolist(), strict=True):
        if slot >= 0:
            groups.append((slot, slice(start, start + length)))
        start += length
    single = [(rows.start, slot) for slot, rows in groups if rows.stop - rows.start == 1]
    if len(single) < _LONE_ROWS:
        return Grouping(order, tuple(groups), (), tuple(groups))
    if order is not None:
        single = [(int(order[row]), slot) for row, slot in single]
    larger = tuple(group for group in groups if group[1].stop - group[1].start > 1)
    return Grouping(order, tuple(groups), tuple(single), larger)


def ordered(x: Tensor, grouping: Grouping) -> Tensor:
    """The rows of `x` as the groups count them: a copy, or `x` itself if they need no order."""
    return x if grouping.order is None else x.index_select(0, grouping.order)


def put_back(x: Tensor, changed: Tensor, grouping: Grouping) -> None:
    """Write rows from `ordered` back to where they came from."""
    if grouping.order is not None:
        x.index_copy_(0, grouping.order, changed)


def weight(stacked: Tensor, slot: int) -> Tensor:
    """The matrix in one slot of (S, 1, a, b) or (S, a, b), in float32."""
    w = stacked[slot]
    return (w.squeeze(0) if w.dim() == 3 else w).float()


def shrink(x_nI: Tensor, a_stacked: Tensor, slot: int, scale: float) -> Tensor:
    """`scale * x @ A^T` for the rows of one group, (n, R), float32."""
    h_nR = x_nI.float() @ weight(a_stacked, slot).T
    return h_nR if scale == 1.0 else h_nR.mul_(scale)


def expand(y_nO: Tensor, h_nR: Tensor, b_OR: Tensor, *, add: bool = True) -> None:
    """`y += h @ B^T`, or `=` without `add`, in place. `y` may be a view of some columns."""
    if not add:
        y_nO.copy_(h_nR.float() @ b_OR.T)
    elif y_nO.dtype == torch.float32:
        # Added inside the matrix product: no (n, O) temporary, which at prefill is larger than
        # everything else here.
        y_nO.addmm_(h_nR.float(), b_OR.T)
    else:
        y_nO.add_(h_nR.float() @ b_OR.T)  # summed in float32, then rounded


def add_linear(
    y_NO: Tensor,
    x_NI: Tensor,
    a_stacked: Sequence[Tensor],
    b_stacked: Sequence[Tensor],
    grouping: Grouping,
    groups: Sequence[tuple[int, slice]],
    scale: float,
    output_slices: Sequence[int],
    *,
    add: bool = True,
) -> None:
    """Both products for each slice of the output (q, k and v, say), in place.

    Args:
        groups: those of `grouping` that are meant.
    """
    if not groups:
        return
    x, y = ordered(x_NI, grouping), ordered(y_NO, grouping)
    for slot, rows in groups:
        x_nI, start = x[rows].float(), 0
        for a, b, width in zip(a_stacked, b_stacked, output_slices, strict=True):
            h_nR = shrink(x_nI, a, slot, scale)
            expand(y[rows, start : start + width], h_nR, weight(b, slot), add=add)
            start += width
    put_back(y_NO, y, grouping)
