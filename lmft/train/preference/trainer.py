"""TRL's DPO and KTO trainers on our own tokens, without what they would change on the way.

DPO: Rafailov et al. 2023, arXiv:2305.18290. KTO: Ethayarajh et al. 2024, arXiv:2402.01306.
The losses are TRL's. Ours are the tokens, the order of the data, and the log-probabilities of
the reference, computed once before training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerFast, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from lmft.dataset.pairs import Pair
from lmft.errors import RecipeError
from lmft.train.durable.resuming import Resuming
from lmft.train.epochs import epoch_ends
from lmft.train.fast.segments import set_segments
from lmft.train.planning.plan import Plan
from lmft.train.preference.batches import DpoCollate, KtoCollate, PairOrder, strangers_to
from lmft.train.preference.heldout import HeldoutPreference, pair_logprobs
from lmft.train.preference.logprobs import answer_logprobs, reference_weights
from lmft.train.prepare import Job
from lmft.train.recipe import Recipe
from lmft.train.trainer import training_arguments, without_autocast

# Of what TRL logs: how the two answers fare against the reference, in nats times beta. The rest
# tells little more, and its count of tokens begins anew with every start of a process.
_KEPT_METRICS = frozenset(
    {"rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "kl"}
)


class PreferenceTrainer:
    """What both trainers have of ours; mixed in before TRL's class."""

    rows_per_pair: int
    heldout: HeldoutPreference

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        """TRL would render and tokenise here; the collator has our tokens."""
        return dataset

    def _send_telemetry(self) -> None:
        """lmft tells nobody."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """lmft.registry.card writes it."""

    def _get_train_sampler(self: Any, train_dataset: Any = None) -> Sampler[int]:
        args = self.args
        n_rows = args.max_steps * args.train_batch_size * args.gradient_accumulation_steps
        n_pairs = len(self.train_dataset) // self.rows_per_pair
        n_numbers = n_rows * args.world_size // self.rows_per_pair
        return PairOrder(n_pairs, n_numbers, args.seed, self.rows_per_pair)

    def compute_loss(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        # TRL's head goes past the forward call that would say so.
        set_segments(None)
        return super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[misc]

    def log(self: Any, logs: dict[str, float], *args: Any) -> None:
        logs.update(self.heldout.found)
        self.heldout.found = {}
        for name in self._metrics["train"].keys() - _KEPT_METRICS:
            del self._metrics["train"][name]
        super().log(logs, *args)  # type: ignore[misc]

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted, as in BlockTrainer."""
        return 0


class DpoTrainer(PreferenceTrainer, Resuming, DPOTrainer):  # type: ignore[misc]
    """A row is a pair."""

    rows_per_pair = 1


class KtoTrainer(PreferenceTrainer, Resuming, KTOTrainer):  # type: ignore[misc]
    """A row is an answer; the two of a pair follow each other."""

    rows_per_pair = 2


_CLASSES: dict[str, tuple[Any, Any]] = {
    "dpo": (DpoTrainer, DPOConfig),
    "kto": (KtoTrainer, KTOConfig),
}


def make_preference_trainer(
    model: Any, job: Job, plan: Plan, scratch: Path, callbacks: Sequence[TrainerCallback]
) -> Any:
    """The trainer of one run of DPO or KTO; `model` has the fast pieces installed.

    The reference is the adapter that the job goes on from, else the base. Its log-probabilities
    are computed here, whatever the weights of `model` are by now.

    Raises:
        RecipeError: a step has an odd number of answers for each process.
    """
    if job.pairs is None:
        raise ValueError(f"a job of method {job.recipe.method} has no pairs")
    kind, config_of = _CLASSES[job.recipe.method]
    pairs, heldout_pairs = job.pairs.train.pairs, job.pairs.heldout.pairs
    arguments = training_arguments(job.recipe, plan, scratch)
    rows = {"row": range(len(pairs) * kind.rows_per_pair)}
    with _as_it_was(model):
        trainer = kind(
            model=model,
            args=_config(config_of, arguments, job.recipe.preference.beta, kind.rows_per_pair),
            train_dataset=Dataset.from_dict(rows),
            processing_class=PreTrainedTokenizerFast(
                tokenizer_file=str(job.base.path / "tokenizer.json"), eos_token=job.base.eos_token
            ),
            callbacks=list(callbacks),
        )
    trainer.remove_callback(PrinterCallback)
    without_autocast(trainer)
    # It would set special tokens of the model, and be written into every checkpoint.
    trainer.processing_class = None
    parent = job.parent.path if job.parent is not None else None
    with reference_weights(model, parent):
        trainer.data_collator = _collator(model, pairs, job.recipe, plan.block_tokens)
        reference_N2 = pair_logprobs(model, heldout_pairs)
    trainer.precompute_ref_logps = True
    evaluations = job.recipe.training.evaluations
    kept = epoch_ends(job)
    trainer.heldout = HeldoutPreference(heldout_pairs, reference_N2, evaluations, kept)
    trainer.add_callback(trainer.heldout)
    return trainer


def _collator(
    model: Any, pairs: Sequence[Pair], recipe: Recipe, max_tokens: int
) -> DpoCollate | KtoCollate:
    reference_N2 = pair_logprobs(model, pairs)
    if recipe.method == "dpo":
        return DpoCollate(pairs, reference_N2)
    strangers = strangers_to(pairs, max_tokens, recipe.training.seed)
    answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
    stranger_reference_M = answer_logprobs(model, strangers)
    return KtoCollate(answers, strangers, reference_N2.flatten(), stranger_reference_M)


def _config(kind: Any, arguments: TrainingArguments, beta: float, rows_per_pair: int) -> Any:
    """TRL's settings: the same as for stories, but that the plan's blocks are answers here."""
    answers = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    n_pairs = answers // 2
    if 2 * n_pairs != answers:
        raise RecipeError(
            f"training.batch_blocks gives {answers} answer(s) a step to each process; a pair is "
            "two of them.",
            "Set training.batch_blocks to an even number for each process, or to auto.",
        )
    most = max(1, arguments.per_device_train_batch_size // 2)
    micro = max(size for size in range(1, most + 1) if n_pairs % size == 0)
    settings = {
        field.name: getattr(arguments, field.name)
        for field in dataclasses.fields(arguments)
        if field.init
    }
    config = kind(
        **settings
        | {
            "per_device_train_batch_size": micro * rows_per_pair,
            "gradient_accumulation_steps": n_pairs // micro,
            "beta": beta,
            "max_length": None,
            "disable_dropout": True,
            "precompute_ref_log_probs": False,
            # What KTO insists on; the order is PairOrder's.
            "train_sampling_strategy": "sequential",
        }
    )
    config._n_gpu = arguments.n_gpu
    return config


@contextmanager
def _as_it_was(model: Any) -> Iterator[None]:
    """TRL adds a second adapter for its reference and casts LoRA on a quantised base to bf16."""
    masters = [(each, each.data.clone()) for each in model.parameters() if each.requires_grad]
    try:
        yield
    finally:
        if "ref" in model.peft_config:
            model.delete_adapter("ref")
        for each, master in masters:
            each.data = master
