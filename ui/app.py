"""The pages as one Gradio app, and how it is mounted on a server."""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from fastapi import FastAPI

from ui import incoming, text, text_train, theme
from ui.client import Gateway
from ui.pages.compare import ComparePage
from ui.pages.play import PlayPage
from ui.pages.train import TrainPage

USER = "lmft"
MAX_FILE_BYTES = 512 << 20
# A file that was dropped while its page was being closed stays: looked for so often, kept so long.
_SWEEP_S, _ABANDONED_S = 600, 3600


def mount(
    app: FastAPI,
    base_url: str,
    api_key: str | None,
    path: str = "/",
    *,
    login: bool = True,
    max_file_bytes: int = MAX_FILE_BYTES,
) -> None:
    """Put the pages on `app`, below `path`.

    Call it last: mounted at "/", the pages get every request that no earlier route took, a GET
    on a POST route included. With a key set, the pages ask for it too, because whoever reaches
    them can use the models; `login=False` is for a server that asks before they do.

    Args:
        max_file_bytes: of a file that is dropped on the Train page.
    """
    gateway = Gateway(base_url, api_key)
    _close_with(app, gateway)
    password = api_key if login else None
    _quietly(lambda: _mount(app, gateway, password, path, max_file_bytes))


def _mount(
    app: FastAPI, gateway: Gateway, password: str | None, path: str, max_file_bytes: int
) -> None:
    gr.mount_gradio_app(
        app,
        _pages(gateway),
        path,
        # No footer: its API page lists nothing of ours (the API is /v1), its settings are the
        # browser's own business.
        footer_links=[],
        # On by default since Gradio 6.24: inputs and outputs would be kept in local storage.
        run_history=False,
        auth=(USER, password) if password else None,
        auth_message=text.LOGIN,
        allowed_paths=[],
        max_file_size=max_file_bytes,
        # Errors that we did not foresee belong in the log, not in the visitor's face.
        show_error=False,
        # Server-side rendering needs Node, and breaks logins (gradio#11008).
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme.theme(),
        css_paths=theme.STYLES,
        head=theme.head(),
    )


def _pages(gateway: Gateway) -> gr.Blocks:
    """Pages by route, not tabs: each has an address to bookmark, and an answer that is being
    written on one page is stopped, not left running unseen, when the visitor leaves it."""
    # After each event Gradio 6.31 sums up its last 10 000 with pandas, for a dashboard that is
    # off here. It has no option for it, only this.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(sys.maxsize))
    incoming.keep_private()
    blocks = gr.Blocks(
        title=text.TITLE, analytics_enabled=False, delete_cache=(_SWEEP_S, _ABANDONED_S)
    )
    with blocks:
        gr.Navbar(main_page_name=text.PLAY)
        PlayPage(blocks, gateway)
    with blocks.route(text.COMPARE, "/compare"):
        gr.Navbar(main_page_name=text.PLAY)
        ComparePage(blocks, gateway)
    with blocks.route(text_train.TRAIN, "/train"):
        gr.Navbar(main_page_name=text.PLAY)
        TrainPage(blocks, gateway)
    # The engine does the admission: Gradio's default of one at a time would make the second
    # visitor wait for the first.
    return blocks.queue(default_concurrency_limit=None, api_open=False)


def _close_with(app: FastAPI, gateway: Gateway) -> None:
    """Close the gateway's connections when `app` shuts down, whatever it does itself."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with inner(app) as state:
            try:
                yield state
            finally:
                await gateway.aclose()

    app.router.lifespan_context = lifespan


def _quietly(make: Callable[[], None]) -> None:
    """Call `make`, which builds with Gradio 6.31, without two of its side effects.

    Each lock of Gradio's that is made outside a running event loop makes a loop of its own and
    never closes it, so one is run around them. And for several pages it warns that it turns off
    server-side rendering, even where that was off.
    """

    async def inside_a_loop() -> None:
        make()

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SSR mode is not supported", UserWarning)
        if _loop_runs():
            make()
        else:
            asyncio.run(inside_a_loop())


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
