"""/v1/lmft/stories/{id}/turns: the tree of a story, and the story as one document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from lmft.library.listing import Window
from lmft.library.story import Story
from lmft.library.turn import NewTurn, Turn
from lmft.library.turns import HEAD, Turns
from serving.gateway.routes.library.common import (
    READS,
    WRITES,
    Key,
    Order,
    asked,
    listing,
    project_of,
    store_of,
)
from serving.gateway.routes.library.stories import story_object
from serving.gateway.schemas import library_objects as objects
from serving.gateway.schemas.library import TurnEditRequest, TurnRequest, TurnsRequest

router = APIRouter(prefix="/stories/{story_id}")

# Not as the response class: a refusal is JSON.
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The story.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
_To = Annotated[str | None, Query(description="A turn, or `head`: only the way there.")]


@router.post("/turns", response_model=objects.StoryTurns, responses=WRITES)
def add_turns(
    story_id: str, body: TurnsRequest, request: Request, key: Key = None
) -> dict[str, Any]:
    """Add turns below `parent`, each below the one before; another below the same is a retry."""
    story, made = _turns(request).append(
        project_of(request),
        story_id,
        [_new(turn) for turn in body.turns],
        parent=body.parent,
        version=body.version,
        move_head=body.move_head,
        asked=asked(key, f"{story_id}/turns", body),
    )
    return _with_turns(story, made)


@router.get("/turns", response_model=objects.TurnList, responses=READS)
def list_turns(
    story_id: str,
    request: Request,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    order: Order = "asc",
    to: _To = None,
    parent: Annotated[str | None, Query(description="A turn: only those below it.")] = None,
) -> dict[str, Any]:
    """The turns of a story, each after its parent: the whole tree, or a part of it."""
    window = Window(after, limit, newest_first=order == "desc")
    page = _turns(request).list(project_of(request), story_id, window, to=to, parent=parent)
    return listing(page, turn_object)


@router.get("/turns/{turn_id}", response_model=objects.Turn, responses=READS)
def retrieve_turn(story_id: str, turn_id: str, request: Request) -> dict[str, Any]:
    """One of them."""
    return turn_object(_turns(request).get(project_of(request), story_id, turn_id))


@router.post("/turns/{turn_id}/edit", response_model=objects.StoryTurns, responses=WRITES)
def edit_turn(
    story_id: str, turn_id: str, body: TurnEditRequest, request: Request, key: Key = None
) -> dict[str, Any]:
    """Put a turn with another text beside this one, which stays, and go there."""
    story, made = _turns(request).edit(
        project_of(request),
        story_id,
        turn_id,
        body.text,
        version=body.version,
        asked=asked(key, f"{story_id}/turns/{turn_id}/edit", body),
    )
    return _with_turns(story, [made])


@router.get("/export", response_model=objects.StoryTurns, responses=READS)
def export_story(story_id: str, request: Request) -> dict[str, Any]:
    """The story with all of its turns."""
    return _with_turns(*_turns(request).tree(project_of(request), story_id))


@router.get("/text", response_class=Response, responses=_TEXT | READS)
def story_as_text(story_id: str, request: Request, to: _To = HEAD) -> Response:
    """The story as a person reads it, up to its head; the corpus compiler reads that too."""
    return PlainTextResponse(_turns(request).text(project_of(request), story_id, to or HEAD))


def turn_object(turn: Turn) -> dict[str, Any]:
    return {"object": "lmft.turn", **vars(turn)}


def _with_turns(story: Story, turns: Sequence[Turn]) -> dict[str, Any]:
    shown = [turn_object(turn) for turn in turns]
    return {"object": "lmft.story.turns", "story": story_object(story), "turns": shown}


def _new(turn: TurnRequest) -> NewTurn:
    sampler = None if turn.sampler is None else turn.sampler.given()
    return NewTurn(**turn.model_dump(exclude={"sampler"}), sampler=sampler)


def _turns(request: Request) -> Turns:
    return Turns(store_of(request))
