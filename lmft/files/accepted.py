"""What is taken in, by content: text and books. Archives, programs and pickles are not.

Nothing is unpacked here. EPUB and DOCX are zip archives; they are taken when they are one and
nothing else, from the first byte to the last.
"""

from __future__ import annotations

import io
import re
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from lmft.corpus.magic import binary_kind
from lmft.errors import InputError

_HEAD_BYTES = 64 << 10
_ZIP = b"PK\x03\x04"
_END = b"PK\x05\x06"
_END_FORM = struct.Struct("<4s4H2LH")
_MAX_MEMBERS, _MAX_DIRECTORY_BYTES = 10_000, 4 << 20
_EPUB_TYPE = b"mimetypeapplication/epub+zip"
_ENCRYPTED = 0x1
# A whole head of numbers: old logs begin with a date like 070701.
_CPIO = re.compile(rb"07070[12][0-9A-Fa-f]{104}")
# Beyond what the corpus compiler knows by its first bytes.
_MORE_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x07\x08", "a zip archive"),
    (b"\x1f\x9d", "a compressed file (.Z)"),
    (b"\x04\x22\x4d\x18", "an lz4 archive"),
    (b"LZIP\x01", "an lzip archive"),
    (b"\x5d\x00\x00", "an lzma archive"),
    (b"MSCF\x00\x00\x00\x00", "a cabinet archive"),
    (b"!<arch>\n", "an archive of programs (ar, deb)"),
    (b"\x00asm", "a program (WebAssembly)"),
    (b"\xfe\xed\xfa\xce", "a program"),
    (b"\xfe\xed\xfa\xcf", "a program"),
    (b"\xce\xfa\xed\xfe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
)


class EmptyFileError(InputError):
    code = "empty_file"


class UnsupportedFileError(InputError):
    """A kind of file that is never taken in."""

    code = "unsupported_file"


def check_content(path: Path) -> None:
    """Raises:
    EmptyFileError: of 0 bytes.
    UnsupportedFileError: certainly neither text nor a book, or two things in one.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if not head:
            raise EmptyFileError("The file is empty (0 bytes).", "Upload one with text in it.")
        fault = _fault(file, head, path.stat().st_size)
    if fault:
        raise UnsupportedFileError(
            f"The file is {fault}, whatever its name says.",
            "Upload the text itself: .jsonl, .txt, .epub, .docx and others (docs/corpus.md).",
        )


def _fault(file: BinaryIO, head: bytes, size: int) -> str | None:
    if head.startswith(_ZIP):
        return _fault_of_zip(file, head, size)
    if _END in _tail(file, size):
        return "a zip archive behind something else"
    return binary_kind(head) or _more(head, size)


def _more(head: bytes, size: int) -> str | None:
    for signature, kind in _MORE_KINDS:
        if head.startswith(signature):
            return kind
    if _CPIO.match(head):
        return "a cpio archive"
    if head.startswith(b"MZ") and head[int.from_bytes(head[60:64], "little") :][:2] == b"PE":
        return "a program"
    if 0 < int.from_bytes(head[:8], "little") <= size - 8 and head[8:9] == b"{":
        return "model weights (safetensors)"
    return "a tar archive" if _begins_tar(head) else None


def _begins_tar(head: bytes) -> bool:
    """By the checksum of its first header: the oldest form has no other mark."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "replace")
    except tarfile.HeaderError:
        return False
    return True


def _fault_of_zip(file: BinaryIO, head: bytes, size: int) -> str | None:
    """Of what begins as a zip archive: None for a book that is nothing else besides."""
    tail = _tail(file, size)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_FORM.size:
        return "a damaged zip archive"
    _, _, _, _, members, directory_bytes, directory_at, comment = _END_FORM.unpack_from(tail, at)
    end_at = size - len(tail) + at
    whole = directory_at + directory_bytes == end_at and end_at + _END_FORM.size + comment == size
    if not whole:
        return "a zip archive with something else around it"
    # Before zipfile builds an object for each of what may be millions.
    if members > _MAX_MEMBERS or directory_bytes > _MAX_DIRECTORY_BYTES:
        return f"an archive of more than {_MAX_MEMBERS} files"
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            inside = archive.infolist()
    except (zipfile.BadZipFile, struct.error, OSError, ValueError, NotImplementedError):
        return "a damaged zip archive"
    if any(member.flag_bits & _ENCRYPTED for member in inside):
        return "an encrypted archive"
    names = {member.filename for member in inside}
    epub = _EPUB_TYPE in head[:128] or "META-INF/container.xml" in names
    word = "[Content_Types].xml" in names and any(name.startswith("word/") for name in names)
    return None if epub or word else "a zip archive"


def _tail(file: BinaryIO, size: int) -> bytes:
    """As much of the end as can hold a zip archive's own end, with its comment."""
    file.seek(-min(size, _END_FORM.size + 0xFFFF), io.SEEK_END)
    return file.read()
