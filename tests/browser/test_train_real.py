"""The Train page on the real server: files are dropped, a real training is watched, paused,
resumed, and its model played."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    OpenPage,
    Shoot,
    arrive_at_play,
    arrive_at_train,
    button,
    drop,
    expect_job,
    expect_steps,
    press,
    send,
    story,
    unfold,
)
from tests.conftest import ROOT, START_SECONDS, Gateway

pytestmark = [pytest.mark.browser, pytest.mark.engine]

TEXTS = sorted((ROOT / "recipes" / "data" / "adventures").glob("*.txt"))[:12]
LONG = START_SECONDS * 1000


def wait_for(page: Page, *states: str) -> None:
    """As long as the machine takes."""
    job = page.get_by_test_id("job")
    expect(job).to_have_attribute("data-state", re.compile("|".join(states)), timeout=LONG)


def test_from_dropped_files_to_a_story(gateway: Gateway, open_page: OpenPage, shoot: Shoot) -> None:
    page = open_page(f"{gateway.url}/train")
    arrive_at_train(page)
    drop(page, *TEXTS)
    wait_for(page, "held")
    corpus = page.get_by_test_id("corpus")
    expect(corpus).to_contain_text("adventures, told in turns")
    expect(corpus).to_contain_text("12 files")
    expect(corpus.get_by_role("region").first).to_contain_text("START")
    expect(page.get_by_test_id("plan")).to_contain_text(re.compile(r"[\d,]+ steps of"))
    unfold(page, "Advanced")
    expect(page.get_by_label("Epochs")).to_have_attribute("placeholder", "auto: 3")
    page.get_by_label("Epochs").fill("1.5")
    page.get_by_label("Name").fill("harbour")
    expect(button(page, "Plan again")).to_be_enabled()
    press(page, "Plan again")
    expect(page.get_by_role("heading", name="harbour", exact=True)).to_be_visible()
    wait_for(page, "held")
    expect(page.get_by_test_id("plan")).to_contain_text("1.5 epochs")
    shoot(page, "real-train-held")

    press(page, "Start")
    wait_for(page, "running")
    curve = page.get_by_test_id("curve")
    expect(curve).to_have_attribute("data-points", re.compile("[1-9]"), timeout=LONG)
    press(page, "Pause")
    expect_job(page, "paused")
    shoot(page, "real-train-paused")
    step = int(page.get_by_test_id("job").get_attribute("data-step") or 0)
    # Another browser, another day: the address is all it takes.
    other = open_page(page.url)
    expect_job(other, "paused")
    press(other, "Resume")
    wait_for(other, "queued", "running")
    expect(page.get_by_role("progressbar")).to_be_visible()

    wait_for(page, "succeeded")
    expect(page.get_by_test_id("job")).to_contain_text("attempt 2")
    assert int(curve.get_attribute("data-points") or 0) > step
    assert int(curve.get_attribute("data-measured") or 0) >= 2
    expect(page.get_by_test_id("samples").locator("blockquote").first).to_have_text(
        re.compile(r"\w")
    )
    shoot(page, "real-train-done")
    id = page.url.rpartition("job=")[2]
    with gateway.client() as client:
        job = client.get(f"/v1/fine_tuning/jobs/{id}").raise_for_status().json()
    assert job["status"] == "succeeded"

    page.get_by_role("link", name="Play it").click()
    arrive_at_play(page)
    narrator = page.get_by_role("combobox", name="Narrator")
    expect(narrator).to_have_value(re.compile("^harbour"))
    send(page, "open the door")
    expect_steps(page, 1)
    expect(story(page).locator(".narrator").last).to_have_text(re.compile(r"\w"))
    expect(page.get_by_test_id("play-status")).to_contain_text(job["fine_tuned_model"])


def test_what_is_no_text_is_refused_in_words(
    gateway: Gateway, open_page: OpenPage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    archive = tmp_path_factory.mktemp("dropped") / "novel.txt"
    archive.write_bytes(b"PK\x03\x04" + bytes(100))
    page = open_page(f"{gateway.url}/train")
    arrive_at_train(page)
    drop(page, archive)
    expect(page.get_by_role("alert")).to_contain_text("novel.txt: The file is")
    expect(page.get_by_role("alert")).to_contain_text("zip archive")


def test_a_bad_line_is_named_and_can_be_left_out(
    gateway: Gateway, open_page: OpenPage, shoot: Shoot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = (ROOT / "recipes" / "data" / "innkeeper.jsonl").read_text(encoding="utf-8").splitlines()
    chats = tmp_path_factory.mktemp("dropped") / "chats.jsonl"
    chats.write_text("\n".join([*rows[:20], "{oops", *rows[20:40]]) + "\n", encoding="utf-8")
    page = open_page(f"{gateway.url}/train")
    arrive_at_train(page)
    drop(page, chats)
    wait_for(page, "failed")
    expect(page.get_by_test_id("problem")).to_contain_text(re.compile(r"chats\.jsonl.*21"))
    shoot(page, "real-train-bad-line")
    page.get_by_label("Leave bad lines and files out").check()
    press(page, "Plan again")
    wait_for(page, "held")
    expect(page.get_by_test_id("corpus")).to_contain_text("conversations")
    press(page, "Discard")
    press(page, "Yes, end it")
    expect_job(page, "cancelled")


def test_the_upload_route_is_for_the_pages_alone(gateway: Gateway) -> None:
    """A foreign web page cannot fill the disk."""
    answer = httpx.post(
        f"{gateway.url}/gradio_api/upload",
        files={"files": ("a.txt", b"text")},
        headers={"origin": "https://evil.example"},
    )
    assert answer.status_code == 403
