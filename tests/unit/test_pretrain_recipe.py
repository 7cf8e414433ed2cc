"""Recipes of a pretraining: the shipped ones, and every fault at once."""

from __future__ import annotations

import pytest

from lmft import paths
from lmft.errors import InputError, NotFoundError, RecipeError
from lmft.pretrain.folder import owned
from lmft.pretrain.recipe import find_pretraining, load_pretraining
from tests.pretraining import a_recipe, a_text


@pytest.mark.parametrize("name", ["embedded-base", "new-base"])
def test_shipped_recipes_are_found_by_name(name, tmp_path):
    recipe = load_pretraining(find_pretraining(name), data=a_text(tmp_path))
    assert recipe.name == name
    assert recipe.steps > 1


def test_every_shipped_recipe_is_named_in_the_help():
    from lmft.cli_pretrain import run_pretrain

    said = str(run_pretrain.__annotations__)
    for file in (paths.recipes_dir() / "pretrain").glob("*.yaml"):
        assert file.stem in said


def test_new_base_shows_every_key(tmp_path):
    import yaml

    shown = yaml.safe_load(find_pretraining("new-base").read_text())
    whole = load_pretraining(find_pretraining("new-base"), data=a_text(tmp_path)).model_dump()
    assert set(shown) == set(whole) - {"continue_from"}
    for section in ("vocabulary", "shape", "mix", "training"):
        assert set(shown[section]) == set(whole[section])


def test_all_faults_are_told_at_once(tmp_path):
    file = a_recipe(
        tmp_path,
        a_text(tmp_path),
        colour="red",
        shape={"width": 100},
        training={"tokens": "many", "batch_blocks": 3},
    )
    with pytest.raises(RecipeError) as error:
        load_pretraining(file)
    for part in ("3 faults", "`colour`", "`shape.width`", "`training.tokens`"):
        assert part in error.value.message
    assert "new-base.yaml" in error.value.hint


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"training": {"batch_blocks": 3}}, "multiple of micro_blocks"),
        ({"training": {"block_tokens": 128}}, "larger than the model's 64"),
        ({"training": {"batch_blocks": 3, "micro_blocks": 3}}, "no multiple of 64 positions"),
        ({"continue_from": "embedded"}, "those of continue_from"),
        ({"name": "checkpoints"}, "is taken"),
    ],
)
def test_keys_that_do_not_fit_each_other_are_refused(tmp_path, changed, says):
    file = a_recipe(tmp_path, a_text(tmp_path), **changed)
    with pytest.raises(RecipeError, match=says):
        load_pretraining(file)


def test_a_text_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="no text at"):
        load_pretraining(a_recipe(tmp_path, tmp_path / "none.txt"))


def test_overrides_and_data_stand_above_the_file(tmp_path):
    file, text = a_recipe(tmp_path, tmp_path / "none.txt"), a_text(tmp_path)
    recipe = load_pretraining(file, ["training.tokens=2e4", "shape.layers=2"], text)
    assert (recipe.training.tokens, recipe.shape.layers, recipe.data) == (2e4, 2, str(text))


# The folder


def test_a_folder_holds_one_recipe_whose_end_may_be_moved(tmp_path):
    file, text = a_recipe(tmp_path, tmp_path / "none.txt"), a_text(tmp_path)
    folder = tmp_path / "run"
    with owned(folder, load_pretraining(file, [], text)):
        pass
    with owned(folder, load_pretraining(file, ["training.tokens=9e3"], text)):
        pass
    with (
        pytest.raises(InputError, match="another recipe"),
        owned(folder, load_pretraining(file, ["training.seed=9"], text)),
    ):
        pass


def test_a_run_that_goes_on_with_a_base_keeps_its_folder(tmp_path):
    text = a_text(tmp_path)
    recipe = load_pretraining(find_pretraining("embedded-base"), [], text)
    for _ in range(2):
        with owned(tmp_path / "run", recipe):
            pass


def test_a_folder_has_one_owner_and_nothing_else_in_it(tmp_path):
    text = a_text(tmp_path)
    recipe = load_pretraining(a_recipe(tmp_path, text))
    with (
        owned(tmp_path / "run", recipe),
        pytest.raises(InputError, match="Another process"),
        owned(tmp_path / "run", recipe),
    ):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("Dear diary")
    for taken in (tmp_path / "full", text):
        with pytest.raises(InputError, match=r"something else|no folder"), owned(taken, recipe):
            pass
    assert text.is_file()
