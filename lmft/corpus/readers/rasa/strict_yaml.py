"""YAML of text, lists and mappings only, with the line of everything, from untrusted files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import yaml

MAX_DEPTH = 50
# libyaml's parser, ten times as fast, where the wheel has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = ("~", "null", "Null", "NULL")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class YamlFault(ValueError):
    """What is wrong, and in which line if that is known."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class Node(NamedTuple):
    """A value and the line where it begins, from 1.

    A scalar is always text, `yes` and `3.1` too; nothing at all is the empty text.
    """

    line: int
    value: Value


Value: TypeAlias = "str | list[Node] | dict[str, Node]"


class _Open(NamedTuple):
    """A list or mapping whose end has not come yet; `key` is the one that waits for its value."""

    node: Node
    key: list[str]


def parse_yaml(text: str) -> Node:
    """The file's one YAML document.

    It is built from the parser's events and not by a loader: no tag can construct anything,
    no alias multiply, no depth overflow the stack.

    Raises:
        YamlFault: not YAML; an alias, a tag, a key twice or one that is not text; nested
            deeper than MAX_DEPTH; more than one document.
    """
    try:
        return _build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = None if mark is None else mark.line + 1
        raise YamlFault(f"not YAML: {error.problem or 'it ends too early'}", line) from error
    except yaml.YAMLError as error:
        raise YamlFault("not YAML: it holds control characters", None) from error


def _build(events: Iterator[yaml.Event]) -> Node:
    root: Node | None = None
    stack: list[_Open] = []
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.NodeEvent):
            if root is not None and not stack:
                raise YamlFault("more than one document; split the file at `---`", line)
            _refuse(event, line)
            node = Node(line, _value(event, line))
            if stack:
                _add(stack[-1], node)
            root = root or node
            if not isinstance(node.value, str):
                stack.append(_Open(node, []))
            if len(stack) > MAX_DEPTH:
                raise YamlFault(f"nested deeper than {MAX_DEPTH}", line)
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
    return root or Node(1, "")


def _refuse(event: yaml.NodeEvent, line: int) -> None:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise YamlFault("anchors and aliases (`&x`, `*x`) are not allowed; write it out", line)
    if getattr(event, "tag", None) is not None:
        raise YamlFault("tags (`!x`) are not allowed; remove it", line)


def _value(event: yaml.NodeEvent, line: int) -> Value:
    if isinstance(event, yaml.SequenceStartEvent):
        return []
    if not isinstance(event, yaml.ScalarEvent):
        return {}
    text = str(event.value)
    if _NO_TEXT.search(text):
        raise YamlFault("an escape that is no character; write the character itself", line)
    return "" if event.implicit[0] and text in _NULL else text


def _add(parent: _Open, node: Node) -> None:
    held = parent.node.value
    if isinstance(held, list):
        held.append(node)
    elif isinstance(held, dict) and parent.key:
        held[parent.key.pop()] = node
    elif isinstance(held, dict):
        if not isinstance(node.value, str):
            raise YamlFault("a key that is not text", node.line)
        if node.value in held:
            raise YamlFault(f"the key `{node.value[:40]}` twice", node.line)
        parent.key.append(node.value)
