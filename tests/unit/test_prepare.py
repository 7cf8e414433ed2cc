"""What is decided before training: opening, speakers, kinds, blocks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lmft.corpus.build import Settings
from lmft.corpus.compiled import build_into
from lmft.errors import CorpusError
from lmft.train.prepare import prepare
from lmft.train.recipe import Recipe, find_recipe, load_recipe
from tests.unit.tales import tale, write_tales


def recipe(name: str = "adventure", data: Path | None = None, *overrides: str) -> Recipe:
    return load_recipe(find_recipe(name), overrides, data)


def script(path: Path) -> Path:
    names = [("ADA", "BO", "CLEO")[int(digit)] for digit in "0120210102201"]
    lines = [f"{names[n % 13]}: {tale(n, 4)}" for n in range(120)]
    path.write_text("\n\n".join(lines))
    return path


def test_the_recipes_opening_is_kept_with_the_recipes_data() -> None:
    shipped = recipe()
    assert prepare(shipped).contract.opening == shipped.format.opening


def test_other_text_gets_an_opening_of_its_own_that_was_held_out(tmp_path: Path) -> None:
    for number in range(12):
        story = f"{tale(number)}\n> You wait.\nNothing comes.\n> You go.\n{tale(number + 50, 4)}\n"
        (tmp_path / f"{number}.txt").write_text(story)
    job = prepare(recipe(data=tmp_path))
    opening = job.contract.opening
    assert opening
    assert len(opening) <= 400
    assert opening.endswith(".")
    assert any(story.text.startswith(opening) for story in job.corpus.heldout)
    assert not any(story.text.startswith(opening) for story in job.corpus.train)


def test_an_opening_has_the_quotes_that_the_base_knows(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text(f"“Wait — don’t!” {tale(number)}")
    opening = prepare(recipe(data=tmp_path)).contract.opening
    assert opening
    assert opening.startswith('"Wait — don\'t!"')


def test_a_compiled_corpus_is_trained_on_as_it_is(tmp_path: Path) -> None:
    folder = write_tales(tmp_path / "tales")
    info = build_into([folder], tmp_path / "corpus", Settings(heldout_share=0.3))
    job = prepare(recipe("adventure", tmp_path / "corpus"))
    assert job.contract.corpus_hash == info.hash
    assert job.corpus.path == tmp_path / "corpus"


def test_the_blocks_are_the_training_side_and_the_plan_is_for_them(tmp_path: Path) -> None:
    job = prepare(recipe(data=write_tales(tmp_path / "tales")))
    ids = np.concatenate([job.encoder.encode(d, None).ids for d in job.corpus.train])
    counted = job.blocks.labels_NT[job.blocks.labels_NT >= 0]
    assert counted.tolist() == ids.tolist()
    assert job.plan.block_tokens == job.blocks.ids_NT.shape[1]
    assert job.preflight.train.n_tokens == len(ids)


def test_a_script_names_the_speakers_and_every_name_stops_a_reply(tmp_path: Path) -> None:
    job = prepare(recipe("character", script(tmp_path / "play.txt")))
    speakers = job.contract.speakers
    assert speakers is not None
    assert {speakers.user, speakers.assistant} < {"ADA", "BO", "CLEO"}
    assert set(job.contract.stop) == {"\nADA:", "\nBO:", "\nCLEO:"}


def test_a_name_that_is_given_wins(tmp_path: Path) -> None:
    chosen = recipe(
        "character", script(tmp_path / "play.txt"), "format.speakers={user: Me, assistant: You}"
    )
    speakers = prepare(chosen).contract.speakers
    assert speakers is not None
    assert (speakers.user, speakers.assistant) == ("Me", "You")


def test_the_shipped_character_keeps_its_names() -> None:
    speakers = prepare(recipe("character")).contract.speakers
    assert speakers is not None
    assert (speakers.user, speakers.assistant) == ("Traveller", "Hesper")


def test_a_recipe_of_another_kind_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"holds conversations.*--kind story"):
        prepare(recipe("adventure", script(tmp_path / "play.txt")))
    with pytest.raises(CorpusError, match=r"holds stories.*Set format\.kind to adventure or story"):
        prepare(recipe("character", write_tales(tmp_path / "tales")))
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": f"Who, {number}?"}]},
            "preferred_output": [{"role": "assistant", "content": tale(number)}],
            "non_preferred_output": [{"role": "assistant", "content": "No."}],
        }
        for number in range(20)
    ]
    file = tmp_path / "preferences.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(CorpusError, match=r"holds preferences.*preferences come with DPO"):
        prepare(recipe("adventure", file))


def test_what_must_not_be_trained_is_refused_before_any_weight_is_loaded(tmp_path: Path) -> None:
    rows = [json.dumps({"text": tale(number)[:-20]}) for number in range(20)]
    (tmp_path / "chunks.jsonl").write_text("\n".join(rows))
    with pytest.raises(CorpusError, match="20 of 20 documents end in mid-sentence"):
        prepare(recipe(data=tmp_path / "chunks.jsonl"))
