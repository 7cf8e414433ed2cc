"""The child: `vllm.benchmarks.serve`, imported once; one request for a run a line, JSON.

In: {"arguments": [...], "socket": PATH or null, "key": KEY or null}. Out: a line that begins
with RESULT and holds the tool's own result as JSON, or {"error": ...}.

The tool knows only TCP. With `socket` its connections go to that Unix socket instead, which is
where the engine behind the gateway listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any
from unittest import mock

import aiohttp
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser

RESULT = "lmft-load-result "


def run(arguments: list[str], socket: str | None, key: str | None) -> dict[str, Any]:
    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    os.environ["OPENAI_API_KEY"] = key or "none"
    parsed = parser.parse_args(arguments)

    def connector(**_: object) -> aiohttp.BaseConnector:
        return aiohttp.UnixConnector(path=str(socket), limit=0)

    instead = mock.patch.object(aiohttp, "TCPConnector", connector)
    with instead if socket is not None else contextlib.nullcontext():
        result: dict[str, Any] = asyncio.run(serve.main_async(parsed))
    return result


def main() -> None:
    # What the tool prints is for people; results have the descriptor that was stdout.
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(f"{RESULT}{{}}", file=results, flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            answer = run(**wanted)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(f"{RESULT}{json.dumps(answer)}", file=results, flush=True)


if __name__ == "__main__":
    main()
