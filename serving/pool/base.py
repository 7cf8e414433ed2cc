"""A base as it is served: a variant that adapters were trained over, or one without any."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from lmft.bases import Base
from lmft.dataset.encode import Encoder
from lmft.format.contract import FormatContract, default_stops
from lmft.train.servable import Service
from serving.pool.served import ServedModel

# What an engine must be able to hold for one request; longer contexts cost memory at the start.
MAX_CONTEXT = 8192


@dataclass(frozen=True)
class ServedBase:
    """Attributes:
    key: the variant's directory name, or the alias of a base without adapters.
    public: by what it is asked for.
    """

    key: str
    public: str
    base: Base
    service: Service

    @property
    def context_length(self) -> int:
        """In tokens."""
        return min(self.base.context_length, MAX_CONTEXT)

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(self.base.path, self.base.eos_token)

    @cached_property
    def model(self) -> ServedModel:
        contract = FormatContract(
            kind="base",
            chat_template="base" if self._renders_chats else "plain",
            stop=default_stops("base", None),
            eos=self.base.eos_token,
            context_length=self.context_length,
            fold_quotes=self.base.fold_quotes,
        )
        return ServedModel(self.public, self.base.alias, "base", contract)

    @property
    def _renders_chats(self) -> bool:
        """It was taught chats by a template of its own, which our own engine cannot render."""
        if self.service == "transformers":
            return False
        if (self.base.path / "chat_template.jinja").is_file():
            return True
        try:
            text = (self.base.path / "tokenizer_config.json").read_text(encoding="utf-8")
            return bool(json.loads(text).get("chat_template"))
        except (OSError, ValueError, AttributeError):
            return False
