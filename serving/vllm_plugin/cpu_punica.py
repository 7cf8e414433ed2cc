"""vLLM's CPU LoRA wrapper with its operators replaced by ours.

vLLM's own gather a copy of an adapter's weights for every token, and index the stacked weights
with the row's slot even where that is -1, "no adapter": in a batch that mixes requests for the
base with requests for adapters, the base rows get the adapter in the last slot.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from serving.vllm_plugin import cpu_lora_ops as ops
from serving.vllm_plugin.cpu_lora_ops import RowGroup


class GroupedPunicaWrapperCPU(PunicaWrapperCPU):  # type: ignore[misc]  # vLLM is Any to mypy
    """All LoRA operators of vLLM on a CPU, over rows grouped by adapter slot.

    One wrapper serves all layers of a model, so the rows are grouped once for each change of
    the batch. Names and signatures are vLLM's; callers pass keywords that nobody reads.
    """

    def __init__(
        self,
        max_num_batched_tokens: int,
        max_batches: int,
        device: torch.device | str,
        **kwargs: object,
    ) -> None:
        super().__init__(max_num_batched_tokens, max_batches, device, **kwargs)
        # vLLM leaves these uninitialised. A forward before the first mapping would read any
        # slot number, and the embedding layer reads offsets beyond the mapped rows when a batch
        # is padded: start with "no adapter", and with an offset that is valid.
        self._token_lora_indices.fill_(-1)
        self._sampler_indices.fill_(-1)
        self._embeddings_indices.zero_()
        self._token_groups: dict[int, tuple[RowGroup, ...]] = {}
        self._sampler_groups: dict[int, tuple[RowGroup, ...]] = {}

    def update_metadata(self, *args: object, **kwargs: object) -> None:
        """Take over the row-to-slot mapping of the next batch."""
        super().update_metadata(*args, **kwargs)
        self._token_groups.clear()
        self._sampler_groups.clear()

    def token_groups(self, n_rows: int) -> tuple[RowGroup, ...]:
        """Groups among the first `n_rows` rows; padding after the last mapped row is in none."""
        groups = self._token_groups.get(n_rows)
        if groups is None:
            groups = ops.group_rows(self.token_lora_indices[:n_rows])
            self._token_groups[n_rows] = groups
        return groups

    def sampler_groups(self, n_rows: int) -> tuple[RowGroup, ...]:
        """Groups among the rows that go to the LM head or a classifier.

        vLLM maps one row for each token to be sampled, but also sends all rows of one prompt
        (prompt_logprobs), without saying whose. That is answered where only one answer exists.
        """
        groups = self._sampler_groups.get(n_rows)
        if groups is not None:
            return groups
        slots = self.sampler_indices
        if slots.numel() == n_rows:
            groups = ops.group_rows(slots)
        else:
            used = torch.unique(slots).tolist()
            if len(used) > 1:
                raise RuntimeError(
                    f"vLLM sent {n_rows} rows to the LM head with a mapping for {slots.numel()} "
                    "rows of different adapters; which adapter they belong to is unknown"
                )
            everything = RowGroup(used[0], slice(0, n_rows)) if used and used[0] >= 0 else None
            groups = () if everything is None else (everything,)
        self._sampler_groups[n_rows] = groups
        return groups

    def add_shrink(
        self,
        y: Sequence[Tensor] | Tensor,
        x: Tensor,
        lora_a_stacked: Sequence[Tensor],
        scale: float,
        **kwargs: object,
    ) -> None:
        """`y[s][rows, :R] = scale * x[rows] @ A_s^T`; y is (slices, N, R) or a list of (N, R)."""
        x_NI = x.reshape(-1, x.shape[-1])
        for slot, rows in self.token_groups(x_NI.shape[0]):
            x_nI = ops.take(x_NI, rows)
            for y_s, a in zip(y, lora_a_stacked, strict=True):
                h_nR = ops.shrink(x_nI, a, slot, scale)
                y_NR = y_s.view(-1, y_s.shape[-1])
                ops.store(y_NR[:, : h_nR.shape[1]], h_nR, rows, add=False)

    def add_expand(
        self,
        y: Tensor,
        x: Sequence[Tensor] | Tensor,
        lora_b_stacked: Sequence[Tensor],
        output_slices: Sequence[int],
        offset_start: int = 0,
        add_inputs: bool = True,
        **kwargs: object,
    ) -> None:
        """`y[rows, slice] += x_s[rows] @ B_s^T`; y (N, O), x (slices, N, R) or a list of (N, R)."""
        y_NO = y.view(-1, y.shape[-1])
        for slot, rows in self.token_groups(y_NO.shape[0]):
            start = offset_start
            for x_s, b, width in zip(x, lora_b_stacked, output_slices, strict=True):
                y_slice = y_NO[:, start : start + width]
                h_nR = ops.take(x_s.reshape(-1, x_s.shape[-1]), rows)
                ops.expand(y_slice, h_nR, ops.weight(b, slot), rows, add=add_inputs)
                start += width

    def add_lora_embedding(
        self,
        y: Tensor,
        x: Tensor,
        lora_b_stacked: Tensor,
        add_inputs: bool = True,
        **kwargs: object,
    ) -> None:
        """`y += x @ B^T`; y (N, O), x (N, R): the rows of A that the token ids chose."""
        self.add_expand(y, (x,), (lora_b_stacked,), (y.shape[-1],), add_inputs=add_inputs)

    def add_lora_linear(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: Sequence[Tensor],
        lora_b_stacked: Sequence[Tensor],
        scale: float,
        output_slices: Sequence[int],
        *,
        buffer: Sequence[Tensor] | None = None,
        add_inputs: bool = True,
        **kwargs: object,
    ) -> None:
        """`y[:, slice] += scale * x @ A^T @ B^T`; y (N, O), x (N, I). Fills `buffer` if given."""
        if buffer is not None:
            self.add_shrink(buffer, x, lora_a_stacked, scale)
            self.add_expand(y, buffer, lora_b_stacked, output_slices, add_inputs=add_inputs)
            return
        y_NO, x_NI = y.view(-1, y.shape[-1]), x.reshape(-1, x.shape[-1])
        groups = self.token_groups(x_NI.shape[0])
        ops.add_linear(
            y_NO, x_NI, lora_a_stacked, lora_b_stacked, groups, scale, output_slices, add=add_inputs
        )

    def add_lora_logits(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: Tensor,
        lora_b_stacked: Tensor,
        scale: float,
        *,
        buffer: Tensor | None = None,
        **kwargs: object,
    ) -> None:
        """`y += scale * x @ A^T @ B^T`; y (N, V), x (N, I), rows by the sampler's mapping."""
        y_NV, x_NI = y.view(-1, y.shape[-1]), x.reshape(-1, x.shape[-1])
        for slot, rows in self.sampler_groups(x_NI.shape[0]):
            h_nR = ops.shrink(ops.take(x_NI, rows), lora_a_stacked, slot, scale)
            if buffer is not None:
                ops.store(buffer, h_nR, rows, add=False)
            b_VR = ops.weight(lora_b_stacked, slot)
            # Adapter and model may pad the vocabulary differently.
            width = min(b_VR.shape[0], y_NV.shape[1])
            ops.expand(y_NV[:, :width], h_nR, b_VR[:width], rows, add=True)

    def apply_lora_full_linear(
        self,
        y: Tensor,
        x: Tensor,
        weight_stacked: Tensor,
        bias_stacked: Tensor,
        module_enabled: Tensor,
    ) -> None:
        """`y[rows] = x @ W^T + bias`: a classifier head that came whole with the adapter.

        y (N, L), x (N, I), weights (S, 1, L, I), biases (S, L), enabled (S,) bool. Rows whose
        adapter brings no head keep the base's.
        """
        for slot, rows in self.sampler_groups(x.shape[0]):
            if module_enabled[slot]:
                value_nL = ops.take(x, rows) @ ops.weight(weight_stacked, slot).T
                ops.store(y, value_nL + bias_stacked[slot].float(), rows, add=False)
