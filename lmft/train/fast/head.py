"""The loss without ever holding all logits: chunk by chunk, gradient on the way.

Logits of a batch are its largest tensor by far (8k tokens of GPT-2: 1.6 GB in fp32). A frozen
head needs no gradient of its own, so each chunk of tokens gives its loss and the gradient of
its hidden states at once and is forgotten: two matrix products a token, as in Liger Kernel's
fused linear cross-entropy, against three with recomputation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

# fp32 logits of a chunk: small enough for a CPU's cache, large enough for a GPU's matmul.
_CHUNK_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}


class HeadLoss(torch.autograd.Function):
    """(2,) Summed negative log-probability (nats) of `targets_K` under softmax(hidden W' + bias),
    which has a gradient; and of how many of them no other token was likelier.

    To count costs 0.8 % of the head's time on a CPU (vocabulary 8192, width 256).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_KD: torch.Tensor,
        weight_VD: torch.Tensor,
        bias_V: torch.Tensor | None,
        targets_K: torch.Tensor,
        softcap: float | None,
    ) -> torch.Tensor:
        total_2 = hidden_KD.new_zeros(2, dtype=torch.float32)
        # Measuring wants no gradient, and half of the work is for it.
        grad_KD = torch.empty_like(hidden_KD) if ctx.needs_input_grad[0] else None
        size = chunk_tokens(weight_VD.shape[0], hidden_KD.device.type)
        for start in range(0, len(targets_K), size):
            piece = slice(start, start + size)
            hidden_CD, targets_C1 = hidden_KD[piece], targets_K[piece, None]
            logits_CV = torch.nn.functional.linear(hidden_CD, weight_VD, bias_V).float()
            bent_CV = None
            if softcap is not None:
                bent_CV = torch.tanh(logits_CV / softcap)
                logits_CV = bent_CV * softcap
            logprobs_CV = torch.log_softmax(logits_CV, dim=-1)
            total_2 += scored(logprobs_CV, targets_C1)
            if grad_KD is None:
                continue
            grad_CV = logprobs_CV.exp_()
            grad_CV.scatter_add_(-1, targets_C1, -torch.ones_like(targets_C1, dtype=grad_CV.dtype))
            if bent_CV is not None:
                grad_CV.mul_(1 - bent_CV.square_())
            torch.mm(grad_CV.to(weight_VD.dtype), weight_VD, out=grad_KD[piece])
        if grad_KD is not None:
            ctx.save_for_backward(grad_KD)
        return total_2

    @staticmethod
    def backward(ctx: Any, grad_2: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad_KD,) = ctx.saved_tensors
        return grad_KD * grad_2[0].to(grad_KD.dtype), None, None, None, None


def scored(logprobs_CV: torch.Tensor, targets_C1: torch.Tensor) -> torch.Tensor:
    """(2,) See HeadLoss."""
    picked_C1 = logprobs_CV.gather(-1, targets_C1)
    right_C1 = picked_C1 >= logprobs_CV.amax(dim=-1, keepdim=True)
    return torch.stack([-picked_C1.sum(), right_C1.sum().float()])


def chunk_tokens(vocabulary: int, device: str) -> int:
    return max(16, _CHUNK_BYTES.get(device, _CHUNK_BYTES["cuda"]) // (4 * vocabulary))


def install_head(causal: Any) -> None:
    """Let the head itself answer `head(hidden, targets=)` with the loss; see `head_loss`.

    A call of the module, and not a look at its weight, is what FSDP gathers the weight for.
    """
    head = causal.get_output_embeddings()
    head.forward = _forward_with(
        head, head.forward, getattr(causal.config, "final_logit_softcapping", None)
    )


def _forward_with(
    head: Any, plain: Callable[[torch.Tensor], torch.Tensor], softcap: float | None
) -> Callable[..., torch.Tensor]:
    def forward(hidden: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        if targets is None:
            return plain(hidden)
        bias = getattr(head, "bias", None)
        loss: torch.Tensor = HeadLoss.apply(  # type: ignore[no-untyped-call]
            hidden, head.weight, bias, targets, softcap
        )
        return loss

    return forward


def head_loss(
    causal: Any, hidden_BTD: torch.Tensor, picked_K: torch.Tensor, targets_K: torch.Tensor
) -> torch.Tensor:
    """HeadLoss of the tokens `targets_K`, each predicted at place `picked_K` of the B * T."""
    hidden_KD = hidden_BTD.flatten(0, 1).index_select(0, picked_K)
    loss_2: torch.Tensor = causal.get_output_embeddings()(hidden_KD, targets=targets_K)
    return loss_2
