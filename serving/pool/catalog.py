"""What there is to serve: the published adapters, the bases they were trained over, how each is
served. Read from disk by names only, and again whenever a directory comes, goes or changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from lmft import paths
from lmft.bases import Base, inspect_base, resolve_base
from lmft.errors import (
    AdapterCorruptError,
    BaseModelError,
    LmftError,
    NotFoundError,
    ProbeFailedError,
)
from lmft.ids import parse_adapter_id
from lmft.registry.adapters import Adapter, open_adapter
from lmft.registry.removal import remove, sweep_removed
from lmft.train.servable import service_of
from serving.pool.base import ServedBase

log = logging.getLogger("lmft.pool")


class Catalog:
    """The adapters and bases on this machine's disk.

    Attributes:
        adapters: by id. bases: by key. unusable: why a base cannot be served, by key.
    """

    def __init__(self) -> None:
        self.adapters: dict[str, Adapter] = {}
        self.bases: dict[str, ServedBase] = {}
        self.unusable: dict[str, LmftError] = {}
        self._seen: dict[str, tuple[int, Adapter | AdapterCorruptError]] = {}
        self._refreshing = threading.Lock()

    def refresh(self) -> None:
        """Look at the disk again, in a thread: what is new is read, and a new base hashed."""
        with self._refreshing:
            sweep_removed()
            self._refresh()

    def _refresh(self) -> None:
        seen: dict[str, tuple[int, Adapter | AdapterCorruptError]] = {}
        for name, changed in _directories(paths.adapters_dir()):
            known = self._seen.get(name)
            seen[name] = known if known and known[0] == changed else (changed, _read(name))
        self._seen = seen
        found = [entry for _, entry in seen.values() if isinstance(entry, Adapter)]
        found.sort(key=lambda adapter: adapter.manifest.created_at, reverse=True)
        # A new base is hashed for seconds: who is told of an adapter finds its base there.
        for adapter in found:
            self._meet(adapter)
        self.adapters = {str(adapter.id): adapter for adapter in found}

    def remove(self, adapter: Adapter) -> None:
        """Take it from the disk: out of sight by one rename, then gone."""
        remove(adapter.path.name)
        self.refresh()

    def add_base(self, name: str) -> ServedBase:
        """A base without adapters, as a recipe would name it.

        Raises:
            BaseModelError: not there, not safe, or none that is served.
        """
        base = resolve_base(name)
        return self._add(base.alias, base)

    def find(self, adapter_id: str) -> Adapter:
        """Raises NotFoundError, or AdapterCorruptError for one that is there and unreadable."""
        if adapter := self.adapters.get(adapter_id):
            return adapter
        parsed = parse_adapter_id(adapter_id)
        _, entry = self._seen.get(parsed.directory, (0, None)) if parsed else (0, None)
        if isinstance(entry, AdapterCorruptError):
            raise entry
        raise unknown(adapter_id)

    def base_of(self, adapter: Adapter) -> ServedBase:
        """Raises ProbeFailedError when its base is gone or cannot be served."""
        key = adapter.manifest.variant
        if (base := self.bases.get(key)) is not None:
            return base
        error = self.unusable.get(key) or _gone(key)
        raise ProbeFailedError(
            f"Adapter {adapter.id} is not served: {error.message}", "Train the adapter again."
        )

    def base_named(self, public: str) -> ServedBase | None:
        return next((base for base in self.bases.values() if base.public == public), None)

    def newest(self) -> dict[str, Adapter]:
        """alias -> its newest version"""
        return {adapter.id.alias: adapter for adapter in reversed(self.finals())}

    def finals(self) -> list[Adapter]:
        """All versions but checkpoints, which are served only to those who name them; newest
        first."""
        return [adapter for adapter in self.adapters.values() if not adapter.id.is_checkpoint]

    def over(self, base: ServedBase) -> list[Adapter]:
        return [a for a in self.adapters.values() if a.manifest.variant == base.key]

    def _meet(self, adapter: Adapter) -> None:
        key = adapter.manifest.variant
        if key in self.bases or key in self.unusable:
            return
        path: Path = paths.bases_dir() / key
        try:
            if not path.is_dir():
                raise _gone(key)
            self._add(key, inspect_base(path, adapter.manifest.base, alias=adapter.id.base))
        except LmftError as error:
            self.unusable[key] = error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            log.error("the base %s cannot be read", key, exc_info=error)
            self.unusable[key] = BaseModelError(
                f"The base {key}, which it was trained on, cannot be read."
            )

    def _add(self, key: str, base: Base) -> ServedBase:
        # The first of several variants of one base has its name for as long as this runs: what
        # answers to a name must not change under those who use it.
        taken = self.base_named(base.alias) is not None
        public = key if taken else base.alias
        served = ServedBase(key, public, base, service_of(base.architecture, base.alias))
        # A new dictionary: this may be a thread, and others may be going through the old one.
        self.bases = {**self.bases, key: served}
        return served


def unknown(model: str) -> NotFoundError:
    return NotFoundError(
        f"The model {model[:200]!r} does not exist.", "GET /v1/models lists what there is."
    )


def _gone(variant: str) -> BaseModelError:
    return BaseModelError(f"The base {variant}, which it was trained on, is not there.")


def _directories(parent: Path) -> Iterable[tuple[str, int]]:
    for path in parent.glob("[!.]*"):
        try:
            yield path.name, path.stat().st_mtime_ns
        except OSError:
            continue


def _read(name: str) -> Adapter | AdapterCorruptError:
    try:
        return open_adapter(paths.adapters_dir() / name)
    except AdapterCorruptError as error:
        return error
