"""What a visitor does and sees on the pages, in the words of the tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

OpenPage = Callable[..., Page]
Shoot = Callable[[Page, str], None]

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def arrive_at_play(page: Page) -> None:
    """The page has found its models."""
    expect(page.get_by_role("combobox", name="Narrator")).not_to_have_value("")


def arrive_at_compare(page: Page) -> None:
    expect(page.get_by_role("combobox", name="Model A")).not_to_have_value("")
    expect(page.get_by_label("Seed")).not_to_have_value("")


def box(page: Page, label: str = "Your turn") -> Locator:
    return page.get_by_label(label, exact=True)


def send(page: Page, words: str, label: str = "Your turn") -> None:
    box(page, label).fill(words)
    box(page, label).press("Enter")


def story(page: Page) -> Locator:
    return page.get_by_test_id("story")


def expect_steps(page: Page, count: int) -> None:
    """So many turns are told, and nothing is being written."""
    expect(story(page)).to_have_attribute("data-steps", str(count))
    expect_play(page, "done" if count else "idle")


def expect_play(page: Page, state: str) -> None:
    expect(page.get_by_test_id("play-status")).to_have_attribute("data-state", state)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def choose(page: Page, label: str, option: str) -> None:
    """Pick the option that holds `option` from a dropdown."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=re.compile(re.escape(option))).click()


def column(page: Page, side: str) -> Locator:
    return page.get_by_test_id(f"column-{side}")


def expect_column(page: Page, side: str, state: str) -> None:
    expect(column(page, side)).to_have_attribute("data-state", state)


# Resolves when the page has not changed for 0.2 s.
_AT_REST = """() => new Promise((rest) => {
  const watch = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(end, 200); });
  const end = () => { watch.disconnect(); rest(); };
  let timer = setTimeout(end, 200);
  watch.observe(document.body, { subtree: true, childList: true, attributes: true });
})"""


def unfold(page: Page, name: str) -> None:
    """An accordion; its arrow is part of its name.

    Gradio makes its fields only now, and once more with their values: what is typed into one
    between the two, within milliseconds, would be gone.
    """
    page.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).click()
    page.evaluate(_AT_REST)


def arrive_at_train(page: Page) -> None:
    """The page knows the server's jobs."""
    expect(page.get_by_test_id("jobs")).to_be_visible()


def drop(page: Page, *files: Path, zone: str = "train-drop") -> None:
    page.locator(f"#{zone} input[type=file]").set_input_files(files)


def expect_job(page: Page, state: str) -> None:
    expect(page.get_by_test_id("job")).to_have_attribute("data-state", state)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)
