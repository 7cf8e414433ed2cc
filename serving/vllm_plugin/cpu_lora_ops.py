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

# From so many rows on, each the only one of its adapter, one product of a stack of copied weights
# takes less time than a product each; as long as the copy is about the size of a cache.
_LONE_ROWS = 3
_LONE_BYTES = 4 << 20


class Grouping(NamedTuple):
    """Which rows of a batch use which adapter slot.

    `groups` has a slot and a range of rows for each adapter in the batch. Without `order` the
    ranges are of the batch as it stands, and all work is done on views of it: one adapter, or
    adapters whose rows follow one another, as those of a prompt do. With `order`, int64 (n,),
    they are of the batch's rows in that order, which leaves out rows without an adapter.

    Attributes:
        lone: rows, int64 (m,), that are the only ones of their adapters, as the batch counts
            them, and their slots: what requests for many adapters generate. None for a few.
        larger: the other groups; of all `groups` without lone rows.
    """

    order: Tensor | None
    groups: tuple[tuple[int, slice], ...]
    lone: tuple[Tensor, Tensor] | None
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
        return Grouping(order, tuple(groups), None, tuple(groups))
    rows_m, slots_m = torch.tensor(single).T.contiguous()
    lone = (rows_m if order is None else order[rows_m], slots_m)
    larger = tuple(group for group in groups if group[1].stop - group[1].start > 1)
    return Grouping(order, tuple(groups), lone, larger)


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
    scale: float,
    output_slices: Sequence[int],
    *,
    add: bool = True,
) -> None:
    """Both products for each group and each slice of the output (q, k and v, say), in place."""
    groups = grouping.groups
    if grouping.lone is not None:
        weights = (*a_stacked, *b_stacked)
        copied = 4 * grouping.lone[0].numel() * sum(one[0].numel() for one in weights)
        if copied <= _LONE_BYTES:
            _add_lone(y_NO, x_NI, a_stacked, b_stacked, grouping.lone, scale, output_slices, add)
            groups = grouping.larger
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


def _add_lone(
    y_NO: Tensor,
    x_NI: Tensor,
    a_stacked: Sequence[Tensor],
    b_stacked: Sequence[Tensor],
    lone: tuple[Tensor, Tensor],
    scale: float,
    output_slices: Sequence[int],
    add: bool,
) -> None:
    """As add_linear, for rows each with an adapter of its own: a batch of row times matrix."""
    rows_m, slots_m = lone
    x_m1I = x_NI.index_select(0, rows_m).float().unsqueeze(1)
    y_mO = y_NO.index_select(0, rows_m)
    start = 0
    for a, b, width in zip(a_stacked, b_stacked, output_slices, strict=True):
        h_m1R = torch.bmm(x_m1I, _stack(a, slots_m).transpose(1, 2))
        if scale != 1.0:
            h_m1R.mul_(scale)
        y_m1o = y_mO[:, start : start + width].unsqueeze(1)
        b_mRo = _stack(b, slots_m).transpose(1, 2)
        if not add:
            y_m1o.copy_(torch.bmm(h_m1R, b_mRo))
        elif y_m1o.dtype == torch.float32:
            y_m1o.baddbmm_(h_m1R, b_mRo)
        else:
            y_m1o.add_(torch.bmm(h_m1R, b_mRo))
        start += width
    y_NO.index_copy_(0, rows_m, y_mO)


def _stack(stacked: Tensor, slots_m: Tensor) -> Tensor:
    """The matrices in some slots of (S, 1, a, b), (m, a, b), in float32."""
    return stacked.index_select(0, slots_m).squeeze(1).float()
