"""All readers, the strictest first."""

from __future__ import annotations

from lmft.corpus.decode import Unreadable
from lmft.corpus.magic import binary_kind
from lmft.corpus.readers import text
from lmft.corpus.readers.books import docx, epub, html, pdf
from lmft.corpus.readers.logs import discord, sillytavern, whatsapp
from lmft.corpus.readers.rasa import rasa
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows import jsonl, table
from lmft.corpus.readers.scripts import script
from lmft.corpus.readers.trees import ai_dungeon, ink, twine
from lmft.corpus.source import SourceFile

READERS: tuple[Reader, ...] = (
    epub.READER,
    docx.READER,
    pdf.READER,
    twine.READER,
    html.READER,
    sillytavern.READER,
    discord.READER,
    ai_dungeon.READER,
    ink.READER,
    jsonl.READER,
    rasa.READER,
    table.READER,
    whatsapp.READER,
    script.READER,
    text.READER,
)


def choose(source: SourceFile) -> tuple[Reader, str]:
    """The reader of a file, and why it.

    Raises:
        Unreadable: the file is empty, or certainly not text of any kind that lmft reads.
    """
    if not source.head:
        raise Unreadable("the file is empty (0 bytes)")
    for reader in READERS:
        if reader is text.READER and (kind := binary_kind(source.head)):
            raise Unreadable(f"is {kind}, whatever its name says; give the text itself")
        if reason := reader.sniff(source):
            return reader, reason
    raise AssertionError("the text reader takes whatever is left")
