"""Settings that the libraries take from the environment, made before they are imported."""

from __future__ import annotations

import logging
import os
import warnings


def prepare_libraries() -> None:
    """Call once, before torch is imported, in a command that trains; never on import.

    Keeps the libraries' own bars and advice off the screen (what matters, lmft says itself).
    """
    prepare_torch()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # As nvidia-smi counts GPUs, which is where the plan has its figures from.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ.setdefault("BITSANDBYTES_NOWELCOME", "1")
    import datasets

    datasets.disable_progress_bars()
    for name in ("bitsandbytes", "trl", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|trl|bitsandbytes)(\..*)?$")


def prepare_torch() -> None:
    """The same for a command that needs torch and transformers only.

    Makes torch's threads sleep while they wait: spinning, as is the default, one other busy
    program on the same cores slows training down more than twofold.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("torch").setLevel(logging.ERROR)
