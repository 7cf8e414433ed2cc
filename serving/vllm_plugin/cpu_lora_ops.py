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


class RowGroup(NamedTuple):
    """The rows of one batch that use the adapter in one slot.

    `rows` is a slice when the rows follow one another (one adapter in the batch, or the tokens
    of one prompt): then inputs and outputs are views and nothing is gathered. Otherwise it is
    an int64 index (n,).
    """

    slot: int
    rows: slice | Tensor


def group_rows(slots_N: Tensor) -> tuple[RowGroup, ...]:
    """Group row numbers by slot; rows with a negative slot belong to no group."""
    groups = []
    for slot in torch.unique(slots_N).tolist():
        if slot < 0:
            continue
        rows_n = (slots_N == slot).nonzero().squeeze(1)
        first, last = int(rows_n[0]), int(rows_n[-1])
        consecutive = last - first + 1 == rows_n.numel()
        groups.append(RowGroup(slot, slice(first, last + 1) if consecutive else rows_n))
    return tuple(groups)


def take(x_NI: Tensor, rows: slice | Tensor) -> Tensor:
    """The rows of a group in float32, (n, I): a view where it can be."""
    x_nI = x_NI[rows] if isinstance(rows, slice) else x_NI.index_select(0, rows)
    return x_nI.float()


def weight(stacked: Tensor, slot: int) -> Tensor:
    """The matrix in one slot of (S, 1, a, b) or (S, a, b), in float32."""
    w = stacked[slot]
    return (w.squeeze(0) if w.dim() == 3 else w).float()


def shrink(x_nI: Tensor, a_stacked: Tensor, slot: int, scale: float) -> Tensor:
    """`scale * x @ A^T` for the rows of one group, (n, R), float32."""
    h_nR = x_nI @ weight(a_stacked, slot).T
    return h_nR if scale == 1.0 else h_nR.mul_(scale)


def expand(y_NO: Tensor, h_nR: Tensor, b_OR: Tensor, rows: slice | Tensor, *, add: bool) -> None:
    """`y[rows] += h @ B^T`, or `=` without `add`, in place. `y` may be a view of some columns."""
    if add and y_NO.dtype == torch.float32 and isinstance(rows, slice):
        # The product is added inside the matrix multiplication: no (n, O) temporary, which at
        # prefill is larger than everything else here.
        y_NO[rows].addmm_(h_nR, b_OR.T)
        return
    store(y_NO, h_nR @ b_OR.T, rows, add=add)


def store(y_NO: Tensor, value_nO: Tensor, rows: slice | Tensor, *, add: bool) -> None:
    """Write or add a float32 result to the rows of a group, rounding to y's dtype once."""
    if isinstance(rows, slice):
        y_nO = y_NO[rows]
        y_nO.add_(value_nO) if add else y_nO.copy_(value_nO)
        return
    if add:
        value_nO = y_NO.index_select(0, rows) + value_nO  # promotes to float32
    y_NO.index_copy_(0, rows, value_nO.to(y_NO.dtype))


def add_linear(
    y_NO: Tensor,
    x_NI: Tensor,
    a_stacked: Sequence[Tensor],
    b_stacked: Sequence[Tensor],
    groups: Sequence[RowGroup],
    scale: float,
    output_slices: Sequence[int],
    *,
    add: bool = True,
) -> None:
    """Both products for each group and each slice of the output (q, k and v, say), in place."""
    for slot, rows in groups:
        x_nI = take(x_NI, rows)
        start = 0
        for a, b, width in zip(a_stacked, b_stacked, output_slices, strict=True):
            h_nR = shrink(x_nI, a, slot, scale)
            expand(y_NO[:, start : start + width], h_nR, weight(b, slot), rows, add=add)
            start += width
