"""HTML of the pages. Everything that a model, a player or a server wrote is escaped here.

Gradio's Markdown and Chatbot would read a player's `> line` as a quotation and a `#` as a
heading, and would parse a model's HTML. Text is text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from ui import text
from ui.models import Speakers
from ui.story import PlayerLine, Reply, Story
from ui.telling import State, Telling


def story(tale: Story, asking: PlayerLine | None = None, *, busy: bool = False) -> str:
    """The whole story, and the line that is being answered.

    The inner element takes the focus so that the scrolling column can be moved with the keys.
    """
    names = tale.speakers or Speakers("", "")
    turns = [_turn("narrator", tale.opening, names.narrator)] if tale.opening else []
    for step in tale.steps:
        if step.player:
            turns.append(_turn("player", step.player.shown or step.player.text, names.player))
        turns.append(_turn("narrator", step.reply.text, names.narrator))
    if asking:
        turns.append(_turn("player", asking.shown or asking.text, names.player))
    if not turns and not busy:
        hint = text.CHAT_EMPTY.format(name=names.narrator) if tale.speakers else text.STORY_EMPTY
        turns.append(f'<p class="hint">{escape(hint)}</p>')
    return (
        f'<div class="turns" role="region" tabindex="0" aria-label="{escape(text.STORY_REGION)}"'
        f' aria-busy="{str(busy).lower()}" data-testid="story" data-steps="{len(tale.steps)}">'
        f"{''.join(turns)}</div>"
    )


def live(telling: Telling | None, speakers: Speakers | None = None) -> str:
    """The reply as it grows. Hidden from screen readers, which would read every scrap of it.

    After an error the torn reply stays in sight, struck, though it is no part of the story.
    """
    if telling is None:
        return ""
    name = speakers.narrator if speakers else ""
    kind = "narrator torn" if telling.state == "error" else "narrator live"
    turn = _turn(kind, telling.said, name)
    return f'<div class="turns" aria-hidden="true" data-testid="live">{turn}</div>'


def status(state: State, sentence: str, testid: str) -> str:
    """The line that says which weights answered; tests wait on its data-state."""
    return f'<p class="status" data-testid="{testid}" data-state="{state}">{escape(sentence)}</p>'


def announced_status(state: State, sentence: str, testid: str) -> str:
    """A status line that screen readers read out as it changes."""
    return f'<div role="status" aria-live="polite">{status(state, sentence, testid)}</div>'


def provenance(reply: Reply) -> str:
    """Who told it and how it ended, from the server's answer."""
    parts = [
        text.ANSWERED.format(model=reply.model, adapter=weights(reply.adapter)),
        text.FINISH.get(reply.finish, reply.finish),
        text.TOKENS.format(count=reply.tokens) if reply.tokens is not None else "",
        text.SEED_USED.format(seed=reply.seed) if reply.seed is not None else "",
        text.DROPPED.format(count=reply.dropped) if reply.dropped else "",
    ]
    return " · ".join(part for part in parts if part)


def weights(adapter: str) -> str:
    return text.BASE_WEIGHTS if adapter == "base" else text.ADAPTER_WEIGHTS.format(hash=adapter)


def notice(sentence: str, *, alarm: bool = True, lines: Sequence[str] = ()) -> str:
    """Something the person should know, and its details; an alarm is read out at once."""
    if not sentence:
        return ""
    role = "alert" if alarm else "note"
    listed = "".join(f"<li>{_prose(line)}</li>" for line in lines)
    said = _prose(sentence) + (f"<ul>{listed}</ul>" if listed else "")
    return f'<div class="notice" role="{role}" data-testid="notice">{said}</div>'


def other_tab(sentence: str) -> str:
    """A warning that keys.js shows once another tab has this one's story open."""
    return f'<div class="notice" role="alert" id="other-tab" hidden>{_prose(sentence)}</div>'


def says(sentence: str) -> str:
    """A plain paragraph of ours."""
    return f'<p class="says">{_prose(sentence)}</p>' if sentence else ""


def announcement(sentence: str) -> str:
    """Read out once, when the reply is complete. The element stays; only its text changes."""
    return f'<div class="unseen" role="status" aria-live="polite">{escape(sentence)}</div>'


def heading(sentence: str) -> str:
    return f"<h1>{escape(sentence)}</h1>"


def count(sentence: str) -> str:
    return f'<p class="status" data-testid="alternatives">{escape(sentence)}</p>'


def column(telling: Telling | None, title: str, testid: str, problem: str = "") -> str:
    """One side of a comparison: its text, and beneath it whose text it is."""
    state = telling.state if telling else "idle"
    # A raw continuation begins with the space between two words.
    said = telling.said.lstrip() if telling else ""
    facts = _facts(telling, problem) if telling else text.IDLE
    hidden = ' aria-hidden="true"' if state == "running" else ""
    return (
        f'<section class="side" aria-label="{escape(title)}" data-testid="{testid}"'
        f' data-state="{state}"><h2>{escape(title)}</h2>'
        f'<div class="said"{hidden}>{escape(said)}</div>'
        f'<p class="status">{_prose(facts)}</p></section>'
    )


def _facts(telling: Telling, problem: str) -> str:
    who = text.ANSWERED.format(model=telling.model, adapter=weights(telling.adapter))
    parts = [
        problem,
        who if telling.model else "",
        text.WRITING if telling.state == "running" else "",
        text.FINISH.get(telling.finish, telling.finish),
        text.TOKENS.format(count=telling.tokens) if telling.tokens is not None else "",
        text.TTFT.format(seconds=telling.ttft) if telling.ttft is not None else "",
    ]
    return " · ".join(part for part in parts if part)


def _prose(sentence: str) -> str:
    """Our own and the server's sentences: what stands between backticks is a command.

    Marked up after escaping, so that no tag but this one can come of it.
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence))


def _turn(kind: str, said: str, name: str) -> str:
    who = f'<span class="who">{escape(name)}</span>' if name else ""
    return f'<div class="turn {kind}">{who}<span class="said">{escape(said)}</span></div>'
