"""/v1/lmft/stories: stories, adventures and chats."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from lmft.library.stories import Stories
from lmft.library.story import NewStory, Story
from serving.gateway.routes.library.common import (
    READS,
    WRITES,
    Key,
    WindowOf,
    asked,
    deleted,
    listing,
    project_of,
    store_of,
)
from serving.gateway.schemas import library_objects as objects
from serving.gateway.schemas.library import StoryKind, StoryPatch, StoryRequest

router = APIRouter()

_Part = Annotated[
    str, Query(max_length=200, pattern=r"^[^\x00]*$", description="A part of the title.")
]


@router.post("/stories", response_model=objects.Story, responses=WRITES)
def create_story(body: StoryRequest, request: Request, key: Key = None) -> dict[str, Any]:
    """A story without turns."""
    new = NewStory(**body.model_dump())
    made = _stories(request).create(project_of(request), new, asked(key, "stories", body))
    return story_object(made)


@router.get("/stories", response_model=objects.StoryList, responses=READS)
def list_stories(
    request: Request,
    window: WindowOf,
    sort: Literal["updated", "created"] = "updated",
    q: _Part = "",
    kind: StoryKind | None = None,
) -> dict[str, Any]:
    """The project's stories, by their last change or by their making."""
    page = _stories(request).list(project_of(request), window, by=sort, q=q, kind=kind)
    return listing(page, story_object)


@router.get("/stories/{story_id}", response_model=objects.Story, responses=READS)
def retrieve_story(story_id: str, request: Request) -> dict[str, Any]:
    """One of them."""
    return story_object(_stories(request).get(project_of(request), story_id))


@router.patch("/stories/{story_id}", response_model=objects.Story, responses=WRITES)
def change_story(story_id: str, body: StoryPatch, request: Request) -> dict[str, Any]:
    """Change title, model, settings or head, if `version` is still the story's."""
    stories, project = _stories(request), project_of(request)
    return story_object(stories.patch(project, story_id, body.version, body.changes()))


@router.delete("/stories/{story_id}", response_model=objects.Deleted, responses=READS)
def delete_story(story_id: str, request: Request) -> dict[str, Any]:
    """Gone from everywhere, and to be restored until it is purged."""
    _stories(request).delete(project_of(request), story_id)
    return deleted("story", story_id)


@router.post("/stories/{story_id}/restore", response_model=objects.Story, responses=READS)
def restore_story(story_id: str, request: Request) -> dict[str, Any]:
    """Take a deletion back."""
    return story_object(_stories(request).restore(project_of(request), story_id))


def story_object(story: Story) -> dict[str, Any]:
    hidden = ("number", "project_id", "deleted_at")
    shown = {name: value for name, value in vars(story).items() if name not in hidden}
    return {"object": "lmft.story", **shown}


def _stories(request: Request) -> Stories:
    return Stories(store_of(request))
