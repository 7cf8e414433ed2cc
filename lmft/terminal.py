"""Playing in the terminal: the same HTTP turns that the page makes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from lmft.errors import LmftError, NotFoundError
from lmft.server import Server, find_server, free_port, require_vllm, running_server
from lmft.store.chosen import chosen

_STORY_HELP = (
    'Type what you do: "open the door". In quotes it is said aloud. A line that begins with ! is '
    "story as it stands. Enter alone: go on. /retry /undo /quit"
)
_CHAT_HELP = (
    "Say something to {assistant}; you are {user}. Enter alone: {assistant} goes on. "
    "/retry /undo /quit"
)


def play_in_terminal(name: str, url: str | None, console: Console) -> None:
    """Play `name` on a running server, or on one of our own that ends with the game."""
    # On another machine's server it may be an adapter that is not here.
    model = name if name == "embedded" or url else str(chosen(name).id)
    with _server(model, url, console) as server:
        entry = _named(server.models(), model)
        if entry is None:
            raise NotFoundError(
                f"{server.url} does not serve {model}.",
                "`lmft models list` there shows what it does.",
            )
        model = entry["id"]
        console.print(Text(model, style="bold"))
        Game(server, model, entry["lmft"], console).run()


@contextlib.contextmanager
def _server(model: str, url: str | None, console: Console) -> Iterator[Server]:
    found = find_server(url)
    if found is not None:
        yield found
        return
    require_vllm()
    with running_server(
        free_port(), model=None if model == "embedded" else model, ui=False
    ) as server:
        server.wait_ready(console)
        yield server


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """By its id or alias, by NAME (the alias first, which means the version that is live), or by
    the key of a version."""
    # ft:BASE:ORG:NAME, with :KEY and :ckpt-step-N where it is less than all versions.
    meant = [one for one in entries if name == one["id"] or name in one["id"].split(":")[3:]]
    nearest = sorted(
        meant, key=lambda one: (one["id"] != name, one["id"].count(":"), -one["created"])
    )
    return nearest[0] if nearest else None


class Game:
    """One story at the prompt. The turns are all there is; undo drops some, retry asks again."""

    def __init__(self, server: Server, model: str, facts: dict[str, Any], console: Console) -> None:
        self._server, self._model, self._console = server, model, console
        self._turns: list[dict[str, str]] = []
        self._speakers = facts["speakers"]
        self._help = Text(
            _CHAT_HELP.format(**self._speakers) if self._speakers else _STORY_HELP, style="dim"
        )
        console.print(self._help, "")
        self._n_opening = 1 if facts["opening"] else 0
        if opening := facts["opening"]:
            self._turns.append({"by": "narrator", "text": opening})
            console.print(Text(opening))

    def run(self) -> None:
        while True:
            try:
                line = self._console.input("[green]>[/] ").strip()
            except EOFError:
                return
            if line in ("/quit", "/exit"):
                return
            try:
                self._obey(line)
            except LmftError as error:
                # The story stays as it was: the line can be given again.
                self._console.print(Text(str(error), style="red"))

    def _obey(self, line: str) -> None:
        if line == "/help":
            self._console.print(self._help)
        elif line == "/undo":
            self._turns = self._before_last_exchange()
            self._console.print(Text(self._turns[-1]["text"] if self._turns else "(the beginning)"))
        elif line == "/retry":
            if len(self._turns) > 1 and self._turns[-1]["by"] == "narrator":
                self._tell(self._turns[:-1])
        elif line:
            self._tell([*self._turns, self._player_turn(line)])
        elif self._turns:
            self._tell(self._turns)

    def _player_turn(self, line: str) -> dict[str, str]:
        if line.startswith("!") and not self._speakers:
            return {"by": "player", "mode": "story", "text": line[1:].strip()}
        return {"by": "player", "mode": "say" if line.startswith('"') else "do", "text": line}

    def _tell(self, turns: list[dict[str, str]]) -> None:
        """Ask, print as it comes, and keep the turn only once it is whole."""
        reply = ""
        for event in self._server.play(self._model, turns):
            if event["type"] == "turn" and not self._speakers:
                self._console.print(Text(event["text"], style="green"))
            elif event["type"] == "delta":
                self._console.print(Text(event["text"]), end="")
            elif event["type"] == "done":
                reply = event["text"]
        self._console.print()
        self._turns = [*turns, {"by": "narrator", "text": reply}]

    def _before_last_exchange(self) -> list[dict[str, str]]:
        turns = list(self._turns)
        while len(turns) > self._n_opening:
            if turns.pop()["by"] == "player":
                break
        return turns
