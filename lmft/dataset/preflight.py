"""What the model will see, looked at before any training: tokens, mask, end-of-text, faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from lmft.corpus.documents import Document
from lmft.corpus.info import CorpusInfo
from lmft.corpus.overlap import Side
from lmft.corpus.survey.coverage import OTHER, Coverage, coverage
from lmft.corpus.survey.secrets import mask_secrets
from lmft.dataset.checks import Checks, leaks
from lmft.dataset.count import count_tokens
from lmft.dataset.encode import Encoder
from lmft.dataset.examples import Examples
from lmft.dataset.naming import text_at
from lmft.errors import CorpusError
from lmft.format.contract import Speakers

N_SHOWN_TOKENS = 400


@dataclass(frozen=True)
class ShownToken:
    """One token as text, for a person to look at.

    Attributes:
        is_start, is_eos: what a document starts and ends with, which for some bases is one token.
    """

    text: str
    trained: bool
    is_eos: bool = False
    is_start: bool = False


GAP = ShownToken(" [...] ", trained=False)


@dataclass(frozen=True)
class ShownDocument:
    """A document, or a part of one, as the model gets it but for its secrets, which are masked.

    n_tokens is all of it; where `tokens` has a GAP they are fewer.
    """

    source: str
    n_tokens: int
    tokens: tuple[ShownToken, ...]


@dataclass
class SideCount:
    """Tokens of one side, with what documents start and end with; how many the loss counts."""

    n_tokens: int = 0
    n_trained: int = 0


@dataclass
class Preflight:
    """Attributes:
    longest_tokens: tokens of the longest document (all its parts; of a preference the prompt
        and one answer), found in `longest_source`.
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
        """Raises CorpusError with every reason at once. Args: where: see lmft.dataset.naming."""
        if self.refusals:
            count = len(self.refusals)
            noun = "reason" if count == 1 else "reasons"
            raise CorpusError(
                f"{text_at(where)} must not be trained on, {count} {noun}: "
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
    *,
    compare_sides: bool = True,
) -> Preflight:
    """Look at both sides as tokens. Never raises for what it finds: see `refusals`.

    `compare_sides=False` spares the look for leaks where the compiler has just had it.
    """
    result = Preflight(base, context_length)
    checks, examples = Checks(info.kind), Examples()
    total = info.train.n_bytes + info.heldout.n_bytes
    done = n_bytes = 0
    for side, count in ((train, result.train), (heldout, result.heldout)):
        story, story_tokens = -1, 0
        for one in count_tokens(side(), encoder, speakers):
            document = one.document
            checks.see(document)
            if side is train:
                examples.see(document)
            count.n_tokens += one.n_tokens
            count.n_trained += one.n_trained
            n_bytes += one.n_bytes
            before = story_tokens if document.story == story else 0
            story, story_tokens = document.story, before + one.n_longest
            result.n_over_context += before <= context_length < story_tokens
            if story_tokens > result.longest_tokens:
                result.longest_tokens, result.longest_source = story_tokens, document.source
            done += document.n_bytes
            if progress is not None:
                progress("counting tokens", done, total)
    result.bytes_per_token = n_bytes / max(1, result.train.n_tokens + result.heldout.n_tokens)
    result.coverage = coverage(info.characters, lambda text: len(encoder.text(text)))
    result.shown = tuple(_show(examples.documents(), encoder, speakers))
    found = leaks(train, heldout) if compare_sides else ()
    result.refusals = (*_untrained(result), *checks.refusals(), *found)
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


def _show(
    documents: Sequence[Document], encoder: Encoder, speakers: Speakers | None
) -> Iterator[ShownDocument]:
    for document, encoded in zip(documents, encoder.encode_all(documents, speakers), strict=True):
        pieces = [encoder.piece(token) for token in encoded.ids.tolist()]
        ends = [False] * (len(pieces) - document.ends) + [True] * document.ends
        tokens = [
            ShownToken(piece, trained, is_eos)
            for piece, trained, is_eos in zip(
                _masked(pieces, document.ends), encoded.trained.tolist(), ends, strict=True
            )
        ]
        if document.begins:
            start = encoder.piece(encoder.start_id)
            tokens = [ShownToken(start, trained=False, is_start=True), *tokens]
        n_tokens = len(tokens)
        # The end matters as much as the beginning: it shows whether end-of-text follows.
        if len(tokens) > N_SHOWN_TOKENS:
            half = N_SHOWN_TOKENS // 2
            tokens = [*tokens[:half], GAP, *tokens[-half:]]
        yield ShownDocument(document.source, n_tokens, tuple(tokens))


def _masked(pieces: Sequence[str], ends: bool) -> Iterator[str]:
    """The pieces without secrets, which may reach over several; not the end-of-text that `ends`."""
    words = pieces[: len(pieces) - ends]
    masked = mask_secrets("".join(words))
    place = 0
    for piece in words:
        yield masked[place : place + len(piece)]
        place += len(piece)
    yield from pieces[len(words) :]
