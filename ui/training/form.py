"""What a person chooses for a training, the request that it makes, and back. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ui import text_train as text
from ui.training.client import Preset
from ui.training.job import MADE_BY, Job

DEFAULT_BASE = "embedded"
# As the shipped recipes have it: the scale of what is learnt stays the same for any rank.
_ALPHA_A_RANK = 2
_NAME_CHARACTERS = 24
_WHOLE, _NUMBER = re.compile(r"[0-9]{1,6}"), re.compile(r"[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Form:
    """As it stands on the page: empty is `auto`. Attributes: files: ids, the first one first."""

    files: tuple[str, ...] = ()
    preset: str = ""
    model: str = DEFAULT_BASE
    name: str = ""
    epochs: str = ""
    rank: str = ""
    rate: str = ""
    model_plays: str = ""
    you_play: str = ""
    skip_bad: bool = False

    @classmethod
    def of(cls, values: Sequence[Any]) -> Form:
        """From the components' values, in the order of the fields."""
        files, preset, model, *texts, skip_bad = values
        name, epochs, rank, rate, model_plays, you_play = (
            str(value or "").strip() for value in texts
        )
        return cls(
            files=tuple(files or ()),
            preset=preset or "",
            model=model or DEFAULT_BASE,
            name=name,
            epochs=epochs,
            rank=rank,
            rate=rate,
            model_plays=model_plays,
            you_play=you_play,
            skip_bad=bool(skip_bad),
        )

    def request(self, presets: Sequence[Preset]) -> dict[str, Any]:
        """The body that asks for this training, to be looked at before it starts.

        Raises:
            ValueError: something that should be a number is none.
        """
        training: dict[str, float] = {}
        if self.epochs:
            training["epochs"] = _number(text.EPOCHS, self.epochs)
        if self.rate:
            training["learning_rate"] = _number(text.RATE, self.rate)
        recipe: dict[str, Any] = {"training": training} if training else {}
        if self.rank:
            rank = _whole(text.RANK, self.rank)
            recipe["lora"] = {"rank": rank, "alpha": _ALPHA_A_RANK * rank}
        cast = {"model_plays": self.model_plays, "you_play": self.you_play}
        corpus: dict[str, Any] = {key: name for key, name in cast.items() if name}
        if self.skip_bad:
            corpus["skip_bad"] = True
        if corpus:
            recipe["corpus"] = corpus
        ours: dict[str, Any] = {"hold": True, "recipe": recipe}
        if self.preset:
            ours["preset"] = self.preset
        if self.files[1:]:
            ours["files"] = list(self.files[1:])
        body = {
            "model": self.model,
            "training_file": self.files[0] if self.files else "",
            "metadata": dict(MADE_BY),
            "lmft": ours,
        }
        if self.name:
            body["suffix"] = self.name
        if _method(self.preset, presets) != "sft":
            body["method"] = {"type": "dpo"}
        return body


def form_of(job: Job) -> Form:
    """What was chosen for a job, whoever made it."""
    ours: Mapping[str, Any] = job.request.get("lmft") or {}
    recipe: Mapping[str, Any] = ours.get("recipe") or {}
    training, corpus = recipe.get("training") or {}, recipe.get("corpus") or {}
    return Form(
        files=job.files,
        preset=str(ours.get("preset") or ""),
        model=job.model,
        name=str(job.request.get("suffix") or ""),
        epochs=_shown(training.get("epochs")),
        rank=_shown((recipe.get("lora") or {}).get("rank")),
        rate=_shown(training.get("learning_rate")),
        model_plays=str(corpus.get("model_plays") or ""),
        you_play=str(corpus.get("you_play") or ""),
        skip_bad=bool(corpus.get("skip_bad")),
    )


def once(body: Mapping[str, Any], *state: str) -> str:
    """A key for the request in this state of the page: a second click makes no second job."""
    said = json.dumps([body, *state], sort_keys=True)
    return f"train-page-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def name_from(file: str) -> str:
    """A name for what is learnt from a file of that name; empty where it has no letters for one."""
    stem = file.rpartition(".")[0] or file
    words = re.findall(r"[a-z0-9]+", stem.lower())
    while words and words[0].isdigit():
        words.pop(0)
    return "-".join(words)[:_NAME_CHARACTERS].strip("-")


def preset_choices(presets: Sequence[Preset]) -> list[tuple[str, str]]:
    """What the choice shows and what it means; our own first, in their order."""
    known = {preset.name: preset.title for preset in presets}
    names = [name for name in text.PRESETS if name in known]
    names += [name for name in known if name not in text.PRESETS]
    shown = [(text.PRESETS.get(name) or known[name] or name, name) for name in names]
    return [(text.AUTO_PRESET, ""), *shown]


def _method(preset: str, presets: Sequence[Preset]) -> str:
    chosen = next((one for one in presets if one.name == preset), None)
    return str(chosen.recipe.get("method") or "sft") if chosen else "sft"


def _number(field: str, typed: str) -> float:
    if not _NUMBER.fullmatch(typed):
        raise ValueError(text.NOT_A_NUMBER.format(field=field, value=typed))
    return float(typed)


def _whole(field: str, typed: str) -> int:
    if not _WHOLE.fullmatch(typed):
        raise ValueError(text.NOT_A_NUMBER.format(field=field, value=typed))
    return int(typed)


def _shown(value: object) -> str:
    if value in (None, "auto"):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
