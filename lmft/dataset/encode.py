"""A document to token ids, and which of them are learnt."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from lmft.corpus.documents import Document
from lmft.errors import BaseModelError
from lmft.format.contract import Speakers
from lmft.format.fold import fold_quotes
from lmft.format.render import Span, render_conversation

_BATCH_DOCUMENTS = 64
# Unicode's white space; Python's `\s` has four control characters more.
_WORD = re.compile(r"[^\S\x1c-\x1f]*[\S\x1c-\x1f]+|[^\S\x1c-\x1f]+")
_MAX_WORDS = 500_000
_MAX_WORD_LENGTH = 64
_TRIED_TEXTS, _TRIED_CHARACTERS = 20, 5_000
# Where a tokenizer would join over white space, or treat the beginning of a text as special.
_TRICKY = ("a  b\n\n c\t\td \n e", " 12 345 6789.", "\n\n\nx \n\n  y", "it 's\u00a0so \u3000w")
# A player's action line stays with the paragraph before it, which it answers.
_PARAGRAPH_END = re.compile(r"\n+(?=[^\n>])")
_SENTENCE_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)]*(?=\s)")


@dataclass(frozen=True)
class Encoded:
    """One document as (T,) token ids.

    Attributes:
        trained: for each token whether the loss counts it.
        starts: the tokens with which paragraphs or turns start, rising.
        sentences: the tokens with which the sentences of a story start, rising.
        story, part, begins, ends: the document's.
    """

    ids: npt.NDArray[np.int32]
    trained: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]
    sentences: npt.NDArray[np.int64]
    n_bytes: int
    story: int = 0
    part: int = 0
    begins: bool = True
    ends: bool = True

    def follows(self, before: Encoded) -> bool:
        """Whether this one goes on where the part before it stops."""
        return not self.begins and self.story == before.story and self.part == before.part + 1


class Encoder:
    """The base's own tokenizer, with one rule: text is text.

    `<|endoftext|>` typed by a person (or hidden in a corpus) becomes ordinary pieces, never
    the special id; end-of-text is only what `encode` itself puts at a document's end.
    """

    def __init__(self, base_path: Path, eos_token: str, *, straight_quotes: bool = False) -> None:
        """What a document starts with (`start_id`): the base's own beginning-of-text where its
        tokenizer writes one, and then at the start of every prompt and block (`always_start`);
        else end-of-text, as the base met documents in its own training.

        `straight_quotes`: fold typographic quotes, for a base whose vocabulary has none.

        Raises BaseModelError when the tokenizer cannot be read or does not know `eos_token`.
        """
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
        bos_id = self._begins_every_text()
        self.start_id: int = eos_id if bos_id is None else bos_id
        self.always_start = bos_id is not None
        self.straight_quotes = straight_quotes
        self._counts_by_word: bool | None = None
        self._word_tokens: dict[str, int] = {}

    def _begins_every_text(self) -> int | None:
        """The token that this tokenizer puts before a text by itself, as Llama's and OPT's do."""
        alone = self._tokenizer.encode("a", add_special_tokens=False).ids
        framed = self._tokenizer.encode("a").ids
        is_before = len(framed) > len(alone) and framed[1 : 1 + len(alone)] == alone
        return framed[0] if is_before else None

    @property
    def vocab_size(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    @property
    def special_tokens(self) -> frozenset[str]:
        """Texts that stand for a mark of the base, such as `<|im_start|>`; never so in `text`."""
        added = self._tokenizer.get_added_tokens_decoder().values()
        return frozenset(str(token.content) for token in added if token.special)

    @property
    def line_end_ids(self) -> list[int]:
        """The tokens that are nothing but the end of a line or a paragraph."""
        encoded = [self.text(end) for end in ("\n", "\n\n", " \n")]
        return sorted({ids[0] for ids in encoded if len(ids) == 1})

    def text(self, text: str) -> list[int]:
        return self._tokenizer.encode(self._folded(text), add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        return self._tokenizer.decode([int(token) for token in ids], skip_special_tokens=True)

    def piece(self, token: int) -> str:
        """One token as text: `\ufffd` for bytes that are no whole character by themselves."""
        return self._tokenizer.decode([token], skip_special_tokens=False)

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without ever holding them.

        Most tokenizers never join two words that white space parts. Then a text has as many
        tokens as its words have, each with the white space before it, and those are counted
        once: ten times as fast. Whether this one does is tried on the first texts.
        """
        folded = [self._folded(text) for text in texts]
        if self._counts_by_word is None:
            self._counts_by_word = self._agrees_by_word(folded)
        return self._count_words(folded) if self._counts_by_word else self._count_whole(folded)

    def _count_whole(self, texts: Sequence[str]) -> list[int]:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def _count_words(self, texts: Sequence[str]) -> list[int]:
        words = [_WORD.findall(text) for text in texts]
        # Chinese has no spaces: what would be remembered are whole paragraphs.
        short = {word for of_one in words for word in of_one if len(word) <= _MAX_WORD_LENGTH}
        if len(self._word_tokens) > _MAX_WORDS:
            self._word_tokens.clear()
        new = short - self._word_tokens.keys()
        self._word_tokens.update(zip(new, self._count_whole(list(new)), strict=True))
        known = self._word_tokens.get
        return [
            sum(count for word in of_one if (count := known(word)) is not None)
            + sum(self._count_whole([word for word in of_one if len(word) > _MAX_WORD_LENGTH]))
            for of_one in words
        ]

    def _agrees_by_word(self, texts: Sequence[str]) -> bool:
        sample = [text[:_TRIED_CHARACTERS] for text in (*_TRICKY, *texts[:_TRIED_TEXTS])]
        return self._count_words(sample) == self._count_whole(sample)

    def encode(self, document: Document, speakers: Speakers | None) -> Encoded:
        """Stories are learnt whole, conversations on the model's words only.

        The whole document is tokenised as one text, so that training sees the same ids as a
        prompt of it does; a token counts as trained when its first byte lies in a trained span.
        End-of-text follows only a document that ends, and is learnt if what it ends is.
        """
        return next(self.encode_all([document], speakers))

    def encode_all(
        self, documents: Iterable[Document], speakers: Speakers | None
    ) -> Iterator[Encoded]:
        """Each document in turn, tokenised on all cores. See `encode`."""
        remaining = iter(documents)
        while batch := list(itertools.islice(remaining, _BATCH_DOCUMENTS)):
            spans = [spans_of(document, speakers or Speakers()) for document in batch]
            # Folding keeps the length, so that the spans' places hold.
            texts = [self._folded("".join(span.text for span in of_one)) for of_one in spans]
            encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
            yield from map(self._marked, batch, spans, texts, encodings)

    def _marked(
        self, document: Document, spans: list[Span], text: str, encoding: Encoding
    ) -> Encoded:
        """The tokens with what is learnt of them, and where turns and paragraphs start."""
        firsts = np.fromiter((start for start, _ in encoding.offsets), np.int64, len(encoding))
        span_ends = np.cumsum([len(span.text) for span in spans])
        is_trained = np.array([span.trained for span in spans], dtype=bool)
        span_of_token = np.searchsorted(span_ends, firsts, side="right")
        trained = is_trained[np.minimum(span_of_token, len(spans) - 1)] if spans else firsts == 0
        ids = np.array(encoding.ids, dtype=np.int32)
        if document.ends:
            ids = np.append(ids, np.int32(self.eos_id))
            trained = np.append(trained, trained[-1] if len(trained) else True)
        if document.messages:
            starts, sentences = _turn_starts(spans), []
        else:
            starts = [0, *(match.end() for match in _PARAGRAPH_END.finditer(text))]
            sentences = [match.end() for match in _SENTENCE_END.finditer(text)]
        return Encoded(
            ids,
            trained,
            _tokens_at(starts, firsts),
            _tokens_at(sentences, firsts),
            document.n_bytes,
            document.story,
            document.part,
            document.begins,
            document.ends,
        )

    def _folded(self, text: str) -> str:
        return fold_quotes(text) if self.straight_quotes else text


def spans_of(document: Document, speakers: Speakers) -> list[Span]:
    """The document as the text that the model sees, and what of it is learnt."""
    if document.messages:
        return render_conversation(document.messages, speakers, tools=document.tools)
    return [Span(text, trained=is_new) for text, is_new in document.stretches()]


def _turn_starts(spans: Sequence[Span]) -> list[int]:
    ends = itertools.accumulate(len(span.text) for span in spans)
    return [end - len(span.text) for end, span in zip(ends, spans, strict=True) if span.starts_turn]


def _tokens_at(characters: Sequence[int], firsts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first token at or after each character; `firsts` are the tokens' first characters."""
    found = np.searchsorted(firsts, np.array(characters, dtype=np.int64))
    return np.unique(found[found < len(firsts)])
