"""A zip from anybody, opened without trusting what it says about itself.

Members are read in memory by their names and never written to disk, so a name that points
out of the archive points nowhere. Sizes are counted while inflating: the declared ones lie.
"""

from __future__ import annotations

import itertools
import mmap
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from lmft.corpus.decode import Unreadable
from lmft.corpus.source import SourceFile

MAX_ARCHIVE_BYTES = 256 << 20
MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 256 << 20
# Deflate cannot do better than 1032:1, and no book comes near; small members may by chance.
MAX_RATIO = 200
_RATIO_FROM_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 16
# All that EPUB and Office documents may use. The others inflate without a bound on a step.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_LOCAL_HEADER = re.compile(rb"PK\x03\x04.{22}(..)..", re.DOTALL)
_CENTRAL_HEADER = re.compile(rb"PK\x01\x02")
_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, OSError, OverflowError, RuntimeError, ValueError),
)


def member_names(head: bytes) -> list[str]:
    """Names of the members whose headers lie in the first bytes of a zip; for sniffing."""
    if not head.startswith(b"PK\x03\x04"):
        return []
    return [
        head[found.end() : found.end() + int.from_bytes(found.group(1), "little")].decode(
            "utf-8", errors="replace"
        )
        for found in _LOCAL_HEADER.finditer(head)
    ]


class Archive:
    """The members of an open zip, within the limits of this module all together."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._left = MAX_TOTAL_BYTES
        self._members = {member.filename: member for member in file.infolist()}
        self.names = tuple(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """A member by its exact name.

        Raises:
            Unreadable: it is damaged, or inflates beyond the limits.
            KeyError: there is none of that name.
        """
        member = self._members[name]
        chunks: list[bytes] = []
        size = 0
        try:
            with self._file.open(member) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    size += len(chunk)
                    self._check(size, member.compress_size)
                    chunks.append(chunk)
        except _DAMAGES as error:
            raise Unreadable("the archive is damaged; make or download it again") from error
        self._left -= size
        return b"".join(chunks)

    def _check(self, size: int, compressed: int) -> None:
        if size > self._left:
            raise Unreadable(f"holds more than {MAX_TOTAL_BYTES >> 20} MB when unpacked")
        if size > _RATIO_FROM_BYTES and size > MAX_RATIO * compressed:
            raise Unreadable("unpacks to far more than a document can: it looks like a zip bomb")


@contextmanager
def open_zip(source: SourceFile) -> Iterator[Archive]:
    """The archive, open inside the `with`.

    Raises:
        Unreadable: no zip, a damaged or encrypted one, or one beyond the limits.
    """
    if source.n_bytes > MAX_ARCHIVE_BYTES:
        raise Unreadable(f"larger than {MAX_ARCHIVE_BYTES >> 20} MB; take the pictures out of it")
    _check_number_of_members(source)
    try:
        file = zipfile.ZipFile(source.path)
    except _DAMAGES as error:
        raise Unreadable("the archive is damaged or cut off; download it again") from error
    with file:
        for member in file.infolist():
            if member.flag_bits & _ENCRYPTED:
                raise Unreadable("is encrypted; save it without a password")
            if member.compress_type not in _METHODS:
                raise Unreadable("is packed in a way that documents never are; save it again")
        yield Archive(file)


def _check_number_of_members(source: SourceFile) -> None:
    """Before zipfile builds an object for each of what may be millions."""
    if not source.n_bytes:
        raise Unreadable("the file is empty (0 bytes)")
    with (
        source.path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        n_members = sum(
            1 for _ in itertools.islice(_CENTRAL_HEADER.finditer(data), MAX_MEMBERS + 1)
        )
    if n_members > MAX_MEMBERS:
        raise Unreadable(f"an archive of more than {MAX_MEMBERS} files")
