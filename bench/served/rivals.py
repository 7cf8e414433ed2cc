"""What lmft's serving is measured against: vLLM with its own LoRA operators; transformers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from bench.served.load import ROOT, Target
from lmft import paths
from lmft.dataset.encode import Encoder
from lmft.registry.adapters import Adapter
from serving.pool.catalog import Catalog
from serving.pool.memory import budget_bytes
from serving.pool.plan import Limits, plan_base

_START_SECONDS = 600
_KEY = "bench"
# Python imports a module of this name before anything else.
_WITHOUT_OURS = "import serving.vllm_plugin.cpu_lora_seam as seam\nseam.install = lambda: None\n"


@contextlib.contextmanager
def vllms_own_operators(adapter: Adapter) -> Iterator[tuple[Target, str, str]]:
    """vLLM as the gateway would start it for `adapter`, but with its own CPU operators.

    Yields it, the base's name there and the adapter's. Only one of them may be asked at a time:
    those operators mix up a batch of both.
    """
    catalog = Catalog()
    catalog.refresh()
    limits = Limits(budget_bytes())
    settings = plan_base(catalog, catalog.base_of(adapter), limits).settings(limits.memory_bytes)
    with tempfile.TemporaryDirectory(prefix="lmft-rival-") as scratch:
        (Path(scratch) / "sitecustomize.py").write_text(_WITHOUT_OURS)
        socket = Path(scratch) / "engine.sock"
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *settings.command(os.getpid(), socket)],
            cwd=ROOT,
            env=settings.environment(_KEY) | {"PYTHONPATH": scratch},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            headers = {"authorization": f"Bearer {_KEY}"}
            transport = httpx.HTTPTransport(uds=str(socket))
            with httpx.Client(transport=transport, headers=headers, timeout=120) as http:
                _wait(http, process)
                loaded = http.post(
                    "http://engine/v1/load_lora_adapter",
                    json={"lora_name": "rival", "lora_path": str(adapter.path)},
                )
                loaded.raise_for_status()
            yield Target("http://engine", str(socket), _KEY), settings.alias, "rival"
        finally:
            process.terminate()
            process.wait(60)


def _wait(http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"vLLM ended with {process.returncode}")
        with contextlib.suppress(httpx.TransportError):
            if http.get("http://engine/health").status_code == 200:
                return
        time.sleep(0.5)
    raise RuntimeError("vLLM did not start")


@torch.inference_mode()
def generate_speed(adapters: Sequence[Adapter], prompts: Sequence[str], n_tokens: int) -> float:
    """Tokens a second of transformers' `generate`: each prompt by an adapter of its own.

    One after the other, since PEFT knows no batch of several adapters that is as fast.
    """
    first = adapters[0]
    path = paths.bases_dir() / first.manifest.variant
    base = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, first.path, adapter_name="0").float().eval()
    for number, adapter in enumerate(adapters[1:], start=1):
        model.load_adapter(adapter.path, str(number))
    encoder = Encoder(path, first.contract.eos, straight_quotes=first.contract.fold_quotes)
    started = 0.0
    for number, prompt in [(0, prompts[0]), *enumerate(prompts)]:
        model.set_adapter(str(number))
        ids_1T = torch.tensor([encoder.text(prompt)])
        model.generate(
            input_ids=ids_1T,
            attention_mask=torch.ones_like(ids_1T),
            do_sample=False,
            min_new_tokens=n_tokens,
            max_new_tokens=n_tokens,
            pad_token_id=encoder.start_id,
        )
        # The first one warms up.
        started = started or time.perf_counter()
    return len(prompts) * n_tokens / (time.perf_counter() - started)
