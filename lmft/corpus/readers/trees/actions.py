"""A choice's text to the line that the player is seen to type."""

from __future__ import annotations

import re

from lmft.play.actions import player_line

_MAX_PHRASE_CHARACTERS = 80
_QUOTED_WHOLE = re.compile(r'["“«„](?P<speech>[^"“”«»„]+)["”»“]\Z')
_PERSON = re.compile(r"(?:i|you|we)\b", re.IGNORECASE)
_FIRST_WORD = re.compile(r"[^\W\d_]+")
# What a choice begins with that is no verb: `You the red door.` is worse than `The red door`.
_NO_VERBS = """
    a about above across after again ahead all along always an and another any are around as at
    away back backward because before behind below beside between both but by can could did do
    does down downstairs each east either enough every everything except finally first for
    forward four from had has have he her here hers hey hi his how however if in inside instead
    into is it its just last later left less many maybe me mine more most much my neither never
    next no nobody none nor north northeast northwest not nothing now of off oh ok okay on once
    one onto onward or other our out outside over perhaps please right she should since so some
    someone something south southeast southwest still such than thanks that the their them then
    there these they this those three through to together too toward towards two under until up
    upon upstairs us very was were west what whatever when where which while who whose why will
    with within without would yes yet your yours
"""
_NO_VERB = frozenset(_NO_VERBS.split())


def without_prompt(text: str) -> str:
    """On one line, without the `> ` that some files have before it: every action gets one."""
    return " ".join(text.lstrip(" \t\r\n>").split())


def action_line(text: str) -> str:
    """A choice's text as the player's line: `look around` becomes `You look around.`

    Speech and phrases go through the product's own rules. What does not read as something the
    player does stays as it is: questions, `The red door`, and more than a short phrase.
    """
    text = without_prompt(text)
    if speech := _QUOTED_WHOLE.match(text):
        return player_line("say", speech["speech"])
    if _PERSON.match(text):
        return player_line("do", text)
    first = _FIRST_WORD.match(text)
    is_deed = first is not None and first[0].lower() not in _NO_VERB
    if is_deed and len(text) <= _MAX_PHRASE_CHARACTERS and not text.endswith("?"):
        return player_line("do", text)
    return text
