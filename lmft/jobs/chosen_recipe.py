"""The recipe that a job is trained by: chosen once, when its text has been compiled, and kept in
its directory. In the process of `lmft.jobs.child`."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lmft.corpus.compiled import corpus_for
from lmft.corpus.documents import Kind
from lmft.corpus.store import is_compiled
from lmft.errors import RecipeError
from lmft.jobs.folder import RECIPE, JobFolder
from lmft.jobs.presets import budget_of, corpus_settings, recipe_for
from lmft.jobs.spec import Spec
from lmft.train.planning.estimate import estimate
from lmft.train.prepare import Job, prepare
from lmft.train.recipe import Recipe


def choose(spec: Spec, folder: JobFolder) -> tuple[Job, Kind]:
    """Compile, choose and plan; the recipe is kept. Returns the job and what its files hold.

    Raises:
        UserError, MachineError: see lmft.train.prepare.
    """
    asked = spec.as_asked()
    heldout = folder.validation if spec.validates else None
    corpus = corpus_for(folder.data, corpus_settings(asked), heldout=heldout)
    found = corpus.info.kind
    # The sides are told apart in what was compiled.
    recipe = recipe_for(asked, found, data=corpus.path)
    job = prepare(recipe)
    minutes = budget_of(asked).minutes
    if minutes is not None and (seconds := estimate(job).seconds) > 60 * minutes:
        recipe = _shortened(job, 60 * minutes / seconds)
        job = prepare(recipe)
    # What was left open must stay open: continued training takes it from its adapter.
    folder.write(RECIPE, recipe.model_dump(mode="json", exclude_unset=True))
    return job, found


def chosen(spec: Spec, folder: JobFolder) -> Recipe:
    """As validation left it; chosen anew where that is gone. Raises: see `choose`."""
    try:
        recipe = Recipe.model_validate(folder.read(RECIPE))
    except ValidationError:
        return choose(spec, folder)[0].recipe
    if is_compiled(Path(recipe.data)):
        return recipe
    return choose(spec, folder)[0].recipe


def _shortened(job: Job, share: float) -> Recipe:
    """With as many tokens as that share of the time is enough for."""
    tokens = int(job.plan.tokens * share)
    if tokens < job.plan.step_tokens:
        raise RecipeError(
            "The budget in minutes is too little for one step of training.",
            "Allow more, or take a smaller base.",
        )
    training = job.recipe.training.model_copy(update={"max_tokens": tokens})
    return job.recipe.model_copy(update={"training": training})
