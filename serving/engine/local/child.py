"""The local engine's own process.

`python -P -m serving.engine.local.child PARENT_PID --model=DIR ...`, with the key in VLLM_API_KEY.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from lmft.processes import die_with_parent

# Of the memory for keys and values, and never more of what is free once the base is loaded: a step
# copies what it appends to.
_CACHE_SHARE, _FREE_SHARE = 0.5, 0.4


def main() -> None:
    # First: whatever comes after it takes seconds.
    die_with_parent(int(sys.argv.pop(1)))
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    key = os.environ["VLLM_API_KEY"]

    import uvicorn
    from tokenizers import Tokenizer

    from lmft.bases import inspect_base
    from lmft.dataset.encode import Encoder
    from serving.engine.local.app import make_app
    from serving.engine.local.batch import Batch
    from serving.engine.local.engine import Engine
    from serving.engine.local.model import Model
    from serving.engine.local.runner import Runner

    base = inspect_base(arguments.model, arguments.served_model_name, arguments.served_model_name)
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    model = Model(arguments.model, arguments.dtype)
    given = int(_CACHE_SHARE * arguments.kv_cache_memory_bytes)
    room = min(given, int(_FREE_SHARE * model.free_bytes()))
    engine = Engine(
        model=model,
        runner=Runner(model, Batch(model, room, arguments.max_loras)),
        tokenizer=tokenizer,
        end_id=Encoder(arguments.model, base.eos_token).eos_id,
        context_length=arguments.max_model_len,
        base_name=arguments.served_model_name,
    )
    uvicorn.run(
        make_app(engine, key),
        uds=arguments.uds,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


def _arguments() -> argparse.Namespace:
    """vLLM's names, as far as they say something here."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--uds", required=True)
    parser.add_argument("--max-model-len", type=int, required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), required=True)
    parser.add_argument("--max-loras", type=int, default=1)
    parser.add_argument("--kv-cache-memory-bytes", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
