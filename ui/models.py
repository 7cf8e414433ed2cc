"""One entry of `GET /v1/models`, and how a person sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ui import text


class Speakers(NamedTuple):
    """Who talks in a chat: the person at the keyboard, and the model."""

    player: str
    narrator: str


@dataclass(frozen=True)
class Model:
    """Attributes:
    alias: under which it is live, if it is.
    """

    id: str
    kind: str = "base"
    base: str = ""
    state: str = "live"
    created: int = 0
    opening: str = ""
    sampler: Mapping[str, float] = field(default_factory=dict)
    speakers: Speakers | None = None
    alias: str = ""

    @classmethod
    def parse(cls, entry: Mapping[str, Any], alias: str = "") -> Model:
        """From the server's JSON; what it leaves out gets a harmless default."""
        extra = entry.get("lmft") or {}
        kind = str(extra.get("kind") or "base")
        names = extra.get("speakers")
        speakers = Speakers(str(names["user"]), str(names["assistant"])) if names else None
        if kind in ("chat", "instruct") and not speakers:
            speakers = Speakers("You", "Assistant")
        return cls(
            id=str(entry["id"]),
            kind=kind,
            base=str(extra.get("base") or ""),
            state=str(extra.get("state") or "live"),
            created=int(entry.get("created") or 0),
            opening=str(extra.get("opening") or ""),
            sampler=extra.get("sampler") or {},
            speakers=speakers,
            alias=alias,
        )

    @property
    def is_base(self) -> bool:
        return self.kind == "base"

    @property
    def label(self) -> str:
        """A name for people; the exact id stays visible in what the server echoes."""
        if self.is_base:
            return text.BASE_LABEL.format(name=self.id)
        # ft:BASE:ORG:NAME:KEY, of a checkpoint with its step besides.
        parts = self.id.split(":")
        name, short = (parts[3], " ".join(parts[4:])) if len(parts) >= 5 else (self.id, "")
        made = datetime.fromtimestamp(self.created)
        label = text.ADAPTER_LABEL.format(
            name=name, short=short, date=f"{made.day} {made:%b %Y}", base=self.base
        )
        return text.FAILED_LABEL.format(label=label) if self.state == "failed" else label

    @property
    def first_opening(self) -> str:
        """How a new story begins; a character waits for the player to speak first."""
        return self.opening or ("" if self.speakers else text.OPENING)


def ordered(models: Iterable[Model]) -> list[Model]:
    """Adapters first, the newest at the top, then the bases."""
    return sorted(models, key=lambda model: (model.is_base, -model.created, model.id))


def newest_adapter(models: Iterable[Model]) -> Model | None:
    """The newest adapter that can answer."""
    usable = (m for m in ordered(models) if not m.is_base and m.state != "failed")
    return next(usable, None)


def choices(models: Iterable[Model]) -> list[tuple[str, str]]:
    """What a dropdown shows and what it means."""
    return [(model.label, model.id) for model in ordered(models)]
