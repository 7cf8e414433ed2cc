"""What the model will see, looked at before any training: tokens, mask, end-of-text, faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from lmft.corpus.documents import Document
from lmft.corpus.info import CorpusInfo
from lmft.corpus.survey.coverage import OTHER, Coverage, coverage
from lmft.dataset.checks import Checks, Side, leaks
from lmft.dataset.encode import Encoder
from lmft.errors import CorpusError
from lmft.format.contract import Speakers

N_SHOWN_DOCUMENTS = 3
N_SHOWN_TOKENS = 400
_BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class ShownToken:
    """One token as text, for a person to look at."""

    text: str
    trained: bool
    is_eos: bool


GAP = ShownToken(" [...] ", trained=False, is_eos=False)


@dataclass(frozen=True)
class ShownDocument:
    """The beginning of a document exactly as the model gets it; n_tokens is all of it."""

    source: str
    n_tokens: int
    tokens: tuple[ShownToken, ...]


@dataclass
class SideCount:
    """Tokens of one side, end-of-text included, and how many of them the loss counts."""

    n_tokens: int = 0
    n_trained: int = 0


@dataclass
class Preflight:
    """Attributes:
    longest_tokens: tokens of the longest document (all its parts), found in `longest_source`.
    n_over_context: documents longer than the base's context; they are cut at paragraphs.
    refusals: why this must not be trained; empty if it may.
    """

    base: str
    context_length: int
    train: SideCount = field(default_factory=SideCount)
    heldout: SideCount = field(default_factory=SideCount)
    bytes_per_token: float = 0.0
    longest_source: str = ""
    longest_tokens: int = 0
    n_over_context: int = 0
    coverage: Coverage | None = None
    shown: tuple[ShownDocument, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def require(self, where: str) -> None:
        """Raises CorpusError with every reason at once."""
        if self.refusals:
            count = len(self.refusals)
            raise CorpusError(
                f"{where} must not be trained on, {count} reason{'s' if count > 1 else ''}: "
                f"{'; '.join(self.refusals)}.",
                "Mend the text and compile it again.",
            )


def preflight(
    info: CorpusInfo,
    train: Side,
    heldout: Side,
    encoder: Encoder,
    base: str,
    context_length: int,
    speakers: Speakers | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Preflight:
    """Look at both sides as tokens. Never raises for what it finds: see `refusals`."""
    result = Preflight(base, context_length)
    checks = Checks(info.kind)
    total = info.train.n_bytes + info.heldout.n_bytes
    done = 0
    for side, count in ((train, result.train), (heldout, result.heldout)):
        story, story_tokens = -1, 0
        for document, n_tokens, n_trained in _counted(side(), encoder, speakers):
            checks.see(document)
            count.n_tokens += n_tokens
            count.n_trained += n_trained
            before = story_tokens if document.story == story else 0
            story, story_tokens = document.story, before + n_tokens
            result.n_over_context += before <= context_length < story_tokens
            if story_tokens > result.longest_tokens:
                result.longest_tokens, result.longest_source = story_tokens, document.source
            done += document.n_bytes
            if progress is not None:
                progress("counting tokens", done, total)
    result.bytes_per_token = total / max(1, result.train.n_tokens + result.heldout.n_tokens)
    result.coverage = coverage(info.characters, lambda text: len(encoder.text(text)))
    result.shown = _show(train(), encoder, speakers)
    result.refusals = (*_untrained(result), *checks.refusals(), *leaks(train, heldout))
    result.warnings = tuple(_warnings(result, checks, encoder))
    return result


def _untrained(result: Preflight) -> Iterator[str]:
    for name, count in (("training", result.train), ("held-out", result.heldout)):
        if not count.n_trained:
            yield f"the {name} side has no token to learn"


def _warnings(result: Preflight, checks: Checks, encoder: Encoder) -> Iterator[str]:
    if result.n_over_context:
        yield (
            f"{result.n_over_context} document(s) are longer than the {result.context_length} "
            "tokens that the base can look back on; they are cut between paragraphs"
        )
    if checks.n_special:
        yield (
            f"{checks.n_special} document(s) hold the text of a special token "
            f"(such as {encoder.eos_token}); it is learnt as the plain text that it is"
        )
    share = result.train.n_trained / max(1, result.train.n_tokens)
    if share < 0.1:
        yield f"only {share:.0%} of the tokens are learnt, the rest is context"
    if result.coverage is not None:
        for script in result.coverage.scripts:
            if script.unknown:
                letters = "" if script.name in (OTHER, "COMBINING MARKS") else " letters"
                yield (
                    f"{script_title(script.name)}{letters}: the base hardly knows them and will "
                    "write them badly"
                )


def script_title(name: str) -> str:
    """A script's Unicode name as people write it: `Cyrillic`."""
    return name if name == "CJK" else name.capitalize()


def _counted(
    documents: Iterable[Document], encoder: Encoder, speakers: Speakers | None
) -> Iterator[tuple[Document, int, int]]:
    """Each document with its tokens and trained tokens."""
    for batch in _batches(documents):
        if any(document.messages for document in batch):
            for document, encoded in zip(batch, encoder.encode_all(batch, speakers), strict=True):
                yield document, len(encoded.ids), int(encoded.trained.sum())
        else:
            # Every token of a story is learnt, so counting them is enough.
            counts = encoder.count([document.text for document in batch])
            for document, count in zip(batch, counts, strict=True):
                yield document, count + document.ends, count + document.ends


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += document.n_bytes
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _show(
    documents: Iterable[Document], encoder: Encoder, speakers: Speakers | None
) -> tuple[ShownDocument, ...]:
    shown = []
    for document in itertools.islice(documents, N_SHOWN_DOCUMENTS):
        encoded = encoder.encode(document, speakers)
        tokens = [
            ShownToken(encoder.piece(token), trained, token == encoder.eos_id)
            for token, trained in zip(encoded.ids.tolist(), encoded.trained.tolist(), strict=True)
        ]
        # The end matters as much as the beginning: it shows whether end-of-text follows.
        if len(tokens) > N_SHOWN_TOKENS:
            half = N_SHOWN_TOKENS // 2
            tokens = [*tokens[:half], GAP, *tokens[-half:]]
        shown.append(ShownDocument(document.source, len(encoded.ids), tuple(tokens)))
    return tuple(shown)
