"""What is wrong with a request for a job."""

from __future__ import annotations

from lmft.errors import UserError


class JobRequestError(UserError):
    """Attributes:
    param: the field at fault.
    """

    code = "invalid_value"

    def __init__(self, param: str, message: str, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint)
        self.param = param
        self.code = code or type(self).code
