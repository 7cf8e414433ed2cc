"""The Play page against a gateway that does what a real engine does not do on demand."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.script import ADVENTURE, HESPER, MODELS, OLDER, OPENING, REPLY, entry
from tests.browser.scripted import ScriptedGateway
from tests.browser.steps import (
    PHONE,
    OpenPage,
    Shoot,
    arrive_at_play,
    box,
    choose,
    expect_play,
    expect_steps,
    press,
    send,
    story,
    unfold,
)

pytestmark = pytest.mark.browser

NASTY = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    "<b>bold</b> ${window.hacked = 3} {{window}} `tick` > quote # head *star* &amp; </div>"
)


def test_first_visit_meets_the_newest_adapter_and_plays_a_turn(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    expect(page.get_by_role("combobox", name="Narrator")).to_have_value(
        re.compile("^adventure 3f9a1c2b, .*2026, on embedded$")
    )
    expect(story(page)).to_have_text(OPENING)
    page.get_by_label("Say").check()
    send(page, "is anyone there?")
    expect_steps(page, 1)
    expect(story(page)).to_contain_text('> You say "is anyone there?"')
    expect(story(page)).to_contain_text(REPLY)
    expect(box(page)).to_have_value("")
    page.reload()
    expect_steps(page, 1)
    expect(box(page)).to_have_value("")
    # The adapter's own settings went out, and the server's word on the weights came back.
    asked = scripted.asked[-1]
    assert asked["temperature"] == 0.7
    assert asked["max_tokens"] == 60
    assert asked["turns"] == [
        {"by": "narrator", "text": OPENING},
        {"by": "player", "mode": "say", "text": "is anyone there?"},
    ]
    expect(page.get_by_test_id("play-status")).to_contain_text(
        f"Answered by {ADVENTURE}, adapter 0c9e6ab1f2d4 · ended by itself · 16 tokens · "
        f"seed {asked['seed']}"
    )
    shoot(page, "scripted-play")


def test_models_are_listed_adapters_first_and_newest_first(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    page.get_by_role("combobox", name="Narrator").click()
    shown = " ".join(page.get_by_role("option").all_inner_texts())
    names = ("adventure", "hesper", "grimm", "embedded (base model")
    assert sorted(names, key=shown.index) == list(names)


def test_model_text_is_never_html(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    scripted.script(ADVENTURE, "<scr", "ipt>window.hacked = 4</script>", NASTY)
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, NASTY)
    expect_steps(page, 1)
    told = story(page).locator(".narrator .said").last
    expect(told).to_have_text(f"<script>window.hacked = 4</script>{NASTY}")
    expect(story(page).locator("script, img, b")).to_have_count(0)
    assert page.evaluate("window.hacked") is None
    page.reload()
    expect(story(page)).to_contain_text("{{window}} `tick`")
    assert page.evaluate("window.hacked") is None
    shoot(page, "scripted-nasty")


def test_an_adapter_whose_replies_are_long_keeps_its_length(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    scripted.models = [entry(ADVENTURE, "adventure", 1, opening=OPENING, max_tokens=600)]
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "wait")
    expect_steps(page, 1)
    assert scripted.asked[-1]["max_tokens"] == 600


def test_a_narrator_that_is_gone_is_named(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "wait")
    expect_steps(page, 1)
    scripted.models = [model for model in MODELS if model["id"] != ADVENTURE]
    page.reload()
    expect(page.get_by_test_id("notice")).to_have_text(
        f"{ADVENTURE} is not here any more: {HESPER} goes on from here."
    )
    expect_steps(page, 1)


def test_two_tabs_of_a_browser_do_not_overwrite_each_other_unseen(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    warning = page.locator("#other-tab")
    send(page, "wait")
    expect_steps(page, 1)
    expect(warning).to_be_hidden()
    other = page.context.new_page()
    other.goto(scripted.url)
    arrive_at_play(other)
    send(other, "wait longer")
    expect_steps(other, 2)
    expect(warning).to_be_visible()
    shoot(page, "scripted-two-tabs")
    page.reload()
    expect_steps(page, 2)
    expect(warning).to_be_hidden()


def test_an_alias_in_the_address_is_its_live_version(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    alias = OLDER.rpartition(":")[0]
    live = entry(OLDER, "story", 1795100000, alias_of=OLDER) | {"id": alias}
    scripted.models = [*MODELS, live]
    page = open_page(f"{scripted.url}/?model={alias}")
    arrive_at_play(page)
    expect(page.get_by_role("combobox", name="Narrator")).to_have_value(re.compile("^grimm "))
    expect(page.get_by_test_id("notice")).to_have_count(0)


def test_retry_keeps_the_alternatives_and_undo_and_redo_walk(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    scripted.script(ADVENTURE, "First telling.")
    scripted.script(ADVENTURE, "Second telling.")
    page = open_page(scripted.url)
    arrive_at_play(page)
    unfold(page, "Settings")
    page.get_by_label("Seed").fill("41")
    send(page, "wait")
    expect_steps(page, 1)
    press(page, "Retry")
    expect(page.get_by_test_id("alternatives")).to_have_text("2/2")
    expect(story(page)).to_contain_text("Second telling.")
    assert [asked["seed"] for asked in scripted.asked] == [41, 42]
    assert scripted.asked[0]["turns"] == scripted.asked[1]["turns"]
    press(page, "◀ Previous")
    expect(page.get_by_test_id("alternatives")).to_have_text("1/2")
    expect(story(page)).to_contain_text("First telling.")
    # An empty send goes on from what is shown.
    box(page).press("Enter")
    expect_steps(page, 2)
    assert scripted.asked[-1]["turns"][-1] == {"by": "narrator", "text": "First telling."}
    press(page, "Undo")
    press(page, "Undo")
    expect_steps(page, 0)
    expect(story(page)).to_have_text(OPENING)
    press(page, "Redo")
    expect_steps(page, 1)
    expect(page.get_by_test_id("alternatives")).to_have_text("1/2")


def test_every_click_of_a_quick_series_counts(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    for told in (1, 2):
        send(page, "wait")
        expect_steps(page, told)
    # As one click is answered comes the next: Gradio's queue would lose one in ten of these.
    for pause_ms in range(20, 80, 3):
        name, left = ("Undo", 0) if pause_ms % 2 == 0 else ("Redo", 2)
        page.get_by_role("button", name=name, exact=True).evaluate(
            """async (button, pause) => {
              button.click();
              await new Promise((next) => setTimeout(next, pause));
              button.click();
            }""",
            pause_ms,
        )
        expect_steps(page, left)
    # Of two buttons, too: Undo and at once Redo.
    for pause_ms in range(20, 60, 5):
        press(page, "Undo")
        expect_steps(page, 1)
        page.get_by_role("button", name="Undo", exact=True).evaluate(
            """async (button, pause) => {
              const redo = [...document.querySelectorAll("button")].find(
                (other) => other.textContent.trim() === "Redo");
              button.click();
              await new Promise((next) => setTimeout(next, pause));
              redo.click();
              await new Promise((next) => setTimeout(next, pause));
              redo.click();
            }""",
            pause_ms,
        )
        expect_steps(page, 2)


def test_a_character_speaks_under_its_own_name(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    choose(page, "Narrator", "hesper")
    expect(story(page)).to_have_text("Nobody has spoken yet. Say something to Hesper.")
    expect(page.get_by_label("Story", exact=True)).to_have_count(0)
    scripted.script(HESPER, "Sit down, then. ", "The kettle is on.")
    send(page, "Good evening.", label="Traveller says")
    expect_steps(page, 1)
    expect(story(page).locator(".player")).to_have_text("TravellerGood evening.")
    expect(story(page).locator(".narrator")).to_have_text("HesperSit down, then. The kettle is on.")
    # Narrator and names come back after a reload.
    page.reload()
    expect(page.get_by_role("combobox", name="Narrator")).to_have_value(
        re.compile("^hesper aa11bb22")
    )
    expect(box(page, "Traveller says")).to_be_visible()
    shoot(page, "scripted-chat")


def test_a_new_story_can_be_taken_back(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "open the door")
    expect_steps(page, 1)
    unfold(page, "New story")
    expect(page.get_by_label("How it opens")).to_have_value(OPENING)
    page.get_by_label("How it opens").fill("A ship without a crew comes in on the tide.")
    press(page, "Begin")
    expect(story(page)).to_have_text("A ship without a crew comes in on the tide.")
    expect_steps(page, 0)
    press(page, "Undo")
    expect(story(page)).to_contain_text("You open the door.")
    expect_steps(page, 1)


def test_without_an_adapter_the_page_says_how_to_make_one(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    scripted.models = MODELS[:1]
    page = open_page(scripted.url)
    expect(page.get_by_test_id("notice")).to_contain_text("lmft demo")
    expect(page.get_by_test_id("notice")).to_contain_text("lmft train RECIPE")
    arrive_at_play(page)
    shoot(page, "scripted-no-adapter")
    scripted.reset()
    press(page, "Refresh")
    expect(page.get_by_test_id("notice")).to_have_count(0)
    choose(page, "Narrator", "grimm")
    send(page, "go on")
    expect_steps(page, 1)
    assert scripted.asked[-1]["model"] == OLDER


def test_two_visitors_are_answered_at_once(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    gate = scripted.gate()
    scripted.script(ADVENTURE, "Slowly. ", gate, "Done.")
    first = open_page(scripted.url)
    arrive_at_play(first)
    send(first, "wait")
    expect(first.get_by_test_id("live")).to_contain_text("Slowly.")
    second = open_page(scripted.url)
    arrive_at_play(second)
    send(second, "hurry")
    expect_steps(second, 1)
    expect_play(first, "running")
    gate.open()
    expect_steps(first, 1)


def test_with_a_key_the_pages_ask_for_it(open_page: OpenPage) -> None:
    server = ScriptedGateway(api_key="open sesame")
    server.start()
    try:
        page = open_page(server.url)
        page.get_by_label("username").fill("lmft")
        page.get_by_label("password").fill("open sesame")
        press(page, "Login")
        arrive_at_play(page)
        send(page, "open the door")
        expect_steps(page, 1)
        page.get_by_role("link", name="Compare").click()
        expect(page.get_by_test_id("column-a")).to_be_visible()
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["phone", "dark"])
def test_other_screens(
    name: str, scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    page = open_page(scripted.url, **(PHONE if name == "phone" else {"color_scheme": "dark"}))
    arrive_at_play(page)
    for number, words in enumerate(["open the door", "light the lantern", "go down"], start=1):
        send(page, words)
        expect_steps(page, number)
    press(page, "Retry")
    expect(page.get_by_test_id("alternatives")).to_have_text("2/2")
    # No sideways scrolling, and the newest line is in sight.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(story(page).locator(".narrator").last).to_be_in_viewport()
    shoot(page, f"scripted-play-{name}")
