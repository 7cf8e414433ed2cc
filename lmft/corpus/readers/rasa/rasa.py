"""Rasa training data: stories told in the words of their intents and responses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.rasa.settings import is_settings
from lmft.corpus.readers.rasa.stories import (
    MAX_TELLINGS,
    Side,
    UnresolvedIntent,
    parse_steps,
    tell,
    versions,
)
from lmft.corpus.readers.rasa.strict_yaml import Node, YamlFault, parse_yaml
from lmft.corpus.readers.rasa.words import Fault, Words, add_words, items
from lmft.corpus.readers.reader import Reader
from lmft.corpus.source import SourceFile, display_name

_FIRST_KEY = re.compile(r"\A(?:[^\S\n]*(?:#[^\n]*)?\n|---[^\S\n]*\n)*[a-z_]+[^\S\n]*:")
_TRAINING = re.compile(r"^(?:nlu|stories|rules|responses)[^\S\n]*:", re.MULTILINE)
_ENTRY = re.compile(
    r"^[^\S\n]*-[^\S\n]+(?:intent|story|rule|synonym|lookup|regex)[^\S\n]*:"
    r"|^[^\S\n]+utter_[\w/-]+[^\S\n]*:",
    re.MULTILINE,
)
_DOMAIN = re.compile(r"^intents[^\S\n]*:", re.MULTILINE)
_DOMAIN_TOO = re.compile(r"^(?:actions|session_config|slots|entities)[^\S\n]*:", re.MULTILINE)


class _Bot(NamedTuple):
    """What the Rasa files of one input know together."""

    words: Words
    has_stories: bool


# By the first file of an input: what is known of it goes when its files go.
_BOTS: WeakKeyDictionary[SourceFile, _Bot] = WeakKeyDictionary()


def sniff(source: SourceFile) -> str | None:
    if reason := _holds_words(source):
        return reason
    return "has the keys of a Rasa project's settings" if is_settings(source) else None


def _holds_words(source: SourceFile) -> str | None:
    head = source.head_text.replace("\r", "\n")
    if not _FIRST_KEY.match(head):
        return None
    if _TRAINING.search(head) and _ENTRY.search(head):
        return "has Rasa's `nlu`, `stories`, `rules` or `responses`"
    if _DOMAIN.search(head) and _DOMAIN_TOO.search(head):
        return "has a Rasa domain's `intents`"
    return None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """The file's stories and rules as conversations, each told up to MAX_TELLINGS times.

    Intents and responses are looked up in all Rasa files of the same input. Where none of
    those has a story, each example of an intent is answered by the response of its name. A file
    of settings yields nothing.

    Raises:
        Unreadable: not YAML of the plain kind that Rasa uses.
    """

    if not _holds_words(source) and is_settings(source):
        _say_settings(source.name, findings)
        return

    def fault(message: str, line: int) -> None:
        findings.fault(source.name, message, line=line)

    root = _load(source)
    own = Words()
    add_words(own, root, fault)
    stories = _stories(root, fault)
    bot = _bot(source)
    for story in stories:
        yield from _told(story, bot.words, source.name, findings)
    answered = [] if bot.has_stories else _answered(own, bot.words)
    for sides in answered:
        for telling in range(len(sides[0].texts)):
            yield Document(source.name, kind="chat", messages=tell(sides, telling))
    if not (stories or answered):
        _say_what_for(own, bot, source.name, findings)


def _load(source: SourceFile) -> dict[str, Node]:
    try:
        root = parse_yaml(source.text())
    except YamlFault as fault:
        raise Unreadable(str(fault), line=fault.line) from fault
    if not isinstance(root.value, dict):
        raise Unreadable("not a mapping; Rasa's files begin with keys such as `nlu:`")
    return root.value


def _bot(source: SourceFile) -> _Bot:
    """Parsed once for all files of an input."""
    files = source.siblings or (source,)
    bot = _BOTS.get(files[0])
    if bot is None:
        bot = _BOTS[files[0]] = _parsed(files)
    return bot


def _parsed(files: Sequence[SourceFile]) -> _Bot:
    words, has_stories = Words(), False
    for source in files:
        if not _holds_words(source):
            continue
        try:
            root = _load(source)
        except Unreadable:
            continue
        add_words(words, root, _told_elsewhere)
        has_stories = has_stories or bool(_stories(root, _told_elsewhere))
    return _Bot(words, has_stories)


def _told_elsewhere(message: str, line: int) -> None:
    """A sibling's fault, which its own reading tells."""


def _stories(root: dict[str, Node], fault: Fault) -> list[Node]:
    return items(root, "stories", fault) + items(root, "rules", fault)


def _told(story: Node, words: Words, file: str, findings: Findings) -> Iterator[Document]:
    steps = parse_steps(story, lambda message, line: findings.fault(file, message, line=line))
    if not steps:
        return
    place = ("", story.line, story.line)
    try:
        for sides in versions(steps, words):
            if len({side.role for side in sides}) < 2:
                findings.drop(file, "story without words of both sides", *place)
                continue
            n_ways = max(len(side.texts) for side in sides if side.role == "user")
            if n_ways > MAX_TELLINGS:
                findings.note(f"{file}: a story is told {MAX_TELLINGS} times, not more")
            for telling in range(min(n_ways, MAX_TELLINGS)):
                messages = tell(sides, telling)
                yield Document(f"{file}:{story.line}", kind="chat", messages=messages)
    except UnresolvedIntent as intent:
        reason = f"story whose intent has no examples: {display_name(str(intent)) or '(no name)'}"
        findings.drop(file, reason, *place)


def _answered(own: Words, words: Words) -> list[list[Side]]:
    """Questions and answers: the file's intents that a response is named after."""
    return [
        [Side("user", examples), Side("assistant", words.responses[f"utter_{intent}"])]
        for intent, examples in own.examples.items()
        if words.responses.get(f"utter_{intent}")
    ]


def _say_what_for(own: Words, bot: _Bot, file: str, findings: Findings) -> None:
    if not (own.n_examples or own.n_responses):
        _say_settings(file, findings)
        return
    if bot.has_stories:
        use = "are used by the stories"
    elif _answered(bot.words, bot.words):
        use = "are used where an intent and a response have the same name"
    else:
        use = "are not used: no story is among the files; give the folder that has them all"
    findings.note(f"{file}: its {own.n_examples} examples and {own.n_responses} responses {use}")


def _say_settings(file: str, findings: Findings) -> None:
    findings.note(f"{file}: settings of Rasa, nothing to learn")


READER = Reader("Rasa training data", sniff, read)
