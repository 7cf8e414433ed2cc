"""The Compare page against the scripted gateway."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.script import ADVENTURE, BASE, MODELS, Fail, entry
from tests.browser.scripted import ScriptedGateway
from tests.browser.steps import (
    PHONE,
    OpenPage,
    Shoot,
    arrive_at_compare,
    column,
    expect_column,
    press,
)

pytestmark = pytest.mark.browser


def test_a_fast_column_ends_while_the_slow_one_still_writes(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    gate = scripted.gate()
    scripted.script(BASE, "Slow ", gate, "and steady.", finish="length")
    scripted.script(ADVENTURE, "Fast ", "and ", "gone.")
    page = open_page(f"{scripted.url}/compare")
    arrive_at_compare(page)
    page.get_by_label("Seed").fill("7")
    page.get_by_label("The same beginning for both").fill("The tide went out")
    page.get_by_label("The same beginning for both").press("Control+Enter")
    expect_column(page, "b", "done")
    expect(column(page, "b")).to_contain_text("Fast and gone.")
    expect_column(page, "a", "running")
    expect(column(page, "a")).to_contain_text("Slow")
    expect(page.get_by_test_id("compare-status")).to_have_attribute("data-state", "running")
    gate.open()
    expect_column(page, "a", "done")
    expect(page.get_by_test_id("compare-status")).to_have_attribute("data-state", "done")
    expect(column(page, "a")).to_contain_text("Slow and steady.")
    expect(column(page, "a")).to_contain_text(f"Answered by {BASE}, base weights")
    expect(column(page, "a")).to_contain_text("cut at the length · 3 tokens · first words after")
    expect(column(page, "b")).to_contain_text(f"Answered by {ADVENTURE}, adapter 0c9e6ab1f2d4")
    same = [{k: v for k, v in asked.items() if k != "model"} for asked in scripted.asked]
    assert same[0] == same[1]
    assert same[0]["seed"] == 7
    assert same[0]["prompt"] == "The tide went out"
    shoot(page, "scripted-compare")


def test_a_link_compares_an_adapter_with_its_own_base(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    other = entry(BASE, "base", 1795000000) | {"id": "gpt2"}
    scripted.models = [other, *MODELS]
    page = open_page(f"{scripted.url}/compare?model={ADVENTURE}")
    arrive_at_compare(page)
    expect(page.get_by_role("combobox", name="Model A")).to_have_value(re.compile("^embedded "))
    expect(page.get_by_role("combobox", name="Model B")).to_have_value(re.compile("^adventure "))


def test_stop_ends_both_upstream(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    scripted.script(BASE, "One ", scripted.gate())
    scripted.script(ADVENTURE, "Two ", scripted.gate())
    page = open_page(f"{scripted.url}/compare")
    arrive_at_compare(page)
    press(page, "Run")
    expect(column(page, "a")).to_contain_text("One")
    expect(column(page, "b")).to_contain_text("Two")
    page.keyboard.press("Escape")
    assert {scripted.hung_up.get(timeout=60) for _ in range(2)} == {BASE, ADVENTURE}
    for side in ("a", "b"):
        expect_column(page, side, "done")
        expect(column(page, side)).to_contain_text("stopped by you")


def test_an_error_stays_in_its_column(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    scripted.script(BASE, "Half a ", Fail("the engine fell over", "engine_died"))
    scripted.script(ADVENTURE, "<img src=x onerror='window.hacked = 1'> whole.")
    page = open_page(f"{scripted.url}/compare")
    arrive_at_compare(page)
    press(page, "Run")
    expect_column(page, "a", "error")
    expect_column(page, "b", "done")
    expect(column(page, "a")).to_contain_text("Half a")
    expect(column(page, "a")).to_contain_text("the engine fell over")
    expect(column(page, "b").locator(".said")).to_have_text(
        "<img src=x onerror='window.hacked = 1'> whole."
    )
    assert page.evaluate("window.hacked") is None
    expect(page.get_by_test_id("compare-status")).to_have_attribute("data-state", "error")
    shoot(page, "scripted-compare-error")


def test_the_dice_give_another_seed(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    page = open_page(f"{scripted.url}/compare")
    arrive_at_compare(page)
    seed = page.get_by_label("Seed").input_value()
    press(page, "⚄ New seed")
    expect(page.get_by_label("Seed")).not_to_have_value(seed)
    page.get_by_label("Seed").fill("seven")
    press(page, "Run")
    expect(page.get_by_role("alert")).to_contain_text("The seed must be empty or a whole number")
    assert scripted.asked == []


def test_nothing_to_compare_with(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    scripted.models = MODELS[:1]
    page = open_page(f"{scripted.url}/compare")
    arrive_at_compare(page)
    expect(page.get_by_test_id("notice")).to_contain_text("lmft train RECIPE")
    press(page, "Run")
    expect(page.get_by_role("alert")).to_contain_text("Choose two models")
    scripted.reset()
    press(page, "Refresh")
    expect(page.get_by_role("combobox", name="Model B")).not_to_have_value("")
    press(page, "Run")
    expect_column(page, "b", "done")


@pytest.mark.parametrize("name", ["phone", "dark"])
def test_other_screens(
    name: str, scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    options = PHONE if name == "phone" else {"color_scheme": "dark"}
    page = open_page(f"{scripted.url}/compare", **options)
    arrive_at_compare(page)
    press(page, "Run")
    expect_column(page, "a", "done")
    expect_column(page, "b", "done")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    first, second = column(page, "a").bounding_box(), column(page, "b").bounding_box()
    below = second["y"] >= first["y"] + first["height"]
    assert below == (name == "phone")
    shoot(page, f"scripted-compare-{name}")
