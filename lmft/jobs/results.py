"""What a training that is done has made: its result file, its checkpoints, as a client asks for
them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from lmft.errors import LmftError, StoreError
from lmft.files.file import RESULTS, NewFile
from lmft.files.files import Files
from lmft.jobs.attempt import Made
from lmft.jobs.folder import JobFolder
from lmft.jobs.job import Job, Said
from lmft.registry.adapters import Adapter, get_adapter, list_adapters
from lmft.store.database import Store

Row = dict[str, Any]
_KEPT = "results.json"
# Of tokens; of preferences, the share of pairs in which the better answer won.
_ACCURACY, _ACCURACIES = "accuracy", ("token_accuracy", "rewards/accuracies")
# OpenAI's columns first, then what else is known of a step.
_COLUMNS = {
    "step": "step",
    "train_loss": "loss",
    "train_accuracy": _ACCURACY,
    "valid_loss": "heldout_loss",
    "valid_mean_token_accuracy": "heldout_token_accuracy",
    "epoch": "epoch",
    "tokens": "tokens",
    "seconds": "seconds",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "tokens_per_second": "tokens_per_second",
}


def made_of(job: Job, store: Store) -> tuple[Made, list[Said]]:
    """Read it from the published adapter; the result file is written once. And what to say of it:
    a model is not lost for want of room for its figures.

    Raises:
        NotFoundError, AdapterCorruptError: there is no such adapter. StoreError: ask again.
    """
    adapter = get_adapter(job.adapter)
    rows = _by_step(adapter)
    checkpoints = [
        (step, str(one.id), _metrics(rows, step))
        for one in (*_kept(adapter), adapter)
        for step in [one.manifest.training.steps]
    ]
    tokens, file = adapter.manifest.training.tokens, None
    said: list[Said] = []
    try:
        file = _result_file(job, rows, store)
    except StoreError:
        raise
    except LmftError as error:
        said.append(Said(f"No result file was written: {error}", "warn"))
    return Made(job.adapter, tokens, file, checkpoints), said


def table(rows: Sequence[Row]) -> str:
    """CSV of numbers; empty where a step has none."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        values = (row.get(key) for key in _COLUMNS.values())
        writer.writerow("" if value is None else value for value in values)
    return text.getvalue()


def _result_file(job: Job, rows: dict[int, Row], store: Store) -> str:
    folder = JobFolder(job.id)
    kept = folder.read(_KEPT)
    if kept is not None:
        return str(kept["file"])
    content = io.BytesIO(table([rows[step] for step in sorted(rows)]).encode())
    new = NewFile(job.project_id, RESULTS, "step_metrics.csv")
    file = Files(store).create(content, new).id
    folder.write(_KEPT, {"file": file})
    return file


def _by_step(adapter: Adapter) -> dict[int, Row]:
    """One row a step: what was logged and what was measured there."""
    rows: dict[int, Row] = {}
    for line in (adapter.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for name in _ACCURACIES:
            if name in row:
                row[_ACCURACY] = row[name]
        rows[row["step"]] = {**rows.get(row["step"], {}), **row}
    return rows


def _kept(adapter: Adapter) -> list[Adapter]:
    """The epochs that were kept, oldest first."""
    found = [one for one in list_adapters() if one.id.step is not None]
    ours = [one for one in found if str(one.id).startswith(f"{adapter.id}:")]
    return sorted(ours, key=lambda one: one.manifest.training.steps)


def _metrics(rows: dict[int, Row], step: int) -> dict[str, Any]:
    """In OpenAI's names; `full_`: over all that was held out."""
    row = rows.get(step, {})
    found = {
        "step": step,
        "train_loss": _nearest(rows, step, "loss"),
        "train_mean_token_accuracy": _nearest(rows, step, _ACCURACY),
        "valid_loss": row.get("heldout_loss"),
        "valid_mean_token_accuracy": row.get("heldout_token_accuracy"),
        "full_valid_loss": row.get("heldout_loss_all", row.get("heldout_loss")),
        "full_valid_mean_token_accuracy": row.get(
            "heldout_token_accuracy_all", row.get("heldout_token_accuracy")
        ),
    }
    return {name: value for name, value in found.items() if value is not None}


def _nearest(rows: dict[int, Row], step: int, key: str) -> Any:
    """As it was logged last by that step: not every step is."""
    known = [number for number, row in rows.items() if number <= step and row.get(key) is not None]
    return rows[max(known)][key] if known else None
