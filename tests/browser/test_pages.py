"""The pages on the real server: vLLM, two freshly trained adapters, Chromium."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    OpenPage,
    Shoot,
    arrive_at_compare,
    arrive_at_play,
    choose,
    column,
    expect_column,
    expect_steps,
    press,
    send,
    story,
)
from tests.conftest import Gateway

pytestmark = [pytest.mark.browser, pytest.mark.engine]

BASE = "embedded"


def adapter_hash(gateway: Gateway, model: str) -> str:
    """What the server says of the weights, past the pages."""
    with gateway.client() as client:
        entry = client.get(f"/v1/models/{model}").raise_for_status().json()
    return str(entry["lmft"]["adapter"])


def short(model: str) -> str:
    return model.rpartition(":")[2]


def choose_adventure(page: Page, gateway: Gateway) -> None:
    """Its opening is there afterwards: the page is this narrator's."""
    choose(page, "Narrator", short(gateway.adapter_id))
    expect(story(page)).to_contain_text("cold stone")


def test_play_retry_undo_reload(gateway: Gateway, open_page: OpenPage, shoot: Shoot) -> None:
    page = open_page(gateway.url)
    arrive_at_play(page)
    choose_adventure(page, gateway)
    send(page, "open the door")
    expect_steps(page, 1)
    expect(story(page).locator(".player")).to_have_text("> You open the door.")
    expect(story(page).locator(".narrator").last).to_have_text(re.compile(r"\w"))
    expect(page.get_by_test_id("play-status")).to_contain_text(
        f"Answered by {gateway.adapter_id}, adapter {adapter_hash(gateway, gateway.adapter_id)}"
    )
    told = story(page).inner_text()

    press(page, "Retry")
    expect(page.get_by_test_id("alternatives")).to_have_text("2/2")
    press(page, "◀ Previous")
    expect(page.get_by_test_id("alternatives")).to_have_text("1/2")
    assert story(page).inner_text() == told

    press(page, "Continue")
    expect_steps(page, 2)
    shoot(page, "engine-play")
    press(page, "Undo")
    expect_steps(page, 1)
    assert story(page).inner_text() == told

    page.reload()
    expect_steps(page, 1)
    assert story(page).inner_text() == told
    expect(page.get_by_test_id("alternatives")).to_have_text("1/2")
    press(page, "Redo")
    expect_steps(page, 2)


def test_the_character_speaks(gateway: Gateway, open_page: OpenPage, shoot: Shoot) -> None:
    page = open_page(gateway.url)
    arrive_at_play(page)
    choose(page, "Narrator", short(gateway.character_id))
    with gateway.client() as client:
        entry = client.get(f"/v1/models/{gateway.character_id}").json()
    names = entry["lmft"]["speakers"]
    send(page, "Good evening. Is there a room?", label=f"{names['user']} says")
    expect_steps(page, 1)
    expect(story(page).locator(".player .who")).to_have_text(names["user"])
    expect(story(page).locator(".narrator .who").last).to_have_text(names["assistant"])
    expect(page.get_by_test_id("play-status")).to_contain_text(gateway.character_id)
    shoot(page, "engine-character")


def test_compare_base_and_adapter(gateway: Gateway, open_page: OpenPage, shoot: Shoot) -> None:
    page = open_page(f"{gateway.url}/compare")
    arrive_at_compare(page)
    expect(page.get_by_role("combobox", name="Model A")).to_have_value(re.compile(f"^{BASE} "))
    choose(page, "Model B", short(gateway.adapter_id))
    page.get_by_label("Seed").fill("7")
    press(page, "Run")
    expect_column(page, "a", "done")
    expect_column(page, "b", "done")
    expect(column(page, "a")).to_contain_text(f"Answered by {BASE}, base weights")
    expect(column(page, "b")).to_contain_text(
        f"Answered by {gateway.adapter_id}, adapter {adapter_hash(gateway, gateway.adapter_id)}"
    )
    texts = [column(page, side).locator(".said").inner_text() for side in ("a", "b")]
    assert all(texts)
    assert texts[0] != texts[1], "both columns say the same: is it one model twice?"
    for side in ("a", "b"):
        expect(column(page, side)).to_contain_text(re.compile(r"\d+ tokens · first words after"))
    shoot(page, "engine-compare")


def test_what_the_api_says_the_pages_do_not_shadow(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert client.get("/healthz").status_code == httpx.codes.OK
        assert client.get("/v1/models").json()["object"] == "list"
        assert "text/html" in client.get("/compare").headers["content-type"]
