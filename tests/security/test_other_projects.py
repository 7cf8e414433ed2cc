"""Every route that names an object, asked by a key of another project: it is not there.

The routes are read from the application, so that one that is added is asked too; a parameter
that is not known here fails until it is said whose object it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from lmft.ids import mint_adapter_id
from lmft.store.database import open_store
from lmft.store.deployments import Deployments
from lmft.store.keys import Keys
from lmft.store.projects import Projects
from lmft.store.tables import SCOPES
from serving.gateway import app as application
from serving.gateway.access.access import access_to
from serving.gateway.access.callers import scope_of
from serving.gateway.routes import not_offered
from serving.pool.catalog import Catalog
from serving.pool.plan import Limits
from serving.pool.pool import Pool
from serving.watch.watch import Watch
from tests.unit.test_registry import publish

LINE = (
    b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}\n'
)
TURN = {"by": "narrator", "text": "The door is open."}
FORM = {"file": ("a.jsonl", LINE * 12), "purpose": (None, "fine-tune")}
# Where an empty body is refused before anybody looks for the object.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/uploads/{upload_id}/parts"): {"files": {"data": ("a", LINE)}},
    ("POST", "/v1/uploads/{upload_id}/complete"): {"json": {"part_ids": ["{part}"]}},
    ("PATCH", "/v1/lmft/stories/{story_id}"): {"json": {"version": 1, "title": "x"}},
    ("POST", "/v1/lmft/stories/{story_id}/turns"): {
        "json": {"turns": [{"by": "player", "text": "x"}]}
    },
    ("POST", "/v1/lmft/stories/{story_id}/turns/{turn_id}/edit"): {"json": {"text": "x"}},
    ("POST", "/v1/lmft/comparisons/{comparison_id}/votes"): {"json": {"choice": 0}},
    ("PATCH", "/v1/lmft/inbox/{entry_id}"): {"json": {"status": "accepted"}},
}
# Two projects may each have a preset of one name.
OWN_NAMES = ("PUT", "/v1/lmft/presets/{name}")


def routes() -> list[tuple[str, str]]:
    """Method and path of all that is offered under /v1."""
    found = [
        (method, route.path)
        for module in application._ROUTES
        if module is not not_offered
        for route in module.router.routes
        for method in sorted(getattr(route, "methods", ()))
    ]
    return [pair for pair in found if pair[1].startswith("/v1")]


def parameters(path: str) -> list[str]:
    return [part.split("}")[0].partition(":")[0] for part in path.split("{")[1:]]


ALL = routes()
OF_OBJECTS = [
    (method, path) for method, path in ALL if parameters(path) and (method, path) != OWN_NAMES
]
LISTS = [path for method, path in ALL if method == "GET" and not parameters(path)]


@dataclass(frozen=True)
class World:
    """Two projects on one server; the objects are the shop's, by the parameters that name them."""

    shop: httpx.Client
    rival: httpx.Client
    objects: dict[str, str]

    def ask(
        self, client: httpx.Client, method: str, path: str, objects: dict[str, str] | None = None
    ) -> httpx.Response:
        objects = objects or self.objects
        body = _filled(BODIES.get((method, path), {}), objects)
        return client.request(method, _filled(path.replace(":path}", "}"), objects), **body)

    @property
    def made_up(self) -> dict[str, str]:
        """Ids as good as the objects', of nothing."""
        return {
            name: id[:-1] + ("0" if id[-1] != "0" else "1") for name, id in self.objects.items()
        }


def _filled(value: Any, objects: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, objects) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, objects) for one in value]
    return value.format(**objects) if isinstance(value, str) else value


def _without(text: str, objects: dict[str, str]) -> str:
    for name, id in objects.items():
        text = text.replace(id, name)
    return text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once: what is refused changes nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMFT_HOME", str(tmp_path_factory.mktemp("projects")))
        yield from _world()


def _world() -> Iterator[World]:
    store, catalog = open_store(), Catalog()
    watch = Watch(drain_seconds=1, log_texts=False)
    keys, allowed = Keys(store), set(SCOPES) - {"metrics", "pages"}
    secrets = {}
    for name in ("shop", "rival"):
        Projects(store).create(name)
        secrets[name] = keys.create(name, allowed, project=name)[1]
    adapter = publish(adapter_id=mint_adapter_id("embedded", "tale", "shop"))
    catalog.refresh()
    pool = Pool(
        catalog,
        Deployments(store),
        Limits(10**9, 4, 4, 30.0),
        first=None,
        plain_base="embedded",
    )
    app = application.build_app(
        pool,
        watch,
        access_to(keys, {}),
        store,
        host="127.0.0.1",
        on_engine_end=lambda: None,
    )
    shop, rival = (
        TestClient(
            app,
            base_url="http://127.0.0.1:8321",
            headers={"authorization": f"Bearer {secrets[name]}"},
        )
        for name in ("shop", "rival")
    )
    try:
        yield World(shop, rival, {"model": str(adapter.id), **made(shop)})
    finally:
        watch.close()
        store.close()


def made(shop: httpx.Client) -> dict[str, str]:
    """One of everything, by its parameter's name."""

    def create(path: str, **body: Any) -> str:
        answer = shop.post(path, **body)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    file = create("/v1/files", files=FORM)
    other = create("/v1/files", files=FORM)
    announced = {
        "purpose": "fine-tune",
        "filename": "b.jsonl",
        "bytes": 2 * len(LINE),
        "mime_type": "text/plain",
    }
    upload = create("/v1/uploads", json=announced)
    story = create("/v1/lmft/stories", json={"title": "Tale"})
    turns = shop.post(f"/v1/lmft/stories/{story}/turns", json={"turns": [TURN]}).json()["turns"]
    edit = create("/v1/lmft/edits", json={"original": "x", "edited": "y"})
    answers = [{"text": text, "model": "embedded"} for text in "ab"]
    assert shop.put("/v1/lmft/presets/quietly-odd", json={"top_p": 0.5}).is_success
    return {
        "story_id": story,
        "turn_id": turns[0]["id"],
        "comparison_id": create(
            "/v1/lmft/comparisons", json={"prompt": "Who?", "answers": answers}
        ),
        "edit_id": edit,
        "entry_id": shop.get("/v1/lmft/inbox").json()["data"][0]["id"],
        "name": "quietly-odd",
        "file_id": other,
        "upload_id": upload,
        "part": create(f"/v1/uploads/{upload}/parts", files={"data": ("a", LINE)}),
        "job": create("/v1/fine_tuning/jobs", json={"model": "embedded", "training_file": file}),
    }


@pytest.mark.parametrize(("method", "path"), OF_OBJECTS)
def test_another_projects_object_is_not_there(world: World, method: str, path: str) -> None:
    unknown = set(parameters(path)) - set(world.objects)
    assert not unknown, f"say in `made` what {unknown} of {path} names"
    refused = world.ask(world.rival, method, path)
    assert refused.status_code == 404, refused.text
    # Nor can it be told from what never was.
    nothing = world.ask(world.rival, method, path, world.made_up)
    assert _without(refused.text, world.objects) == _without(nothing.text, world.made_up)
    # Asked for by its own project, it is; so the question was a right one.
    if method != "DELETE" and not path.endswith("/stream"):
        assert world.ask(world.shop, method, path).status_code != 404


@pytest.mark.parametrize("path", LISTS)
def test_no_list_holds_another_projects_objects(world: World, path: str) -> None:
    answer = world.rival.get(path)
    assert answer.status_code in (200, 404, 422), answer.text
    for name, id in world.objects.items():
        assert id not in answer.text
        after, nothing = (
            world.rival.get(path, params={"after": objects[name]})
            for objects in (world.objects, world.made_up)
        )
        assert _without(after.text, world.objects) == _without(nothing.text, world.made_up)


@pytest.mark.parametrize("field", ["training_file", "validation_file", "files"])
def test_a_job_is_made_of_files_of_its_own_project_only(world: World, field: str) -> None:
    own = world.rival.post("/v1/files", files=FORM).json()["id"]
    body: dict[str, Any] = {"model": "embedded", "training_file": own}
    if field == "files":
        body["lmft"] = {"files": [world.objects["file_id"]]}
    else:
        body[field] = world.objects["file_id"]
    answer = world.rival.post("/v1/fine_tuning/jobs", json=body)
    assert answer.status_code == 400
    assert "There is no file" in answer.text


def test_training_does_not_go_on_from_another_projects_model(world: World) -> None:
    own = world.rival.post("/v1/files", files=FORM).json()["id"]
    for model in (world.objects["model"], world.objects["model"].rpartition(":")[0]):
        body = {"model": model, "training_file": own}
        answer = world.rival.post("/v1/fine_tuning/jobs", json=body)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"


def test_an_upload_is_completed_of_its_own_parts_only(world: World) -> None:
    announced = {"purpose": "fine-tune", "filename": "b", "bytes": 90, "mime_type": "text/plain"}
    own = world.rival.post("/v1/uploads", json=announced).json()["id"]
    body = {"part_ids": [world.objects["part"]]}
    assert world.rival.post(f"/v1/uploads/{own}/complete", json=body).status_code == 400


@pytest.mark.parametrize(
    ("path", "asks"),
    [
        ("/v1/completions", {"prompt": "x"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
        ("/v1/lmft/play", {"turns": [{"by": "player", "text": "x"}]}),
        ("/v1/lmft/tokenize", {"prompt": "x"}),
        ("/v1/lmft/detokenize", {"tokens": [1]}),
    ],
)
def test_another_projects_model_does_not_answer(
    world: World, path: str, asks: dict[str, Any]
) -> None:
    model = world.objects["model"]
    for named in (model, model.rpartition(":")[0], f"{model}:ckpt-step-1"):
        answer = world.rival.post(path, json={"model": named} | asks)
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"]["code"] == "model_not_found"


def test_a_story_is_made_of_its_own_turns_only(world: World) -> None:
    stories = "/v1/lmft/stories"
    story = world.rival.post(stories, json={}).json()
    own, turn = f"{stories}/{story['id']}", world.objects["turn_id"]
    for answer in (
        world.rival.get(f"{own}/turns/{turn}"),
        world.rival.get(f"{own}/turns", params={"to": turn}),
        world.rival.get(f"{own}/text", params={"to": turn}),
        world.rival.patch(own, json={"version": story["version"], "head": turn}),
        world.rival.post(f"{own}/turns", json={"turns": [TURN], "parent": turn}),
        world.rival.post(
            "/v1/lmft/edits", json={"edited": "x", "story": story["id"], "turn": turn}
        ),
        world.rival.post(
            "/v1/lmft/edits",
            json={"edited": "x", "story": world.objects["story_id"], "turn": turn},
        ),
    ):
        assert answer.status_code in (400, 404), answer.text


def test_a_preset_of_the_same_name_is_another(world: World) -> None:
    path = "/v1/lmft/presets/quietly-odd"
    before = world.shop.get(path).json()
    assert world.rival.put(path, json={"top_p": 0.9}).is_success
    assert world.shop.get(path).json() == before
    assert world.rival.get(path).json() != before
    assert world.rival.delete(path).is_success
    assert world.shop.get(path).json() == before


# What each route asks of a key

_INFERENCE = ("completions", "chat", "lmft/play", "lmft/tokenize", "lmft/detokenize")


@pytest.mark.parametrize(("method", "path"), ALL)
def test_every_route_has_the_scope_of_what_it_is_about(method: str, path: str) -> None:
    """`inference` is what is asked of what nobody thought of; here all is thought of."""
    inference = path.removeprefix("/v1/").startswith(_INFERENCE)
    assert (scope_of(method, path) == "inference") is inference
