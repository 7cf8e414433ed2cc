"""What the routes work with: the model, the thread that runs it, and the names it answers to."""

from __future__ import annotations

from dataclasses import dataclass, field

from tokenizers import Tokenizer

from serving.engine.local.model import BASE, Model
from serving.engine.local.runner import Runner


@dataclass
class Engine:
    """Attributes:
    end_id: the token that ends a text. context_length: in tokens.
    names: of the models that can be asked, with the batch's name for each.
    """

    model: Model
    runner: Runner
    tokenizer: Tokenizer
    end_id: int
    context_length: int
    base_name: str
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names[self.base_name] = BASE


class Refusal(Exception):
    """An answer that is an error: its HTTP status, and a message for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
