"""Chromium for the browser tests, and the scripted gateway.

One browser a module, not a session: while Playwright's synchronous API runs, its event loop
counts as running in this thread, and `asyncio.run` in any other test would be refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.scripted import ScriptedGateway
from tests.browser.steps import DESKTOP, OpenPage, Shoot

CHROMIUM = Path(os.environ.get("LMFT_CHROMIUM", "/usr/bin/chromium"))
SCREENSHOTS = Path(os.environ.get("LMFT_SCREENSHOTS", Path(__file__).parents[2] / "screenshots"))
# Generous: slow shared cores, and a language model on a CPU behind some of the pages.
expect.set_options(timeout=60_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before any fixture: without a browser, no engine need be started for it."""
    if CHROMIUM.exists():
        return
    missing = pytest.mark.skip(
        reason=f"{CHROMIUM} is missing: NO PAGE IS TESTED. apt-get install chromium, or set "
        "LMFT_CHROMIUM to one of your own"
    )
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(missing)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            # As root, in a container, with a small /dev/shm.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address in a visitor's own context. No page may throw or call the internet."""
    contexts = []
    faults: list[str] = []

    def open_page(url: str, **options: object) -> Page:
        context = browser.new_context(**(DESKTOP | options))
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        origin = "/".join(url.split("/")[:3])
        page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (faults.append("a dialog opened"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((origin, "data:", "blob:"))
                or faults.append(f"the page called {request.url}")
            ),
        )
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="session")
def shoot() -> Shoot:
    """Saves a screenshot of the whole page for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def shoot(page: Page, name: str) -> None:
        page.evaluate("document.fonts.ready")
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True, animations="disabled")

    return shoot


@pytest.fixture(scope="module")
def _scripted_server() -> Iterator[ScriptedGateway]:
    server = ScriptedGateway()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def scripted(_scripted_server: ScriptedGateway) -> ScriptedGateway:
    """The scripted gateway with nothing in its script."""
    _scripted_server.reset()
    return _scripted_server
