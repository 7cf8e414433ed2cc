"""A frozen linear layer with a LoRA on it, as one step of the gradient tape.

PEFT adds the LoRA as five operations on fp32 copies of the activations. Here activations keep
their type, the fp32 masters are cast instead (they are small), and nothing is kept for the
backward pass but the input and its projection to the rank.

    y = x W' + bias + s (x A') B'          W (O, I), A (R, I), B (O, R), s = alpha / rank
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import bitsandbytes
import torch
from bitsandbytes.functional import dequantize_4bit
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

_ADAPTER = "default"


class LoraLinear(torch.autograd.Function):
    """See the module's formula; `weight` gives W (O, I) in x's type whenever it is asked.

    Returns (N, O), for a caller to bring into shape: Falcon adds to what a layer gives in place,
    which autograd forbids on a view that was made in here.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        a_RI: torch.Tensor,
        b_OR: torch.Tensor,
        bias: torch.Tensor | None,
        scaling: float,
        weight: Callable[[], torch.Tensor],
    ) -> torch.Tensor:
        x_NI = x.reshape(-1, x.shape[-1])
        low_NR = x_NI @ a_RI.to(x.dtype).T
        weight_IO = weight().T
        y_NO = x_NI @ weight_IO if bias is None else torch.addmm(bias, x_NI, weight_IO)
        y_NO.addmm_(low_NR, b_OR.to(x.dtype).T, alpha=scaling)
        ctx.save_for_backward(x_NI, low_NR, a_RI, b_OR)
        ctx.scaling, ctx.weight, ctx.shape = scaling, weight, x.shape
        return y_NO

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x_NI, low_NR, a_RI, b_OR = ctx.saved_tensors
        grad_NO = grad.reshape(-1, grad.shape[-1])
        low_grad_NR = (grad_NO @ b_OR.to(grad.dtype)).mul_(ctx.scaling)
        a_grad_RI = (low_grad_NR.T @ x_NI).to(a_RI.dtype)
        b_grad_OR = (grad_NO.T @ low_NR).to(b_OR.dtype).mul_(ctx.scaling)
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = grad_NO @ ctx.weight()
            x_grad = x_grad.addmm_(low_grad_NR, a_RI.to(grad.dtype)).view(ctx.shape)
        return x_grad, a_grad_RI, b_grad_OR, None, None, None


def install_linears(model: Any, *, keep_dequantised: bool) -> int:
    """Give every plain LoRA layer of `model` this forward; returns how many took it.

    A layer with dropout, or with another kind of base or adapter, keeps PEFT's own.

    Args:
        keep_dequantised: hold 4-bit weights dequantised beside their 4-bit form. The same
            numbers, without dequantising them twice in every step.
    """
    n_installed = 0
    for layer in model.modules():
        if isinstance(layer, LoraLayer) and _is_plain(layer):
            weight = _weight_of(layer.get_base_layer(), keep_dequantised)
            layer.forward = types.MethodType(_forward_with(weight, layer.forward), layer)
            n_installed += 1
    return n_installed


def _is_plain(layer: Any) -> bool:
    kinds = (nn.Linear, Conv1D, bitsandbytes.nn.Linear4bit)
    return (
        isinstance(layer.get_base_layer(), kinds)
        and list(layer.lora_A) == [_ADAPTER]
        and not layer.lora_variant
        and isinstance(layer.lora_dropout[_ADAPTER], nn.Identity)
        and layer.lora_B[_ADAPTER].bias is None
    )


def _weight_of(base: Any, keep_dequantised: bool) -> Callable[[], torch.Tensor]:
    """What gives the frozen weight as (O, I), dense."""
    if isinstance(base, bitsandbytes.nn.Linear4bit):
        # Taken now: FSDP gives back what it gathers as a plain tensor.
        state = base.weight.quant_state
        if not keep_dequantised:
            return lambda: dequantize_4bit(base.weight.data, state)
        base.register_buffer("dequantised", dequantize_4bit(base.weight.data, state), False)
        return lambda: base.dequantised
    if isinstance(base, Conv1D):
        return lambda: base.weight.T
    return lambda: base.weight


def _forward_with(
    weight: Callable[[], torch.Tensor], plain: Callable[..., torch.Tensor]
) -> Callable[..., torch.Tensor]:
    def forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if layer.disable_adapters or layer.merged or args or kwargs:
            return plain(x, *args, **kwargs)
        out: torch.Tensor = LoraLinear.apply(  # type: ignore[no-untyped-call]
            x,
            layer.lora_A[_ADAPTER].weight,
            layer.lora_B[_ADAPTER].weight,
            layer.get_base_layer().bias,
            layer.scaling[_ADAPTER],
            weight,
        )
        return out.view(*x.shape[:-1], -1)

    return forward
