"""Files and folders to documents.

A file is one document, unless it marks several with `<|endoftext|>` (AI Dungeon's old
format, and what most trainers write). A long document is cut into parts at paragraph
boundaries, so that some of it can be held out; only its last part ends it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lmft.corpus.decode import decode
from lmft.corpus.documents import Document, Message
from lmft.errors import CorpusError, InputError

TEXT_SUFFIXES = (".txt", ".md")
CHAT_SUFFIXES = (".jsonl",)
PART_BYTES = 8_000
MAX_FILE_BYTES = 1 << 30
_MAX_FAULTS_SHOWN = 5
_ROLES = ("system", "user", "assistant")


def find_files(path: Path) -> list[Path]:
    """The readable files at `path`, sorted by name so that the order is the same everywhere.

    Raises:
        InputError: nothing there, nothing readable, or a file of a kind lmft cannot read.
    """
    # os.path: a name that is too long for the disk is not there either.
    if not os.path.exists(path):
        raise InputError(f"No such file or folder: {path}.", "Check the path after --data.")
    if path.is_file():
        if path.suffix.lower() not in TEXT_SUFFIXES + CHAT_SUFFIXES:
            raise InputError(
                f"{path} is not a kind of file that lmft reads.",
                f"Give {', '.join(TEXT_SUFFIXES + CHAT_SUFFIXES)} or a folder of them.",
            )
        return [path]
    # Links are not followed: a folder may come from anywhere and must not reach out of itself.
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in TEXT_SUFFIXES + CHAT_SUFFIXES
        and not file.is_symlink()
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise InputError(
            f"No {' or '.join(TEXT_SUFFIXES + CHAT_SUFFIXES)} files in {path}.",
            "Give a folder with text files in it.",
        )
    return files


def read_file(path: Path, name: str) -> tuple[list[Document], list[str]]:
    """Documents of one file and the notes of decoding it."""
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise InputError(
            f"{name} is {size / 1e9:.1f} GB, the limit is {MAX_FILE_BYTES / 1e9:.1f} GB.",
            "Split it into smaller files.",
        )
    if not os.access(path, os.R_OK):
        raise InputError(f"{name} cannot be read.", "Check its permissions.")
    decoded = decode(path.read_bytes(), name)
    if path.suffix.lower() in CHAT_SUFFIXES:
        documents = read_conversations(decoded.text, name)
    else:
        documents = list(_stories(decoded.text, name))
    return documents, list(decoded.notes)


def _stories(text: str, name: str) -> Iterator[Document]:
    text = text.replace("<|startoftext|>", "")
    pieces = [piece.strip("\n") for piece in text.split("<|endoftext|>")]
    stories = [piece for piece in pieces if piece.strip()]
    for number, story in enumerate(stories, 1):
        source = name if len(stories) == 1 else f"{name}#{number}"
        yield Document(source=source, text=story)


def cut_long(document: Document, part_bytes: int) -> list[Document]:
    """Cut a story at paragraph ends into parts of about `part_bytes`; joined they are the story.

    A paragraph ends at a blank line where there is one, else at any line end. A part never
    starts with a player's action line: an action stays with its answer.
    """
    if document.messages or document.n_bytes <= 2 * part_bytes:
        return [document]
    parts: list[str] = []
    current, size = "", 0
    for paragraph in _paragraphs(document.text):
        length = len(paragraph.encode())
        if current and size + length > part_bytes and not paragraph.lstrip("\n").startswith(">"):
            parts.append(current)
            current, size = "", 0
        current += paragraph
        size += length
    if size < part_bytes // 4 and parts:
        parts[-1] += current
    else:
        parts.append(current)
    last = len(parts) - 1
    return [
        Document(
            source=f"{document.source}:{number + 1}",
            text=part,
            begins=number == 0,
            ends=number == last,
        )
        for number, part in enumerate(parts)
    ]


def _paragraphs(text: str) -> list[str]:
    boundary = r"(?<=\n)(?=\S)" if "\n\n" not in text else r"(?<=\n\n)(?=[^\n])"
    return re.split(boundary, text)


def read_conversations(text: str, name: str) -> list[Document]:
    """OpenAI chat JSONL: `{"messages": [{"role", "content"}, ...]}` a line.

    Raises:
        CorpusError: any line is wrong; the first few are named, all are counted.
    """
    documents: list[Document] = []
    faults: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            documents.append(Document(source=f"{name}:{number}", messages=_messages(line)))
        except (ValueError, RecursionError) as error:
            faults.append(f"line {number}: {error}")
    if faults:
        shown = "; ".join(faults[:_MAX_FAULTS_SHOWN])
        more = (
            f"; and {len(faults) - _MAX_FAULTS_SHOWN} more"
            if len(faults) > _MAX_FAULTS_SHOWN
            else ""
        )
        raise CorpusError(
            f"{name} has {len(faults)} wrong line(s): {shown}{more}.",
            'Each line must be {"messages": [{"role": "user", "content": "..."}, ...]}.',
        )
    return documents


def _messages(line: str) -> tuple[Message, ...]:
    row = json.loads(line)
    raw = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(raw, list) or not raw:
        raise ValueError('no "messages" list')
    messages: list[Message] = []
    for index, item in enumerate(raw, 1):
        if not isinstance(item, dict) or item.get("role") not in _ROLES:
            raise ValueError(f"message {index}: role must be one of {', '.join(_ROLES)}")
        content = item.get("content")
        if not isinstance(content, str) or not content.strip():
            raise ValueError(f"message {index}: content must be text")
        if any("\ud800" <= character <= "\udfff" for character in content):
            raise ValueError(f"message {index}: half a surrogate pair is not a character")
        messages.append(Message(item["role"], content))
    if not any(message.role == "assistant" for message in messages):
        raise ValueError("no assistant message, nothing to learn from")
    return tuple(messages)
