"""Attention over blocks: dense where one document fills each, cut where several share one.

Two implementations are registered with transformers. `lmft_cut` computes the attention of a fast
call itself: a varlen kernel on the GPU, a call for each document on the CPU; never a mask of the
batch. `lmft_masked` is for architectures with an attention of their own (GPT-Neo, GPT-J, BLOOM):
they get a mask of (B, 1, T, T), cut where documents share a block.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

from lmft.train.fast.segments import Segments, current_segments, rows_as_segments

CUT = "lmft_cut"
MASKED = "lmft_masked"
# The varlen kernel is FlashAttention 2: Ampere or newer, 16-bit, these sizes of a head.
_VARLEN_CAPABILITY = (8, 0)
_VARLEN_HEAD_STEP, _VARLEN_MAX_HEAD = 8, 256


def register() -> None:
    """Make both known to transformers; may be called again."""
    AttentionInterface.register(CUT, _cut_attention)
    AttentionMaskInterface.register(CUT, sdpa_mask)
    AttentionMaskInterface.register(MASKED, _masked_mask)


def choose_attention(model: Any) -> str:
    """The implementation with which this (already loaded) model is trained.

    A model that caps its attention scores (Gemma 2) keeps the eager one, as no kernel here can;
    transformers cuts that one by the positions.
    """
    if getattr(model.config, "attn_logit_softcapping", None) is not None:
        return "eager"
    return CUT if model._supports_attention_backend else MASKED


def fast_arguments(model: Any, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a fast call of `model` gives beside the blocks, so that `lmft_cut` knows it for one.

    A mask of four dimensions goes through to the attention as it is: no mask is made, and the
    device not asked whether one is needed. An empty one means: see `current_segments`.
    """
    if model.config._attn_implementation != CUT:
        return {}
    device, length = input_ids.device, input_ids.shape[1]
    return {
        "attention_mask": torch.empty(0, 0, 0, 0, device=device),
        # OPT would read them off the mask.
        "position_ids": torch.arange(length, device=device)[None],
    }


def _masked_mask(**arguments: Any) -> torch.Tensor:
    mask_B1TT: torch.Tensor = eager_mask(**arguments)
    segments = current_segments()
    if segments is None:
        return mask_B1TT
    batch, length = arguments["batch_size"], arguments["q_length"]
    numbers_BT = segments.numbers(batch * length).view(batch, length)
    apart_B1TT = numbers_BT[:, None, :, None] != numbers_BT[:, None, None, :]
    return mask_B1TT.masked_fill(apart_B1TT, torch.finfo(mask_B1TT.dtype).min)


def _cut_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query, key, value: (B, H, T, D), or fewer heads for key and value; returns (B, T, H, D).

    A token attends to the last `sliding_window` tokens of its segment, itself among them.
    """
    fast = attention_mask is not None and attention_mask.numel() == 0
    reaches_back = sliding_window is None or sliding_window >= query.shape[2]
    if not fast or (reaches_back and current_segments() is None):
        mask = None if fast else attention_mask
        out: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, mask, dropout, scaling, **kwargs
        )
        return out
    return _apart(query, key, value, scaling, sliding_window), None


# The lengths of segments are other ones in each batch: torch.compile would start anew for each.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _apart(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """As `_cut_attention`, for batches that need cutting or have a window to keep."""
    n_rows, _, length, head = query.shape
    segments = current_segments() or rows_as_segments(n_rows, length, query.device)
    flat = (_flat(query), _flat(key), _flat(value))
    varlen = (
        query.is_cuda
        and query.dtype != torch.float32
        and head % _VARLEN_HEAD_STEP == 0
        and head <= _VARLEN_MAX_HEAD
        and torch.cuda.get_device_capability(query.device) >= _VARLEN_CAPABILITY
    )
    attend = _by_kernel if varlen else _one_by_one
    out = attend(*flat, segments, scaling, window)
    return out.view(n_rows, length, *out.shape[1:])


def _flat(heads_BHTD: torch.Tensor) -> torch.Tensor:
    """(B, H, T, D) to (B * T, H, D)."""
    return heads_BHTD.transpose(1, 2).flatten(0, 1)


def _by_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    out = varlen_attn(
        query,
        key,
        value,
        segments.starts,
        segments.starts,
        segments.longest,
        segments.longest,
        scale=scaling,
        # The kernel counts the tokens before the one that looks back.
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return cast(torch.Tensor, out)


def _one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """A causal attention for each segment: less work than one over the whole block."""
    grouped = query.shape[1] != key.shape[1]
    parts = []
    parted = (each.split_with_sizes(segments.lengths) for each in (query, key, value))
    for q, k, v in zip(*parted, strict=True):
        near_SS = None
        if window is not None and len(q) > window:
            every_SS = torch.ones(len(q), len(q), dtype=torch.bool, device=q.device)
            near_SS = every_SS.tril().triu(1 - window)
        out_HSD = F.scaled_dot_product_attention(
            q.transpose(0, 1)[None],
            k.transpose(0, 1)[None],
            v.transpose(0, 1)[None],
            attn_mask=near_SS,
            is_causal=near_SS is None,
            scale=scaling,
            enable_gqa=grouped,
        )[0]
        parts.append(out_HSD.transpose(0, 1))
    return torch.cat(parts)
