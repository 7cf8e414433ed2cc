"""What `auto` becomes, and how much memory, time and disk it is said to take. Loads nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmft import machine
from lmft.bases import Base, resolve_base
from lmft.dataset.blocks import Blocks
from lmft.device.records import Serving
from lmft.device.registered import Registered
from lmft.errors import MachineError
from lmft.train.planning import speed
from lmft.train.planning.disk import disk_of, required_disk_bytes
from lmft.train.planning.flops import flops_per_token
from lmft.train.planning.hardware import peak_flops
from lmft.train.planning.memory import Memory, Setting, memory_of
from lmft.train.planning.plan import Plan, choose_block_tokens, make_plan
from lmft.train.planning.shape import Shape, shape_of
from lmft.train.planning.speed import choose_compile
from lmft.train.recipe import Lora, Recipe, parse_recipe
from tests.tiny import ARCHITECTURES

GB = 10**9
GPT2_XL = {
    "model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25, "vocab_size": 50257,
}  # fmt: skip
LLAMA_8B = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 128256,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
}  # fmt: skip
GPU = machine.Gpu("NVIDIA H200", 141 * GB, 140 * GB, 9.0)


def recipe(**changes: object) -> Recipe:
    return parse_recipe({"name": "a", "data": "x", **changes}, "here")


def blocks(n_blocks: int = 64, tokens: int = 256) -> Blocks:
    ids = np.ones((n_blocks, tokens), dtype=np.int64)
    return Blocks(ids, ids, np.zeros_like(ids, dtype=np.int32))


def base_of(config: dict[str, object], n_parameters: float, folder: Path) -> Base:
    """A base of that size, as far as planning looks at it: there are no weights."""
    (folder / "config.json").write_text(json.dumps(config))
    named = resolve_base("embedded")
    return replace(named, name="big", path=folder, n_parameters=int(n_parameters))


def plan(wanted: Recipe, n_blocks: int = 64, tokens: int = 256, base: Base | None = None) -> Plan:
    return make_plan(wanted, base or resolve_base("embedded"), blocks(n_blocks, tokens), "")


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The session's own server would make room for what is planned here."""
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch):
    def set_free(n_bytes: float) -> None:
        monkeypatch.setattr(machine, "free_memory_bytes", lambda: int(n_bytes))

    monkeypatch.setattr(machine, "gpus", lambda: ())
    set_free(64 * GB)
    return set_free


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch):
    def set_free(n_bytes: float) -> None:
        found = (replace(GPU, free_bytes=int(n_bytes)),)
        monkeypatch.setattr(machine, "gpus", lambda: found)

    set_free(GPU.free_bytes)
    return set_free


@pytest.mark.usefixtures("free")
def test_a_step_is_one_pass_where_memory_allows_it() -> None:
    made = plan(recipe(training={"batch_blocks": 8}))
    assert (made.micro_blocks, made.accumulation) == (8, 1)
    assert not made.activation_checkpointing
    assert made.keep_dequantised


@pytest.mark.parametrize(
    ("epochs", "n_blocks", "batch", "steps"),
    [(3, 10, 32, 1), (3, 10, 4, 8), (1, 10, 4, 3), (0.3, 64, 8, 3), (1.1, 10, 1, 11)],
)
def test_a_run_has_the_epochs_that_were_asked_for(
    epochs: float, n_blocks: int, batch: int, steps: int
) -> None:
    """Whole steps, and no more than one that is begun: epochs follow without a gap."""
    wanted = recipe(training={"epochs": epochs, "batch_blocks": batch})
    assert plan(wanted, n_blocks).steps == steps


def test_less_memory_makes_smaller_passes_of_the_same_step(free) -> None:
    wanted = recipe(training={"batch_blocks": 512})
    passes = []
    for gigabytes in (64, 8, 4, 2):
        free(gigabytes * GB)
        made = plan(wanted)
        assert made.micro_blocks * made.accumulation == 512
        assert made.memory is not None
        assert made.memory.peak <= 0.9 * gigabytes * GB
        assert not made.activation_checkpointing
        passes.append(made.micro_blocks)
    assert passes[0] == 512
    assert sorted(passes, reverse=True) == passes
    assert len(set(passes)) == 4


def test_activations_are_computed_again_only_when_not_even_one_block_fits(free) -> None:
    one_block = recipe(training={"batch_blocks": 2, "micro_blocks": 1})
    memory = plan(one_block, tokens=1024).memory
    assert memory is not None
    needed = memory.peak / 0.9
    wanted = recipe(training={"batch_blocks": 2})
    free(needed + 20e6)
    assert not plan(wanted, tokens=1024).activation_checkpointing
    free(needed - 40e6)
    made = plan(wanted, tokens=1024)
    assert made.activation_checkpointing
    assert any("activation_checkpointing on" in reason for reason in made.reasons)


def test_what_cannot_fit_is_refused_with_what_would(free) -> None:
    free(3 * GB)
    wanted = recipe(
        training={
            "batch_blocks": 1000, "micro_blocks": 1000, "activation_checkpointing": False,
            "compile": False,
        }
    )  # fmt: skip
    with pytest.raises(MachineError) as refused:
        plan(wanted)
    message = str(refused.value)
    assert "3.0 GB are free" in message
    assert "with training.activation_checkpointing true" in message
    assert "\n" not in message
    named = {"activation_checkpointing": True, "micro_blocks": 1, "batch_blocks": 1000}
    fitting = plan(recipe(training=named)).memory
    assert fitting is not None
    assert fitting.peak <= 0.9 * 3 * GB


def test_nothing_is_refused_where_the_system_does_not_say_what_is_free(free) -> None:
    free(0)
    assert (
        plan(recipe(training={"batch_blocks": 100_000, "compile": False})).micro_blocks == 100_000
    )


@pytest.mark.usefixtures("gpu")
def test_a_gpu_gets_passes_of_16k_to_32k_tokens() -> None:
    made = plan(recipe(training={"batch_blocks": 128}), n_blocks=4096, tokens=1024)
    assert 16_000 <= made.micro_blocks * made.block_tokens <= 32_768
    assert made.micro_blocks * made.accumulation == 128


def test_a_large_base_is_quantised_and_a_small_one_not(gpu, tmp_path: Path) -> None:
    xl = base_of({**GPT2_XL, "n_positions": 1024}, 1.56e9, tmp_path)
    large = plan(recipe(quantization="auto"), 4096, 1024, base=xl)
    assert (large.quantization, large.keep_dequantised) == ("nf4", True)
    assert plan(recipe(quantization="auto")).quantization == "none"
    gpu(6 * GB)
    tight = plan(recipe(quantization="auto"), 4096, 1024, base=xl)
    assert (tight.quantization, tight.keep_dequantised) == ("nf4", False)
    assert tight.micro_blocks < large.micro_blocks


@pytest.mark.usefixtures("free")
def test_the_blocks_of_a_step_are_rounded_up_to_what_the_processes_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    made = plan(recipe(training={"batch_blocks": 10}))
    assert made.batch_blocks == 12
    assert made.micro_blocks * made.accumulation * 4 == 12
    assert any("batch_blocks 12" in reason for reason in made.reasons)


@pytest.mark.usefixtures("free")
def test_pairs_of_answers_stay_together() -> None:
    training = {"batch_blocks": 6, "micro_blocks": 3}
    made = plan(recipe(method="dpo", format={"kind": "chat"}, training=training))
    assert made.micro_blocks % 2 == 0


@pytest.mark.usefixtures("free")
def test_every_choice_has_a_reason() -> None:
    words = " ".join(plan(recipe(quantization="auto")).reasons)
    for key in (
        *("quantization", "batch_blocks", "micro_blocks"),
        *("activation_checkpointing", "compile"),
    ):
        assert f"{key} " in words


def test_only_a_run_that_gains_more_than_compiling_costs_is_compiled(monkeypatch) -> None:
    shape, bf16 = shape_of(resolve_base("embedded")), ("cpu", "bfloat16", 256)
    monkeypatch.setattr(speed, "peak_flops", lambda device: 1e12)
    short, why = choose_compile(recipe(), shape, *bf16, 10**6)
    assert not short
    assert "45 s" in why
    monkeypatch.setenv("PATH", "")
    long, why = choose_compile(recipe(), shape, *bf16, 10**9)
    assert not long
    assert "no C++ compiler" in why
    assert not choose_compile(recipe(), shape, "cpu", "float32", 256, 10**9)[0]
    refused = recipe(training={"compile": False})
    assert choose_compile(refused, shape, *bf16, 10**9) == (
        False,
        "compile off: as the recipe says",
    )


@pytest.mark.usefixtures("free")
def test_blocks_are_no_longer_than_what_the_attention_sees(tmp_path: Path) -> None:
    sliding = {**LLAMA_8B, "model_type": "mistral", "sliding_window": 128}
    base = base_of(sliding, 7e9, tmp_path)
    assert choose_block_tokens(recipe(), base, 10**6)[0] == 128
    assert "128" in choose_block_tokens(recipe(), base, 10**6)[1]
    (tmp_path / "config.json").write_text(json.dumps({**sliding, "sliding_window": None}))
    assert choose_block_tokens(recipe(), base, 10**6)[0] == 256


# Of one of transformers' own modules.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_sizes_of_every_architecture_are_those_of_its_model(architecture: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    kind, changes = ARCHITECTURES[architecture]
    config = AutoConfig.for_model(kind, **{"vocab_size": 512, "pad_token_id": None, **changes})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    linears = [
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D)) and re.search(r"\.\d+\.", name)
    ]
    shape = Shape.of(config)
    assert shape.layers * len(shape.linears) == len(linears)
    assert shape.n_linear == sum(linears)
    assert shape.n_head == head.weight.numel()


def test_flops_are_those_of_the_formula_for_the_published_shapes() -> None:
    """0.56, 6.77 and 30.96 GFLOP a token at 1024 tokens, with and without what LoRA adds."""
    small = {**GPT2_XL, "n_embd": 768, "n_layer": 12, "n_head": 12}
    for config, giga in ((small, 0.56), (GPT2_XL, 6.77), (LLAMA_8B, 30.96)):
        flops = flops_per_token(config, Lora(rank=1), 1024, False) / 1e9
        assert flops == pytest.approx(giga, rel=0.01)
    twice = flops_per_token(GPT2_XL, Lora(), 1024, True)
    shape = Shape.of(GPT2_XL)
    more = 2 * shape.n_linear + 2 * 48 * 1024 * 1600
    assert twice - flops_per_token(GPT2_XL, Lora(), 1024, False) == more


def test_a_gpu_is_known_by_its_name_and_a_cpu_is_measured(gpu, monkeypatch) -> None:
    assert peak_flops("cuda") == 989e12
    unknown = (replace(GPU, name="NVIDIA Riva 128"),)
    monkeypatch.setattr(machine, "gpus", lambda: unknown)
    assert peak_flops("cuda") is None
    cpu = peak_flops("cpu")
    assert cpu is not None
    assert 1e9 < cpu < 1e15


def test_memory_grows_with_tokens_and_falls_with_every_means_to_save_it() -> None:
    shape = Shape.of(GPT2_XL)

    def peak(**changes: object) -> int:
        setting = Setting("cuda", 2, "nf4", 16, 1024, 16_384)
        return memory_of(shape, 1_558_000_000, 0, replace(setting, **changes)).peak

    usual = peak()
    # 34 * D * L bytes a token without checkpointing, at 16k tokens.
    assert 40 * GB < usual < 50 * GB
    assert peak(micro_tokens=8192) < 0.6 * usual
    assert peak(checkpointing=True) < 0.2 * usual
    assert peak(quantization="none") - usual == pytest.approx(2.1 * GB, rel=0.1)
    assert peak(keep_dequantised=True) - usual == pytest.approx(2.9 * GB, rel=0.1)
    assert peak(element_bytes=4) > 1.8 * usual


def test_the_peak_is_the_parts_together_or_loading() -> None:
    assert Memory(1, 2, 3, 4, 5).peak == 10
    assert Memory(1, 2, 3, 4, 50).peak == 53


def test_the_loss_takes_the_memory_that_is_counted_for_it() -> None:
    from lmft.train.fast.head import chunk_tokens
    from lmft.train.planning.memory import HEAD_CHUNK_BYTES

    for device, n_bytes in HEAD_CHUNK_BYTES.items():
        assert chunk_tokens(8192, device) * 8192 * 4 == n_bytes


def test_disk_is_counted_for_adapter_checkpoints_and_the_served_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    base, wanted = resolve_base("embedded"), recipe()
    n_lora = shape_of(base).n_lora(16)
    first = disk_of(wanted, base, "nf4", "float32")
    assert first.adapter == 4 * n_lora
    assert first.checkpoints == 36 * n_lora
    assert first.variant == 4 * base.n_parameters
    assert required_disk_bytes(wanted, base) >= first.adapter + first.checkpoints
    from lmft.train.variant import variant_name

    made = Plan("cpu", "nf4", "float32", 64, 4, 1, ())
    (tmp_path / "bases" / variant_name(base, made, wanted.serve_base)).mkdir(parents=True)
    assert disk_of(wanted, base, "nf4", "float32").variant == 0


def a_server(engine_bytes: float) -> Registered[Serving]:
    return Registered(Serving(pid=1, device=("cpu",), engine_bytes=int(engine_bytes)))


def test_beside_a_server_a_step_is_smaller_before_the_server_has_to_go(free) -> None:
    wanted = recipe(training={"batch_blocks": 512})
    free(64 * GB)
    with a_server(8 * GB):
        assert not plan(wanted).alone
        free(2 * GB)
        made = plan(wanted)
    assert not made.alone
    assert made.micro_blocks < 512
    assert made.free_bytes == 2 * GB


def test_what_does_not_fit_beside_a_server_is_planned_in_its_place(free) -> None:
    free(0.5 * GB)
    with pytest.raises(MachineError):
        plan(recipe())
    with a_server(4 * GB):
        made = plan(recipe())
    assert made.alone
    assert made.free_bytes == 4.5 * GB
    assert any("servers here stop their engines" in reason for reason in made.reasons)
    with a_server(0.1 * GB), pytest.raises(MachineError, match=r"0\.6 GB are free"):
        plan(recipe())


def test_a_server_nearby_does_not_make_the_model_4_bit(
    free, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fit beside the server in 4-bit; but then the server changed what is learnt.

    4-bit needs 6 GB and none 9, in float32, and what this process holds already, up to 1 after
    many tests.
    """
    monkeypatch.setattr(machine, "cpu_has_bf16", lambda: False)
    base = base_of({**GPT2_XL, "n_layer": 24, "n_positions": 1024}, 0.9e9, tmp_path)
    wanted = recipe(quantization="auto")
    free(11 * GB)
    assert plan(wanted, base=base).quantization == "none"
    free(7.5 * GB)
    assert plan(wanted, base=base).quantization == "nf4"
    with a_server(20 * GB):
        made = plan(wanted, base=base)
    assert (made.quantization, made.alone) == ("none", True)


@pytest.mark.usefixtures("gpu")
def test_on_a_gpu_a_training_always_has_the_servers_place(gpu) -> None:
    gpu(1 * GB)
    held = Serving(pid=1, device=("cuda",), engine_bytes=int(20 * GB))
    with Registered(held):
        made = plan(recipe(quantization="none"))
    assert made.alone
    assert made.free_bytes == 21 * GB
