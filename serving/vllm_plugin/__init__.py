"""What lmft adds to vLLM, through its `vllm.general_plugins` entry point.

vLLM calls `register` in each of its processes: the API server, the engine core, the workers and
the short-lived process that inspects a model class. It logs and then ignores a plugin that fails
to *import*, and would go on with its own, wrong CPU LoRA operators; so nothing is imported here
at the top, and whatever fails does so inside `register`, where vLLM lets the error through.
"""


def register() -> None:
    """Add LoRA for GPT-2 and GPT-J, the fallback chat template, and the CPU LoRA operators, and
    ask for AMX.

    May be called any number of times in a process. Imports no model code: each model is named
    by a "module:Class" string that vLLM resolves when it needs it.

    Raises:
        RuntimeError: this vLLM is not one whose CPU LoRA operators lmft knows how to replace.
    """
    from serving.vllm_plugin.die_with_parent import die_with_parent

    die_with_parent()  # first: whatever comes after it may take seconds

    from vllm import ModelRegistry

    from serving.vllm_plugin.amx import allow_amx
    from serving.vllm_plugin.chat_template import register_fallback
    from serving.vllm_plugin.cpu_lora_seam import install

    ModelRegistry.register_model("GPT2LMHeadModel", "serving.vllm_plugin.gpt2:GPT2LoRA")
    ModelRegistry.register_model("GPTJForCausalLM", "serving.vllm_plugin.gptj:GPTJLoRA")
    register_fallback()
    install()
    allow_amx()
