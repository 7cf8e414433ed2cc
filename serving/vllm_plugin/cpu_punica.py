"""vLLM's CPU LoRA wrapper with its operators replaced by ours.

vLLM's own gather a copy of an adapter's weights for every token, and index the stacked weights
with the row's slot even where that is -1, "no adapter": in a batch that mixes requests for the
base with requests for adapters, the base rows get the adapter in the last slot.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from serving.vllm_plugin import cpu_lora_ops as ops
from serving.vllm_plugin.cpu_lora_ops import Grouping
from serving.vllm_plugin.cpu_lora_places import Places, Seated


class GroupedPunicaWrapperCPU(PunicaWrapperCPU):  # type: ignore[misc]  # vLLM is Any to mypy
    """All LoRA operators of vLLM on a CPU, over rows grouped by adapter slot.

    One wrapper serves all layers of a model, so the rows are grouped once for each change of
    the batch. Names and signatures are vLLM's; callers pass keywords that nobody reads.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        # vLLM leaves these uninitialised. A forward before the first mapping would read any
        # slot number, and the embedding layer reads offsets beyond the mapped rows when a batch
        # is padded: start with "no adapter", and with an offset that is valid.
        self._token_lora_indices.fill_(-1)
        self._sampler_indices.fill_(-1)
        self._embeddings_indices.zero_()
        self._token_groups: dict[int, Grouping] = {}
        self._sampler_groups: dict[int, Grouping] = {}
        self._places, self._seated = Places(), dict[int, Seated]()
        self._adapters: Sequence[Any] = ()

    def update_metadata(
        self, mapping: object, lora_index_to_id: Sequence[Any], *args: object, **kwargs: object
    ) -> None:
        """Take over the row-to-slot mapping of the next batch, and which adapter is in a slot."""
        super().update_metadata(mapping, lora_index_to_id, *args, **kwargs)
        self._adapters = tuple(lora_index_to_id)
        self._token_groups.clear()
        self._sampler_groups.clear()
        self._seated.clear()

    def token_groups(self, n_rows: int) -> Grouping:
        """Groups among the first `n_rows` rows; padding after the last mapped row is in none."""
        grouping = self._token_groups.get(n_rows)
        if grouping is None:
            grouping = ops.group_rows(self.token_lora_indices[:n_rows])
            self._token_groups[n_rows] = grouping
            if grouping.lone:
                self._seated[n_rows] = Seated.of(grouping.lone, self._adapters)
        return grouping

    def sampler_groups(self, n_rows: int) -> Grouping:
        """Groups among the rows that go to the LM head or a classifier.

        vLLM maps one row for each token to be sampled, but also sends all rows of one prompt
        (prompt_logprobs), without saying whose. That is answered where only one answer exists.
        """
        grouping = self._sampler_groups.get(n_rows)
        if grouping is not None:
            return grouping
        slots = self.sampler_indices
        if slots.numel() == n_rows:
            grouping = ops.group_rows(slots)
        else:
            used = torch.unique(slots).tolist()
            if len(used) > 1:
                raise RuntimeError(
                    f"vLLM sent {n_rows} rows to the LM head with a mapping for {slots.numel()} "
                    "rows of different adapters; which adapter they belong to is unknown"
                )
            groups = tuple((slot, slice(0, n_rows)) for slot in used if slot >= 0)
            grouping = Grouping(None, groups, (), groups)
        self._sampler_groups[n_rows] = grouping
        return grouping

    def _in_use(self, stacked: Tensor) -> bool:
        """Whether an adapter of the batch has weights here; vLLM leaves zeros where not."""
        return any(stacked[slot].any() for slot in self.sampler_indices.unique() if slot >= 0)

    def add_shrink(
        self,
        y: Sequence[Tensor] | Tensor,
        x: Tensor,
        lora_a_stacked: Sequence[Tensor],
        scale: float,
        **kwargs: object,
    ) -> None:
        """`y[s][rows, :R] = scale * x[rows] @ A_s^T`; y is (slices, N, R) or a list of (N, R)."""
        grouping = self.token_groups(x.numel() // x.shape[-1])
        x_NI = ops.ordered(x.reshape(-1, x.shape[-1]), grouping)
        for y_s, a in zip(y, lora_a_stacked, strict=True):
            whole = y_s.view(-1, y_s.shape[-1])
            y_NR = ops.ordered(whole, grouping)
            for slot, rows in grouping.groups:
                h_nR = ops.shrink(x_NI[rows], a, slot, scale)
                y_NR[rows, : h_nR.shape[1]] = h_nR
            ops.put_back(whole, y_NR, grouping)

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
        whole, start = y.view(-1, y.shape[-1]), offset_start
        grouping = self.token_groups(whole.shape[0])
        y_NO = ops.ordered(whole, grouping)
        for x_s, b, width in zip(x, lora_b_stacked, output_slices, strict=True):
            x_NR = ops.ordered(x_s.reshape(-1, x_s.shape[-1]), grouping)
            for slot, rows in grouping.groups:
                y_slice = y_NO[rows, start : start + width]
                ops.expand(y_slice, x_NR[rows], ops.weight(b, slot), add=add_inputs)
            start += width
        ops.put_back(whole, y_NO, grouping)

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
        a, b, widths = lora_a_stacked, lora_b_stacked, output_slices
        grouping = self.token_groups(x_NI.shape[0])
        groups, lone = grouping.groups, self._seated.get(x_NI.shape[0])
        if lone is not None and self._places.fit(len(lone.slots), a, b):
            self._places.add_linear(y_NO, x_NI, a, b, lone, scale, widths, add=add_inputs)
            groups = grouping.larger
        ops.add_linear(y_NO, x_NI, a, b, grouping, groups, scale, widths, add=add_inputs)

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
        """`y += scale * x @ A^T @ B^T`; y (N, V), x (N, I), rows by the sampler's mapping.

        Whose a prompt's rows are does not matter where no adapter has weights for the LM head.
        """
        whole = y.view(-1, y.shape[-1])
        if self.sampler_indices.numel() != len(whole) and not self._in_use(lora_b_stacked):
            return
        grouping = self.sampler_groups(whole.shape[0])
        x_NI = ops.ordered(x.reshape(-1, x.shape[-1]), grouping)
        y_NV = ops.ordered(whole, grouping)
        h_NR = None if buffer is None else ops.ordered(buffer, grouping)
        for slot, rows in grouping.groups:
            h_nR = ops.shrink(x_NI[rows], lora_a_stacked, slot, scale)
            if h_NR is not None:
                h_NR[rows] = h_nR
            b_VR = ops.weight(lora_b_stacked, slot)
            # Adapter and model may pad the vocabulary differently.
            width = min(b_VR.shape[0], y_NV.shape[1])
            ops.expand(y_NV[rows, :width], h_nR, b_VR[:width])
        ops.put_back(whole, y_NV, grouping)
        if buffer is not None and h_NR is not None:
            ops.put_back(buffer, h_NR, grouping)

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
        grouping = self.sampler_groups(x.shape[0])
        x_NI, y_NL = ops.ordered(x, grouping), ops.ordered(y, grouping)
        for slot, rows in grouping.groups:
            if module_enabled[slot]:
                value_nL = ops.shrink(x_NI[rows], weight_stacked, slot, 1.0)
                y_NL[rows] = (value_nL + bias_stacked[slot].float()).to(y.dtype)
        ops.put_back(y, y_NL, grouping)
