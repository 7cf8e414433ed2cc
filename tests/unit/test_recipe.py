"""Recipes: readable, checked whole, and nothing in them is executed or ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from lmft.errors import NotFoundError, RecipeError
from lmft.format.contract import Speakers
from lmft.paths import recipes_dir
from lmft.train.recipe import CorpusChoices, Recipe, dump_recipe, find_recipe, load_recipe

SHIPPED = sorted(recipes_dir().glob("*.yaml"))
SMALL = "name: tale\ndata: stories\n"


@pytest.fixture
def load(tmp_path):
    def load_text(text: str, *overrides: str) -> Recipe:
        file = tmp_path / "recipe.yaml"
        file.write_text(text)
        return load_recipe(file, overrides)

    return load_text


def faults(load, text: str, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load(text, *overrides)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value.message


# The shipped ones


def test_the_four_recipes_are_shipped():
    names = {file.stem for file in SHIPPED}
    assert {"adventure", "character", "gpt2-adventure", "qwen3-8b-adventure"} <= names


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_recipe_parses_and_its_text_is_there(file):
    recipe = load_recipe(file)
    assert Path(recipe.data).exists()
    assert recipe.format.opening
    assert file.read_text().startswith("# "), "a recipe begins by saying what it is for"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_frozen_recipe_is_the_same_recipe(file, tmp_path):
    recipe = load_recipe(file)
    (tmp_path / "frozen.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "frozen.yaml") == recipe


def test_a_recipe_is_found_by_name_or_path(tmp_path, monkeypatch):
    assert find_recipe("adventure") == find_recipe("adventure.yaml")
    assert find_recipe("adventure") == recipes_dir() / "adventure.yaml"
    (tmp_path / "adventure.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    assert find_recipe("adventure.yaml").resolve() == tmp_path / "adventure.yaml"
    assert find_recipe("adventure") == recipes_dir() / "adventure.yaml"


@pytest.mark.parametrize("name", ["advent", "", "../adventure", "x/adventure", "a" * 300, "~no/a"])
def test_an_unknown_recipe_is_said_with_the_known_ones(name):
    with pytest.raises(NotFoundError, match="No recipe") as caught:
        find_recipe(name)
    assert "adventure, character" in caught.value.hint


# Values


def test_a_recipe_needs_only_a_name_and_data(load, tmp_path):
    recipe = load(SMALL)
    assert (recipe.base, recipe.quantization) == ("embedded", "nf4")
    assert recipe.training.block_tokens == "auto"
    assert recipe.data == str(tmp_path / "stories")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("stories", "{folder}/stories"),
        ("../a.txt", "{folder}/../a.txt"),
        ("/data/x", "/data/x"),
        ("~/x", "/home/ada/x"),
        ("~nobody-here/x", "{folder}/~nobody-here/x"),
    ],
)
def test_data_is_relative_to_the_recipe(load, tmp_path, monkeypatch, written, read):
    monkeypatch.setenv("HOME", "/home/ada")
    expected = Path(read.format(folder=tmp_path)).resolve()
    assert load(f"name: tale\ndata: {written}\n").data == str(expected)


def test_held_out_text_is_relative_to_the_recipe_too_and_goes_with_its_data(load, tmp_path):
    text = SMALL + "heldout: ../kept.txt"
    assert load(text).heldout == str(tmp_path.parent / "kept.txt")
    assert load(SMALL).heldout is None
    (tmp_path / "recipe.yaml").write_text(text)
    assert load_recipe(tmp_path / "recipe.yaml", (), tmp_path).heldout is None


@pytest.mark.parametrize(
    "text", ["keep_epochs: 11", "keep_epochs: -1", "max_tokens: 0", "epochs: 1001", "epochs: 1e9"]
)
def test_limits_of_a_run_have_limits(load, text):
    assert f"training.{text.partition(':')[0]}" in faults(load, SMALL + f"training: {{{text}}}")


@pytest.mark.parametrize("text", ["2e-4", "2.0e-4", "0.0002", "'2e-4'"])
def test_a_number_is_a_number_however_it_is_written(load, text):
    assert load(SMALL + f"training: {{learning_rate: {text}}}").training.learning_rate == 2e-4


@given(
    st.text("0123456789abcdef", min_size=8, max_size=8) | st.from_regex(r"[0-7]{8}", fullmatch=True)
)
@example("87141537")
@example("01234567")
def test_an_adapters_key_stays_as_it_is_written(tmp_path_factory, key):
    file = tmp_path_factory.getbasetemp() / "key.yaml"
    file.write_text(SMALL + f"continue_from: {key}\n")
    assert load_recipe(file).continue_from == key
    file.write_text(SMALL)
    assert load_recipe(file, (f"continue_from={key}",)).continue_from == key


def test_text_stays_text_whatever_yaml_would_make_of_it(load):
    recipe = load(
        "name: 2024\ndata: 2024-11-22\nbase: 12.50\n"
        "format: {kind: chat, speakers: {user: No, assistant: 007}}",
        "corpus.model_plays=On",
        "format.speakers.user=Yes",
        "format.opening=",
        "training.seed=7",
        "corpus.skip_bad=yes",
    )
    assert (recipe.name, Path(recipe.data).name) == ("2024", "2024-11-22")
    assert recipe.base == "12.50"
    assert recipe.format.speakers == Speakers(user="Yes", assistant="007")
    assert recipe.corpus == CorpusChoices(model_plays="On", skip_bad=True)
    assert (recipe.format.opening, recipe.training.seed) == (None, 7)
    assert load(SMALL, "continue_from=null").continue_from is None


def test_text_stays_text_in_aliases_and_merged_keys_too(load):
    recipe = load(
        SMALL + "energy: {currency: &number 512}\ntraining: {block_tokens: *number}\n"
        "format: {kind: chat, speakers: {<<: {user: No}, assistant: 007}}"
    )
    assert (recipe.energy.currency, recipe.training.block_tokens) == ("512", 512)
    assert recipe.format.speakers == Speakers(user="No", assistant="007")


def test_auto_is_a_legal_value(load):
    recipe = load(SMALL + "quantization: auto\ntraining: {block_tokens: auto, batch_blocks: 3}")
    assert recipe.quantization == "auto"
    assert recipe.training.batch_blocks == 3


def test_what_belonged_to_the_recipes_own_text_goes_with_it(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(
        SMALL + "corpus: {kind: chat, model_plays: Ada, you_play: Bo, skip_bad: true}\n"
        "format: {kind: chat, opening: Hi., speakers: {user: Bo, assistant: Ada}}\n"
    )
    own = load_recipe(file)
    assert (own.corpus.model_plays, own.corpus.you_play) == ("Ada", "Bo")
    other = load_recipe(file, ["corpus.you_play=Cleo"], tmp_path / "else")
    assert other.corpus == CorpusChoices(kind="chat", you_play="Cleo", skip_bad=True)
    assert (other.format.opening, other.format.speakers) == (None, None)


# Faults


@pytest.mark.parametrize(
    ("added", "says"),
    [
        ("learning_rat: 1", "`learning_rat` is not a recipe key"),
        ("training: {epoch: 1}", "`training.epoch` is not a recipe key"),
        ("1: 2", "`1`: keys should be strings"),
        ("base: null", "`base`: input should be a valid string (is None)"),
        ("quantization: nf8", "`quantization`: input should be 'nf4', 'none' or 'auto' (is 'nf8')"),
        ("format: {kind: poem}", "`format.kind`: "),
        ("format: {speakers: {user: 'A:'}}", "`format.speakers.user`: a speaker's name must"),
        ("format: []", "`format`: "),
        ("lora: {rank: 0}", "`lora.rank`: input should be greater than or equal to 1 (is 0)"),
        ("lora: {dropout: 1}", "`lora.dropout`: "),
        ("corpus: {kind: poem}", "`corpus.kind`: "),
        ("corpus: {model_plays: [7]}", "`corpus.model_plays`: "),
        ("corpus: {heldout_share: 0.2}", "`corpus.heldout_share` is not a recipe key"),
        ("heldout_share: 0.9", "`heldout_share`: "),
        ("training: {block_tokens: many}", "`training.block_tokens`: must be `auto` or a whole"),
        ("training: {block_tokens: 0}", "`training.block_tokens`: must be `auto` or a whole"),
        ("training: {batch_blocks: -1}", "`training.batch_blocks`: must be `auto` or a whole"),
        ("training: {batch_blocks: true}", "`training.batch_blocks`: must be `auto` or a whole"),
        ("training: {learning_rate: fast}", "`training.learning_rate`: "),
        ("training: {learning_rate: .nan}", "`training.learning_rate`: "),
        ("training: {epochs: .inf}", "`training.epochs`: "),
        ("training: {epochs: inf}", "`training.epochs`: "),
        ("training: {seed: -1}", "`training.seed`: "),
        ("training: {seed: 4294967296}", "`training.seed`: "),
    ],
)
def test_a_fault_is_said_once_with_key_and_value(load, added, says):
    message = faults(load, SMALL + added)
    assert "recipe.yaml: 1 fault: " in message
    assert says in message


def test_all_faults_are_said_at_once(load):
    message = faults(load, "nme: x\nlora: {rank: no}\ntraining: {epochs: 0, sed: 1}")
    assert "6 faults: " in message
    for key in ("name", "data", "nme", "lora.rank", "training.epochs", "training.sed"):
        assert f"`{key}`" in message


@pytest.mark.parametrize("name", ["", "Tale", "-tale", "a/b", "a.b", "x" * 41, "tale\\n"])
def test_a_name_that_could_be_no_id_is_refused(load, name):
    assert "`name`" in faults(load, f'name: "{name}"\ndata: d')


def test_a_fault_in_a_huge_value_is_still_a_line(load):
    bomb = "\n".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9 if n else ['x'])}]" for n in range(12)
    )
    assert len(faults(load, bomb + "\nname: *a11\ndata: d")) < 2_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: tale\ndata: a: b\n", "not valid YAML at line 2"),
        ("name: [\n\n", "not valid YAML at line 3"),
        ("name: tale\n\tdata: x", "not valid YAML at line 2"),
        ("lora: 2026-13-45", "not valid YAML"),
        ("name: " + "[" * 5_000, "not valid YAML"),
        ("name: \x00", "not valid YAML"),
        ("", "is not a recipe (no keys)"),
        ("- name", "is not a recipe (no keys)"),
        ("just words", "is not a recipe (no keys)"),
    ],
)
def test_what_is_no_yaml_or_no_recipe_is_said_with_the_line(load, text, says):
    assert says in faults(load, text)


def test_bytes_that_are_no_text_are_no_recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("tag", ["object/apply:os.mkdir", "object/new:os.mkdir", "name:os.mkdir"])
@pytest.mark.parametrize("place", ["file", "override"])
def test_yaml_that_would_run_code_runs_nothing(load, tmp_path, tag, place):
    harm = f"!!python/{tag} ['{tmp_path}/harm']"
    message = (
        faults(load, SMALL + f"base: {harm}")
        if place == "file"
        else faults(load, SMALL, f"base={harm}")
    )
    assert "not valid YAML" in message
    assert not (tmp_path / "harm").exists()


# --set


def test_overrides_reach_any_depth_and_the_last_one_wins(load):
    recipe = load(
        SMALL,
        "training.epochs=2",
        "training.learning_rate=3e-4",
        "format.speakers.user=Ada",
        "name=other",
        "training.epochs=5",
        "format.opening=a = b",
    )
    assert (recipe.name, recipe.training.epochs) == ("other", 5)
    assert recipe.training.learning_rate == 3e-4
    assert recipe.format.speakers is not None
    assert recipe.format.speakers.user == "Ada"
    assert recipe.format.opening == "a = b"


def test_an_override_of_data_is_relative_to_where_the_person_is(load):
    assert load(SMALL, "data=here/stories").data == str(Path("here/stories").resolve())


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.epochs", "is not KEY=VALUE"),
        ("=5", "is not KEY=VALUE"),
        ("", "is not KEY=VALUE"),
        ("training.epochs=[", "the value is not valid YAML"),
        ("training.epochs=2026-13-45", "the value is not valid YAML"),
        ("name.first=x", "`name` holds no keys"),
        ("training.epochs=0", "`training.epochs`: "),
        ("training.epochs=", "`training.epochs`: "),
        ("training.epoch=1", "`training.epoch` is not a recipe key"),
        ("train.epochs=1", "`train` is not a recipe key"),
        ("training=fast", "`training`: "),
    ],
)
def test_a_wrong_override_is_named(load, override, says):
    assert says in faults(load, SMALL, override)


def test_a_recipe_cannot_be_changed_and_dumps_to_plain_yaml(load):
    recipe = load(SMALL)
    tree = yaml.safe_load(dump_recipe(recipe))
    assert tree["training"]["block_tokens"] == "auto"
    assert tree["name"] == "tale"
