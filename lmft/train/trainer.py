"""TRL's SFTTrainer without what is slow in it.

Kept: checkpoints, callbacks, schedule, accelerate, integrations, the fused LM head. Replaced:
the collator (blocks are already dense, so no mask and no padding) and the loss (no metrics
that wait for the device at every step). LoRA masters go back to fp32.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

from lmft.bases import Base
from lmft.dataset.blocks import Blocks
from lmft.train.model import restore_fp32_masters
from lmft.train.plan import Plan
from lmft.train.recipe import Recipe


class BlockTrainer(SFTTrainer):  # type: ignore[misc]
    """Trains on blocks (B, T) of ids and labels; the loss is the mean over trained tokens."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean negative log-probability in nats per trained token of the whole (global) batch.

        With accumulation `num_items_in_batch` counts the tokens of all micro-batches, so that
        8 blocks at once and 8 times 1 give the same gradient.
        """
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        n_tokens = outputs.label_mask.sum() if num_items_in_batch is None else num_items_in_batch
        # A block may hold only what is not learnt, a long system prompt say: its loss is 0.
        loss = -outputs.log_probs.sum() / torch.as_tensor(n_tokens).clamp(min=1)
        return (loss, outputs) if return_outputs else loss


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows of a dataset in torch format to ids and labels (B, T)."""
    return {key: torch.stack([row[key] for row in rows]) for key in ("input_ids", "labels")}


def blocks_dataset(blocks: Blocks) -> Dataset:
    dataset = Dataset.from_dict({"input_ids": blocks.ids_NT, "labels": blocks.labels_NT})
    dataset.set_format("torch")
    return dataset


def make_trainer(
    model: Any,
    blocks: Blocks,
    recipe: Recipe,
    base: Base,
    plan: Plan,
    scratch: Path,
    callbacks: Sequence[TrainerCallback],
) -> BlockTrainer:
    """The trainer of one run. `scratch` takes what the Trainer writes by itself."""
    on_cpu = plan.device == "cpu"
    config = SFTConfig(
        output_dir=str(scratch),
        max_steps=plan.steps,
        per_device_train_batch_size=plan.batch_blocks,
        learning_rate=recipe.training.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(recipe.training.warmup_share * plan.steps),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch" if on_cpu else "adamw_torch_fused",
        seed=recipe.training.seed,
        use_cpu=on_cpu,
        # In bf16 the activations run in bf16 under autocast from fp32 LoRA masters.
        bf16=plan.compute_dtype == "bfloat16",
        fp16=plan.compute_dtype == "float16",
        gradient_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=not on_cpu,
        max_length=None,
    )
    trainer = BlockTrainer(
        model=model,
        args=config,
        train_dataset=blocks_dataset(blocks),
        processing_class=load_tokenizer(base),
        data_collator=collate,
        callbacks=list(callbacks),
    )
    # The Trainer prints each log line by itself when its progress bar is off.
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    restore_fp32_masters(trainer.model)
    return trainer


def load_tokenizer(base: Base) -> PreTrainedTokenizerFast:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PreTrainedTokenizerFast.from_pretrained(base.path)
