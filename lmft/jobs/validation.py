"""A job looked at before it waits for the device: its text compiled and counted, its training
planned. In the process of `lmft.jobs.child`; loads no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmft.device.memory import once_trainings_are_done
from lmft.errors import BadInputError, CorpusError
from lmft.jobs.chosen_recipe import choose
from lmft.jobs.folder import JobFolder
from lmft.jobs.presets import resolved_hyperparameters
from lmft.jobs.spec import Spec
from lmft.report.json_report import as_json
from lmft.train.durable.jobkey import frozen
from lmft.train.planning.plan_shown import plan_lines, plan_tree
from lmft.train.recipe import Recipe

# OpenAI's own.
MIN_EXAMPLES = 10
_ROWS = frozenset({".jsonl", ".ndjson"})
# How the compiler names what is in the validation file.
_OF_VALIDATION = "heldout/"


class TooFewExamplesError(CorpusError):
    code = "invalid_n_examples"


class BadValidationFileError(BadInputError):
    code = "invalid_validation_file"

    def __init__(self, error: BadInputError) -> None:
        super().__init__(error.faults, error.n_faults)


def validate(folder: JobFolder) -> dict[str, Any]:
    """What the worker writes down of the job.

    Keys:
        report: `corpus` as `lmft corpus show --json` has it; `plan` with figures and, under
            `lines`, what `lmft train` would say first.
        resolved: the hyperparameters, with numbers where `auto` was asked for.
        steps, tokens, examples: counts. notes: sentences of what was found and let pass.

    Raises:
        UserError: what is wrong with recipe, files or base, all bad lines at once.
        MachineError: neither memory nor disk for it.
    """
    spec = Spec.read(folder)
    rows = _rows(folder.data)
    try:
        with once_trainings_are_done():
            job, found = choose(spec, folder)
    except BadInputError as error:
        if all(fault.startswith(_OF_VALIDATION) for fault in error.faults):
            raise BadValidationFileError(error) from error
        raise
    except CorpusError:
        # Too little text says the same in words that a client does not know.
        _require_examples(rows)
        raise
    _require_examples(rows)
    lines = list(plan_lines(job))
    return {
        "report": {
            "corpus": as_json(job.corpus.info, job.preflight),
            "plan": {**plan_tree(job), "lines": lines, "recipe": _chosen(job.recipe)},
        },
        "resolved": resolved_hyperparameters(spec.as_asked(), frozen(job.recipe, job.plan), found),
        "steps": job.plan.steps,
        "tokens": job.plan.tokens,
        "examples": rows or job.corpus.info.n_documents,
        "notes": [*job.corpus.info.notes, *job.preflight.warnings],
    }


def _chosen(recipe: Recipe) -> dict[str, float]:
    """What a person sets first, or would."""
    return {
        "epochs": recipe.training.epochs,
        "rank": recipe.lora.rank,
        "alpha": recipe.lora.alpha,
        "learning_rate": recipe.training.learning_rate,
    }


def _rows(data: Path) -> int:
    """Examples in the files, where each line is one; 0 where one of them is something else."""
    files = sorted(data.iterdir())
    if any(file.suffix not in _ROWS for file in files):
        return 0
    count = 0
    for file in files:
        with file.open("rb") as lines:
            count += sum(1 for line in lines if line.strip())
    return count


def _require_examples(rows: int) -> None:
    if 0 < rows < MIN_EXAMPLES:
        raise TooFewExamplesError(
            f"Training file has {rows} example(s), but must have at least {MIN_EXAMPLES} examples"
        )
