"""Do adapters keep apart that share a batch?"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

from safetensors.numpy import load_file, save_file

from lmft import paths
from lmft.errors import EngineError
from lmft.registry.adapters import Adapter
from lmft.registry.difference import mean_difference
from serving.engine.client import EngineClient
from serving.engine.reference import Answers, ask
from serving.engine.refusals import UpstreamRefusal


async def mixed_difference(
    client: EngineClient,
    adapter: Adapter,
    base: tuple[str, Answers],
    alone: tuple[str, Answers],
    ids: list[list[int]],
    twins: int,
) -> float:
    """The worst mean difference between answers in one batch and alone, over all models.

    The twins are to fill every slot that the adapter leaves: vLLM's own CPU operators give the
    base's rows the adapter of the last slot, which shows only when there is one.

    Raises:
        EngineError, UpstreamRefusal, AdapterRefused: the engine does not answer, or not to this.
        DiskFullError, MachineError: the twins cannot be written.
    """
    n_greedy = len(alone[1].greedy[0])
    models = [base, alone]
    names = [f"twin{number}-{alone[0]}" for number in range(1, twins + 1)]
    # What a killed server has left there goes by this, too.
    temporary = Path(tempfile.gettempdir())
    with paths.disk_errors(temporary), paths.scratch(temporary) as directory:
        try:
            for number, name in enumerate(names, 1):
                _write_twin(adapter.path, directory / name, factor=-1 / number)
                await client.load_adapter(name, directory / name)
                models.append((name, await ask(client, name, ids, n_greedy)))
            together = await _together(client, [name for name, _ in models], ids, n_greedy)
        finally:
            # Also the one whose loading broke off: the engine may have got so far. One that stayed
            # would be in the way of the next try, which gives it the same name.
            for name in names:
                with contextlib.suppress(EngineError, UpstreamRefusal):
                    await client.unload_adapter(name)
    return max(
        mean_difference(logprobs, solo.logprobs)
        for logprobs, (_, solo) in zip(together, models, strict=True)
    )


async def _together(
    client: EngineClient, names: list[str], ids: list[list[int]], n_greedy: int
) -> list[list[list[float]]]:
    """Each model's log-probabilities (P, T-1), asked prompt by prompt of all: an engine may read
    all prompts of the first one before the next one's arrive, and nothing would be mixed."""
    asked = [(name, prompt) for prompt in ids for name in names]
    answers = await asyncio.gather(
        *(ask(client, name, [prompt], n_greedy) for name, prompt in asked)
    )
    logprobs = [answer.logprobs[0] for answer in answers]
    return [logprobs[number :: len(names)] for number in range(len(names))]


def _write_twin(source: Path, target: Path, factor: float) -> None:
    """An adapter that surely answers differently: the same one, scaled and subtracted."""
    target.mkdir()
    tensors = load_file(source / "adapter_model.safetensors")
    save_file(
        {key: tensor * factor if "lora_B" in key else tensor for key, tensor in tensors.items()},
        target / "adapter_model.safetensors",
    )
    shutil.copyfile(source / "adapter_config.json", target / "adapter_config.json")
