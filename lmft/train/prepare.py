"""Everything that can be known, and refused, before the heavy libraries are imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmft import paths
from lmft.bases import Base, resolve_base
from lmft.corpus.compile import Corpus, compile_corpus
from lmft.dataset.encode import Encoded, Encoder
from lmft.errors import CorpusError, RecipeError
from lmft.format.contract import FormatContract, Speakers, default_stops
from lmft.train.plan import Plan, make_plan
from lmft.train.recipe import Recipe
from lmft.train.servable import RANKS, require_servable

# Adapter, Adam's two moments in the scratch directory, and slack.
_ADAPTER_DISK_BYTES = 100_000_000
_OPENING_CHARACTERS = 400


@dataclass(frozen=True)
class Job:
    """Everything that is known before the first weight is loaded."""

    recipe: Recipe
    base: Base
    corpus: Corpus
    encoder: Encoder
    contract: FormatContract
    train: list[Encoded]
    heldout: list[Encoded]
    plan: Plan


def prepare(recipe: Recipe) -> Job:
    """Read, check and plan; loads no weights.

    Raises:
        UserError: whatever is wrong with recipe, data or base; MachineError: no disk space.
    """
    base = resolve_base(recipe.base)
    require_servable(base.architecture, base.name)
    if recipe.lora.rank > RANKS[-1]:
        raise RecipeError(
            f"lora.rank {recipe.lora.rank} cannot be served.", f"Use at most {RANKS[-1]}."
        )
    corpus = compile_corpus(
        Path(recipe.data), heldout_share=recipe.heldout_share, straight_quotes=base.fold_quotes
    )
    if corpus.is_chat != (recipe.format.kind == "chat"):
        found = "conversations" if corpus.is_chat else "stories"
        raise CorpusError(
            f"{recipe.data} holds {found}, but the recipe's format.kind is {recipe.format.kind}.",
            f"Set format.kind to {'chat' if corpus.is_chat else 'adventure or story'}.",
        )
    encoder = Encoder(base.path, base.eos_token)
    contract = _contract(recipe, base, corpus, encoder.eos_token)
    train = [encoder.encode(document, contract.speakers) for document in corpus.train]
    heldout = [encoder.encode(document, contract.speakers) for document in corpus.heldout]
    paths.require_free(paths.adapters_dir(), _ADAPTER_DISK_BYTES, "A new adapter")
    plan = make_plan(recipe, base, sum(len(document.ids) for document in train))
    return Job(recipe, base, corpus, encoder, contract, train, heldout, plan)


def _contract(recipe: Recipe, base: Base, corpus: Corpus, eos: str) -> FormatContract:
    kind = recipe.format.kind
    speakers = (recipe.format.speakers or Speakers()) if kind == "chat" else None
    return FormatContract(
        kind=kind,
        speakers=speakers,
        stop=default_stops(kind, speakers),
        eos=eos,
        context_length=base.context_length,
        sampler=recipe.format.sampler,
        fold_quotes=base.fold_quotes,
        opening=recipe.format.opening or _opening(corpus),
        corpus_hash=corpus.hash,
    )


def _opening(corpus: Corpus) -> str | None:
    """The beginning of a story that was held out: in the corpus's manner, but never learnt."""
    if corpus.is_chat:
        return None
    beginnings = [story for story in corpus.heldout if story.begins] or corpus.heldout
    paragraph = beginnings[0].text.strip().split("\n", 1)[0][:_OPENING_CHARACTERS]
    ends = [paragraph.rfind(mark) for mark in (". ", "! ", "? ")]
    return paragraph[: max(ends) + 1] if len(paragraph) == _OPENING_CHARACTERS else paragraph
