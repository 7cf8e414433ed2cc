"""What the library's routes share: pages of lists, double clicks, whose project it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel

from lmft.library.listing import Page, Window
from lmft.library.once import Asked
from lmft.store.database import Store
from serving.gateway.access.callers import caller
from serving.gateway.documents import refusals
from serving.gateway.state import gateway

T = TypeVar("T")

Order = Annotated[Literal["asc", "desc"], Query(description="desc: the newest first.")]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)]
# Of a route without a body, and of one that has one.
READS = refusals(400, 404)
WRITES = refusals(400, 404, 422)


def _window(
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Order = "desc",
) -> Window:
    return Window(after, limit, newest_first=order == "desc")


WindowOf = Annotated[Window, Depends(_window)]


def store_of(request: Request) -> Store:
    return gateway(request).store


def project_of(request: Request) -> int:
    return caller(request).project_id


def asked(key: str | None, what: str, body: BaseModel) -> Asked:
    """Args: what: the route and the object that it is about."""
    return Asked(key, what, body.model_dump(mode="json"))


def listing(page: Page[T], shown: Callable[[T], Mapping[str, Any]]) -> dict[str, Any]:
    data = [shown(item) for item in page.items]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": page.has_more,
    }


def deleted(kind: str, id: str) -> dict[str, Any]:
    return {"id": id, "object": f"lmft.{kind}", "deleted": True}
