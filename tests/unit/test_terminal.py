"""A game at the prompt: what undo takes back, which model a name means, a server that leaves."""

from __future__ import annotations

import io
import json

import httpx
import pytest
from rich.console import Console

from lmft.errors import EngineError
from lmft.server import Server
from lmft.terminal import Game, _named

SPEAKERS = {"user": "You", "assistant": "Hesper"}


def server(answer) -> Server:
    made = Server("http://127.0.0.1:1")
    made.http = httpx.Client(base_url=made.url, transport=httpx.MockTransport(answer))
    return made


def telling(request: httpx.Request) -> httpx.Response:
    count = len(json.loads(request.content)["turns"])
    event = {"type": "done", "text": f"reply to {count} turns"}
    return httpx.Response(200, text=f"data: {json.dumps(event)}\n\n")


def game(answer, facts: dict[str, object], lines: list[str], monkeypatch) -> tuple[Game, str]:
    """A game in which those lines are typed, and all that was printed."""
    typed, said = iter([*lines, "/quit"]), io.StringIO()
    console = Console(file=said)
    monkeypatch.setattr(console, "input", lambda _: next(typed))
    played = Game(server(answer), "m", facts, console)
    played.run()
    return played, said.getvalue()


def test_undo_takes_a_characters_first_exchange_back(monkeypatch):
    facts = {"speakers": SPEAKERS, "opening": None}
    played, said = game(telling, facts, ["Good evening.", "/undo", "/undo"], monkeypatch)
    assert played._turns == []
    assert said.count("(the beginning)") == 2


def test_undo_leaves_an_opening(monkeypatch):
    facts = {"speakers": None, "opening": "A door."}
    played, said = game(telling, facts, ["open it", "", "/undo", "/undo"], monkeypatch)
    assert played._turns == [{"by": "narrator", "text": "A door."}]
    assert said.count("A door.") == 3


def test_a_character_is_spoken_to_and_hears_what_was_typed(monkeypatch):
    facts = {"speakers": SPEAKERS, "opening": None}
    played, said = game(telling, facts, ["!!", "/help"], monkeypatch)
    assert said.count("Say something to Hesper; you are You.") == 2
    assert "open the door" not in said
    assert played._turns[0]["text"] == "!!"


def test_a_line_of_the_story_is_no_deed(monkeypatch):
    played, said = game(telling, {"speakers": None, "opening": None}, ["!It rains."], monkeypatch)
    assert "Type what you do" in said
    assert played._turns[0] == {"by": "player", "mode": "story", "text": "It rains."}


def test_a_server_that_leaves_costs_one_turn_and_no_game(monkeypatch):
    answers = iter([telling, None, telling])

    def answer(request: httpx.Request) -> httpx.Response:
        if (one := next(answers)) is None:
            raise httpx.ConnectError("refused")
        return one(request)

    facts = {"speakers": None, "opening": "A door."}
    played, said = game(answer, facts, ["open it", "go in", "go in"], monkeypatch)
    assert "http://127.0.0.1:1 does not answer: refused." in said
    assert [turn["text"] for turn in played._turns[-2:]] == ["go in", "reply to 4 turns"]


def test_what_answers_without_json_is_none_of_ours():
    stranger = server(lambda _: httpx.Response(502, text="<html>Bad gateway</html>"))
    with pytest.raises(EngineError, match="does not answer"):
        stranger.models()


def test_a_name_means_the_live_version_of_the_server_that_is_asked():
    def entry(id: str, created: int) -> dict[str, object]:
        return {"id": id, "created": created}

    entries = [
        entry("embedded", 0),
        entry("ft:embedded:me:ada:00000001", 1),
        entry("ft:embedded:me:ada:00000002", 2),
        entry("ft:embedded:me:ada:00000002:ckpt-step-7", 3),
        entry("ft:embedded:me:bob:00000003", 4),
    ]
    alias = entry("ft:embedded:me:ada", 1)

    def meant(name: str, *more: dict[str, object]) -> object:
        found = _named([*entries, *more], name)
        return found and found["id"]

    assert meant("ada", alias) == "ft:embedded:me:ada"
    assert meant("ada") == "ft:embedded:me:ada:00000002"
    assert meant("00000002", alias) == "ft:embedded:me:ada:00000002"
    assert meant("embedded") == "embedded"
    assert meant("ft:embedded:me:bob:00000003") == "ft:embedded:me:bob:00000003"
    assert meant("me") is None
