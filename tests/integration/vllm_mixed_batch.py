"""Run by test_vllm_plugin in a process of its own: vLLM in process, alone and in mixed batches.

    python vllm_mixed_batch.py MODEL_DIR REQUEST.json ANSWER.json

In process, because the test wants to see which adapters vLLM put into one step; in a process of
its own, because vLLM binds threads and patches torch in the process that it runs in.
"""

import gc
import json
import os
import sys
from pathlib import Path

os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "HF_HUB_OFFLINE": "1",
    # One thread: two that wait for each other on busy cores make each operator take a time slice.
    "OMP_NUM_THREADS": "1",
    # vLLM compiles its logprobs and its sampler even when it runs eagerly: g++, and seconds.
    "TORCH_COMPILE_DISABLE": "1",
}


def main(model: str, request: dict) -> dict:
    """For each slot count: what each adapter (and the base) answers alone and in one batch."""
    from serving.vllm_plugin.cpu_punica import GroupedPunicaWrapperCPU

    steps = []
    update = GroupedPunicaWrapperCPU.update_metadata

    def recording(self, *args, **kwargs):
        update(self, *args, **kwargs)
        steps.append(sorted(set(self.token_lora_indices.tolist())))

    GroupedPunicaWrapperCPU.update_metadata = recording
    answer = {}
    for n_slots in request["slot_counts"]:
        steps.clear()
        answer[n_slots] = one_engine(model, request, n_slots)
        gc.collect()  # the engine's memory, before the next one takes its own
        answer[n_slots]["slots_of_steps"] = [list(t) for t in {tuple(step) for step in steps}]
    return answer


def one_engine(model: str, request: dict, n_slots: int) -> dict:
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    engine = LLM(
        model=model,
        dtype="float32",
        enable_lora=True,
        max_loras=n_slots,
        max_lora_rank=8,
        enforce_eager=True,
        skip_tokenizer_init=True,
        enable_prefix_caching=False,  # a cached prompt would be computed by another request
        max_model_len=64,
        max_num_seqs=32,
        disable_log_stats=True,
    )
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=request["max_tokens"],
        logprobs=0,
        ignore_eos=True,
        detokenize=False,
    )
    # None is the base; adapter ids start at 1.
    adapters = [None] + [
        LoRARequest(f"adapter-{i}", i, path)
        for i, path in enumerate(request["adapters"][:n_slots], start=1)
    ]
    # Prompts outside, adapters inside: the rows of one adapter are apart from one another.
    pairs = [(prompt, adapter) for prompt in request["prompts"] for adapter in adapters]

    def generate(batch: list) -> list[dict]:
        outputs = engine.generate(
            [{"prompt_token_ids": prompt} for prompt, _ in batch],
            sampling,
            lora_request=[adapter for _, adapter in batch],
            use_tqdm=False,
        )
        return [
            {
                "tokens": list(out.outputs[0].token_ids),
                "logprobs": [
                    step[token].logprob
                    for step, token in zip(
                        out.outputs[0].logprobs, out.outputs[0].token_ids, strict=True
                    )
                ],
            }
            for out in outputs
        ]

    result = {
        "adapter": [0 if adapter is None else adapter.lora_int_id for _, adapter in pairs],
        "mixed": generate(pairs),
        "alone": [generate([pair])[0] for pair in pairs],
    }
    engine.llm_engine.engine_core.shutdown()
    return result


if __name__ == "__main__":
    model_dir, request_path, answer_path = sys.argv[1:]
    answers = main(model_dir, json.loads(Path(request_path).read_text()))
    Path(answer_path).write_text(json.dumps(answers))
