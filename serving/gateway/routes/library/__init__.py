"""What the pages need to last, a project's own: docs/library.md.

common.py        pages of lists, double clicks, whose project it is
stories.py       /v1/lmft/stories
turns.py         /v1/lmft/stories/{id}/turns, and a story as one document
comparisons.py   /v1/lmft/comparisons, with votes and counts
edits.py         /v1/lmft/edits
inbox.py         /v1/lmft/inbox, and the way from there to a training file
presets.py       /v1/lmft/presets
"""

from __future__ import annotations

from fastapi import APIRouter

from serving.gateway.routes.library import comparisons, edits, inbox, presets, stories, turns

router = APIRouter(prefix="/v1/lmft", tags=["library"])
for _routes in (stories, turns, comparisons, edits, inbox, presets):
    router.include_router(_routes.router)
