"""The engine's own process: tie its life to the gateway's, then become vLLM's API server.

`python -m serving.engine.child PARENT_PID VLLM_ARGS...`
"""

from __future__ import annotations

import runpy
import sys

from lmft.processes import die_with_parent


def main() -> None:
    # SIGTERM lets vLLM take its own children down; the plugin ends them if it cannot.
    die_with_parent(int(sys.argv.pop(1)))
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
