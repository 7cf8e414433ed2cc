"""What is decided before training: the opening that the page will show."""

from __future__ import annotations

from pathlib import Path

from lmft.train.prepare import prepare
from lmft.train.recipe import find_recipe, load_recipe, with_data


def test_the_recipes_opening_is_kept_with_the_recipes_data() -> None:
    recipe = load_recipe(find_recipe("adventure"))
    assert prepare(recipe).contract.opening == recipe.format.opening


def test_other_text_gets_an_opening_of_its_own_that_was_held_out(tmp_path: Path) -> None:
    for number in range(12):
        story = f"Story {number} begins here. " + "It goes on in one way or another. " * 30
        (tmp_path / f"{number}.txt").write_text(f"{story}\n> You wait.\nNothing comes.\n")
    job = prepare(with_data(load_recipe(find_recipe("adventure")), tmp_path))
    opening = job.contract.opening
    assert opening
    assert len(opening) <= 400
    assert opening.endswith(".")
    assert any(story.text.startswith(opening) for story in job.corpus.heldout)
    assert not any(story.text.startswith(opening) for story in job.corpus.train)
