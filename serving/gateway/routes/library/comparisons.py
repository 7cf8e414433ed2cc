"""/v1/lmft/comparisons: answers side by side, votes on them, and who won how often."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from lmft.library.comparisons import Answer, Comparison, Comparisons
from lmft.library.votes import Vote, Votes
from serving.gateway.access.callers import caller
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
from serving.gateway.schemas.library import AnswerRequest, ComparisonRequest, VoteRequest

router = APIRouter(prefix="/comparisons")


@router.post("", response_model=objects.Comparison, responses=WRITES)
def create_comparison(body: ComparisonRequest, request: Request, key: Key = None) -> dict[str, Any]:
    """Keep a prompt with its answers; a blind one in an order that is drawn."""
    made = _comparisons(request).create(
        project_of(request),
        body.prompt,
        [_answer(answer) for answer in body.answers],
        context=[message.model_dump(exclude_none=True) for message in body.context],
        blind=body.blind,
        asked=asked(key, "comparisons", body),
    )
    return _comparison_object(made)


@router.get("", response_model=objects.ComparisonList, responses=READS)
def list_comparisons(request: Request, window: WindowOf) -> dict[str, Any]:
    """The project's comparisons."""
    page = _comparisons(request).list(project_of(request), window)
    return listing(page, _comparison_object)


@router.get("/counts", response_model=objects.PairCounts, responses=READS)
def count_votes(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, Any]:
    """How often each of two models won against the other, the most compared pairs first."""
    pairs = Votes(store_of(request)).counts(project_of(request))[:limit]
    data = [{**vars(pair), "votes": pair.votes} for pair in pairs]
    return {"object": "lmft.comparison.counts", "data": data}


@router.get("/{comparison_id}", response_model=objects.Comparison, responses=READS)
def retrieve_comparison(comparison_id: str, request: Request) -> dict[str, Any]:
    """One of them."""
    return _comparison_object(_comparisons(request).get(project_of(request), comparison_id))


@router.delete("/{comparison_id}", response_model=objects.Deleted, responses=READS)
def delete_comparison(comparison_id: str, request: Request) -> dict[str, Any]:
    """Take it away, with its votes and what of them is in the inbox."""
    _comparisons(request).delete(project_of(request), comparison_id)
    return deleted("comparison", comparison_id)


@router.post("/{comparison_id}/votes", response_model=objects.Vote, responses=WRITES)
def vote(
    comparison_id: str, body: VoteRequest, request: Request, key: Key = None
) -> dict[str, Any]:
    """Say which answer is better, or `tie`, or `bad`; a voter's newest vote counts."""
    made = Votes(store_of(request)).add(
        project_of(request),
        comparison_id,
        body.voter or caller(request).name,
        body.choice,
        asked(key, f"{comparison_id}/votes", body),
    )
    return _vote_object(made)


@router.get("/{comparison_id}/votes", response_model=objects.VoteList, responses=READS)
def list_votes(comparison_id: str, request: Request, window: WindowOf) -> dict[str, Any]:
    """All votes there ever were on it."""
    page = Votes(store_of(request)).list(project_of(request), comparison_id, window)
    return listing(page, _vote_object)


def _comparison_object(comparison: Comparison) -> dict[str, Any]:
    return {
        "id": comparison.id,
        "object": "lmft.comparison",
        "prompt": comparison.prompt,
        "context": comparison.context,
        "blind": comparison.blind,
        "hidden": comparison.hidden,
        "answers": [
            _answer_object(place, answer, hidden=comparison.hidden)
            for place, answer in enumerate(comparison.answers)
        ],
        "created_at": comparison.created_at,
    }


def _answer_object(place: int, answer: Answer, *, hidden: bool) -> dict[str, Any]:
    shown = {"place": place, **vars(answer)}
    return {
        name: None if hidden and name not in ("place", "text") else value
        for name, value in shown.items()
    }


def _vote_object(vote: Vote) -> dict[str, Any]:
    return {"object": "lmft.vote", **vars(vote)}


def _answer(answer: AnswerRequest) -> Answer:
    sampler = None if answer.sampler is None else answer.sampler.given()
    return Answer(**answer.model_dump(exclude={"sampler"}), sampler=sampler)


def _comparisons(request: Request) -> Comparisons:
    return Comparisons(store_of(request))
