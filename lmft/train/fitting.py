"""A corpus and a recipe: whether they fit, and the recipe's names for the corpus's speakers."""

from __future__ import annotations

from dataclasses import replace

from lmft.corpus.cast import rename
from lmft.corpus.documents import Kind
from lmft.corpus.kinds import TALK
from lmft.corpus.store import Corpus
from lmft.dataset.naming import text_at
from lmft.errors import CorpusError, RecipeError
from lmft.train.recipe import Recipe

_NOUNS = {"chat": "conversations", "instruct": "instructions", "preference": "preferences"}
_PREFERENCE_SHAPE = '{"prompt": "...", "chosen": "...", "rejected": "..."}'


def require_kind(found: Kind, recipe: Recipe) -> None:
    """Raise CorpusError, with what to change, unless a corpus of kind `found` fits the recipe."""
    holds = f"{text_at(recipe.data)} holds {_NOUNS.get(found, 'stories')}"
    wanted = recipe.format.kind
    if recipe.method == "sft" and found == "preference":
        raise CorpusError(
            f"{holds}, which method sft does not learn from.",
            "Set method: dpo (or kto), or learn the chosen answers alone: --set corpus.kind=chat.",
        )
    if recipe.method != "sft" and found != "preference":
        raise CorpusError(
            f"{holds}, but method {recipe.method} learns from preferences.",
            f"Give rows like {_PREFERENCE_SHAPE}, or set method: sft.",
        )
    if found == "preference":
        if wanted != "chat":
            raise CorpusError(
                f"{holds}, which are conversations, but the recipe's format.kind is {wanted}.",
                "Set format.kind to chat (the recipe `prefer` does).",
            )
        return
    if (found in TALK) == (wanted in TALK):
        return
    hint = "Set format.kind to adventure or story."
    if found in TALK:
        hint = (
            "Set format.kind to chat (the recipe `character` does), or make stories of them: "
            "--set corpus.kind=story, or lmft corpus build TEXT --kind story -o DIR."
        )
    raise CorpusError(f"{holds}, but the recipe's format.kind is {wanted}.", hint)


def renamed(corpus: Corpus, recipe: Recipe) -> Corpus:
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
                f"format.speakers.{part} is {new}, but there is another {new} in the text; "
                f"it would become {old}'s name.",
                f"Give another name, or set corpus.{choice} to {new} without format.speakers.",
            )
    return replace(
        corpus,
        train=tuple(rename(document, names) for document in corpus.train),
        heldout=tuple(rename(document, names) for document in corpus.heldout),
    )
