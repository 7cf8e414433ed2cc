"""A Rasa story's steps to conversations in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from lmft.corpus.documents import Message, Role
from lmft.corpus.readers.rasa.strict_yaml import Node
from lmft.corpus.readers.rasa.words import Fault, Words, items, text_of, without_entities
from lmft.corpus.readers.turns import join_turns

# More of them teach few new words, and bury the stories whose intents have few examples.
MAX_TELLINGS = 8


class UnresolvedIntent(Exception):
    """An intent without examples, by its name."""


class Side(NamedTuple):
    """One who speaks, and the ways to say it."""

    role: Role
    texts: list[str]


class _Way(NamedTuple):
    """Words, or the name of an intent or response that has them."""

    text: str
    is_name: bool


class Step(NamedTuple):
    role: Role
    ways: list[_Way]


def parse_steps(story: Node, fault: Fault) -> list[Step]:
    """The steps at which somebody speaks; slots, forms and checkpoints are skipped."""
    if not isinstance(story.value, dict):
        fault("not a mapping; a story is `- story: NAME` with `steps:`", story.line)
        return []
    steps = [_step(step, fault) for step in items(story.value, "steps", fault)]
    return [step for step in steps if step is not None]


def versions(steps: list[Step], words: Words) -> Iterator[list[Side]]:
    """The story in words: once, or once for each sub-intent of its retrieval intents.

    Actions without a text are left out.

    Raises:
        UnresolvedIntent: it cannot be told at all.
    """
    names = [way.text for step in steps if step.role == "user" for way in step.ways if way.is_name]
    n_versions = max((len(words.subintents.get(name, ())) for name in names), default=0)
    for version in range(max(1, n_versions)):
        yield _sides(steps, words, version)


def tell(sides: list[Side], telling: int) -> tuple[Message, ...]:
    """The conversation with each side's words number `telling`, counted round."""
    return join_turns(Message(role, texts[telling % len(texts)]) for role, texts in sides)


def _step(step: Node, fault: Fault) -> Step | None:
    if not isinstance(step.value, dict):
        fault("not a mapping; a step is `- intent: NAME` or `- action: NAME`", step.line)
        return None
    held = step.value
    if "or" in held:
        choices = [_step(choice, fault) for choice in items(held, "or", fault)]
        asked = [choice for choice in choices if choice is not None and choice.role == "user"]
        return Step("user", [way for choice in asked for way in choice.ways])
    if "user" in held:
        return Step("user", [_Way(without_entities(text_of(held["user"], fault)), False)])
    if "intent" in held:
        return Step("user", [_Way(text_of(held["intent"], fault), True)])
    if "bot" in held:
        return Step("assistant", [_Way(text_of(held["bot"], fault), False)])
    if "action" in held:
        return Step("assistant", [_Way(text_of(held["action"], fault), True)])
    return None


def _sides(steps: list[Step], words: Words, version: int) -> list[Side]:
    sides: list[Side] = []
    answers: dict[str, str] = {}
    for step in steps:
        if step.role == "user":
            asked = [_asked(way, words, version, answers) for way in step.ways]
            # Each choice of an `or` in turn, that the first few tellings have all of them.
            texts = [text for round_ in zip_longest(*asked) for text in round_ if text]
        else:
            way = step.ways[0]
            texts = [way.text] if not way.is_name else _answered(way.text, words, answers)
        if any(texts):
            sides.append(Side(step.role, texts))
    return sides


def _asked(way: _Way, words: Words, version: int, answers: dict[str, str]) -> list[str]:
    """Ways to put an intent; of a retrieval intent, those of one of its sub-intents."""
    if not way.is_name:
        return [way.text]
    intent = way.text
    subintents = words.subintents.get(intent)
    if subintents and intent not in words.examples:
        chosen = subintents[version % len(subintents)]
        answers[f"utter_{intent}"] = f"utter_{chosen}"
        intent = chosen
    if intent not in words.examples:
        raise UnresolvedIntent(intent)
    return words.examples[intent]


def _answered(action: str, words: Words, answers: dict[str, str]) -> list[str]:
    return words.responses.get(action) or words.responses.get(answers.get(action, ""), [])
