"""Every error that a person can meet, in one tree.

    LmftError
    +-- UserError            the person can mend it; exit code 2
    |   +-- InputError       a file or folder that cannot be used
    |   |   +-- CorpusError  readable, but not trainable (too small, kinds mixed up, a leak)
    |   |       +-- BadInputError  rows or files that are broken; carries all of them
    |   +-- RecipeError      a recipe key or value; carries all faults at once
    |   +-- BaseModelError   a base model that is unknown, unsafe or not servable
    |   +-- NotFoundError    no adapter, recipe or model of that name
    |   +-- PortTakenError
    |   +-- QuotaError       more than a project or a key may use
    +-- MachineError         the machine, not the person; exit code 1
        +-- DiskFullError
        +-- StoreError       the database cannot be used
        +-- DivergedError    the loss is no number any more
        +-- EngineMissingError
        +-- EngineError      vLLM did not start, died, or answered nonsense
        |   +-- EngineWakingError  it will answer, but not yet; says when to ask again
        +-- ProbeFailedError the served adapter is not the trained one
        +-- AdapterCorruptError

The message says what and where, the hint says what to do. The command line prints both on
one line; serving.gateway.errors maps the tree to HTTP. Nothing here knows of either.
`Stopped` stands apart: no error, but the wish of a person or of the system.
"""

from __future__ import annotations

from collections.abc import Sequence


class LmftError(Exception):
    """Root of the tree: `code` for machines, `message` and `hint` for people."""

    code = "lmft_error"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UserError(LmftError):
    code = "user_error"
    exit_code = 2


class InputError(UserError):
    code = "invalid_input"


class CorpusError(InputError):
    code = "invalid_corpus"


class BadInputError(CorpusError):
    """Attributes:
    faults: a line each, with file and place; capped. n_faults: all of them.
    """

    code = "bad_input"

    def __init__(self, faults: Sequence[str], n_faults: int) -> None:
        self.faults = tuple(faults)
        self.n_faults = n_faults
        cure = "--skip-bad (when training: --set corpus.skip_bad=true)"
        if n_faults == 1:
            super().__init__(f"{faults[0]}.", f"Mend it, or leave it out with {cure}.")
            return
        rest = n_faults - len(self.faults)
        lines = [*self.faults, *([f"... and {rest} more"] if rest else [])]
        super().__init__(
            f"{n_faults} faults in the input, nothing was written:\n  " + "\n  ".join(lines) + "\n",
            f"Mend them, or leave those rows and files out with {cure}.",
        )


class RecipeError(UserError):
    code = "invalid_recipe"


class BaseModelError(UserError):
    code = "invalid_base_model"


class NotFoundError(UserError):
    code = "not_found"


class PortTakenError(UserError):
    code = "port_taken"


class QuotaError(UserError):
    code = "quota_exceeded"


class MachineError(LmftError):
    code = "machine_error"


class DiskFullError(MachineError):
    code = "storage_full"


class StoreError(MachineError):
    code = "store_error"


class DivergedError(MachineError):
    code = "diverged"


class EngineMissingError(MachineError):
    code = "engine_missing"


class EngineError(MachineError):
    code = "engine_error"


class EngineWakingError(EngineError):
    """Attributes:
    retry_after_seconds: when asking again is likely to be answered.
    """

    code = "engine_starting"

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message, f"Try again in {retry_after_seconds:.0f} s.")


class ProbeFailedError(MachineError):
    code = "probe_failed"


class AdapterCorruptError(MachineError):
    code = "adapter_corrupt"


class Stopped(BaseException):
    """SIGTERM or Ctrl-C, obeyed: exit code 128 + the signal's number, as a shell would say it.

    Not an Exception, so that no library takes it for a failure of its own and goes on.
    """

    def __init__(self, signal_number: int, message: str = "") -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number
        self.message = message
