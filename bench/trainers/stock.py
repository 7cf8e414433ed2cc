"""TRL's SFTTrainer as it comes: its own defaults, plus what anybody would switch on."""

from __future__ import annotations

import tempfile

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedTokenizerFast
from transformers.trainer_callback import PrinterCallback

from bench.trainers.clock import StepClock
from bench.trainers.shapes import ALPHA, RANK, SEED, Case, Measured, random_blocks


def measure(case: Case, n_steps: int, *, bf16: bool) -> Measured:
    """Packing, a LoRA on all linear layers, and the case's batch; all else TRL's defaults."""
    from trl import SFTConfig, SFTTrainer

    clock = StepClock()
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(
        case.base.path,
        dtype=torch.bfloat16 if bf16 else torch.float32,
        quantization_config=quantization if case.nf4 else None,
        device_map={"": clock.device} if clock.device == "cuda" else None,
    )
    blocks = random_blocks(case, n_steps, model.config.vocab_size)
    with tempfile.TemporaryDirectory(prefix="lmft-bench-") as scratch:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=scratch,
                packing=True,
                max_length=case.block_tokens,
                per_device_train_batch_size=case.blocks_per_step,
                max_steps=n_steps,
                bf16=bf16,
                use_cpu=clock.device == "cpu",
                seed=SEED,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"input_ids": blocks.ids_NT.tolist()}),
            processing_class=PreTrainedTokenizerFast.from_pretrained(case.base.path),
            peft_config=LoraConfig(
                r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
            callbacks=[clock],
        )
        # It prints each log line when its progress bar is off.
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return clock.measured(case.tokens_per_step)
