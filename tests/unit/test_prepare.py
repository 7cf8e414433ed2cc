"""What is decided before training: opening, speakers, kinds, blocks."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmft import paths
from lmft.corpus.build import Settings
from lmft.corpus.compiled import build_into
from lmft.corpus.store import FILES
from lmft.errors import BadInputError, CorpusError, InputError, RecipeError
from lmft.format.contract import Speakers
from lmft.train.prepare import prepare
from lmft.train.recipe import Recipe, find_recipe, load_recipe
from tests.conftest import ROOT
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
    assert job.preflight.train.n_tokens == len(ids) + sum(d.begins for d in job.corpus.train)


def test_a_script_names_the_speakers_and_every_name_stops_a_reply(tmp_path: Path) -> None:
    job = prepare(recipe("character", script(tmp_path / "play.txt")))
    speakers = job.contract.speakers
    assert speakers is not None
    assert {speakers.user, speakers.assistant} < {"ADA", "BO", "CLEO"}
    assert set(job.contract.stop) == {"\nADA:", "\nBO:", "\nCLEO:"}


def test_a_name_that_is_given_is_trained_under_and_served_under(tmp_path: Path) -> None:
    chosen = recipe(
        "character", script(tmp_path / "play.txt"), "format.speakers={user: Me, assistant: You}"
    )
    job = prepare(chosen)
    cast = job.corpus.info.cast
    assert cast is not None
    assert job.contract.speakers == Speakers(user="Me", assistant="You")
    assert set(job.contract.stop) == {"\nMe:", "\nYou:", *(f"\n{one}:" for one in cast.others)}
    trained = job.encoder.decode(job.blocks.ids_NT.ravel())
    measured = job.encoder.decode(np.concatenate([one.ids for one in job.heldout]))
    shown = "".join(token.text for one in job.preflight.shown for token in one.tokens)
    for text in (trained, measured, shown):
        speaking = set(re.findall(r"^(\w+): [A-Z]", text, re.MULTILINE))
        assert {"Me", "You"} <= speaking <= {"Me", "You", *cast.others}


@pytest.mark.parametrize(
    ("speakers", "says"),
    [
        ("{user: Me, assistant: CLEO}", r"speakers\.assistant is CLEO.*set corpus\.model_plays to"),
        ("{user: CLEO, assistant: You}", r"speakers\.user is CLEO.*set corpus\.you_play to CLEO"),
        ("{user: ADA, assistant: BO}", r"speakers\.assistant is BO.*it would become ADA's name"),
    ],
)
def test_one_speaker_never_gets_anothers_name(tmp_path: Path, speakers: str, says: str) -> None:
    file = script(tmp_path / "play.txt")
    cast = ("corpus.model_plays=ADA", "corpus.you_play=BO")
    chosen = recipe("character", file, *cast, f"format.speakers={speakers}")
    with pytest.raises(RecipeError, match=says):
        prepare(chosen)
    assert prepare(recipe("character", file, *cast)).contract.speakers == Speakers(
        user="BO", assistant="ADA"
    )


def test_the_shipped_character_keeps_its_names() -> None:
    speakers = prepare(recipe("character")).contract.speakers
    assert speakers is not None
    assert (speakers.user, speakers.assistant) == ("Traveller", "Hesper")


def test_a_recipe_of_another_kind_says_what_to_do(tmp_path: Path) -> None:
    play = script(tmp_path / "play.txt")
    with pytest.raises(CorpusError, match=r"holds conversations.*--set corpus\.kind=story"):
        prepare(recipe("adventure", play))
    assert prepare(recipe("adventure", play, "corpus.kind=story")).corpus.info.kind == "story"
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
    with pytest.raises(CorpusError, match=r"holds preferences.*Set method: dpo \(or kto\)"):
        prepare(recipe("adventure", file))
    with pytest.raises(CorpusError, match=r"holds preferences.*Set format\.kind to chat"):
        prepare(recipe("adventure", file, "method=dpo"))
    for method in ("dpo", "kto"):
        with pytest.raises(CorpusError, match=rf'holds conv.*method {method} learns.*"chosen"'):
            prepare(recipe("character", play, f"method={method}"))


def test_what_must_not_be_trained_is_refused_before_any_weight_is_loaded(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"and so {tale(number)[:-20]}"}) for number in range(20)]
    (tmp_path / "chunks.jsonl").write_text("\n".join(rows))
    with pytest.raises(CorpusError, match="20 of 20 documents end in mid-sentence"):
        prepare(recipe(data=tmp_path / "chunks.jsonl"))


def test_bad_rows_are_left_out_if_the_recipe_says_so(tmp_path: Path) -> None:
    rows = [json.dumps({"text": tale(number)}) for number in range(20)]
    (tmp_path / "tales.jsonl").write_text("\n".join([*rows, "{nonsense"]))
    with pytest.raises(BadInputError, match=r"tales\.jsonl:21"):
        prepare(recipe(data=tmp_path / "tales.jsonl"))
    job = prepare(recipe("adventure", tmp_path / "tales.jsonl", "corpus.skip_bad=true"))
    assert job.corpus.info.n_faults == 1


def test_the_report_lies_beside_what_was_compiled_on_the_way(tmp_path: Path) -> None:
    job = prepare(recipe(data=write_tales(tmp_path / "tales")))
    assert job.corpus.path.parent == paths.corpora_dir()
    report = (job.corpus.path / "report.html").read_text()
    assert report.lower().startswith("<!doctype html>")
    assert job.corpus.info.hash in report
    assert {file.name for file in job.corpus.path.iterdir()} == FILES
    assert not list(paths.corpora_dir().glob(".*"))


def test_a_persons_own_compiled_corpus_is_left_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    build_into([write_tales(tmp_path / "tales")], out, Settings())
    before = sorted(file.name for file in out.iterdir())
    prepare(recipe("adventure", out, "corpus.kind=chat", "corpus.model_plays=Nobody"))
    assert sorted(file.name for file in out.iterdir()) == before


@pytest.mark.parametrize(
    ("letters", "stop", "length"), [("山水火木金土日月人心", "。", 396), ("กขคงจชซดตถ", "", 400)]
)
def test_an_opening_ends_with_a_sentence_where_the_script_has_them(
    tmp_path: Path, letters: str, stop: str, length: int
) -> None:
    told = []
    for number in range(12):
        draw = random.Random(number)
        told.append("".join("".join(draw.choices(letters, k=11)) + stop for _ in range(80)))
        (tmp_path / f"{number}.txt").write_text(told[-1])
    opening = prepare(recipe(data=tmp_path)).contract.opening
    assert opening in [story[:length] for story in told]


# Held-out text of its own


def test_held_out_text_of_its_own_is_measured_and_all_the_other_is_learnt(tmp_path: Path) -> None:
    data, held = write_tales(tmp_path / "tales"), tmp_path / "tales-too" / "tales"
    held.mkdir(parents=True)
    for number in range(3):
        (held / f"{number:02}.txt").write_text(tale(100 + number, 8))
    # One that is learnt too measures nothing.
    (held / "old.txt").write_text(tale(3))
    job = prepare(recipe("adventure", data, f"heldout={held}"))
    assert sorted(story.text.split()[0:9] for story in job.corpus.heldout) == sorted(
        tale(100 + number, 8).split()[0:9] for number in range(3)
    )
    assert {story.source.partition("/")[0] for story in job.corpus.train} == {"train"}
    assert len(job.corpus.train) == 14
    (pair,) = job.corpus.info.duplicates
    assert (pair.source, pair.of) == ("heldout/old.txt", "train/03.txt")
    assert len(job.heldout) == 3
    assert job.corpus.info.hash != prepare(recipe("adventure", data)).corpus.info.hash


def test_held_out_text_may_be_one_short_file(tmp_path: Path) -> None:
    one = tmp_path / "held.txt"
    one.write_text(tale(100, 4))
    job = prepare(recipe("adventure", write_tales(tmp_path / "tales"), f"heldout={one}"))
    assert len(job.corpus.heldout) == 1


def test_held_out_text_that_measures_nothing_is_refused(tmp_path: Path) -> None:
    data = write_tales(tmp_path / "tales")
    with pytest.raises(CorpusError, match="repeat"):
        prepare(recipe("adventure", data, f"heldout={data}"))
    with pytest.raises(CorpusError, match="mixes formats up"):
        prepare(recipe("adventure", data, f"heldout={chat(tmp_path / 'chat.jsonl')}"))
    with pytest.raises(InputError, match="No such file"):
        prepare(recipe("adventure", data, f"heldout={tmp_path / 'nowhere'}"))
    build_into([data], tmp_path / "corpus", Settings())
    for text, heldout in ((tmp_path / "corpus", data), (data, tmp_path / "corpus")):
        with pytest.raises(InputError, match="has a held-out side of its own"):
            prepare(recipe("adventure", text, f"heldout={heldout}"))


def chat(file: Path) -> Path:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Where were you on day {number}?"},
                {"role": "assistant", "content": tale(number, 2)},
            ]
        }
        for number in range(20)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


# Budget


def test_a_budget_cuts_the_plan_down_before_it_begins(tmp_path: Path) -> None:
    data = write_tales(tmp_path / "tales")
    blocks = ("training.block_tokens=64", "training.batch_blocks=4")
    whole = prepare(recipe("adventure", data, *blocks)).plan
    cut = prepare(recipe("adventure", data, *blocks, "training.max_tokens=2000")).plan
    assert (cut.steps, cut.uncut_steps, cut.step_tokens) == (7, whole.steps, 256)
    assert cut.tokens <= 2000
    assert f"steps 7 of {whole.steps}: training.max_tokens allows no more" in cut.reasons
    enough = prepare(recipe("adventure", data, *blocks, f"training.max_tokens={whole.tokens}")).plan
    assert (enough.steps, enough.uncut_steps) == (whole.steps, None)
    with pytest.raises(RecipeError, match="max_tokens is 255, but one step takes 256"):
        prepare(recipe("adventure", data, *blocks, "training.max_tokens=255"))


# What a process needs that only checks


@pytest.mark.parametrize(
    ("name", "override"),
    [("adventure", "training.compile=true"), ("prefer", "method=dpo"), ("prefer", "method=kto")],
)
def test_preparing_imports_nothing_heavy(name: str, override: str) -> None:
    script = (
        "import sys; from lmft.train.prepare import prepare;"
        "from lmft.train.recipe import find_recipe, load_recipe;"
        f"prepare(load_recipe(find_recipe({name!r}), [{override!r}]));"
        "print(*{'torch', 'transformers', 'peft', 'trl', 'sqlalchemy'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
