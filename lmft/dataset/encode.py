"""A document to token ids, and which of them are learnt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from lmft.corpus.documents import Document
from lmft.errors import BaseModelError
from lmft.format.contract import Speakers
from lmft.format.render import render_conversation


@dataclass(frozen=True)
class Encoded:
    """Token ids of one document and, for each, whether the loss counts it."""

    ids: list[int]
    trained: list[bool]
    n_bytes: int


class Encoder:
    """The base's own tokenizer, with one rule: text is text.

    `<|endoftext|>` typed by a person (or hidden in a corpus) becomes ordinary pieces, never
    the special id; end-of-text is only what `encode` itself puts at a document's end.
    """

    def __init__(self, base_path: Path, eos_token: str) -> None:
        """Raises BaseModelError when the tokenizer cannot be read or does not know `eos_token`."""
        file = base_path / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises nothing narrower
            raise BaseModelError(
                f"{file} is not a tokenizer.", "Save the base's fast tokenizer there again."
            ) from error
        self._tokenizer.encode_special_tokens = True
        eos_id = self._tokenizer.token_to_id(eos_token)
        if eos_id is None:
            raise BaseModelError(
                f"{file} has no token {eos_token}, which tokenizer_config.json calls eos_token.",
                "Set eos_token to a token that is there.",
            )
        self.eos_id: int = eos_id
        self.eos_token = eos_token

    @property
    def vocab_size(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    @property
    def line_end_ids(self) -> list[int]:
        """The tokens that are nothing but the end of a line or a paragraph."""
        encoded = [self.text(end) for end in ("\n", "\n\n", " \n")]
        return sorted({ids[0] for ids in encoded if len(ids) == 1})

    def text(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def encode(self, document: Document, speakers: Speakers | None) -> Encoded:
        """Stories are learnt whole, conversations on the assistant's words only.

        The whole conversation is tokenised as one text, so that training sees the same ids as
        a prompt of it does; a token counts as trained when its first byte lies in a trained span.
        """
        if not document.messages:
            ids = self.text(document.text)
            trained = [True] * len(ids)
        else:
            ids, trained = self._conversation(document, speakers or Speakers())
        if document.ends:
            ids.append(self.eos_id)
            trained.append(True)
        return Encoded(ids, trained, document.n_bytes)

    def _conversation(self, document: Document, speakers: Speakers) -> tuple[list[int], list[bool]]:
        spans = render_conversation(document.messages, speakers)
        encoding = self._tokenizer.encode(
            "".join(span.text for span in spans), add_special_tokens=False
        )
        trained_at: list[bool] = []
        for span in spans:
            trained_at += [span.trained] * len(span.text)
        return encoding.ids, [trained_at[start] for start, _ in encoding.offsets]
