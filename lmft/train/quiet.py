"""Keep the libraries' own bars and advice off the screen: what matters, lmft says itself."""

from __future__ import annotations

import logging
import os
import warnings


def quiet_libraries() -> None:
    """Call once, at the start of a command that trains; never on import."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("BITSANDBYTES_NOWELCOME", "1")
    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in ("bitsandbytes", "trl", "accelerate", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|trl|bitsandbytes)(\..*)?$")
