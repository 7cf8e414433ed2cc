"""Ids and words of each kind of object, and the errors about one."""

from __future__ import annotations

from dataclasses import dataclass

from lmft.errors import NotFoundError, UserError
from lmft.object_ids import is_id, mint_id


class MissingError(NotFoundError):
    """No such object, or another project's: the same words for both."""

    def __init__(self, message: str, hint: str, code: str) -> None:
        super().__init__(message, hint)
        self.code = code


class StaleVersionError(UserError):
    """The story has changed since its sender read it."""

    code = "version_conflict"


class LibraryError(UserError):
    """A request that does not fit what is there."""

    code = "invalid_value"


@dataclass(frozen=True)
class Kind:
    """Attributes:
    word: what people and error codes call it. listed_at: where all of them are.
    """

    word: str
    prefix: str
    listed_at: str

    def mint(self) -> str:
        return mint_id(self.prefix)

    def checked(self, id: str) -> str:
        """`id`, if it can be one of these. Raises MissingError."""
        if not is_id(self.prefix, id):
            raise self.missing(id)
        return id

    def missing(self, id: str) -> MissingError:
        return MissingError(
            f"There is no {self.word} {id[:80]!r}.",
            f"GET {self.listed_at} lists what there is.",
            f"{self.word}_not_found",
        )


STORY = Kind("story", "story_", "/v1/lmft/stories")
TURN = Kind("turn", "turn_", "/v1/lmft/stories/STORY/turns")
COMPARISON = Kind("comparison", "comparison_", "/v1/lmft/comparisons")
VOTE = Kind("vote", "vote_", "/v1/lmft/comparisons/COMPARISON/votes")
EDIT = Kind("edit", "edit_", "/v1/lmft/edits")
ENTRY = Kind("entry", "entry_", "/v1/lmft/inbox")
PRESET = Kind("preset", "preset_", "/v1/lmft/presets")
