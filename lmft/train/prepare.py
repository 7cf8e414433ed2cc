"""Everything that can be known, and refused, before the heavy libraries are imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmft import paths
from lmft.bases import Base, resolve_base
from lmft.corpus.build import Settings
from lmft.corpus.compiled import corpus_for
from lmft.corpus.kinds import TALK, TEXT
from lmft.corpus.sentences import whole_sentences
from lmft.corpus.store import REPORT_FILE, Corpus, load_corpus
from lmft.dataset.blocks import Blocks, pack
from lmft.dataset.encode import Encoded, Encoder
from lmft.dataset.pairs import PairSides, chosen_conversations, encode_pairs
from lmft.dataset.preflight import Preflight, preflight
from lmft.errors import RecipeError
from lmft.format.contract import FormatContract, Speakers, default_stops
from lmft.format.fold import fold_quotes
from lmft.registry.adapters import Adapter
from lmft.report.html import render_html
from lmft.train import processes
from lmft.train.continued import take_over
from lmft.train.fitting import renamed, require_kind
from lmft.train.planning.disk import required_disk_bytes
from lmft.train.planning.plan import Plan, choose_block_tokens, make_plan
from lmft.train.planning.shape import shape_of
from lmft.train.recipe import Recipe
from lmft.train.servable import RANKS, service_of
from lmft.train.watch.trackers import require_trackers

_OPENING_CHARACTERS = 400
_MIN_PAIRS, _MAX_PAIRS = 4, 32


@dataclass(frozen=True)
class Job:
    """Everything that is known before the first weight is loaded.

    Attributes:
        blocks: what a step is planned for; for preferences both answers of every pair.
        pairs: of DPO and KTO, which train on them.
        heldout: what the held-out loss is measured on; of preferences the chosen answers.
        parent: the adapter that the new one goes on from.
    """

    recipe: Recipe
    base: Base
    corpus: Corpus
    encoder: Encoder
    contract: FormatContract
    preflight: Preflight
    blocks: Blocks
    heldout: list[Encoded]
    plan: Plan
    pairs: PairSides | None = None
    parent: Adapter | None = None


def prepare(recipe: Recipe) -> Job:
    """Read, check and plan; loads no weights.

    Raises:
        UserError: whatever is wrong with recipe, data or base; MachineError: no disk space.
    """
    processes.require_supported(recipe.method)
    require_trackers(recipe.track)
    base = processes.main_first(lambda: resolve_base(recipe.base))
    service_of(base.architecture, base.name)
    recipe, parent = take_over(recipe, base)
    if recipe.lora.rank > RANKS[-1]:
        raise RecipeError(
            f"lora.rank {recipe.lora.rank} cannot be served.", f"Use at most {RANKS[-1]}."
        )
    paths.require_free(paths.adapters_dir(), required_disk_bytes(recipe, base), "A new adapter")
    settings = Settings(heldout_share=recipe.heldout_share, **recipe.corpus.model_dump())
    heldout_text = None if recipe.heldout is None else Path(recipe.heldout)
    if processes.is_main():
        corpus = corpus_for(Path(recipe.data), settings, heldout=heldout_text)
        processes.from_main(lambda: str(corpus.path))
    else:
        corpus = load_corpus(Path(processes.from_main(str)))
    require_kind(corpus.info.kind, recipe)
    corpus = renamed(corpus, recipe)
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
    if processes.is_main():
        _keep_report(corpus, seen)
    seen.require(recipe.data)
    if recipe.method == "sft":
        heldout = list(encoder.encode_all(corpus.heldout, contract.speakers))
        block_tokens, reason = choose_block_tokens(recipe, base, seen.train.n_tokens)
        blocks = pack(
            encoder.encode_all(corpus.train, contract.speakers),
            block_tokens,
            encoder.start_id,
            always_start=encoder.always_start,
        )
        plan = processes.agree(make_plan(recipe, base, blocks, reason))
        return Job(
            recipe, base, corpus, encoder, contract, seen, blocks, heldout, plan, parent=parent
        )
    pairs = _pairs(recipe, base, corpus, encoder, contract.speakers)
    chosen = chosen_conversations(corpus.heldout)
    heldout = list(encoder.encode_all(chosen, contract.speakers))
    blocks = pairs.train.as_blocks(pairs.longest)
    recipe, reason = _pairs_a_step(recipe, pairs)
    plan = processes.agree(make_plan(recipe, base, blocks, reason))
    return Job(recipe, base, corpus, encoder, contract, seen, blocks, heldout, plan, pairs, parent)


def _pairs(
    recipe: Recipe, base: Base, corpus: Corpus, encoder: Encoder, speakers: Speakers | None
) -> PairSides:
    wanted = recipe.training.block_tokens
    most = min(base.context_length, shape_of(base).window or base.context_length)
    if wanted != "auto":
        most = min(wanted, most)
    train, heldout = (
        encode_pairs(side, encoder, speakers, most) for side in (corpus.train, corpus.heldout)
    )
    return PairSides(train, heldout)


def _pairs_a_step(recipe: Recipe, pairs: PairSides) -> tuple[Recipe, str]:
    """The recipe with a batch of whole pairs, and the reasons of what was chosen.

    Small data wants many small steps; about 32 pairs is what DPO and KTO are trained with on
    large data.
    """
    reason = f"block_tokens {pairs.longest}: the longest answer with its prompt"
    if n_cut := pairs.train.n_cut + pairs.heldout.n_cut:
        reason += f"; {n_cut} prompt(s) lost their oldest turns to fit"
    training = recipe.training
    if training.batch_blocks == "auto":
        n_pairs = len(pairs.train)
        per_step = round(training.epochs * n_pairs / 100)
        per_step = min(max(per_step, _MIN_PAIRS), _MAX_PAIRS, n_pairs)
        training = training.model_copy(update={"batch_blocks": 2 * per_step})
        reason += f"; batch_blocks {2 * per_step}: {per_step} pairs a step, two answers each"
    if training.compile == "auto":
        # Every batch has a length of its own, and each would be compiled anew.
        training = training.model_copy(update={"compile": False})
    return recipe.model_copy(update={"training": training}), reason


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
    if corpus.info.kind not in TEXT:
        return None
    beginnings = [story for story in corpus.heldout if story.begins] or corpus.heldout
    paragraph = beginnings[0].text.strip().split("\n", 1)[0]
    if len(paragraph) <= _OPENING_CHARACTERS:
        return paragraph
    return whole_sentences(paragraph[:_OPENING_CHARACTERS])
