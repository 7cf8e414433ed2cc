"""Every route of the server with what it does, who may ask and what it answers, from its own
OpenAPI document.

    python -m scripts.routes_table --write

writes docs/routes.md; without --write it prints it. A test keeps the page and the routes together.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from serving.gateway import app as gateway
from serving.gateway import documents
from serving.gateway.access.callers import scope_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "routes.md"
_EVERYWHERE = frozenset({"401", "403", "404", "413", "503"})
_OPEN = ("/healthz", "/readyz")
_HEAD = """# Routes

Made by `python -m scripts.routes_table --write` from the document that a server gives at
`/v1/openapi.json`, which has every field. A test holds that document against the running server
(schemathesis), and this page against the document. What the routes are for is said in
[api.md](api.md), [openai.md](openai.md) and [library.md](library.md). Besides the statuses that
are named, every route but the health checks may answer 401, 403, 404, 413 and 503.

| route | scope | what | answers |
|---|---|---|---|
"""


def page() -> str:
    """The whole of docs/routes.md."""
    app = FastAPI(title="lmft", openapi_url="/v1/openapi.json")
    for routes in gateway._ROUTES:
        app.include_router(routes.router)
    documents.describe(app)
    rows = [
        _row(method.upper(), path, operation)
        for path, operations in sorted(app.openapi()["paths"].items())
        for method, operation in operations.items()
    ]
    return _HEAD + "".join(rows)


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    scope = "open to all" if path in _OPEN else scope_of(method, path) or "any key"
    said = operation.get("description") or operation["summary"]
    what = " ".join(said.split("\n\n")[0].split())
    answers = ", ".join(sorted(operation["responses"].keys() - _EVERYWHERE))
    return f"| `{method} {path}` | {scope} | {what} | {answers} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="into docs/routes.md")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
