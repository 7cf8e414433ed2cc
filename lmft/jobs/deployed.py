"""A published adapter brought before the people: wished live, proven by a running server; and
taken away again where its job was cancelled just then."""

from __future__ import annotations

from dataclasses import dataclass, field

from lmft.device.records import Serving
from lmft.device.registered import living
from lmft.jobs.job import Job, Said
from lmft.jobs.spec import adapter_id
from lmft.registry.adapters import list_adapters
from lmft.registry.removal import remove
from lmft.store.database import Store
from lmft.store.deployments import Deployments

# An engine may have to start, and a large adapter to be merged.
WAIT_SECONDS = 1800.0
_UNPROVEN = "the next server proves it before it answers"


@dataclass(frozen=True)
class Proof:
    """What became of it. Attributes: failure: why it cannot be served; empty if it can."""

    said: tuple[Said, ...] = ()
    failure: str = ""


@dataclass
class Deploying:
    """A wish that a server fulfils meanwhile.

    Args:
        since: of the monotonic clock, when it began.
    """

    store: Store
    job: Job
    since: float
    _wish: int | None = field(default=None)

    def look(self, now: float) -> Proof | None:
        """None while it is under way. Raises StoreError."""
        if not living(Serving):
            return _unproven(f"No server runs: published, not yet probed; {_UNPROVEN}")
        deployments, alias = Deployments(self.store), adapter_id(self.job.adapter).alias
        if self._wish is None:
            reason = f"trained by {self.job.id}"
            self._wish = deployments.want(alias, self.job.adapter, reason)
        history = deployments.history(alias)
        wish = next(one for one in history if one.id == self._wish)
        if wish.state == "superseded" and history[0].adapter_id == self.job.adapter:
            # The server found it in the folder just then. Ours is by hand: it wakes an engine.
            self._wish = None
            return None
        if wish.state == "live":
            return Proof((Said(f"{alias} now means {self.job.adapter}"),))
        if wish.state == "failed":
            return Proof(failure=wish.detail)
        if wish.state != "wanted":
            return _unproven(f"Published, not probed: a newer wish for {alias} came first")
        if now - self.since > WAIT_SECONDS:
            return _unproven(f"Published, not probed in {WAIT_SECONDS:.0f} s; {_UNPROVEN}")
        return None


def take_away(store: Store, adapter: str) -> bool:
    """Remove what was published under that id, its checkpoints too: nothing means it any more.

    Returns:
        Whether there was anything.
    """
    named, found = adapter_id(adapter), list_adapters()
    ours = [one for one in found if f"{one.id}:".startswith(f"{adapter}:")]
    there = {str(one.id) for one in found}
    reason = "the later version was taken away"
    Deployments(store).go_back(named.alias, adapter, reason, there)
    # Its merged model comes first, and may be alone.
    remove(named.directory)
    for one in ours:
        remove(one.id.directory)
    return bool(ours)


def _unproven(message: str) -> Proof:
    return Proof((Said(message, "warn"),))
