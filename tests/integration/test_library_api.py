"""/v1/lmft/stories and what else the pages keep, over HTTP, without engines."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode

from lmft.corpus.build import Settings
from lmft.corpus.compiled import build_into
from lmft.corpus.documents import Document
from lmft.corpus.store import load_corpus
from lmft.files.files import Files
from lmft.store.database import Store, open_store
from lmft.store.keys import Keys
from lmft.store.projects import Projects
from serving.gateway.access.access import access_to
from serving.gateway.access.keyring import LOOK_AGAIN_SECONDS
from serving.gateway.app import build_app
from serving.gateway.schemas import library as limits
from serving.watch.watch import Watch
from tests.conftest import free_port
from tests.integration.test_openai_document import CHECKS

PATHS = ("/stories", "/comparisons", "/edits", "/inbox", "/presets")
NOWHERE = "story_000000000000000000000000"


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    opened = open_store()
    Projects(opened).create("shelf")
    Projects(opened).create("other")
    Projects(opened).create("fuzzed")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    """The gateway, listening. Its pool is none: nothing here asks a model."""
    pool: Any = None
    watch = Watch(drain_seconds=0, log_texts=False)
    app = build_app(
        pool,
        watch,
        access_to(Keys(store), {}),
        store,
        host="127.0.0.1",
        on_engine_end=lambda: None,
    )
    port = free_port()
    config = uvicorn.Config(app, port=port, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    watch.log.close()


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{url}/v1/lmft", headers={"openai-project": "shelf"}, timeout=60
    ) as client:
        yield client


@pytest.fixture
def other(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{url}/v1/lmft", headers={"openai-project": "other"}, timeout=60
    ) as client:
        yield client


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert error["type"] == "invalid_request_error"
    assert "\n" not in error["message"]
    return error["message"]


def new_story(http: httpx.Client, **fields: Any) -> str:
    return ok(http.post("/stories", json=fields))["id"]


def add(http: httpx.Client, story: str, *turns: dict[str, Any], **fields: Any) -> Any:
    return ok(http.post(f"/stories/{story}/turns", json={"turns": turns, **fields}))


NARRATED = {"by": "narrator", "text": "You wake.", "model": "embedded", "adapter": "base"}
ASKED = {"by": "player", "mode": "do", "text": "look around", "shown": "> You look around."}
TOLD = {
    "by": "narrator",
    "text": "It is dark.",
    "model": "ft:embedded:me:tales:00000001",
    "adapter": "0c9e6ab1f2d4",
    "sampler": {"temperature": 0.8, "seed": 7, "stop": ["\n"]},
    "finish_reason": "stop",
    "tokens": 5,
    "dropped_turns": 0,
}


def test_a_story_is_told_retold_edited_undone_and_read(http: httpx.Client) -> None:
    story = new_story(http, kind="adventure", title="The cave", model="embedded")
    told = add(http, story, NARRATED, ASKED, TOLD)
    opening, asked, last = told["turns"]
    assert {key: last[key] for key in TOLD} == TOLD
    assert told["story"]["head"] == last["id"]
    again = add(http, story, TOLD | {"text": "It is bright."}, parent=asked["id"])
    assert again["story"]["head"] == again["turns"][0]["id"]
    edited = ok(http.post(f"/stories/{story}/turns/{last['id']}/edit", json={"text": "Dawn."}))
    assert edited["turns"][0]["edited_from"] == last["id"]
    # The way shows the edit; the tree everything.
    way = ok(http.get(f"/stories/{story}/turns", params={"to": "head"}))
    assert [turn["text"] for turn in way["data"]] == ["You wake.", "look around", "Dawn."]
    beside = ok(http.get(f"/stories/{story}/turns", params={"parent": asked["id"]}))
    assert [turn["text"] for turn in beside["data"]] == ["It is dark.", "It is bright.", "Dawn."]
    undone = ok(
        http.patch(
            f"/stories/{story}",
            json={"version": edited["story"]["version"], "head": opening["id"]},
        )
    )
    assert undone["head"] == opening["id"]
    assert http.get(f"/stories/{story}/text").text == "You wake.\n"
    text = http.get(f"/stories/{story}/text", params={"to": last["id"]})
    assert text.text == "You wake.\n\n> You look around.\n\nIt is dark.\n"
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    export = ok(http.get(f"/stories/{story}/export"))
    assert len(export["turns"]) == 5
    assert ok(http.get(f"/stories/{story}/turns/{last['id']}")) == last


def test_a_root_beside_the_first_is_another_beginning(http: httpx.Client) -> None:
    story = new_story(http)
    add(http, story, NARRATED)
    other = add(http, story, NARRATED | {"text": "You fall."}, parent=None)["turns"][0]
    assert other["parent"] is None
    emptied = ok(http.patch(f"/stories/{story}", json={"version": 3, "head": None}))
    assert emptied["head"] is None
    assert http.get(f"/stories/{story}/text").text == ""


def test_a_chat_is_a_story_with_other_speakers(http: httpx.Client) -> None:
    settings_ = {"speakers": {"user": "You", "assistant": "Hesper"}, "memory": "An inn."}
    chat = new_story(http, kind="chat", title="Hesper", settings=settings_)
    add(http, chat, {"by": "system", "text": "An inn."}, {"by": "player", "text": "Hi."})
    found = ok(http.get("/stories", params={"kind": "chat", "q": "hesp"}))["data"]
    assert [(one["id"], one["settings"]) for one in found] == [(chat, settings_)]
    message = refused(
        http.post(f"/stories/{chat}/turns", json={"turns": [NARRATED | {"mode": "do"}]}),
        400,
        "invalid_value",
    )
    assert "`turns.0.mode`" in message or "mode" in message


def test_of_two_tabs_the_later_one_is_told_and_loses_nothing(http: httpx.Client) -> None:
    story = new_story(http, title="a")
    ok(http.patch(f"/stories/{story}", json={"version": 1, "title": "b"}))
    late = http.patch(f"/stories/{story}", json={"version": 1, "title": "c"})
    assert f"GET /v1/lmft/stories/{story}" in refused(late, 400, "version_conflict")
    refused(http.patch(f"/stories/{story}", json={"title": "c"}), 400, "missing_required_parameter")
    kept = ok(http.patch(f"/stories/{story}", json={"version": 2, "model": "embedded"}))
    assert (kept["title"], kept["model"], kept["version"]) == ("b", "embedded", 3)


def test_a_deleted_story_is_gone_and_comes_back(http: httpx.Client) -> None:
    story = new_story(http, title="gone")
    assert ok(http.delete(f"/stories/{story}")) == {
        "id": story,
        "object": "lmft.story",
        "deleted": True,
    }
    refused(http.get(f"/stories/{story}"), 404, "story_not_found")
    assert not ok(http.get("/stories", params={"q": "gone"}))["data"]
    assert ok(http.post(f"/stories/{story}/restore"))["title"] == "gone"


def test_lists_have_openais_shape_and_cursor(http: httpx.Client) -> None:
    made = [new_story(http, title=f"paged {n}") for n in range(5)]
    seen: list[str] = []
    page: dict[str, Any] = {"has_more": True, "last_id": None}
    while page["has_more"]:
        asked = {"q": "paged", "limit": 2, "sort": "created", "order": "asc"}
        page = ok(
            http.get("/stories", params=asked | {"after": page["last_id"]} if seen else asked)
        )
        assert page["object"] == "list"
        seen += [story["id"] for story in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], seen[-1])
    assert seen == made
    refused(http.get("/stories", params={"after": NOWHERE}), 404, "story_not_found")
    refused(http.get("/stories", params={"limit": 0}), 400, "invalid_value")


def test_a_double_click_makes_one(http: httpx.Client) -> None:
    story = new_story(http)
    comparison = {"prompt": "Hi", "answers": [{"text": "a", "model": "x"}] * 2}
    posts = [
        ("/stories", {"title": "once"}),
        (f"/stories/{story}/turns", {"turns": [NARRATED, ASKED]}),
        ("/comparisons", comparison),
        ("/edits", {"edited": "y", "original": "x"}),
    ]
    for number, (path, body) in enumerate(posts):
        key = {"idempotency-key": f"click-{number}"}
        first, second = (ok(http.post(path, json=body, headers=key)) for _ in range(2))
        assert first == second
        reused = http.post(path, json=body | {"bogus": 1}, headers=key)
        refused(reused, 422, "unknown_parameter")
    changed = http.post("/stories", json={"title": "two"}, headers={"idempotency-key": "click-0"})
    refused(changed, 400, "idempotency_key_reused")
    assert len(ok(http.get(f"/stories/{story}/turns"))["data"]) == 2


BAD: list[tuple[str, str, Any, int, str, str]] = [
    ("POST", "/stories", {"kind": "poem"}, 400, "invalid_value", "`kind`"),
    ("POST", "/stories", {"title": "x" * 201}, 400, "invalid_value", "`title`"),
    ("POST", "/stories", {"title": "a\x00b"}, 400, "invalid_value", "NUL"),
    ("POST", "/stories", {"model": ""}, 400, "invalid_value", "`model`"),
    ("POST", "/stories", {"settings": []}, 400, "invalid_value", "`settings`"),
    ("POST", "/stories", {"settings": {"a": "x" * 100_001}}, 400, "invalid_value", "100000"),
    ("POST", "/stories", {"path": "/etc"}, 422, "unknown_parameter", "`path`"),
    ("POST", "/stories/{story}/turns", {"turns": []}, 400, "invalid_value", "`turns`"),
    ("POST", "/stories/{story}/turns", {"turns": [NARRATED] * 101}, 400, "invalid_value", "100"),
    (
        "POST",
        "/stories/{story}/turns",
        {"turns": [NARRATED | {"text": " \n"}]},
        400,
        "invalid_value",
        "no text",
    ),
    (
        "POST",
        "/stories/{story}/turns",
        {"turns": [NARRATED | {"text": "x" * 100_001}]},
        400,
        "invalid_value",
        "`turns.0.text`",
    ),
    (
        "POST",
        "/stories/{story}/turns",
        {"turns": [NARRATED | {"sampler": {"temperature": 3}}]},
        400,
        "invalid_value",
        "temperature",
    ),
    (
        "POST",
        "/stories/{story}/turns",
        {"turns": [NARRATED], "parent": "turn_x"},
        404,
        "turn_not_found",
        "'turn_x'",
    ),
    ("POST", f"/stories/{NOWHERE}/turns", {"turns": [NARRATED]}, 404, "story_not_found", NOWHERE),
    ("POST", "/stories/{story}/turns/turn_x/edit", {"text": "a"}, 404, "turn_not_found", "turn_x"),
    ("PATCH", "/stories/{story}", {"version": 1, "head": "x"}, 404, "turn_not_found", "'x'"),
    ("POST", "/comparisons", {"prompt": "x", "answers": []}, 400, "invalid_value", "`answers`"),
    (
        "POST",
        "/comparisons/{comparison}/votes",
        {"choice": 2},
        400,
        "invalid_value",
        "no answer 2",
    ),
    ("POST", "/comparisons/{comparison}/votes", {"choice": -1}, 400, "invalid_value", "choice"),
    ("POST", "/comparisons/{comparison}/votes", {"choice": "best"}, 400, "invalid_value", "choice"),
    ("POST", "/comparisons/{comparison}/votes", {"choice": True}, 400, "invalid_value", "choice"),
    ("POST", "/edits", {"edited": "x"}, 400, "invalid_value", "`original`"),
    ("POST", "/edits", {"edited": "x", "original": "x"}, 400, "invalid_value", "the original"),
    ("POST", "/edits", {"edited": "x", "story": "a"}, 400, "invalid_value", "`turn`"),
    (
        "POST",
        "/edits",
        {"edited": "x", "story": "a", "turn": "b", "model": "m"},
        400,
        "invalid_value",
        "`model`",
    ),
    ("POST", "/edits", {"edited": "x", "story": "a", "turn": "b"}, 404, "story_not_found", "'a'"),
    ("PATCH", "/inbox/entry_x", {"status": "accepted"}, 404, "entry_not_found", "entry_x"),
    ("PATCH", "/inbox/entry_x", {"status": "exported"}, 400, "invalid_value", "`status`"),
    ("POST", "/inbox/export", {"format": "csv"}, 400, "invalid_value", "`format`"),
    ("PUT", "/presets/a", {"temperature": 9}, 400, "invalid_value", "`temperature`"),
    ("PUT", "/presets/a", {"model": "m"}, 422, "unknown_parameter", "`model`"),
    ("PUT", "/presets/-a", {}, 400, "invalid_value", "`name`"),
    ("PUT", "/presets/" + "a" * 65, {}, 400, "invalid_value", "`name`"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "says"), BAD)
def test_what_cannot_be_is_refused_in_one_line(
    http: httpx.Client, method: str, path: str, body: Any, status: int, code: str, says: str
) -> None:
    if "{story}" in path:
        path = path.replace("{story}", new_story(http))
    if "{comparison}" in path:
        answers = [{"text": "a", "model": "x"}, {"text": "b", "model": "y"}]
        made = ok(http.post("/comparisons", json={"prompt": "Hi", "answers": answers}))
        path = path.replace("{comparison}", made["id"])
    assert says in refused(http.request(method, path, json=body), status, code)


@pytest.mark.parametrize(
    "value",
    ["NaN", "1e999", '"\\ud800"', "[" * 30 + "]" * 30, "[" * 100_000 + "]" * 100_000],
    ids=["nan", "infinite", "half", "deep", "deepest"],
)
def test_settings_that_are_no_plain_json_are_refused(http: httpx.Client, value: str) -> None:
    body = f'{{"settings": {{"a": {value}}}}}'
    answer = http.post("/stories", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] in ("invalid_value", "invalid_json")


def test_votes_are_counted_and_a_blind_comparison_keeps_its_secret(http: httpx.Client) -> None:
    answers = [
        {"text": text, "model": f"model-{text}", "adapter": "base", "sampler": {"seed": 1}}
        for text in ("left", "right")
    ]
    body = {"prompt": "Once", "answers": answers, "blind": True}
    made = ok(http.post("/comparisons", json=body))
    assert made["hidden"]
    for shown in (made, ok(http.get(f"/comparisons/{made['id']}"))):
        assert {answer["model"] for answer in shown["answers"]} == {None}
        assert {answer["sampler"] and 1 for answer in shown["answers"]} == {None}
    place = next(one["place"] for one in made["answers"] if one["text"] == "left")
    vote = ok(http.post(f"/comparisons/{made['id']}/votes", json={"choice": 1 - place}))
    assert vote["voter"] == "anyone"
    ok(http.post(f"/comparisons/{made['id']}/votes", json={"choice": place}))
    ok(http.post(f"/comparisons/{made['id']}/votes", json={"choice": "tie", "voter": "ann"}))
    shown = ok(http.get(f"/comparisons/{made['id']}"))
    assert shown["answers"][place]["model"] == "model-left"
    pair = ok(http.get("/comparisons/counts"))["data"][0]
    assert pair == {
        "model_a": "model-left",
        "model_b": "model-right",
        "wins_a": 1,
        "wins_b": 0,
        "ties": 1,
        "bad": 0,
        "votes": 2,
    }
    history = ok(http.get(f"/comparisons/{made['id']}/votes", params={"order": "asc"}))["data"]
    assert [vote["counts"] for vote in history] == [False, True, True]
    ok(http.delete(f"/comparisons/{made['id']}"))
    refused(http.get(f"/comparisons/{made['id']}/votes"), 404, "comparison_not_found")


def test_presets_are_what_a_request_takes(http: httpx.Client) -> None:
    name = "Warm & slöw #1"
    path = f"/presets/{quote(name, safe='')}"
    values = {"temperature": 0.9, "min_p": 0.1, "stop": ["\n"], "presence_penalty": 0.5}
    saved = ok(http.put(path, json=values))
    assert (saved["name"], saved["sampler"]) == (name, values)
    assert ok(http.get(path)) == saved
    assert saved in ok(http.get("/presets"))["data"]
    assert ok(http.delete(path))["id"] == saved["id"]
    refused(http.get(path), 404, "preset_not_found")


def test_each_project_sees_its_own_only(http: httpx.Client, other: httpx.Client) -> None:
    story = new_story(http, title="mine")
    turn = add(http, story, NARRATED)["turns"][0]["id"]
    edit = ok(http.post("/edits", json={"story": story, "turn": turn, "edited": "You sleep."}))
    answers = [{"text": "a", "model": "x"}, {"text": "b", "model": "y"}]
    comparison = ok(http.post("/comparisons", json={"prompt": "Hi", "answers": answers}))["id"]
    ok(http.put("/presets/mine", json={}))
    entry = ok(http.get("/inbox"))["data"][0]["id"]
    asks = [
        ("GET", f"/stories/{story}", None),
        ("PATCH", f"/stories/{story}", {"version": 2, "title": "theirs"}),
        ("DELETE", f"/stories/{story}", None),
        ("POST", f"/stories/{story}/restore", None),
        ("GET", f"/stories/{story}/turns", None),
        ("POST", f"/stories/{story}/turns", {"turns": [NARRATED]}),
        ("GET", f"/stories/{story}/turns/{turn}", None),
        ("POST", f"/stories/{story}/turns/{turn}/edit", {"text": "x"}),
        ("GET", f"/stories/{story}/export", None),
        ("GET", f"/stories/{story}/text", None),
        ("POST", "/edits", {"story": story, "turn": turn, "edited": "x"}),
        ("GET", f"/edits/{edit['id']}", None),
        ("DELETE", f"/edits/{edit['id']}", None),
        ("GET", f"/comparisons/{comparison}", None),
        ("DELETE", f"/comparisons/{comparison}", None),
        ("GET", f"/comparisons/{comparison}/votes", None),
        ("POST", f"/comparisons/{comparison}/votes", {"choice": 0}),
        ("GET", f"/inbox/{entry}", None),
        ("PATCH", f"/inbox/{entry}", {"status": "accepted"}),
        ("GET", "/presets/mine", None),
        ("DELETE", "/presets/mine", None),
    ]
    for method, path, body in asks:
        theirs = other.request(method, path, json=body)
        assert theirs.status_code == 404, (method, path, theirs.text)
        for id in (story, edit["id"], comparison, entry):
            nobodys = path.replace(id, f"{id[:-4]}0000")
            if nobodys != path:
                missing = http.request(method, nobodys, json=body)
                assert missing.text.replace("0000'", f"{id[-4:]}'") == theirs.text
    for path in ("/stories", "/edits", "/comparisons", "/inbox", "/presets"):
        assert ok(other.get(path))["data"] == []
    assert ok(http.get(f"/stories/{story}"))["title"] == "mine"


def compiled(store: Store, file: str, directory: Path) -> list[Document]:
    """The documents that the corpus compiler makes of an exported file."""
    files = Files(store)
    (laid_out,) = files.materialise([file], directory / "in")
    build_into([laid_out], directory / "out", Settings(heldout_share=0.1))
    corpus = load_corpus(directory / "out")
    return [*corpus.train, *corpus.heldout]


WORDS = (
    *("amber", "birch", "copper", "dusk", "ember", "fern"),
    *("grove", "harbor", "island", "jasmine", "kettle", "lantern"),
)


def said(number: int, what: str) -> str:
    """Texts that have little in common, or the compiler would take them for copies."""
    words = [f"{WORDS[number * step % len(WORDS)]}{number}{step}" for step in range(1, 40)]
    return f"{what} {' '.join(words)}."


@pytest.mark.parametrize(
    ("format", "kind"),
    [("chat", "chat"), ("completion", "instruct"), ("preference", "preference")],
)
def test_what_was_accepted_becomes_a_file_that_the_compiler_reads(
    store: Store, url: str, tmp_path: Path, format: str, kind: str
) -> None:
    project = f"trains-{format}"
    Projects(store).create(project)
    # What projects there are is asked so often at most.
    time.sleep(LOOK_AGAIN_SECONDS)
    headers = {"openai-project": project}
    with httpx.Client(base_url=f"{url}/v1/lmft", headers=headers, timeout=60) as http:
        story = new_story(http, kind="chat")
        for number in range(6):
            asked = {"by": "player", "text": said(number, "asked")}
            reply = {"by": "narrator", "text": said(number, "clumsy")}
            turn = add(http, story, asked, reply, parent=None)["turns"][1]["id"]
            edit = {"story": story, "turn": turn, "edited": said(number, "golden")}
            ok(http.post("/edits", json=edit))
        for number in range(6, 12):
            answers = [
                {"text": said(number, word), "model": word, "sampler": {"seed": number}}
                for word in ("worse", "golden")
            ]
            made = ok(
                http.post(
                    "/comparisons", json={"prompt": said(number, "asked"), "answers": answers}
                )
            )
            ok(http.post(f"/comparisons/{made['id']}/votes", json={"choice": 1}))
        dismissed = ok(http.post("/edits", json={"edited": "never", "original": "no"}))
        pending = ok(http.get("/inbox", params={"status": "pending"}))["data"]
        assert len(pending) == 13
        for entry in pending:
            status = "dismissed" if entry["edit"] == dismissed["id"] else "accepted"
            ok(http.patch(f"/inbox/{entry['id']}", json={"status": status}))
        made = ok(http.post("/inbox/export", json={"format": format, "filename": "gold.jsonl"}))
        assert (made["rows"], made["entries"], made["left"]) == (12, 12, 0)
        file = ok(httpx.get(f"{url}/v1/files/{made['file']}", headers=headers))
        assert (file["purpose"], file["filename"]) == ("fine-tune", "gold.jsonl")
        assert file["bytes"] == made["bytes"]
        documents = compiled(store, made["file"], tmp_path)
        assert len(documents) == 12
        assert {document.kind for document in documents} == {kind}
        learnt = "".join(document.learnt for document in documents)
        assert learnt.count("golden") == 12
        assert ("clumsy" in learnt) == (format == "preference")
        exported = ok(http.get("/inbox", params={"status": "exported"}))["data"]
        assert {entry["file"] for entry in exported} == {made["file"]}
        again = http.post("/inbox/export", json={"format": format})
        assert "Accept some" in refused(again, 400, "invalid_value")
        # Accepted once more, it is exported once more.
        ok(http.patch(f"/inbox/{exported[0]['id']}", json={"status": "accepted"}))
        assert ok(http.post("/inbox/export", json={"format": format}))["entries"] == 1


def test_a_story_as_text_is_one_that_the_compiler_reads(
    http: httpx.Client, store: Store, tmp_path: Path
) -> None:
    story = new_story(http, kind="adventure")
    for number in range(12):
        asked = {"by": "player", "mode": "do", "text": f"walk to the {WORDS[number]} tower"}
        add(http, story, asked, {"by": "narrator", "text": said(number, "You reach it:")})
    (tmp_path / "in.txt").write_text(http.get(f"/stories/{story}/text").text, encoding="utf-8")
    build_into([tmp_path / "in.txt"], tmp_path / "out", Settings(heldout_share=0.1))
    corpus = load_corpus(tmp_path / "out")
    assert {document.kind for document in corpus.train} == {"adventure"}


def test_a_key_needs_the_scope_of_stories(store: Store, tmp_path: Path) -> None:
    from serving.gateway.access.callers import scope_of

    for path in PATHS:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            assert scope_of(method, f"/v1/lmft{path}") == "stories"
            assert scope_of(method, f"/v1/lmft{path}/x/y") == "stories"


def test_the_documented_limits_are_those_that_are_kept() -> None:
    page = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
    for limit in (
        limits.MAX_TEXT_CHARACTERS,
        limits.MAX_TURNS_AT_ONCE,
        limits.MAX_CONTEXT_MESSAGES,
        limits.MAX_SETTINGS_CHARACTERS,
        limits.MAX_ANSWERS_COMPARED,
    ):
        assert f"{limit:,}" in page


def hold_to_the_document(url: str, n_examples: int) -> set[str]:
    """Ask every operation of the library what its schema allows, and what it does not."""
    document = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
    seen = set()
    for found in document.get_all_operations():
        operation = found.ok()
        if not operation.path.startswith(tuple(f"/v1/lmft{path}" for path in PATHS)):
            continue
        seen.add(f"{operation.method.upper()} {operation.path}")
        for mode in GenerationMode:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=n_examples,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Case) -> None:
                headers = {"openai-project": "fuzzed"}
                case.call_and_validate(checks=CHECKS, headers=headers)

            ask()
    return seen


def test_whatever_is_asked_is_answered_as_the_openapi_document_says(url: str) -> None:
    seen = hold_to_the_document(url, 3)
    assert len(seen) == 31
    assert {"PUT /v1/lmft/presets/{name}", "POST /v1/lmft/inbox/export"} <= seen


@pytest.mark.long
def test_whatever_is_asked_for_long_is_answered_as_the_openapi_document_says(url: str) -> None:
    hold_to_the_document(url, 200)


def test_the_examples_of_the_page_work_as_they_stand(url: str, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
    examples = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert len(examples) >= 8
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(examples)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "LMFT": f"{url}/v1/lmft", "LMFT_API_KEY": "any"},
    )
    assert done.returncode == 0, done.stdout[-600:] + done.stderr
    assert (tmp_path / "story.txt").read_text().startswith("You wake on cold stone.\n\n> You look")
    assert '"format":"preference"' in done.stdout
