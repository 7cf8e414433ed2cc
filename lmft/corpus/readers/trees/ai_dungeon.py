"""AI Dungeon's story trees: `action_results` of `action_results`, one tree or a list of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows.strict_json import JsonFault, parse
from lmft.corpus.readers.trees.actions import action_line
from lmft.corpus.readers.trees.tree import Choice, Passage, tell
from lmft.corpus.source import SourceFile

# Each turn is two levels: the list and the object in it. Below what Python's parser can
# recurse, with room for who calls this.
_MAX_DEPTH = 600
_OPENINGS = ("first_story_block", "story_start")
_SHOWN_PLACE_CHARACTERS = 60
_BRANCHES = re.compile(r'"action_results"\s*:\s*[\[n]')
_HEADERS = re.compile(r'"(tree_id|first_story_block|story_start)"\s*:')


def sniff(source: SourceFile) -> str | None:
    head = source.head_text
    if not head.lstrip().startswith(("{", "[")) or not _BRANCHES.search(head):
        return None
    header = _HEADERS.search(head)
    return f"has AI Dungeon's `action_results` and `{header[1]}` keys" if header else None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Each tree is one story. A part of the wrong type is a fault, and the rest goes on.

    Raises:
        Unreadable: not JSON, or no tree in it.
    """
    try:
        data = parse(source.text(), max_depth=_MAX_DEPTH)
    except JsonFault as fault:
        raise Unreadable(str(fault), line=fault.line) from fault
    trees = data if isinstance(data, list) else [data]
    several = len(trees) > 1
    found = False
    for number, tree in enumerate(trees):
        place = f"[{number}]" if several else ""
        if not isinstance(tree, dict):
            findings.fault(source.name, f"{place or 'the file'} is no story tree: give an object")
            continue
        passages = _passages(tree, place, source.name, findings)
        name = f"{source.name}#{number + 1}" if several else source.name
        for document in tell(passages, [""], name, findings):
            found = True
            yield document
    if not found:
        raise Unreadable("no story in it: a tree has `first_story_block` and `action_results`")


def _passages(
    tree: Mapping[str, Any], place: str, name: str, findings: Findings
) -> dict[str, Passage]:
    """Every node of a tree; the first has the empty key."""
    opening = [tree[key] for key in ("context", *_opening_key(tree)) if tree.get(key) is not None]
    sound = [text for text in opening if isinstance(text, str)]
    if len(sound) < len(opening) or not sound:
        findings.fault(name, f"{_at(place, _OPENINGS[0])} is not text: give the opening as text")
    passages: dict[str, Passage] = {}
    waiting: list[tuple[str, str, str, Mapping[str, Any]]] = [
        ("", place, "\n".join(text.strip() for text in sound), tree)
    ]
    while waiting:
        key, place, text, node = waiting.pop()
        choices = []
        for number, branch in enumerate(_branches(node, place, name, findings)):
            where, child = _at(place, f"action_results[{number}]"), f"{len(passages)}.{number}"
            texts = _action_and_result(branch, where, name, findings)
            if texts is None:
                # A choice without its passage: the story does not end here.
                choices.append(Choice("", child))
                continue
            choices.append(Choice(action_line(texts[0]), child))
            waiting.append((child, where, texts[1], branch))
        passages[key] = Passage(text, tuple(choices))
    return passages


def _opening_key(tree: Mapping[str, Any]) -> tuple[str, ...]:
    return next(((key,) for key in _OPENINGS if tree.get(key) is not None), ())


def _branches(node: Mapping[str, Any], place: str, name: str, findings: Findings) -> list[Any]:
    branches = node.get("action_results")
    if branches is None or isinstance(branches, list):
        return branches or []
    findings.fault(name, f"{_at(place, 'action_results')} is not a list: give a list")
    return []


def _action_and_result(
    branch: Any, where: str, name: str, findings: Findings
) -> tuple[str, str] | None:
    if branch is None:
        # Their scraper leaves null where it did not go deeper.
        return None
    if not isinstance(branch, dict):
        findings.fault(name, f"{where} is not an object with `action` and `result`")
        return None
    for key in ("action", "result"):
        if not isinstance(branch.get(key), str):
            findings.fault(name, f"{where}.{key} is not text: give text")
            return None
    return branch["action"], branch["result"]


def _at(place: str, step: str) -> str:
    """`action_results[3].action_results[0]`, its middle left out where it is long."""
    path = f"{place}.{step}" if place else step
    if len(path) <= 2 * _SHOWN_PLACE_CHARACTERS:
        return path
    return f"{path[:_SHOWN_PLACE_CHARACTERS]}...{path[-_SHOWN_PLACE_CHARACTERS:]}"


READER = Reader("AI Dungeon story tree", sniff, read)
