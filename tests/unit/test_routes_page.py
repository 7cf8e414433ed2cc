"""docs/routes.md is what the routes themselves say."""

from __future__ import annotations

from scripts.routes_table import PAGE, page


def test_the_page_of_routes_is_what_the_document_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m scripts.routes_table --write"
