"""Harlowe's macros out of a passage; links become `[[text->target]]`.

Of `(if:)[...](else:)[...]` the first hook is kept, and the links of all. Only macros that
Harlowe knows are taken out: `(nothing: she had left)` is prose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lmft.corpus.readers.trees.twine_links import LINK, link_mark, links_in

_COMMANDS = (
    "set|put|move|print|display|go-to|goto|redirect|link-goto|link-undo|either|random|save-game|"
    "load-game|undo|restart|reload|prompt|alert|confirm|cycling-link|seq-link|input|input-box|"
    "force-input|dropdown|checkbox|meter|stop|show|rerun|goto-url|open-url"
)
_CHANGERS = (
    "if|unless|else-if|elseif|else|link|link-replace|link-reveal|link-append|link-repeat|"
    "link-rerun|link-reveal-goto|link-show|click|click-replace|click-append|click-prepend|"
    "click-goto|text|text-style|text-colour|text-color|text-size|text-indent|text-rotate-z|colour|"
    "color|font|align|background|bg|css|live|event|hidden|hide|replace|append|prepend|transition|"
    "t8n|transition-time|t8n-time|transition-delay|t8n-delay|enchant|change|hover-style|button|"
    "border|box|opacity|for|loop|float-box|hook|collapse|nobr|verbatim|mouseover|after"
)
_TOKEN = re.compile(
    rf"\((?P<macro>{_COMMANDS}|{_CHANGERS})\s*:|{LINK.pattern}"
    # Names of hooks, before or after them.
    r"|\|[\w-]+[>)]\[|(?P<tag>\]<[\w-]+\|)|[()\[\]]",
    re.IGNORECASE,
)
# Changers may be added up: `(if: $x)+(align: "=><=")[...]`.
_ATTACHED = re.compile(r"[ \t]*\n?(?P<hook>\[)(?!\[(?!\[))|[ \t]*\+[ \t]*(?=\()")
_STRING = re.compile(r'"([^"]*)"|(?<!\w)\'([^\']*)\'')
_VALUE = re.compile(r"\s*\$\w[\w.]*\s*\Z")
_IS_COMMAND = frozenset(_COMMANDS.split("|"))
_LATER_BRANCHES = ("else", "else-if", "elseif")
_GOES = ("go-to", "goto", "redirect")
_REVEALS = ("link-reveal", "link-append")
_MAX_HOOKS = 200
_MAX_UNCLOSED = 100
_ARGUMENT = re.compile(r'"[^"]*"|[()]')
_MAX_ARGUMENT_CHARACTERS = 4_000


@dataclass(frozen=True)
class _Hook:
    """An open bracket: `shown` for one that is no hook but the writer's own, put into the
    output at `place`."""

    shown: bool
    muted: bool
    label: str
    place: int = 0


def strip_harlowe(text: str) -> str:
    """The passage as it is first shown; choices and jumps as `[[text->target]]` marks."""
    out: list[str] = []
    hooks: list[_Hook] = []
    done = unclosed = 0
    while token := _TOKEN.search(text, done):
        muted = bool(hooks) and hooks[-1].muted
        if not muted:
            out.append(text[done : token.start()])
        done = token.end()
        if token["macro"]:
            # Each costs a look ahead: a passage of nothing else must not cost a thousand.
            end = _arguments_end(text, done) if unclosed < _MAX_UNCLOSED else None
            if end is None:
                unclosed += 1
                out.append("" if muted else token[0])
                continue
            done = _obey(token["macro"].lower(), text, done, end, out, hooks)
        elif token[0].startswith("[["):
            out.append(links_in(token[0]) if muted else token[0])
        elif token[0] == "[" and len(hooks) < _MAX_HOOKS:
            hooks.append(_Hook(True, muted, "", len(out)))
            out.append("" if muted else "[")
        elif token[0].startswith("|") and len(hooks) < _MAX_HOOKS:
            hooks.append(_Hook(False, muted, ""))
        elif token[0].startswith("]") and hooks:
            hook = hooks.pop()
            if token["tag"] and hook.shown:
                out[hook.place] = ""
            out.append("]" if hook.shown and not token["tag"] and not muted else "")
        elif token[0] in ("(", ")", "[", "]") and not muted:
            out.append(token[0])
    out.append("" if hooks and hooks[-1].muted else text[done:])
    return "".join(out)


def _arguments_end(text: str, start: int) -> int | None:
    """Where the parenthesis that is open at `start` closes; None when it does not."""
    depth = 1
    for mark in _ARGUMENT.finditer(text, start, start + _MAX_ARGUMENT_CHARACTERS):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.start()
    return None


def _obey(macro: str, text: str, start: int, end: int, out: list[str], hooks: list[_Hook]) -> int:
    """Leave in `out` what a macro shows, open its hook; where the text goes on."""
    strings = [a or b for a, b in _STRING.findall(text[start:end])]
    muted = bool(hooks) and hooks[-1].muted
    label = ""
    if macro in ("link-goto", "link-reveal-goto") and strings:
        out.append(link_mark(strings[0], strings[-1]))
    elif macro in _GOES and strings:
        around = next((hook.label for hook in reversed(hooks) if hook.label), "")
        out.append(link_mark(around, strings[0]))
    elif macro.startswith("link") and strings:
        label = strings[0]
        out.append(label if macro in _REVEALS and not muted else "")
    elif macro in ("print", "either") and not muted:
        shown = text[start:end].strip()
        out.append(shown if _VALUE.match(shown) else "".join(strings[:1]))
    attached = None if macro in _IS_COMMAND else _ATTACHED.match(text, end + 1)
    if attached is None:
        return end + 1
    if attached["hook"] and len(hooks) < _MAX_HOOKS:
        hooks.append(_Hook(False, muted or macro in _LATER_BRANCHES, label))
    return attached.end()
