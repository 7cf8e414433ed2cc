"""Whoever belongs to one project acts in no other, and learns nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict

import pytest
from openai import OpenAI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from lmft.errors import InputError, NotFoundError
from lmft.store.database import Store
from lmft.store.keys import Keys, Limits
from lmft.store.projects import Projects
from serving.gateway.access.callers import ANYONE, Caller
from serving.gateway.access.guard import Guard
from serving.gateway.access.keyring import Keyring

HERE = "http://127.0.0.1:8321"
OWN, OTHERS = "ft:embedded:shop:tales:0000000a", "ft:embedded:me:tales:0000000b"


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store)


@pytest.fixture
def shop(store: Store) -> int:
    return Projects(store).create("shop").id


@pytest.fixture
def served(keys: Keys) -> Callable[..., TestClient]:
    async def who(request: Request) -> JSONResponse:
        caller = request.scope["state"]["caller"]
        return JSONResponse({"project": caller.project, "id": caller.project_id})

    app = Starlette(routes=[Route("/{path:path}", who)])

    def serve(*own: str | None) -> TestClient:
        return TestClient(Guard(app, Keyring(keys, *own), "127.0.0.1"), base_url=HERE)

    return serve


def headers(key: str | None = None, project: str | None = None) -> dict[str, str]:
    sent = {"authorization": f"Bearer {key}"} if key else {}
    return sent | ({"openai-project": project} if project is not None else {})


def refused(response, status: int, code: str) -> str:
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    return response.text


def test_a_key_acts_in_its_project_and_cannot_name_another(served, keys, shop):
    _, secret = keys.create("till", project="shop")
    client = served()
    for project in (None, "shop", ""):
        answer = client.get("/v1/models", headers=headers(secret, project))
        assert answer.json() == {"project": "shop", "id": shop}
    said = {
        refused(client.get("/v1/models", headers=headers(secret, name)), 401, "mismatched_project")
        for name in ("me", "nosuch", "shop, me", "SHOP")
    }
    # Whether there is such a project cannot be told.
    assert len(said) == 1


def test_two_headers_are_none(served, keys, shop):
    _, secret = keys.create("till", project="shop")
    twice = [
        ("authorization", f"Bearer {secret}"),
        ("openai-project", "shop"),
        ("openai-project", "me"),
    ]
    refused(served().get("/v1/models", headers=twice), 401, "mismatched_project")


@pytest.mark.parametrize("own", [(None,), ("secret",), (None, "secret")], ids=str)
def test_who_runs_the_machine_acts_in_any_project_that_there_is(served, store, shop, own):
    client, key = served(*own), own[-1]
    assert client.get("/v1/models", headers=headers(key)).json() == {"project": "me", "id": 1}
    answer = client.get("/v1/models", headers=headers(key, "shop"))
    assert answer.json() == {"project": "shop", "id": shop}
    text = refused(
        client.get("/v1/models", headers=headers(key, "proj_x")), 404, "project_not_found"
    )
    assert "OPENAI_PROJECT_ID" in text


def test_the_sdk_names_the_project_so(served, store, shop):
    sent = OpenAI(api_key="secret", project="shop").default_headers
    answer = served("secret").get("/v1/models", headers=headers("secret", sent["OpenAI-Project"]))
    assert answer.json()["project"] == "shop"


def test_a_project_is_known_as_soon_as_it_is_made(served, store):
    client = served("secret")
    refused(client.get("/v1/models", headers=headers("secret", "new")), 404, "project_not_found")
    Projects(store).create("new")

    def known() -> bool:
        return client.get("/v1/models", headers=headers("secret", "new")).status_code == 200

    # Its names are read at most twenty times a second, however often an unknown one is asked for.
    assert any(known() for _ in range(100_000))


def test_the_pages_are_not_asked_for_a_project(served, keys, shop):
    assert served("secret").get("/compare", headers=headers(None, "nosuch")).status_code == 200


@pytest.mark.parametrize("scope", ["metrics", "pages"])
def test_what_reaches_beyond_a_project_is_for_the_first_one_only(keys, shop, scope):
    with pytest.raises(InputError, match="beyond one project"):
        keys.create("till", [scope], project="shop")
    keys.create("mine", [scope])


def test_a_key_is_made_only_in_a_project_that_there_is_and_for_its_models(keys, shop):
    with pytest.raises(NotFoundError, match="no project 'nosuch'"):
        keys.create("till", project="nosuch")
    with pytest.raises(InputError, match="another project"):
        keys.create("till", models=[OTHERS], project="shop")
    assert keys.all() == []


def test_what_a_key_is_comes_with_its_caller(keys, shop):
    limits = Limits(active_jobs=2, jobs_per_day=9)
    key, secret = keys.create("till", limits=limits, project="shop")
    caller = asyncio.run(Keyring(keys).find(secret.encode()))
    assert caller is not None
    assert (caller.project, caller.project_id, caller.key_number) == ("shop", shop, key.id)
    assert asdict(caller.limits) == asdict(limits)
    assert not caller.operator


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        (ANYONE, {"embedded", OWN, OTHERS}),
        (ANYONE.within(2, "shop"), {"embedded", OWN}),
        (Caller("key-1", "till", project_id=2, project="shop"), {"embedded", OWN}),
        (Caller("key-1", "mine"), {"embedded", OTHERS}),
    ],
    ids=["operator", "operator in a project", "key", "key of the first project"],
)
def test_bases_are_everybodys_and_adapters_a_projects(caller, seen):
    ids = ["embedded", OWN, OTHERS]
    assert {model for model in ids if caller.may_use(model)} == seen
    for model in (OWN, OTHERS):
        version, alias = model, model.rpartition(":")[0]
        for name in (alias, f"{version}:ckpt-step-7"):
            assert caller.may_use(name) is (model in seen)


@pytest.mark.parametrize("model", ["ft:", "ft:embedded", "ft:x:shopp:y", "ft:x:Shop:y"])
def test_what_only_looks_like_a_model_of_the_project_is_none(model):
    assert not Caller("key-1", "till", project_id=2, project="shop").may_use(model)


def test_a_limit_to_models_holds_within_the_project_and_covers_checkpoints():
    limited = Caller("key-1", "till", models=frozenset({OWN}), project_id=2, project="shop")
    assert limited.may_use(f"{OWN}:ckpt-step-12")
    assert not limited.may_use("embedded")
    assert not limited.may_use(f"{OWN[:-1]}b:ckpt-step-12")
    strange = Caller("key-1", "till", models=frozenset({OTHERS}), project_id=2, project="shop")
    assert not strange.may_use(OTHERS)
