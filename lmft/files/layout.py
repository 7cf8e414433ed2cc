"""Files laid out in a directory for a reader that goes by content and name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lmft import paths
from lmft.errors import StoreError
from lmft.files.blobs import Blobs
from lmft.files.file import File
from lmft.files.names import disk_name

# Another disk, too many links, or a file system without them: a copy does as well.
_NO_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP)


def lay_out(blobs: Blobs, files: Sequence[File], directory: Path) -> list[Path]:
    """One path a file, numbered in the order given; what lies there under such a name goes.

    Raises:
        ContentLostError: a content is gone.
        DiskFullError, MachineError: `directory` cannot be written.
    """
    laid_out = []
    with paths.disk_errors(directory):
        paths.make_dir(directory, 0o700)
        for number, file in enumerate(files, 1):
            target = directory / disk_name(number, file.filename)
            target.unlink(missing_ok=True)
            try:
                _link(blobs.path(file.sha256), target)
            except FileNotFoundError as error:
                raise lost(file) from error
            laid_out.append(target)
    return laid_out


class ContentLostError(StoreError):
    """Asking again is of no use."""

    code = "file_content_lost"


def lost(file: File) -> ContentLostError:
    return ContentLostError(
        f"The content of {file.id} is gone from the disk.",
        "Upload it again, or put `files` back from a backup.",
    )


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)
