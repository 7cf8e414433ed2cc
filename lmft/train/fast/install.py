"""Puts the fast pieces into a loaded PEFT model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from lmft.train.fast import attention
from lmft.train.fast.head import head_loss, install_head, scored
from lmft.train.fast.linear import install_linears
from lmft.train.fast.segments import Segments, set_segments

_TRIED_TOKENS = 16
# Two ways to the same loss differ by rounding; a head with a formula of its own differs by much.
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}


def install(model: Any, *, keep_dequantised: bool = False) -> None:
    """Make `model(input_ids=, picked=, targets=)` return the summed loss of those tokens, fast.

    See lmft.train.batches.Collate for the arguments. With `counted=True` it returns (2,): that
    sum, and how many of those tokens were the likeliest. Any other call answers as before. With
    activation checkpointing the backward call must come before the next call of any kind: it
    computes again what the last one told the attention.

    Args:
        model: a PEFT model over a causal LM of transformers, on its device.
        keep_dequantised: see lmft.train.fast.linear.
    """
    attention.register()
    causal = model.get_base_model()
    causal.config._attn_implementation = attention.choose_attention(causal)
    install_linears(model, keep_dequantised=keep_dequantised)
    install_head(causal)
    causal.forward = _forward_of(causal)
    causal.lmft_plain_head = not _agrees(causal)


def _forward_of(causal: Any) -> Callable[..., Any]:
    plain: Callable[..., Any] = causal.forward

    # `generate` reads the signature to know whether the model takes positions.
    @functools.wraps(plain)
    def forward(
        input_ids: Any = None,
        *args: Any,
        picked: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
        segment_starts: torch.Tensor | None = None,
        longest_segment: int = 0,
        counted: bool = False,
        **kwargs: Any,
    ) -> Any:
        if targets is None or picked is None:
            set_segments(None)
            with _compiled_in_training(causal):
                return plain(input_ids, *args, **kwargs)
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        if "attention_mask" in kwargs:
            raise ValueError("blocks are full: the fast call takes no attention_mask")
        apart = None
        if segment_starts is not None:
            apart = Segments(segment_starts, longest_segment)
        set_segments(apart)
        kwargs = attention.fast_arguments(causal, input_ids) | kwargs
        with _compiled_in_training(causal):
            if causal.lmft_plain_head:
                logits_BTV = plain(input_ids, use_cache=False, **kwargs).logits
                logits_KV = logits_BTV.flatten(0, 1).index_select(0, picked).float()
                found_2 = scored(torch.log_softmax(logits_KV, dim=-1), targets[:, None])
                return found_2 if counted else found_2[0]
            hidden_BTD = causal.base_model(input_ids, use_cache=False, **kwargs).last_hidden_state
            found_2 = head_loss(causal, hidden_BTD, picked, targets)
            return found_2 if counted else found_2[0]

    return forward


def _compiled_in_training(causal: Any) -> AbstractContextManager[Any]:
    """Compiled blocks have the shapes of training: those of an evaluation, and of each step of a
    generation, would make torch.compile start anew until it gives up."""
    return nullcontext() if causal.training else torch.compiler.set_stance("force_eager")


@torch.no_grad()
def _agrees(causal: Any) -> bool:
    """Whether hidden states and head alone give this model's loss; some scale or bend logits."""
    device = next(causal.parameters()).device
    ids = torch.arange(1, _TRIED_TOKENS + 1, device=device) % causal.config.vocab_size
    picked = torch.arange(_TRIED_TOKENS - 1, device=device)
    causal.lmft_plain_head = True
    plain = causal(ids[None], picked=picked, targets=ids[1:])
    causal.lmft_plain_head = False
    fused = causal(ids[None], picked=picked, targets=ids[1:])
    tolerance = _TOLERANCE[causal.get_output_embeddings().weight.dtype]
    return bool((plain - fused).abs() <= tolerance * plain.abs())
