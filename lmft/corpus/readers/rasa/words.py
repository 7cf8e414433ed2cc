"""What a Rasa bot's files say: how users put each intent, and what the bot answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lmft.corpus.readers.rasa.strict_yaml import Node

Fault = Callable[[str, int], None]
"""Takes what is wrong and in which line."""

# [Paris](city), [Paris]{"entity": "city"}, [Paris][{"entity": "city"}, {"entity": "capital"}]
_ENTITY = re.compile(r"\[([^\[\]\n]+)\](?:\([^()\n]*\)|\{[^{}\n]*\}|\[\{[^\[\]\n]*\}\])")
_BULLET = re.compile(r"\s*[-*+]\s+")


@dataclass(frozen=True)
class Words:
    """Attributes:
    examples: by intent, in the order of the files.
    responses: by the name of the action, `utter_` included.
    subintents: of a retrieval intent `faq` with examples under `faq/price`, the full names.
    """

    examples: dict[str, list[str]] = field(default_factory=dict)
    responses: dict[str, list[str]] = field(default_factory=dict)
    subintents: dict[str, list[str]] = field(default_factory=dict)

    @property
    def n_examples(self) -> int:
        return sum(map(len, self.examples.values()))

    @property
    def n_responses(self) -> int:
        return sum(map(len, self.responses.values()))


def add_words(words: Words, root: dict[str, Node], fault: Fault) -> None:
    """Add the examples and responses of one file; tell `fault` what is of a wrong type."""
    for entry in items(root, "nlu", fault):
        if not isinstance(entry.value, dict):
            fault("not a mapping; an entry is `- intent: NAME` with `examples:`", entry.line)
        elif "intent" in entry.value:
            intent, examples = text_of(entry.value["intent"], fault), _examples(entry.value, fault)
            if intent and examples:
                _add_intent(words, intent, examples)
    responses = root.get("responses", Node(1, ""))
    if isinstance(responses.value, dict):
        for name, variants in responses.value.items():
            texts = _texts(variants, fault)
            words.responses.setdefault(name, []).extend(texts)
    elif responses.value:
        fault("`responses` is not a mapping of names to texts", responses.line)


def items(parent: dict[str, Node], key: str, fault: Fault) -> list[Node]:
    """The list under `key`; an empty one where there is none."""
    node = parent.get(key)
    if node is None or node.value == "":
        return []
    if isinstance(node.value, list):
        return node.value
    fault(f"`{key}` is not a list", node.line)
    return []


def text_of(node: Node, fault: Fault) -> str:
    """A scalar's text; empty, and a fault, for a list or mapping."""
    if isinstance(node.value, str):
        return node.value.strip()
    fault("not a text", node.line)
    return ""


def without_entities(text: str) -> str:
    """`to [Paris](city)` as a person writes it: `to Paris`."""
    return _ENTITY.sub(r"\1", text)


def _add_intent(words: Words, intent: str, examples: list[str]) -> None:
    retrieval, slash, _ = intent.partition("/")
    if slash and intent not in words.examples:
        words.subintents.setdefault(retrieval, []).append(intent)
    words.examples.setdefault(intent, []).extend(examples)


def _examples(entry: dict[str, Node], fault: Fault) -> list[str]:
    node = entry.get("examples", Node(1, ""))
    if isinstance(node.value, str):
        # Rasa's own form: one block of text with a bullet before each example.
        lines = (line for line in node.value.split("\n") if line.strip())
        texts = [_BULLET.sub("", line, count=1).strip() for line in lines]
    else:
        texts = _texts(node, fault)
    return [without_entities(text) for text in texts if text]


def _texts(node: Node, fault: Fault) -> list[str]:
    """Of a list of texts, or of mappings with a `text`; pictures and buttons have none."""
    if not isinstance(node.value, list):
        if node.value:
            fault("not a list of texts", node.line)
        return []
    texts = []
    for variant in node.value:
        held = variant.value.get("text") if isinstance(variant.value, dict) else variant
        texts.append(text_of(held, fault) if held else "")
    return [text for text in texts if text]
