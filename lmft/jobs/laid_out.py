"""A job's files and what is to be done, where the processes that work on it find them."""

from __future__ import annotations

from lmft.errors import LmftError, StoreError
from lmft.files.files import Files
from lmft.files.layout import ContentLostError
from lmft.jobs.folder import SPEC, JobFolder
from lmft.jobs.job import Job
from lmft.jobs.spec import Spec
from lmft.store.database import Store


def lay_out(job: Job, folder: JobFolder, store: Store) -> None:
    """Fill the job's directory, unless it has been.

    Raises:
        FileMissingError: a file was deleted. ContentLostError: its content is gone.
        DiskFullError: no room.
    """
    folder.make()
    if folder.read(SPEC) is not None:
        return
    files = Files(store)
    validation = () if job.validation_file is None else (job.validation_file,)
    for ids, directory in ((job.files, folder.data), (validation, folder.validation)):
        if ids:
            directory.mkdir(exist_ok=True)
            files.materialise(ids, directory)
    # Last: it says that all of it is there.
    folder.write(SPEC, Spec.of(job).model_dump())


def again(error: LmftError) -> bool:
    """Whether the same may go well in a moment: the database was locked, say."""
    return isinstance(error, StoreError) and not isinstance(error, ContentLostError)
