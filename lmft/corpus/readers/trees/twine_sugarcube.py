"""SugarCube's (and Twine 1's) macros out of a passage; links become `[[text->target]]`.

Of `<<if>>` and `<<switch>>` the first branch is kept, and the links of all branches.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lmft.corpus.readers.trees.twine_links import link_mark, links_in

_MACRO = re.compile(
    r"<<(?P<close>/?)(?P<name>[\w-]+|=)(?P<arguments>(?:\"[^\"\n]*\"|[^<>]|<(?!<)|>(?!>))*+)>>"
)
_PICTURE = re.compile(r"\[img\[[^\[\]]*\](?:\[[^\[\]]*\])?\]", re.IGNORECASE)
# `@@.red;words@@`, `@@#id;color:red;words@@`, the words on lines of their own or not.
_STYLED = re.compile(
    r"@@(?:(?:[.#][\w.#-]+|[\w-]+[ \t]*:[^;@\n]*);[ \t]*)++\n?(?P<words>(?:[^@]|@(?!@))*+)@@"
)
_STRING = re.compile(r'"([^"]*)"|(?<!\w)\'([^\']*)\'')
_VALUE = re.compile(r"\s*\$\w[\w.]*\s*\Z")
_LATER_BRANCH = {"else": "if", "elseif": "if", "case": "switch", "default": "switch"}
_LINKS = ("link", "button", "click")
_UNSEEN = ("script", "silently", "widget", "cacheaudio", "createplaylist")
_BLOCKS = frozenset(("if", "switch", *_LINKS, *_UNSEEN))
# Text that replaces itself: its first words stand in the passage.
_REVEALS = ("linkappend", "linkprepend")
_MAX_BLOCKS = 200


class _Block(NamedTuple):
    """`label` is the link's that the text inside belongs to; `taken`: a branch was told."""

    name: str
    muted: bool
    label: str = ""
    taken: bool = False


def strip_sugarcube(text: str) -> str:
    """The passage as it is first shown; choices and jumps as `[[text->target]]` marks."""
    if "@@" in text:
        text = _STYLED.sub(lambda styled: styled["words"].removesuffix("\n"), text)
    if "<<" not in text and "[img[" not in text:
        return text
    out: list[str] = []
    blocks: list[_Block] = []
    done = 0
    for macro in _MACRO.finditer(text):
        out.append(_seen(text[done : macro.start()], blocks))
        done = macro.end()
        out.append(_obey(macro, blocks))
    out.append(_seen(text[done:], blocks))
    return _PICTURE.sub("", "".join(out))


def _seen(text: str, blocks: list[_Block]) -> str:
    if not blocks or not blocks[-1].muted:
        return text
    return "" if any(block.name in _UNSEEN for block in blocks) else links_in(text)


def _obey(macro: re.Match[str], blocks: list[_Block]) -> str:
    """What a macro leaves in the text; opens and closes blocks."""
    name = macro["name"].lower()
    muted = bool(blocks) and blocks[-1].muted
    if macro["close"]:
        _close(name, blocks)
        return ""
    if (block := _LATER_BRANCH.get(name)) is not None:
        _next_branch(block, blocks, first=name == "case")
        return ""
    strings = [a or b for a, b in _STRING.findall(macro["arguments"])]
    inner = links_in(macro["arguments"])
    if name in _BLOCKS and len(blocks) < _MAX_BLOCKS:
        label = strings[0] if strings and name in _LINKS else ""
        hides = name in _UNSEEN or name == "switch"
        blocks.append(_Block(name, muted or hides, label))
    if name in _LINKS or name == "choice":
        pair = strings[::-1] if name == "choice" else strings
        return inner or (link_mark(pair[0], pair[1]) if len(pair) > 1 else "")
    if name == "goto":
        label = next((block.label for block in reversed(blocks) if block.label), "")
        return link_mark(label, strings[0]) if strings else inner
    if muted:
        return ""
    if name in ("print", "=", "-") and _VALUE.match(macro["arguments"]):
        return macro["arguments"].strip()
    return strings[0] if name in _REVEALS and strings else ""


def _close(name: str, blocks: list[_Block]) -> None:
    depth = next((d for d in range(len(blocks) - 1, -1, -1) if blocks[d].name == name), None)
    if depth is not None:
        del blocks[depth:]


def _next_branch(name: str, blocks: list[_Block], *, first: bool) -> None:
    """Mute what follows, but for the first `<<case>>` of a `<<switch>>`."""
    depth = next((d for d in range(len(blocks) - 1, -1, -1) if blocks[d].name == name), None)
    if depth is None:
        return
    outer = depth > 0 and blocks[depth - 1].muted
    opens = first and not blocks[depth].taken
    del blocks[depth + 1 :]
    blocks[depth] = _Block(name, outer or not opens, taken=True)
