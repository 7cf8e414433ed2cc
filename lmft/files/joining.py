"""The parts of an upload, put together into one content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lmft.errors import InputError
from lmft.files.blobs import Blobs, Staged
from lmft.files.upload import Upload, UploadStateError

_PIECE_BYTES = 1 << 20


def join(blobs: Blobs, staged: Staged, upload: Upload, part_ids: Sequence[str], md5: str) -> None:
    """Write them to `staged`, in the order given.

    Args:
        md5: of the whole, in hex; "" to leave that unchecked.

    Raises:
        UploadStateError: a part is gone: the upload has ended meanwhile.
        InputError: not what md5 says. DiskFullError.
    """
    told = hashlib.md5(usedforsecurity=False)
    for part in part_ids:
        try:
            with blobs.part_path(upload.id, part).open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    told.update(piece)
                    staged.write(piece)
        except FileNotFoundError as error:
            raise UploadStateError(
                f"{part} of {upload.id} is gone: it was completed, cancelled or has expired.",
                "Upload it again.",
            ) from error
    if md5 and told.hexdigest() != md5.lower():
        raise InputError(
            f"The parts of {upload.id} have the md5 {told.hexdigest()}, not {md5[:40]!r}.",
            "Check the order of the parts, or upload them again.",
        )
