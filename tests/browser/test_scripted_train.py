"""The Train page when all goes well: from files to a model to play."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.script import ADVENTURE, BASE
from tests.browser.scripted import ScriptedGateway
from tests.browser.scripted_jobs import STEPS
from tests.browser.steps import (
    PHONE,
    OpenPage,
    Shoot,
    arrive_at_play,
    arrive_at_train,
    button,
    drop,
    expect_job,
    press,
    unfold,
)

pytestmark = pytest.mark.browser

HELD = {"model": BASE, "training_file": "file-x", "suffix": "harbour", "lmft": {"hold": True}}


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    """Two small files."""
    files = [tmp_path / "01-three-mugs.txt", tmp_path / "White Napkin.txt"]
    for file in files:
        file.write_text(f"You stand in {file.stem}.\n", encoding="utf-8")
    return files


def open_train(
    scripted: ScriptedGateway, open_page: OpenPage, job: str = "", **how: object
) -> Page:
    page = open_page(f"{scripted.url}/train" + (f"?job={job}" if job else ""), **how)
    arrive_at_train(page)
    return page


def test_from_files_to_a_model(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot, texts: list[Path]
) -> None:
    jobs = scripted.training
    jobs.holds = True
    page = open_train(scripted, open_page)
    drop(page, *texts)
    expect_job(page, "validating_files")
    # What was dropped is the server's now, under its own name, and the address names the job.
    assert [name for name, _ in jobs.files.values()] == [file.name for file in texts]
    assert [content for _, content in jobs.files.values()] == [f.read_bytes() for f in texts]
    id = jobs.newest
    expect(page).to_have_url(re.compile(f"job={id}$"))
    body, key = jobs.created[0]
    assert body["training_file"], body["lmft"]["files"] == list(jobs.files)
    assert body["lmft"]["hold"] is True
    assert body["suffix"] == "three-mugs"
    assert key

    jobs.validated(id)
    expect_job(page, "held")
    corpus = page.get_by_test_id("corpus")
    for words in ("adventures, told in turns", "29,919 tokens", "en 93%", "bad.jsonl:3: no JSON"):
        expect(corpus).to_contain_text(words)
    expect(corpus.get_by_role("region", name="three-mugs.txt")).to_contain_text(
        "The lamp on Hallow"
    )
    expect(page.get_by_test_id("plan")).to_contain_text("102 steps of 1,024 tokens")
    expect(page.get_by_test_id("plan")).to_contain_text("3 epochs, rank 16, learning rate 0.0015")
    shoot(page, "train-held")

    press(page, "Start")
    expect_job(page, "queued")
    assert jobs.told == [(id, "resume")]
    jobs.runs(id)
    jobs.stepped(id, *range(31))
    expect_job(page, "running")
    curve = page.get_by_test_id("curve")
    expect(curve).to_have_attribute("data-points", "30")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "30")
    expect(page.get_by_test_id("job")).to_contain_text("Step 30 of 102 · 1,281 tokens/s")
    jobs.stepped(id, *range(31, 61))
    expect(curve).to_have_attribute("data-points", "60")
    expect(curve).to_have_attribute("data-measured", "3")
    expect(curve.get_by_role("img", name=re.compile("^Training loss.* at step 60"))).to_be_visible()
    # The newest first, and as text.
    samples = page.get_by_test_id("samples")
    expect(samples.locator("h3").first).to_have_text("Step 50")
    expect(samples.locator("blockquote").first).to_contain_text("<b>Cold</b> air")
    shoot(page, "train-running")

    jobs.stepped(id, *range(61, STEPS + 1))
    jobs.ended(id, "succeeded")
    expect_job(page, "succeeded")
    expect(button(page, "Stop")).to_be_hidden()
    expect(page.get_by_role("link", name="Compare it with the base")).to_be_visible()
    shoot(page, "train-done")
    page.get_by_role("link", name="Play it").click()
    arrive_at_play(page)
    expect(page.get_by_role("combobox", name="Narrator")).to_have_value(
        re.compile("^adventure 3f9a1c2b")
    )
    # A later choice of narrator stands after a reload.
    expect(page).to_have_url(f"{scripted.url}/")


def test_compare_takes_the_model_from_the_address(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    page = open_page(f"{scripted.url}/compare?model={ADVENTURE.replace(':', '%3A')}")
    for side, name in (("A", BASE), ("B", "adventure 3f9a1c2b")):
        box = page.get_by_role("combobox", name=f"Model {side}")
        expect(box).to_have_value(re.compile(f"^{name}"))


def test_pause_resume_and_stop(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    jobs = scripted.training
    id = jobs.add(HELD)
    jobs.validated(id)
    jobs.runs(id)
    jobs.stepped(id, *range(11))
    page = open_train(scripted, open_page, id)
    expect_job(page, "running")
    expect(button(page, "Start")).to_be_hidden()
    press(page, "Pause")
    expect_job(page, "pausing")
    expect(button(page, "Pause")).to_be_disabled()
    jobs.jobs[id]["job"]["status"], jobs.jobs[id]["wish"] = "paused", ""
    expect_job(page, "paused")
    press(page, "Resume")
    expect_job(page, "queued")
    jobs.runs(id)
    expect_job(page, "running")
    expect(page.get_by_test_id("job")).to_contain_text("attempt 2")
    # To stop is for good: asked first, and not done when the answer is no.
    press(page, "Stop")
    expect(page.get_by_role("alert")).to_contain_text("Stop this training for good?")
    press(page, "No, keep it")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert (id, "cancel") not in jobs.told
    press(page, "Stop")
    press(page, "Yes, end it")
    expect_job(page, "cancelling")
    expect(button(page, "Stop")).to_be_disabled()
    jobs.ended(id, "cancelled")
    expect_job(page, "cancelled")
    assert jobs.told == [(id, "pause"), (id, "resume"), (id, "cancel")]


def test_other_settings_are_another_plan(
    scripted: ScriptedGateway, open_page: OpenPage, texts: list[Path]
) -> None:
    jobs = scripted.training
    page = open_train(scripted, open_page)
    drop(page, texts[0])
    expect_job(page, "held")
    first = jobs.newest
    unfold(page, "Advanced")
    # What `auto` has become stands in the empty field.
    expect(page.get_by_label("Epochs")).to_have_attribute("placeholder", "auto: 3")
    expect(page.get_by_label("Rank")).to_have_attribute("placeholder", "auto: 16")
    page.get_by_label("Epochs").fill("5")
    page.get_by_label("Rank").fill("8")
    page.get_by_label("A matter of taste").check()
    expect(page.get_by_text("The plan below is for other settings.")).to_be_visible()
    expect(button(page, "Start")).to_be_disabled()
    press(page, "Plan again")
    expect(page).to_have_url(re.compile(f"job={'(?!' + first + ')'}"))
    expect_job(page, "held")
    body = jobs.created[1][0]
    assert body["lmft"]["recipe"] == {
        "training": {"epochs": 5},
        "lora": {"rank": 8, "alpha": 16},
    }
    assert body["lmft"]["preset"] == "prefer"
    assert body["method"] == {"type": "dpo"}
    assert body["training_file"] == jobs.created[0][0]["training_file"]
    # The plan that it replaces is taken back, and the list does not fill up with such.
    assert jobs.told == [(first, "cancel")]
    expect(page.get_by_test_id("jobs").get_by_role("link")).to_have_count(1)
    expect(page.get_by_test_id("plan")).to_contain_text("5 epochs, rank 8")
    expect(button(page, "Start")).to_be_enabled()
    expect(page.get_by_text("The plan below is for other settings.")).to_have_count(0)


def test_a_double_click_is_one_job(
    scripted: ScriptedGateway, open_page: OpenPage, texts: list[Path]
) -> None:
    jobs = scripted.training
    page = open_train(scripted, open_page)
    drop(page, texts[0])
    expect_job(page, "held")
    page.get_by_label("Name").fill("mugs")
    expect(button(page, "Plan again")).to_be_enabled()
    button(page, "Plan again").dblclick()
    expect(page.get_by_role("heading", name="mugs", exact=True)).to_be_visible()
    button(page, "Start").dblclick()
    expect_job(page, "queued")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert len(jobs.created) == 2
    assert len({key for _, key in jobs.created}) == 2
    assert jobs.told.count((jobs.newest, "resume")) >= 1


def test_jobs_from_elsewhere_are_here_too(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    jobs = scripted.training
    page = open_train(scripted, open_page)
    expect(page.get_by_test_id("jobs")).to_contain_text("None yet.")
    id = jobs.add({"model": BASE, "training_file": "file-x", "suffix": "from-the-sdk"})
    jobs.validated(id)
    page.get_by_role("link", name="from-the-sdk, on embedded").click()
    expect_job(page, "queued")
    expect(page).to_have_url(re.compile(f"job={id}$"))
    unfold(page, "What happened")
    expect(page.get_by_test_id("events")).to_contain_text("Files validated")
    page.get_by_role("link", name="Train something else").click()
    expect(page.locator("#train-drop")).to_be_visible()


@pytest.mark.parametrize("name", ["phone", "dark"])
def test_other_screens(
    name: str, scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    jobs = scripted.training
    id = jobs.add(HELD)
    jobs.validated(id)
    how = PHONE if name == "phone" else {"color_scheme": "dark"}
    page = open_train(scripted, open_page, id, **how)
    expect_job(page, "held")
    shoot(page, f"train-held-{name}")
    jobs.runs(id)
    jobs.stepped(id, *range(61))
    expect(page.get_by_test_id("curve")).to_have_attribute("data-points", "60")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    shoot(page, f"train-running-{name}")
