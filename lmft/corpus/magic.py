"""What a file is by its first bytes, where it is certainly not text."""

from __future__ import annotations

import re

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (.doc, .xls)"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a sound, film or WebP picture"),
    (b"OggS", "a sound"),
    (b"ID3", "a sound"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"GGUF", "model weights (GGUF)"),
)
# Protocol 2 and later announce themselves; 0 and 1 name a Python global first, or build a list
# or dict that gets a memo number.
_PICKLE = re.compile(
    rb"\A(?:\x80[\x02-\x05]|\(?c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\(?[dl]p\d+\n|[\]}(]q\x00)"
)
_TAR_MAGIC = slice(257, 262)


def binary_kind(head: bytes) -> str | None:
    """`a zip archive` and the like, or None for what may be text."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[_TAR_MAGIC] == b"ustar":
        return "a tar archive"
    if _PICKLE.match(head):
        return "a Python pickle, which could run code"
    return None
