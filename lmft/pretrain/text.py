"""Documents of a corpus, in the order in which they stand, and which of them are held out."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from lmft import paths
from lmft.corpus import store
from lmft.corpus.documents import Document
from lmft.errors import InputError
from lmft.pretrain import chat

SEPARATOR = "<|endoftext|>"
_CURE = "Give UTF-8 text, an .xz of it, or a compiled corpus."
# A story, or a conversation for the control tokens of lmft.pretrain.chat.
Written = str | chat.Turns


def content_hash(path: Path) -> str:
    """sha256 of a text file, or of both sides of a compiled corpus. Raises InputError."""
    try:
        if path.is_dir():
            known = store.load_info(path)
            return known.hash
        return paths.sha256_file(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", _CURE) from error


def sides(path: Path, heldout_share: float, *, chats: bool) -> tuple[list[Written], list[Written]]:
    """Documents to train on, and held out.

    A compiled corpus has both. Of a text file the last share of the characters is held out; the
    document in which the border falls is cut between two paragraphs, so that a few long books
    have a held-out side of the size that was asked for too.

    Args:
        chats: compiled conversations become turns for control tokens, else `Name: words`.

    Raises:
        InputError: it cannot be read, or is too small for two sides.
    """
    if path.is_dir():
        corpus = store.load_corpus(path)
        train, heldout = (list(_written(one, chats)) for one in (corpus.train, corpus.heldout))
    else:
        texts = list(documents(path))
        last = _cut_off(texts, int(heldout_share * sum(map(len, texts))))
        train, heldout = list[Written](texts), list[Written](last)
    if not train or not heldout:
        raise InputError(f"{path} has too little text to hold some of it back.", "Give more of it.")
    return train, heldout


def documents(path: Path) -> Iterator[str]:
    """Of a text file (also .xz), where lines that say `<|endoftext|>` stand between documents.

    Raises:
        InputError: it cannot be read as such.
    """
    try:
        with (
            lzma.open(path, "rt", encoding="utf-8")
            if path.suffix == ".xz"
            else path.open(encoding="utf-8") as lines
        ):
            for ends, held in groupby(lines, key=lambda line: line.strip() == SEPARATOR):
                text = "" if ends else "".join(held).strip()
                if text:
                    yield text
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.", _CURE) from error


def _written(compiled: Iterable[Document], chats: bool) -> Iterator[Written]:
    """Stories whole, without what an earlier one told too."""
    for _, parts in groupby(compiled, key=lambda document: document.story):
        held = list(parts)
        messages = [turn for part in held for turn in (*part.messages, *part.chosen)]
        if messages and chats:
            yield chat.from_messages(messages)
            continue
        said = "\n".join(f"{turn.name or turn.role}: {turn.content}" for turn in messages)
        text = (said or "".join(map(_new_text, held))).strip()
        if text:
            yield text


def _new_text(document: Document) -> str:
    kept, at = [], 0
    for start, end in document.retold:
        kept.append(document.text[at:start])
        at = end
    return "".join([*kept, document.text[at:]])


def _cut_off(texts: list[str], wanted: int) -> list[str]:
    """Take about so many characters from the end of `texts`; returns them."""
    taken: list[str] = []
    while texts and wanted > 0:
        last = texts.pop()
        border = len(last) - wanted
        if border > 0:
            cut = last.rfind("\n", 0, border) + 1 or border
            texts.append(last[:cut].rstrip())
            return [last[cut:], *taken]
        taken.insert(0, last)
        wanted -= len(last)
    return taken
