"""What is dropped on the Train page: who may, how much, where it lies, and that it goes again; and
what is asked of the server for a job."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.browser.scripted import ScriptedGateway
from ui.app import mount
from ui.client import Gateway
from ui.events import GatewayError
from ui.incoming import keep_private
from ui.pages.dropping import Passed, pass_on
from ui.training.follow import Following

UPLOAD = "/gradio_api/upload"
HELD = {"model": "embedded", "training_file": "file-x", "lmft": {"hold": True}}


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


@pytest.fixture(scope="module")
def _server() -> Iterator[ScriptedGateway]:
    server = ScriptedGateway()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(_server: ScriptedGateway) -> ScriptedGateway:
    _server.reset()
    return _server


def visitor(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:1")


def pages(**options: Any) -> FastAPI:
    app = FastAPI()
    mount(app, "http://127.0.0.1:1", **options)
    return app


@asynccontextmanager
async def gateway(server: ScriptedGateway) -> Any:
    client = Gateway(server.url)
    try:
        yield client
    finally:
        await client.aclose()


def lying_there() -> list[Path]:
    return [path for path in Path(keep_private()).rglob("*") if path.is_file()]


def test_nobody_uploads_without_the_login() -> None:
    async def test() -> None:
        before = lying_there()
        async with visitor(pages(api_key="open sesame")) as client:
            answer = await client.post(UPLOAD, files={"files": ("a.txt", b"private")})
            assert answer.status_code == 401
            assert lying_there() == before
            right = {"username": "lmft", "password": "open sesame"}
            assert (await client.post("/login", data=right)).status_code == 200
            answer = await client.post(UPLOAD, files={"files": ("a.txt", b"private")})
            assert answer.status_code == 200
            (path,) = answer.json()
            assert Path(path).read_bytes() == b"private"
            # It is never handed out again to who did not upload it, and only we can read it.
            for folder in (keep_private(), str(Path(path).parent)):
                assert Path(folder).is_relative_to(keep_private())
            assert stat.S_IMODE(Path(keep_private()).stat().st_mode) == 0o700
            Path(path).unlink()

    run(test())


def test_a_file_that_is_too_large_is_refused() -> None:
    async def test() -> None:
        async with visitor(pages(api_key=None, max_file_bytes=1000)) as client:
            answer = await client.post(UPLOAD, files={"files": ("a.txt", bytes(1001))})
            assert answer.status_code == 413
            answer = await client.post(UPLOAD, files={"files": ("a.txt", bytes(1000))})
            assert answer.status_code == 200
            Path(answer.json()[0]).unlink()

    run(test())


def test_files_are_passed_on_and_their_copies_go(server: ScriptedGateway, tmp_path: Path) -> None:
    names = ("one.txt", "two.zip", "three.txt")
    dropped = [str(tmp_path / name) for name in names]
    for path in dropped:
        Path(path).write_bytes(Path(path).name.encode() * 1000)
    server.training.refuse_files["two.zip"] = (415, "unsupported_file", "It is an archive.")

    async def test() -> None:
        async with gateway(server) as client:
            steps = [step async for step in pass_on(client.jobs, [*dropped, dropped[0]])]
        last = steps[-1]
        assert last == Passed("", tuple(server.training.files), ("two.zip: It is an archive.",))
        assert steps[1].doing == "Taking in 2 of 3: two.zip"

    run(test())
    found = list(server.training.files.values())
    assert found == [(name, name.encode() * 1000) for name in ("one.txt", "three.txt")]
    assert list(tmp_path.iterdir()) == []


def test_copies_go_when_the_page_is_closed_in_the_middle(
    server: ScriptedGateway, tmp_path: Path
) -> None:
    dropped = [str(tmp_path / name) for name in ("one.txt", "two.txt")]
    for path in dropped:
        Path(path).write_text("text", encoding="utf-8")

    async def test() -> None:
        async with gateway(server) as client:
            passing = pass_on(client.jobs, dropped)
            await anext(passing)
            await passing.aclose()

    run(test())
    assert list(tmp_path.iterdir()) == []
    assert server.training.files == {}


def test_a_copy_that_vanished_is_said(server: ScriptedGateway, tmp_path: Path) -> None:
    async def test() -> None:
        async with gateway(server) as client:
            steps = [one async for one in pass_on(client.jobs, [str(tmp_path / "gone.txt")])]
        assert steps[-1].ids == ()
        assert "drop it again" in steps[-1].refused[0]

    run(test())


def test_a_look_asks_only_for_what_is_new(server: ScriptedGateway) -> None:
    jobs = server.training
    id = jobs.add(HELD)
    jobs.validated(id)
    jobs.runs(id)
    jobs.stepped(id, 0, 1, 2)

    async def test() -> None:
        async with gateway(server) as client:
            following = Following(client.jobs)
            seen = await following.look(id)
            assert [row["step"] for row in seen.rows] == [0, 1, 2]
            assert seen.events[0]["message"] == "Files validated"
            # A measurement of the step that was seen last comes after it.
            jobs.jobs[id]["rows"].append({"id": "x", "step": 2, "heldout_loss": 1.0})
            jobs.stepped(id, 3)
            jobs.say(id, "Step 3")
            first, second = await asyncio.gather(following.look(id), following.look(id))
            assert first == second
            assert [row["step"] for row in first.rows] == [0, 1, 2, 2, 3]
            assert [event["message"] for event in first.events][:2] == ["Step 3", "Files validated"]
            jobs.ended(id, "succeeded")
            assert (await following.look(id)).job.ended

    run(test())


def test_no_row_is_lost_between_the_two_of_a_step(server: ScriptedGateway) -> None:
    """What was measured of a step is said before its loss, and that is said later."""
    jobs = server.training
    id = jobs.add(HELD)
    jobs.validated(id)
    jobs.runs(id)
    jobs.rows_at_once = 2
    rows = jobs.jobs[id]["rows"]

    def said(step: int, key: str) -> None:
        rows.append({"id": f"{key}{step}", "step": step, key: 1.0})

    async def test() -> None:
        async with gateway(server) as client:
            following = Following(client.jobs)
            said(1, "loss")
            said(2, "heldout_loss")
            assert len((await following.look(id)).rows) == 2
            # The next page begins in the midst of a step, the one after it too.
            for step, key in ((2, "loss"), (3, "heldout_loss"), (3, "loss"), (4, "heldout_loss")):
                said(step, key)
            assert len((await following.look(id)).rows) == 6
            said(4, "loss")
            seen = await following.look(id)
            assert {row["id"] for row in seen.rows} == {row["id"] for row in rows}

    run(test())


def test_what_the_server_refuses_is_an_error_of_ours(server: ScriptedGateway) -> None:
    id = server.training.add(HELD)
    server.training.validated(id)

    async def test() -> None:
        async with gateway(server) as client:
            with pytest.raises(GatewayError) as gone:
                await client.jobs.job("ftjob-nope")
            assert gone.value.code == "fine_tune_not_found"
            with pytest.raises(GatewayError) as conflict:
                await client.jobs.tell(id, "pause")
            assert conflict.value.code == "invalid_state"
            # A job that failed says so in a field that is called error, and is no error.
            server.training.ended(id, "failed", {"code": "x", "message": "y", "param": None})
            assert (await client.jobs.job(id)).problem == "y"
            assert [job.state for job in await client.jobs.newest()] == ["failed"]

    run(test())


def test_one_key_is_one_job(server: ScriptedGateway) -> None:
    async def test() -> None:
        async with gateway(server) as client:
            body = {"model": "embedded", "training_file": "file-x"}
            made = {await client.jobs.create(body, "once") for _ in range(2)}
            assert len(made) == 1
            assert await client.jobs.create(body, "twice") not in made

    run(test())
