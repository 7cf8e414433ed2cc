"""Fields of OpenAI and of popular clients that lmft has no use for.

A client that sends every slider it has must not fail for one that is at rest: such a field is
let pass at the value at which it does nothing, and refused at any other, with what to use
instead. What is not here and not a field of ours is unknown.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from pydantic_core import PydanticCustomError

_SAMPLERS = "Use temperature, top_p, top_k, min_p and repetition_penalty."
_TEXT_ONLY = "lmft's models read and write text."
_TOOLS = "Use `tools` and `tool_choice`."

# field -> the values at which it does nothing, and what to do instead of another.
_AT_REST: dict[str, tuple[tuple[Any, ...], str]] = {
    "best_of": ((1,), "Ask for `n` answers with `logprobs` and choose the best one yourself."),
    "suffix": (
        ("",),
        "No base here was trained to fill in; put what comes before into `prompt`.",
    ),
    "functions": (([],), _TOOLS),
    "function_call": (("none",), _TOOLS),
    "audio": ((), _TEXT_ONLY),
    "modalities": ((["text"],), _TEXT_ONLY),
    "prediction": ((), "Leave it out: it would change only the speed."),
    "web_search_options": ((), "lmft's models have only the text that they are given."),
    "verbosity": (("medium",), "Use max_tokens."),
    # Sampler fields of SillyTavern, KoboldAI and text-generation-webui.
    "top_a": ((0,), _SAMPLERS),
    "tfs": ((1,), _SAMPLERS),
    "typical": ((1,), _SAMPLERS),
    "typical_p": ((1,), _SAMPLERS),
    "epsilon_cutoff": ((0,), _SAMPLERS),
    "eta_cutoff": ((0,), _SAMPLERS),
    "mirostat": ((0,), _SAMPLERS),
    "mirostat_mode": ((0,), _SAMPLERS),
    "smoothing_factor": ((0,), _SAMPLERS),
    "dynatemp_range": ((0,), _SAMPLERS),
    "dry_multiplier": ((0,), _SAMPLERS),
    "xtc_probability": ((0,), _SAMPLERS),
    "penalty_alpha": ((0,), _SAMPLERS),
    "no_repeat_ngram_size": ((0,), _SAMPLERS),
    "guidance_scale": ((1,), _SAMPLERS),
    "length_penalty": ((1,), "Use max_tokens."),
    "min_tokens": ((0,), "Use logit_bias against the end-of-text token."),
    "num_beams": ((1,), "Beam search is not offered; use temperature 0."),
    "use_beam_search": ((False,), "Beam search is not offered; use temperature 0."),
    "early_stopping": ((False,), "Beam search is not offered; use temperature 0."),
    "do_sample": ((True,), "Use temperature 0."),
    "ban_eos_token": ((False,), "Use logit_bias against the end-of-text token."),
    "ignore_eos": ((False,), "Use logit_bias against the end-of-text token."),
    "skip_special_tokens": ((True,), "Special tokens are never shown."),
    "spaces_between_special_tokens": ((True,), "Special tokens are never shown."),
    "include_stop_str_in_output": ((False,), "The stop string is never part of the answer."),
}

FIELDS = frozenset(_AT_REST)


def without(data: dict[Any, Any], fields: Container[str]) -> dict[Any, Any]:
    """`data` without the fields that do nothing at the value they have.

    Raises:
        PydanticCustomError: `unsupported_parameter`, for one that would do something.
    """
    kept = {}
    for key, value in data.items():
        if key in fields or not isinstance(key, str) or key not in _AT_REST:
            kept[key] = value
            continue
        idle, instead = _AT_REST[key]
        # As many best answers as there are answers: all of them.
        if key == "best_of" and value == data.get("n"):
            continue
        if value is not None and not any(value == rest for rest in idle):
            raise PydanticCustomError(
                "unsupported_parameter",
                "{message}",
                {"param": key, "message": f"not supported. {instead}"},
            )
    return kept
