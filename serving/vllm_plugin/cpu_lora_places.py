"""Copies of the adapters that have one row each in a batch, side by side, kept from step to step.

What requests for many adapters generate is a batch of rows with an adapter each. One product of a
stack of matrices then takes less time than a product for each row, and what costs is putting the
stack together: vLLM keeps an adapter's weights wherever a slot was free. But from one step to the
next hardly any adapter comes or goes, and vLLM leaves the others in their rows. So each has a
place, in the order of the rows, and only who is new at a place is copied.

Shape letters as in cpu_lora_ops; m rows, each at a place.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

# Of one layer's copies; about the size of a cache. With more, a product each is as fast.
_MOST_BYTES = 4 << 20


class Seated(NamedTuple):
    """Rows, int64 (m,), each the only one of its adapter; the adapters' slots and numbers.

    vLLM gives a number once: an adapter that is loaded again has another one.

    Attributes:
        first: they are the first m rows of the batch, in its order.
    """

    rows: Tensor
    slots: tuple[int, ...]
    adapters: tuple[int, ...]
    first: bool

    @classmethod
    def of(cls, lone: Sequence[tuple[int, int]], adapters: Sequence[int]) -> Self:
        """Args: lone: row and slot. adapters: the number of the one in each slot."""
        rows, slots = zip(*sorted(lone), strict=True)
        return cls(
            torch.tensor(rows),
            slots,
            tuple(adapters[slot] for slot in slots),
            first=rows == tuple(range(len(rows))),
        )


class _Copies:
    """One layer's, in float32.

    Attributes:
        a_mIR: of those who are seated now; the slices of the output read the same input, so
            their A are beside one another. b_mRO: for each slice.
    """

    def __init__(self, a_stacked: Sequence[Tensor], b_stacked: Sequence[Tensor]) -> None:
        self.bytes_each = 4 * sum(one[0].numel() for one in (*a_stacked, *b_stacked))
        self._stacked = tuple(a_stacked), tuple(b_stacked)
        self._ranks = [a.shape[-2] for a in a_stacked]
        self._seated: Seated | None = None
        self._adapters: list[int | None] = []
        # A lies as vLLM has it, B turned: the products read both along their rows.
        n_inputs = a_stacked[0].shape[-1]
        self._a_pRI = torch.empty(0, sum(self._ranks), n_inputs, dtype=torch.float32)
        self._b_pRO = [
            torch.empty(0, b.shape[-1], b.shape[-2], dtype=torch.float32) for b in b_stacked
        ]
        self.a_mIR, self.b_mRO = self._a_pRI, self._b_pRO

    def follow(self, seated: Seated) -> None:
        """Copy those who are new at their places."""
        if seated is self._seated:
            return
        self._seated = seated
        m = len(seated.adapters)
        if (more := m - len(self._adapters)) > 0:
            self._a_pRI = _longer(self._a_pRI, m)
            self._b_pRO = [_longer(b, m) for b in self._b_pRO]
            self._adapters += [None] * more
        for place, (adapter, slot) in enumerate(zip(seated.adapters, seated.slots, strict=True)):
            if self._adapters[place] != adapter:
                self._adapters[place] = adapter
                self._copy(place, slot)
        self.a_mIR = self._a_pRI[:m].transpose(1, 2)
        self.b_mRO = [b[:m] for b in self._b_pRO]

    def _copy(self, place: int, slot: int) -> None:
        a_stacked, b_stacked = self._stacked
        parts = torch.split(self._a_pRI[place], self._ranks)
        for part, a in zip(parts, a_stacked, strict=True):
            part.copy_(a[slot].view_as(part))
        for kept, b in zip(self._b_pRO, b_stacked, strict=True):
            kept[place].copy_(b[slot].view(b.shape[-2:]).T)


class Places:
    """Each layer's copies."""

    def __init__(self) -> None:
        self._copies: dict[int, _Copies] = {}

    def fit(self, m: int, a_stacked: Sequence[Tensor], b_stacked: Sequence[Tensor]) -> bool:
        """Whether so many copies of a layer are worth their memory."""
        return m * self._of(a_stacked, b_stacked).bytes_each <= _MOST_BYTES

    def add_linear(
        self,
        y_NO: Tensor,
        x_NI: Tensor,
        a_stacked: Sequence[Tensor],
        b_stacked: Sequence[Tensor],
        seated: Seated,
        scale: float,
        output_slices: Sequence[int],
        *,
        add: bool = True,
    ) -> None:
        """`y[rows, slice] += scale * x[rows] @ A^T @ B^T`, each row with its own A and B."""
        copies = self._of(a_stacked, b_stacked)
        copies.follow(seated)
        m = len(seated.slots)
        x_mI = x_NI[:m] if seated.first else x_NI.index_select(0, seated.rows)
        y_mO = y_NO[:m] if seated.first else y_NO.index_select(0, seated.rows)
        h_m1R = torch.bmm(x_mI.float().unsqueeze(1), copies.a_mIR)
        if scale != 1.0:
            h_m1R.mul_(scale)
        rank, start = 0, 0
        for b_mro, width in zip(copies.b_mRO, output_slices, strict=True):
            h_m1r = h_m1R.narrow(2, rank, b_mro.shape[1])
            y_m1o = y_mO.narrow(1, start, width).unsqueeze(1)
            if not add:
                y_m1o.copy_(torch.bmm(h_m1r, b_mro))
            elif y_m1o.dtype == torch.float32:
                y_m1o.baddbmm_(h_m1r, b_mro)
            else:
                y_m1o.add_(torch.bmm(h_m1r, b_mro))
            rank, start = rank + b_mro.shape[1], start + width
        if not seated.first:
            y_NO.index_copy_(0, seated.rows, y_mO)

    def _of(self, a_stacked: Sequence[Tensor], b_stacked: Sequence[Tensor]) -> _Copies:
        # A layer's stack is allocated once, for as long as the model lives.
        key = a_stacked[0].data_ptr()
        if key not in self._copies:
            self._copies[key] = _Copies(a_stacked, b_stacked)
        return self._copies[key]


def _longer(stack: Tensor, length: int) -> Tensor:
    longer = stack.new_empty(length, *stack.shape[1:])
    longer[: len(stack)] = stack
    return longer
