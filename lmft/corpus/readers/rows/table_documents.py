"""The records of a table to documents: a row each, or many rows to one conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lmft.corpus.documents import Document, Message
from lmft.corpus.findings import Findings
from lmft.corpus.readers.rows.chat_messages import (
    SHAREGPT_ROLES,
    check_learnable,
    read_message,
)
from lmft.corpus.readers.rows.fault import RowFault
from lmft.corpus.readers.rows.shapes import Rows
from lmft.corpus.readers.turns import join_turns


class Record(NamedTuple):
    """One row of a table.

    Attributes:
        cells: by the layout's names of the columns.
        wrong: why it cannot be used; `cells` has what there is of it then.
    """

    line: int
    cells: Mapping[str, str]
    wrong: str = ""


def from_rows(records: Iterable[Record], name: str, findings: Findings) -> Iterator[Document]:
    """A document a row; the parts of a long text are several."""
    rows = Rows(name, findings)
    for record in records:
        try:
            if record.wrong:
                raise RowFault(record.wrong)
            yield from rows.documents(dict(record.cells), record.line)
        except RowFault as fault:
            findings.fault(name, str(fault), line=record.line)


def from_turns(records: Iterable[Record], name: str, findings: Findings) -> Iterator[Document]:
    """Rows of conversation_id, role and content, those of one conversation together.

    A conversation with a hole would teach replies to what nobody said: one bad row costs all
    of it.
    """
    seen: set[str] = set()
    for conversation in _conversations(records):
        first = conversation[0]
        key = first.cells.get("conversation_id", "")
        if key in seen:
            findings.fault(
                name, "its conversation began earlier; sort by conversation_id", line=first.line
            )
            continue
        seen.add(key)
        messages = _messages(conversation, name, findings)
        if messages is None:
            continue
        try:
            check_learnable(messages)
        except RowFault as fault:
            findings.fault(name, f"the conversation has {fault}", line=first.line)
            continue
        yield Document(f"{name}:{first.line}", kind="chat", messages=messages)


def from_script(records: Iterable[Record], name: str, findings: Findings) -> Iterator[Document]:
    """Rows of speaker and text, a document for each scene; who has no speaker is the narrator."""
    turns: list[Message] = []
    scene, number, first_line = "", 0, 0
    for record in records:
        if record.wrong:
            findings.fault(name, record.wrong, line=record.line)
            continue
        here = record.cells.get("scene", "").strip() or scene
        if turns and here != scene:
            yield _scene(turns, f"{name}:{first_line}", number)
            turns, number = [], number + 1
        scene, first_line = here, first_line if turns else record.line
        speaker = record.cells["speaker"].strip()
        text = record.cells["text"]
        turns.append(Message("user", text, speaker) if speaker else Message("system", text))
    if turns:
        yield _scene(turns, f"{name}:{first_line}", number)


def _scene(turns: list[Message], source: str, number: int) -> Document:
    return Document(source, kind="chat", messages=join_turns(turns), scene=number, uncast=True)


def _conversations(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Runs of one id. A row too broken to have one belongs to the run it stands in."""
    run: list[Record] = []
    current = ""
    for record in records:
        key = record.cells.get("conversation_id", "").strip() or current
        if run and key != current:
            yield run
            run = []
        current = key
        run.append(record._replace(cells={**record.cells, "conversation_id": key}))
    if run:
        yield run


def _messages(
    conversation: list[Record], name: str, findings: Findings
) -> tuple[Message, ...] | None:
    messages: list[Message] = []
    whole = True
    for record in conversation:
        try:
            if record.wrong:
                raise RowFault(record.wrong)
            turn = {**record.cells, "role": record.cells["role"].strip().lower()}
            messages.append(read_message(turn, SHAREGPT_ROLES))
        except RowFault as fault:
            findings.fault(name, f"{fault}; its conversation is left out", line=record.line)
            whole = False
    return join_turns(messages) if whole else None
