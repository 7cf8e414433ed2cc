"""What a person chooses for a training, the request that it makes, and back."""

from __future__ import annotations

import pytest

from ui.training.client import Preset
from ui.training.form import Form, form_of, name_from, once, preset_choices
from ui.training.job import Job

PRESETS = [
    Preset("ours", "A recipe of the house.", {}),
    Preset("prefer", "Teaches by comparison.", {"method": "dpo"}),
    Preset("adventure", "Teaches adventures.", {}),
]


def detail(body: dict, files: list[str], **job: object) -> dict:
    """A job of the server's that was made with `body`."""
    known = {"id": "ftjob-1", "status": "paused", "model": body["model"], **job}
    return {"job": known, "request": body, "files": files}


def test_nothing_chosen_leaves_everything_to_the_server() -> None:
    body = Form(files=("file-1", "file-2")).request(PRESETS)
    assert body == {
        "model": "embedded",
        "training_file": "file-1",
        "metadata": {"made_by": "train-page"},
        "lmft": {"hold": True, "recipe": {}, "files": ["file-2"]},
    }


FULL = Form(
    files=("file-1",),
    preset="prefer",
    model="ft:embedded:me:inn:aa11bb22",
    name="harbour",
    epochs="2.5",
    rank="8",
    rate="0.002",
    model_plays="Ada",
    you_play="Bo",
    skip_bad=True,
)


def test_what_is_chosen_is_asked_for() -> None:
    body = FULL.request(PRESETS)
    assert body["suffix"] == "harbour"
    assert body["method"] == {"type": "dpo"}
    assert body["lmft"] == {
        "hold": True,
        "preset": "prefer",
        "recipe": {
            "training": {"epochs": 2.5, "learning_rate": 0.002},
            "lora": {"rank": 8, "alpha": 16},
            "corpus": {"model_plays": "Ada", "you_play": "Bo", "skip_bad": True},
        },
    }


@pytest.mark.parametrize("form", [FULL, Form(files=("file-1", "file-2"))])
def test_a_job_gives_its_form_back(form: Form) -> None:
    """So that a reload shows what was chosen, and nothing counts as changed."""
    job = Job.parse(detail(form.request(PRESETS), list(form.files)))
    assert form_of(job) == form
    values = [list(form.files), form.preset, form.model, form.name, form.epochs, form.rank]
    values += [form.rate, form.model_plays or None, form.you_play or None, form.skip_bad]
    assert Form.of(values) == form


def test_a_job_of_the_sdk_has_a_form_too() -> None:
    body = {"model": "embedded", "training_file": "file-1"}
    assert form_of(Job.parse(detail(body, ["file-1"]))) == Form(files=("file-1",))


@pytest.mark.parametrize(
    "form", [Form(epochs="many"), Form(rank="8.5"), Form(rate="-1"), Form(rank="-8")]
)
def test_what_is_no_number_is_refused(form: Form) -> None:
    with pytest.raises(ValueError, match="is no number"):
        form.request(PRESETS)


@pytest.mark.parametrize("rate", ["1e-4", "0.5", ".5", "2E-3", "1"])
def test_numbers_as_people_write_them(rate: str) -> None:
    assert Form(rate=rate).request([])["lmft"]["recipe"]["training"]["learning_rate"] == float(rate)


def test_one_state_of_the_page_is_one_key() -> None:
    body = FULL.request(PRESETS)
    assert once(body, "ftjob-1", "tab") == once(dict(body), "ftjob-1", "tab")
    assert once(body, "ftjob-1", "tab") != once(body, "ftjob-2", "tab")
    assert once(body, "ftjob-1", "tab") != once(Form().request([]), "ftjob-1", "tab")


def test_presets_have_plain_names_and_ours_come_first() -> None:
    shown = preset_choices(PRESETS)
    assert [name for _, name in shown] == ["", "adventure", "prefer", "ours"]
    assert shown[-1] == ("A recipe of the house.", "ours")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("01-Three Mugs.txt", "three-mugs"),
        ("moby_dick.epub", "moby-dick"),
        ("2024.txt", ""),
        ("Zauberflöte.txt", "zauberfl-te"),
        ("a very long name of a book indeed.txt", "a-very-long-name-of-a-bo"),
    ],
)
def test_a_file_gives_the_model_its_name(file: str, name: str) -> None:
    assert name_from(file) == name
