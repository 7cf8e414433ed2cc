"""The engine's own chat template, for a base that has none.

The gateway renders chat itself, by the adapter's format contract. This is for what goes past
it: vLLM answers 400 to a chat request when neither tokenizer nor registry has a template.
"""

from pathlib import Path

FALLBACK_PATH = Path(__file__).with_name("chat_fallback.jinja")


def register_fallback() -> None:
    """Give GPT-2 the plain `User:` / `Assistant:` template, unless it has one already."""
    from vllm.transformers_utils.chat_templates.registry import (
        get_chat_template_fallback_path,
        register_chat_template_fallback_path,
    )

    # Asked first because a second registration logs a warning, and because a template that
    # someone else registered on purpose is not ours to take away.
    if get_chat_template_fallback_path("gpt2", "") is None:
        register_chat_template_fallback_path("gpt2", FALLBACK_PATH)
