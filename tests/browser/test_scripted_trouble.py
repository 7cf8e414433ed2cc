"""The Play page when things go wrong: nothing of the player's may be lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.script import ADVENTURE, BASE, OPENING, Cut, Fail
from tests.browser.scripted import ScriptedGateway
from tests.browser.steps import (
    OpenPage,
    Shoot,
    arrive_at_play,
    box,
    expect_play,
    expect_steps,
    press,
    send,
    story,
)

pytestmark = pytest.mark.browser


def test_an_error_in_mid_sentence_keeps_story_and_words(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "open the door")
    expect_steps(page, 1)
    page.get_by_label("Say").check()
    scripted.script(ADVENTURE, "Somewhere below, a", Fail("the engine fell over", "engine_died"))
    send(page, "hello, dark")
    expect_play(page, "error")
    expect(page.get_by_role("alert")).to_have_text(
        "The server could not answer: the engine fell over"
    )
    expect(story(page)).to_have_attribute("data-steps", "1")
    expect(box(page)).to_have_value("hello, dark")
    expect(page.get_by_test_id("live")).to_have_text("Somewhere below, a")
    shoot(page, "scripted-error")
    # Even a reload keeps the unsent words, and they can be sent again.
    page.reload()
    expect(box(page)).to_have_value("hello, dark")
    expect(page.get_by_label("Say")).to_be_checked()
    box(page).press("Enter")
    expect_steps(page, 2)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(box(page)).to_have_value("")


def test_what_is_typed_while_an_answer_comes_stays_when_it_fails(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    gate = scripted.gate()
    scripted.script(ADVENTURE, gate, Fail("the engine fell over", "engine_died"))
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "open the door")
    expect_play(page, "running")
    box(page).fill("and then go in")
    gate.open()
    expect_play(page, "error")
    expect(box(page)).to_have_value("open the door\nand then go in")


def test_a_broken_connection_is_told_in_plain_words(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    scripted.script(ADVENTURE, "Somewhere", Cut())
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "listen")
    expect_play(page, "error")
    expect(page.get_by_role("alert")).to_contain_text("The connection broke in mid-sentence.")
    expect(box(page)).to_have_value("listen")


def test_a_refusal_says_what_to_do(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    scripted.refuse[ADVENTURE] = (404, "model_not_found", "no model of that name")
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "listen")
    expect(page.get_by_role("alert")).to_contain_text("Press Refresh and choose another.")
    expect(page.get_by_role("alert")).to_contain_text("no model of that name")
    expect(box(page)).to_have_value("listen")
    expect_play(page, "error")


def test_stop_reaches_the_server_and_keeps_the_words(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    scripted.script(ADVENTURE, "Far away, ", "a bell. ", scripted.gate(), "never said")
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "listen")
    expect(page.get_by_test_id("live")).to_contain_text("Far away, a bell.")
    expect_play(page, "running")
    # Screen readers get the reply once, when it is whole, not in scraps.
    expect(page.get_by_test_id("live")).to_have_attribute("aria-hidden", "true")
    expect(story(page)).to_have_attribute("aria-busy", "true")
    press(page, "Stop")
    expect_steps(page, 1)
    assert scripted.hung_up.get(timeout=60) == ADVENTURE
    expect(story(page)).to_contain_text("Far away, a bell.")
    expect(page.get_by_role("status").first).to_have_text("Far away, a bell.")
    expect(page.get_by_test_id("play-status")).to_contain_text("stopped by you")


def test_leaving_reaches_the_server(scripted: ScriptedGateway, open_page: OpenPage) -> None:
    scripted.script(ADVENTURE, "Far away, ", scripted.gate())
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "listen")
    expect(page.get_by_test_id("live")).to_contain_text("Far away,")
    page.close()
    assert scripted.hung_up.get(timeout=60) == ADVENTURE


def test_a_reload_in_mid_sentence_loses_nothing(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "open the door")
    expect_steps(page, 1)
    scripted.script(ADVENTURE, "Far away, ", scripted.gate())
    send(page, "listen")
    expect(page.get_by_test_id("live")).to_contain_text("Far away,")
    page.reload()
    expect(story(page)).to_contain_text("You open the door.")
    expect_steps(page, 1)
    expect(box(page)).to_have_value("listen")


def test_another_model_answering_is_never_silent(
    scripted: ScriptedGateway, open_page: OpenPage
) -> None:
    scripted.script(ADVENTURE, "I am the base.", answered_by=BASE)
    page = open_page(scripted.url)
    arrive_at_play(page)
    send(page, "who are you")
    expect_steps(page, 1)
    expect(page.get_by_role("alert")).to_have_text(
        f"You asked for {ADVENTURE}, but {BASE} answered."
    )
    expect(page.get_by_test_id("play-status")).to_contain_text(f"{BASE}, base weights")


def test_the_page_waits_for_the_engine_and_goes_on_by_itself(
    scripted: ScriptedGateway, open_page: OpenPage, shoot: Shoot
) -> None:
    scripted.ready = {"status": "starting", "phase": "loading weights", "detail": ""}
    scripted.models = []
    page = open_page(scripted.url)
    expect(page.get_by_test_id("notice")).to_contain_text(
        "The engine is still starting (loading weights)."
    )
    shoot(page, "scripted-starting")
    scripted.reset()
    arrive_at_play(page)
    expect(page.get_by_test_id("notice")).to_have_count(0)
    expect(story(page)).to_have_text(OPENING)


@pytest.mark.parametrize("later", ["", ", or not"])
def test_the_server_may_go_and_come_back(open_page: OpenPage, later: str) -> None:
    """`later` is typed once Gradio has noticed: from then on it hands over no event."""
    first = ScriptedGateway()
    first.start()
    try:
        page = open_page(first.url)
        arrive_at_play(page)
        send(page, "open the door")
        expect_steps(page, 1)
    finally:
        first.stop()
    words = "is anyone there"
    send(page, words)
    lost = page.get_by_text("Connection to the server was lost")
    expect(lost).to_be_visible()
    expect(box(page)).to_have_value(words)
    if later:
        words += later
        box(page).fill(words)
    second = ScriptedGateway(first.port)
    second.start()
    try:
        # Gradio loads the page anew when the server is back.
        expect(lost).to_have_count(0)
        expect(box(page)).to_have_value(words)
        expect_steps(page, 1)
        box(page).press("Enter")
        expect_steps(page, 2)
        page.reload()
        expect_steps(page, 2)
        expect(box(page)).to_have_value("")
    finally:
        second.stop()
