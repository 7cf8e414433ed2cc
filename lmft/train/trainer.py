"""transformers' Trainer over dense blocks, without what is slow in it.

Kept: schedule, callbacks, accelerate, integrations, the life cycle of checkpoints. Replaced: the
loss (computed inside the model, see lmft.train.fast), the sampler and collator (blocks are
already dense), and what the Trainer counts or moves at every step without need.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import AutocastKwargs
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from lmft.dataset.blocks import Blocks
from lmft.train import processes
from lmft.train.batches import BlockDataset, BlockOrder, Collate
from lmft.train.durable.resuming import Resuming
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Recipe

# A GPU runs ahead of Python between two looks at the loss.
_LOGGING_STEPS = {"cpu": 1, "cuda": 5}


class BlockTrainer(Resuming, Trainer):  # type: ignore[misc]
    """Trains on blocks (B, T); the loss is the mean over the trained tokens of a whole step."""

    loss_is_scaled_for_ga = True
    # Since the last log, on the device: of how many trained tokens how many were the likeliest.
    _right: torch.Tensor | float = 0.0
    _n_tokens = 0

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean negative log-probability in nats per trained token of the whole (global) step.

        `num_items_in_batch` counts the tokens of all micro-batches of all processes, so that
        8 blocks at once, 8 times 1, or 4 on each of two processes give the same gradient.
        """
        total, right = model(**inputs, counted=True)
        self._right = self._right + right.detach()
        self._n_tokens += len(inputs["targets"])
        n_tokens = len(inputs["targets"]) if num_items_in_batch is None else num_items_in_batch
        # A step may hold only what is not learnt, a long system prompt say: its loss is 0.
        loss = total / torch.as_tensor(n_tokens, device=total.device).clamp(min=1)
        # DDP averages the gradients of its processes, where the sum is wanted.
        loss = loss * self.accelerator.num_processes
        return (loss, None) if return_outputs else loss

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], torch.Tensor]:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        # Filled on the device: a copy of a number from here would wait for all that is queued.
        n_tokens = torch.full((), sum(len(batch["targets"]) for batch in batches), device=device)
        if self.args.world_size > 1:
            n_tokens = self.accelerator.reduce(n_tokens, "sum")
        return batches, n_tokens

    def log(self, logs: dict[str, float], *args: Any) -> None:
        if "loss" in logs:
            counts = torch.as_tensor([self._right, self._n_tokens], device=self.args.device)
            right, n_tokens = self.accelerator.reduce(counts, "sum").tolist()
            logs["token_accuracy"] = right / max(n_tokens, 1)
            self._right, self._n_tokens = 0.0, 0
        super().log(logs, *args)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        dataset: BlockDataset = self.train_dataset
        per_step = self.args.train_batch_size * self.args.gradient_accumulation_steps
        n_numbers = self.args.max_steps * per_step * self.args.world_size
        return BlockOrder(len(dataset), n_numbers, self.args.seed)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted step by step: walking over all parameters costs more than it tells."""
        return 0


def training_arguments(recipe: Recipe, plan: Plan, scratch: Path) -> TrainingArguments:
    """What the Trainer is told; `scratch` takes what it writes by itself."""
    on_cpu = plan.device == "cpu"
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=plan.steps,
        per_device_train_batch_size=plan.micro_blocks,
        gradient_accumulation_steps=plan.accumulation,
        learning_rate=recipe.training.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(recipe.training.warmup_share * plan.steps),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        seed=recipe.training.seed,
        use_cpu=on_cpu,
        # Weights and activations have their type already; autocast would only cast again. fp16
        # is the exception: its gradients need the scaler that comes with it.
        fp16=plan.compute_dtype == "float16",
        gradient_checkpointing=plan.activation_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=_LOGGING_STEPS[plan.device],
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=not on_cpu,
        # From pinned memory, so that a copy does not wait for the steps that are still queued.
        accelerator_config={"non_blocking": not on_cpu},
        # Every LoRA has a gradient in every step.
        ddp_find_unused_parameters=False,
    )
    # A launcher has a word for autocast too; the plan has decided.
    arguments.mixed_precision = "fp16" if arguments.fp16 else "no"
    # One process trains on one device: with two GPUs the Trainer would split the batch in threads.
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def make_trainer(
    model: Any,
    blocks: Blocks,
    recipe: Recipe,
    plan: Plan,
    scratch: Path,
    callbacks: Sequence[TrainerCallback],
) -> BlockTrainer:
    """The trainer of one run; `model` has the fast pieces installed."""
    if processes.count() > 1:
        _keep_from_ddp(model)
    trainer = BlockTrainer(
        model=model,
        args=training_arguments(recipe, plan, scratch),
        train_dataset=BlockDataset(blocks),
        data_collator=Collate(blocks),
        callbacks=list(callbacks),
    )
    # The Trainer prints each log line by itself when its progress bar is off.
    trainer.remove_callback(PrinterCallback)
    without_autocast(trainer)
    return trainer


def without_autocast(trainer: Trainer) -> None:
    """Keep of fp16 training the loss scaler only: everything has its type already.

    Under autocast norms answer in fp32, which the fast pieces' in-place products do not take.
    """
    trainer.accelerator.autocast_handler = AutocastKwargs(enabled=False)


def _keep_from_ddp(model: Any) -> None:
    """Leave to DDP only what is trained; the rest is the same on all processes already.

    Else it sends the whole base at the start, and the dequantised weights, which are buffers, at
    every step.
    """
    frozen = [name for name, one in model.named_parameters() if not one.requires_grad]
    buffers = [name for name, _ in model.named_buffers()]
    model._ddp_params_and_buffers_to_ignore = [*frozen, *buffers]
