"""What both pages need from Gradio: event options, and the look at server and models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import gradio as gr

from ui import text
from ui.client import Gateway
from ui.events import GatewayError
from ui.models import Model, newest_adapter
from ui.telling import explain

# A handler's answer: the components that change and what they change to; others stay.
View = dict[Any, Any]

# How often a page asks again while the engine starts.
POLL_S = 2.0


class EventOptions(TypedDict):
    """Gradio's options for every event of ours."""

    api_visibility: str
    show_progress: str
    queue: bool


# A model in the address is for the arrival: what is chosen afterwards stands after a reload.
FORGET_MODEL = """() => {
  const url = new URL(location.href);
  url.searchParams.delete("model");
  if (url.href !== location.href) history.replaceState(null, "", url);
}"""

# Private: the pages' events are no API (that is /v1). Hidden: no spinner over the story.
# Unqueued, each answer comes with its own request. What is queued comes over a stream that the
# server ends after the last of them, and a browser that sends the next event just then waits for
# an answer that is handed over with the event after it only: a tenth of all quick double clicks.
EVENT: EventOptions = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
# For handlers that answer more than once, which only the queue can.
STREAM: EventOptions = {**EVENT, "queue": True}


def session_of(request: gr.Request) -> str:
    """One open tab of one browser."""
    return request.session_hash or ""


@dataclass(frozen=True)
class Look:
    """The server as a page finds it. `waiting` means: look again soon."""

    models: list[Model]
    problem: str = ""
    hint: str = ""
    waiting: bool = False

    def find(self, model_id: str | None) -> Model | None:
        """By its id, or by the alias under which it is live."""
        named = (model for model in self.models if model_id and model_id in (model.id, model.alias))
        return next(named, None)

    @property
    def base(self) -> Model | None:
        return next((model for model in self.models if model.is_base), None)

    @property
    def best(self) -> Model | None:
        """What a newcomer should meet: the newest adapter, else the base."""
        return newest_adapter(self.models) or self.base


async def look(gateway: Gateway, no_adapter: str) -> Look:
    """Ask for readiness and models; whatever goes wrong becomes a sentence."""
    try:
        readiness = await gateway.ready()
        models = await _models(gateway, ready=readiness.status == "ready")
    except GatewayError as error:
        return Look([], problem=explain(error), waiting=error.code == "connection_failed")
    if readiness.status == "failed":
        return Look(models, problem=text.NOT_STARTED.format(detail=readiness.detail))
    if readiness.status != "ready":
        phase = f" ({readiness.phase})" if readiness.phase else ""
        return Look(models, hint=text.STARTING.format(phase=phase), waiting=True)
    return Look(models, hint="" if newest_adapter(models) else no_adapter)


async def _models(gateway: Gateway, *, ready: bool) -> list[Model]:
    try:
        return await gateway.models()
    except GatewayError:
        # A starting engine may not know its models yet; that is not worth a second complaint.
        if ready:
            raise
        return []
