"""How much memory a training step needs, counted from the base's sizes; loads nothing.

What autograd keeps of one token in one layer, in elements (D hidden, F intermediate, Q queries,
K keys): input and output of each norm, queries, keys, values, the attention's output, and of
the MLP the inputs of its activation, product and last matrix. bench/plan.py holds it against
the peaks of real processes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from lmft.train.planning.shape import Shape

# What torch, transformers, peft, bitsandbytes and the rest take in a process once imported (on
# a GPU: the CUDA context and the libraries' work space there).
LIBRARY_BYTES = {"cpu": 595 << 20, "cuda": 600 << 20}
# Of both, what is there after the first step and not before: kernels, thread stacks, buffers.
_STARTED_BYTES = 20 << 20
# Of LIBRARY_BYTES, what Python and numpy take before the others come.
_BARE_BYTES = 40 << 20
_COMPILER_BYTES = {"cpu": 100 << 20, "cuda": 0}
# As lmft.train.fast.head has it, which this module cannot import without torch.
HEAD_CHUNK_BYTES = {"cpu": 8 << 20, "cuda": 256 << 20}
_HEAD_CHUNKS = 3
_MIN_HEAD_TOKENS = 16
# PyTorch's CUDA allocator rounds sizes up and keeps what was freed.
_CUDA_HOLES = 1.05
# On a CPU tensors lie on the C library's heap, which does not fit every new one into what old
# ones left, so that each layer leaves holes: this share of what autograd keeps of it, without and
# with checkpointing. Measured (glibc 2.36); more where norms and rotary positions are made of
# many small operations. Tensors above a limit come from the system instead, and go back to it.
_HEAP_HOLES = {"LayerNorm": (0.25, 0.35), "RMSNorm": (0.5, 0.65)}
_HEAP_LIMIT_BYTES = 32 << 20
# 4 bits and, for each 64 weights, their fp32 maximum.
_NF4_BYTES = 0.5 + 4 / 64
_MASTER_BYTES, _TRAINED_BYTES = 4, 16


@dataclass(frozen=True)
class Setting:
    """What the memory of a step depends on, besides the base.

    Attributes:
        element_bytes: of an activation: 4 for float32, else 2.
        micro_tokens: tokens of one pass; block_tokens: of one block in it.
    """

    device: str
    element_bytes: int
    quantization: str
    rank: int
    block_tokens: int
    micro_tokens: int
    checkpointing: bool = False
    keep_dequantised: bool = False
    compile: bool = False


@dataclass(frozen=True)
class Memory:
    """Bytes of each part; they add up to `peak`, unless loading takes more than training.

    Attributes:
        process: libraries, and what the process held before.
        model: frozen weights. optimizer: LoRA weights, gradients, Adam's moments.
        activations: what is kept for the backward pass and needed on the way.
        loading: of reading the weights, at first and again to publish, beyond process and model.
    """

    process: int
    model: int
    optimizer: int
    activations: int
    loading: int

    @property
    def peak(self) -> int:
        step = self.process + self.model + self.optimizer + self.activations
        return max(step, self.process + self.model + self.loading)


def memory_of(
    shape: Shape, n_parameters: int, file_bytes: int, setting: Setting, held: int = 0
) -> Memory:
    """The memory of training.

    Args:
        n_parameters: of the base, all; file_bytes: of its weights on disk.
        held: bytes that the process has already; see `held_bytes`.
    """
    on_cpu = setting.device == "cpu"
    n_lora = shape.n_lora(setting.rank)
    nf4 = setting.quantization == "nf4"
    # What stays as it is in the file is read in place, and then the whole file stays mapped;
    # else the file only passes by.
    in_place = on_cpu and file_bytes >= n_parameters * setting.element_bytes
    rest = (n_parameters - shape.n_linear) * setting.element_bytes
    if nf4:
        weights = (file_bytes if in_place else rest) + shape.n_linear * _NF4_BYTES
        if setting.keep_dequantised:
            weights += shape.n_linear * setting.element_bytes
    else:
        weights = float(n_parameters * setting.element_bytes)
    extra = _COMPILER_BYTES[setting.device] if setting.compile else 0
    return Memory(
        process=LIBRARY_BYTES[setting.device] + (held if on_cpu else 0) + extra,
        model=round(weights),
        optimizer=_TRAINED_BYTES * n_lora,
        activations=round(_activations(shape, setting)) + _STARTED_BYTES,
        loading=_MASTER_BYTES * n_lora + (n_parameters * setting.element_bytes if on_cpu else 0),
    )


def _activations(shape: Shape, setting: Setting) -> float:
    """Bytes at the worst moment of a pass: at the loss, or in the last layer's backward pass."""
    tokens, element = setting.micro_tokens, setting.element_bytes
    kept = _kept_bytes(shape, setting)
    layers = shape.layers * kept
    if setting.checkpointing:
        # The input of every layer, and one layer that is computed again.
        layers = shape.layers * shape.hidden * element + kept
    branches = 3 if shape.gated else 2
    in_layer = tokens * element * (branches * shape.intermediate + 2 * shape.hidden)
    if shape.whole_scores:
        in_layer += 2 * tokens * element * shape.heads * setting.block_tokens
    if setting.quantization == "nf4" and not setting.keep_dequantised:
        in_layer += element * max(wide * high for wide, high in shape.linears)
    chunk = max(HEAD_CHUNK_BYTES[setting.device], _MIN_HEAD_TOKENS * 4 * shape.vocabulary)
    at_loss = 4 * tokens * element * shape.hidden + _HEAD_CHUNKS * chunk
    needed = tokens * layers + max(in_layer, at_loss)
    if setting.device != "cpu":
        return needed * _CUDA_HOLES
    return needed + tokens * shape.layers * kept * _heap_holes(shape, setting)


def _heap_holes(shape: Shape, setting: Setting) -> float:
    """As a share of what is kept of all layers."""
    width_bytes = setting.micro_tokens * setting.element_bytes
    if width_bytes * shape.hidden >= _HEAP_LIMIT_BYTES:
        return 0.0
    share = _HEAP_HOLES["RMSNorm" if shape.rms else "LayerNorm"][setting.checkpointing]
    # GPT-2's short-lived tensors are mostly as wide as its MLP, a Llama's as its norms; and
    # what checkpointing keeps between them is as wide as those.
    wide = not shape.rms and not setting.checkpointing
    beyond = width_bytes * shape.intermediate > _HEAP_LIMIT_BYTES
    return share / 2 if wide and beyond else share


def _kept_bytes(shape: Shape, setting: Setting) -> int:
    """Of one token in one layer, for its backward pass."""
    element = setting.element_bytes
    norm = shape.hidden * ((4 if shape.rms else element) + element)
    attention = 2 * shape.attention + 2 * shape.kv_heads * shape.head_dim
    if shape.whole_scores:
        attention += shape.heads * setting.block_tokens
    # Input and output of the activation; beside a gate, the other branch and the product too.
    inner = shape.intermediate * (4 if shape.gated else 2)
    # The residual between attention and MLP belongs to the second norm, or to nobody.
    return shape.norms * norm + element * (attention + inner)


def held_bytes() -> int:
    """What this process holds beyond the libraries that training imports; 0 where the system
    does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    held = next((line for line in status.splitlines() if line.startswith("VmRSS:")), "VmRSS: 0")
    usual = LIBRARY_BYTES["cpu"] if "torch" in sys.modules else _BARE_BYTES
    return max(0, int(held.split()[1]) * 1024 - usual)
