"""The Train page when things go wrong: nothing is lost, and everything says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.scripted import ScriptedGateway
from tests.browser.steps import OpenPage, Shoot, button, drop, expect_job, press, unfold
from tests.browser.test_scripted_train import HELD, open_train, texts

pytestmark = pytest.mark.browser
__all__ = ["texts"]

FAULTS = "2 faults in the input:\n  chats.jsonl:3: no JSON\n  chats.jsonl:17: no `messages`"


def test_a_reload_in_the_middle_loses_nothing(
    scripted: ScriptedGateway, open_page: OpenPage, texts: list[Path]
) -> None:
    jobs = scripted.training
    page = open_train(scripted, open_page)
    drop(page, texts[0])
    expect_job(page, "held")
    expect(page).to_have_url(re.compile(f"job={jobs.newest}$"))
    page.reload()
    expect_job(page, "held")
    expect(page.get_by_label("Name")).to_have_value("three-mugs")
    press(page, "Start")
    expect_job(page, "queued")
    jobs.runs(jobs.newest)
    jobs.stepped(jobs.newest, *range(41))
    expect(page.get_by_test_id("curve")).to_have_attribute("data-points", "40")
    page.reload()
    expect_job(page, "running")
    expect(page.get_by_test_id("curve")).to_have_attribute("data-points", "40")
    expect(page.get_by_test_id("samples")).to_have_attribute("data-count", "4")
    assert len(jobs.created) == 1


def test_a_refused_file_says_why_and_the_others_go_on(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot, texts: list[Path], tmp_path: Path
) -> None:
    jobs = scripted.training
    why = "The file is a zip archive, whatever its name says. Upload the text itself."
    jobs.refuse_files["01-three-mugs.txt"] = (415, "unsupported_file", why)
    page = open_train(scripted, open_page)
    drop(page, *texts)
    expect_job(page, "held")
    notice = page.get_by_test_id("notice")
    expect(notice).to_contain_text("1 of 2 were not taken")
    expect(notice.get_by_role("listitem")).to_have_text(f"01-three-mugs.txt: {why}")
    shoot(page, "train-refused-file")
    assert len(jobs.files) == len(jobs.created) == 1


def test_when_no_file_is_taken_there_is_no_job(
    scripted: ScriptedGateway, open_page: OpenPage, texts: list[Path]
) -> None:
    jobs = scripted.training
    jobs.refuse_files["White Napkin.txt"] = (403, "quota_exceeded", "The project is full.")
    page = open_train(scripted, open_page)
    drop(page, texts[1])
    expect(page.get_by_role("alert")).to_contain_text("Nothing was taken")
    expect(page.get_by_role("alert")).to_contain_text("White Napkin.txt: The project is full.")
    assert jobs.created == []
    # It can be tried again.
    jobs.refuse_files.clear()
    drop(page, texts[1])
    expect_job(page, "held")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_failed_job_says_why_and_can_be_mended(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    jobs = scripted.training
    id = jobs.add(HELD)
    jobs.ended(
        id, "failed", {"code": "invalid_training_file", "message": FAULTS, "param": "training_file"}
    )
    page = open_train(scripted, open_page, id)
    expect_job(page, "failed")
    problem = page.get_by_test_id("problem")
    expect(problem).to_contain_text("chats.jsonl:3: no JSON")
    expect(problem).to_contain_text("chats.jsonl:17: no `messages`")
    expect(problem).to_contain_text("Leave bad lines and files out")
    shoot(page, "train-failed")
    page.get_by_label("Leave bad lines and files out").check()
    press(page, "Plan again")
    expect_job(page, "held")
    assert jobs.created[-1][0]["lmft"]["recipe"] == {"corpus": {"skip_bad": True}}
    # What has failed already is not told to end.
    assert jobs.told == []


def test_what_a_stranger_wrote_is_text(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    jobs = scripted.training
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    id = jobs.add(HELD | {"suffix": evil})
    jobs.say(id, evil, "warn")
    jobs.validated(id)
    jobs.runs(id)
    jobs.stepped(id, *range(26))
    jobs.jobs[id]["samples"][0] |= {"prompt": evil, "text": evil}
    jobs.ended(id, "failed", {"code": "training_failed", "message": evil, "param": None})
    page = open_train(scripted, open_page, id)
    expect_job(page, "failed")
    unfold(page, "What happened")
    for place in ("events", "samples", "problem", "job", "jobs"):
        expect(page.get_by_test_id(place)).to_contain_text("<script>")
    assert page.locator(".gradio-container img, main script").count() == 0


def test_a_wrong_number_is_said_and_nothing_is_made(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    jobs = scripted.training
    id = jobs.add(HELD)
    jobs.validated(id)
    page = open_train(scripted, open_page, id)
    unfold(page, "Advanced")
    page.get_by_label("Learning rate").fill("fast")
    expect(button(page, "Start")).to_be_disabled()
    press(page, "Plan again")
    expect(page.get_by_role("alert")).to_contain_text("Learning rate: 'fast' is no number.")
    assert jobs.created == []


def test_a_job_that_is_gone_is_said(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    page = open_train(scripted, open_page, "ftjob-nope")
    expect(page.get_by_role("alert")).to_contain_text("There is no training ftjob-nope.")
    expect(page.locator("#train-drop")).to_be_visible()


def test_the_server_may_go_and_come_back(open_page: OpenPage) -> None:
    first = ScriptedGateway()
    id = first.training.add(HELD)
    first.training.validated(id)
    first.training.runs(id)
    first.training.stepped(id, *range(21))
    kept = first.training.jobs
    first.start()
    try:
        page = open_train(first, open_page, id)
        expect(page.get_by_test_id("curve")).to_have_attribute("data-points", "20")
    finally:
        first.stop()
    expect(page.get_by_text("Connection to the server was lost")).to_be_visible()
    second = ScriptedGateway(first.port)
    second.training.jobs = kept
    second.training.stepped(id, *range(21, 41))
    second.start()
    try:
        expect(page.get_by_text("Connection to the server was lost")).to_have_count(0)
        expect(page.get_by_test_id("curve")).to_have_attribute("data-points", "40")
        expect_job(page, "running")
    finally:
        second.stop()
