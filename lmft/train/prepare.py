"""Everything that can be known, and refused, before the heavy libraries are imported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lmft import paths
from lmft.bases import Base, resolve_base
from lmft.corpus.build import Settings
from lmft.corpus.cast import rename
from lmft.corpus.compiled import corpus_for
from lmft.corpus.kinds import TALK
from lmft.corpus.sentences import whole_sentences
from lmft.corpus.store import REPORT_FILE, Corpus
from lmft.dataset.blocks import Blocks, pack
from lmft.dataset.encode import Encoded, Encoder
from lmft.dataset.preflight import Preflight, preflight
from lmft.errors import CorpusError, RecipeError
from lmft.format.contract import FormatContract, Speakers, default_stops
from lmft.format.fold import fold_quotes
from lmft.report.html import render_html
from lmft.train.plan import Plan, choose_block_tokens, make_plan
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
    preflight: Preflight
    blocks: Blocks
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
    paths.require_free(paths.adapters_dir(), _ADAPTER_DISK_BYTES, "A new adapter")
    settings = Settings(heldout_share=recipe.heldout_share, **recipe.corpus.model_dump())
    corpus = corpus_for(Path(recipe.data), settings)
    _require_kind(corpus, recipe)
    corpus = _renamed(corpus, recipe)
    encoder = Encoder(base.path, base.eos_token, straight_quotes=base.fold_quotes)
    contract = _contract(recipe, base, corpus, encoder.eos_token)
    seen = preflight(
        corpus.info,
        lambda: corpus.train,
        lambda: corpus.heldout,
        encoder,
        base.name,
        base.context_length,
        contract.speakers,
    )
    _keep_report(corpus, seen)
    seen.require(recipe.data)
    heldout = list(encoder.encode_all(corpus.heldout, contract.speakers))
    block_tokens, reason = choose_block_tokens(recipe, base, seen.train.n_tokens)
    blocks = pack(list(encoder.encode_all(corpus.train, contract.speakers)), block_tokens)
    plan = make_plan(recipe, base, blocks, reason)
    return Job(recipe, base, corpus, encoder, contract, seen, blocks, heldout, plan)


def _require_kind(corpus: Corpus, recipe: Recipe) -> None:
    wanted, found = recipe.format.kind, corpus.info.kind
    if (found in TALK) == (wanted in TALK) and found != "preference":
        return
    hint = "Set format.kind to adventure or story."
    if found in TALK:
        hint = (
            "Set format.kind to chat (the recipe `character` does), or make stories of them: "
            "--set corpus.kind=story, or lmft corpus build TEXT --kind story -o DIR."
        )
    elif found == "preference":
        hint = "lmft trains on stories and conversations; preferences come with DPO."
    noun = {"chat": "conversations", "instruct": "instructions", "preference": "preferences"}
    raise CorpusError(
        f"{recipe.data} holds {noun.get(found, 'stories')}, but the recipe's format.kind is "
        f"{wanted}.",
        hint,
    )


def _renamed(corpus: Corpus, recipe: Recipe) -> Corpus:
    """The corpus with the recipe's names for its two parts: trained under as they are served.

    Raises:
        RecipeError: another one in the corpus has that name.
    """
    speakers, cast = recipe.format.speakers, corpus.info.cast
    if speakers is None or cast is None:
        return corpus
    names = {cast.model: speakers.assistant, cast.you: speakers.user}
    taken = {cast.model, cast.you, *cast.others, *(one.name for one in corpus.info.speakers)}
    for part, (old, new) in zip(("assistant", "user"), names.items(), strict=True):
        if new != old and new in taken:
            choice = "model_plays" if part == "assistant" else "you_play"
            raise RecipeError(
                f"format.speakers.{part} is {new}, but {new} is another one in {recipe.data}; "
                f"it would become {old}'s name.",
                f"Give another name, or set corpus.{choice} to {new} without format.speakers.",
            )
    return replace(
        corpus,
        train=tuple(rename(document, names) for document in corpus.train),
        heldout=tuple(rename(document, names) for document in corpus.heldout),
    )


def _keep_report(corpus: Corpus, seen: Preflight) -> None:
    """Beside what was compiled on the way; a person's own compiled corpus has one already."""
    home, file = paths.corpora_dir(), corpus.path / REPORT_FILE
    if corpus.path.parent != home or file.exists():
        return
    with paths.disk_errors(home), paths.scratch(home) as scratch:
        made = scratch / REPORT_FILE
        made.write_text(render_html(corpus.info, seen), encoding="utf-8")
        paths.fsync(made)
        made.rename(file)


def _contract(recipe: Recipe, base: Base, corpus: Corpus, eos: str) -> FormatContract:
    kind = recipe.format.kind
    cast = corpus.info.cast
    speakers = None
    others: tuple[str, ...] = ()
    if kind in TALK:
        speakers = recipe.format.speakers or corpus.info.speakers_found or Speakers()
        others = cast.others if cast is not None else ()
    opening = recipe.format.opening or _opening(corpus)
    return FormatContract(
        kind=kind,
        speakers=speakers,
        stop=default_stops(kind, speakers, others),
        eos=eos,
        context_length=base.context_length,
        sampler=recipe.format.sampler,
        fold_quotes=base.fold_quotes,
        opening=fold_quotes(opening) if opening and base.fold_quotes else opening,
        person=corpus.info.person.person or "second",
        corpus_hash=corpus.info.hash,
    )


def _opening(corpus: Corpus) -> str | None:
    """The beginning of a story that was held out: in the corpus's manner, but never learnt."""
    if corpus.info.kind in TALK:
        return None
    beginnings = [story for story in corpus.heldout if story.begins] or corpus.heldout
    paragraph = beginnings[0].text.strip().split("\n", 1)[0]
    if len(paragraph) <= _OPENING_CHARACTERS:
        return paragraph
    return whole_sentences(paragraph[:_OPENING_CHARACTERS])
