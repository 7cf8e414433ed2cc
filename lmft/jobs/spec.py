"""`spec.json`: what the processes of a job are told of it. They never open the database."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lmft.errors import MachineError
from lmft.ids import AdapterId, parse_adapter_id
from lmft.jobs.folder import SPEC, JobFolder
from lmft.jobs.job import Job, NewJob


class Spec(BaseModel):
    """See NewJob for what these are.

    Attributes:
        validates: a validation file lies there too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    project_id: int
    method: Literal["sft", "dpo", "kto"]
    model: str
    seed: int
    adapter: str
    request: dict[str, Any]
    recipe: dict[str, Any]
    validates: bool

    @classmethod
    def of(cls, job: Job) -> Spec:
        return cls(
            project_id=job.project_id,
            method=job.method,
            model=job.model,
            seed=job.seed,
            adapter=job.adapter,
            request=job.request,
            recipe=job.recipe,
            validates=job.validation_file is not None,
        )

    @classmethod
    def read(cls, folder: JobFolder) -> Spec:
        """Raises MachineError where there is none that can be understood."""
        try:
            return cls.model_validate(folder.read(SPEC))
        except ValidationError as error:
            raise MachineError(
                f"{folder.path / SPEC} cannot be read.", "Create the job again."
            ) from error

    def as_asked(self) -> NewJob:
        """The job as it was when it was created."""
        return NewJob(
            project_id=self.project_id,
            key=None,
            method=self.method,
            model=self.model,
            seed=self.seed,
            adapter=self.adapter,
            files=(),
            request=self.request,
            recipe=self.recipe,
        )

    @property
    def adapter_id(self) -> AdapterId:
        return adapter_id(self.adapter)


def adapter_id(text: str) -> AdapterId:
    """Raises MachineError: that is none."""
    parsed = parse_adapter_id(text)
    if parsed is None:
        raise MachineError(f"{text[:80]!r} is no adapter's id.", "Create the job again.")
    return parsed
