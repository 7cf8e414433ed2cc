"""The fast path against plain transformers and PEFT in fp32, on fresh random blocks.

The reference runs each document by itself: eager attention, published activations, no cache, no
packing, PEFT's own LoRA, all logits. LoRA B is random: at its usual zeros half of all gradients
would be zero.
"""

from __future__ import annotations

import functools
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmft import paths
from lmft.bases import Base
from lmft.dataset.blocks import IGNORED, Blocks
from lmft.train.batches import Collate
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Lora, Recipe
from tests.tiny import ARCHITECTURES, VOCABULARY, make_base

torch = pytest.importorskip("torch")

# Relative to the norm of what is compared; see `assert_close`.
FP32 = 1e-4
# The loss is summed in fp32, as it is in plain transformers; its hidden states are bf16.
BF16_LOSS = 1e-3
# Two ways to round in bf16 differ in their luck.
BF16_RATIO = 1.5
LORA = Lora(rank=4, alpha=8)
PLAN = Plan("cpu", "none", "float32", 40, 4, 1, (), micro_blocks=4)
COMMON = ("gpt2", "gpt_neox", "opt_projected", "llama")
RARE = tuple(name for name in ARCHITECTURES if name not in COMMON)
COMMON_FIRST = [*COMMON, *(pytest.param(name, marks=pytest.mark.long) for name in RARE)]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    _base.cache_clear()


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lmft-tiny-")


@functools.cache
def _base(name: str) -> Base:
    return make_base(Path(_directory().name) / name, name)


def fast_model(name: str, plan: Plan = PLAN) -> Any:
    from lmft.train.model import load_trainable

    model = load_trainable(_base(name), plan, LORA, seed=1)
    for number, parameter in enumerate(learnt(model).values()):
        fixed = torch.Generator().manual_seed(number)
        torch.nn.init.normal_(parameter, std=0.05, generator=fixed)
    return model.train()


def reference_model(name: str, fast: Any, path: Path | None = None, rounded: bool = False) -> Any:
    """Plain transformers and PEFT with the LoRA of `fast`; in the weights that bf16 can hold when
    `rounded`. `path`: another form of the base, a served variant say."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(
        path or _base(name).path,
        attn_implementation="eager",
        dtype=torch.bfloat16 if rounded else torch.float32,
    ).float()
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        fan_in_fan_out=name == "gpt2",
    )
    return with_lora_of(fast, get_peft_model(plain, config)).eval()


def with_lora_of(fast: Any, model: Any) -> Any:
    theirs = learnt(fast)
    with torch.no_grad():
        for key, parameter in learnt(model).items():
            parameter.copy_(theirs.pop(key))
    assert not theirs, "the fast path learns other layers than PEFT would"
    return model


def learnt(model: Any) -> dict[str, Any]:
    return {name: one for name, one in model.named_parameters() if one.requires_grad}


def gradients(model: Any) -> dict[str, Any]:
    taken = {name: one.grad.clone() for name, one in learnt(model).items()}
    model.zero_grad()
    return taken


def joined(tensors: dict[str, Any]) -> Any:
    return torch.cat([one.flatten() for one in tensors.values()])


def random_blocks(*, packed: bool, n_blocks: int = 4, length: int = 40) -> tuple[Blocks, int]:
    """Blocks of random tokens, some of them ignored, and the seed that gives them again."""
    seed = secrets.randbits(32)
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, VOCABULARY, (n_blocks, length))
    segments = np.zeros_like(ids)
    if packed:
        # The first block stays whole; in the second a document is a single token.
        for row, starts in enumerate(([], [17, 18], [5, 31], [1]), start=0):
            segments[row % n_blocks, starts] += 1
        segments = segments.cumsum(axis=1)
    labels = np.where(rng.random(ids.shape) < 0.7, ids, IGNORED)
    labels[:, 0] = IGNORED
    labels[:, 1:][np.diff(segments) != 0] = IGNORED
    return Blocks(ids, labels, segments.astype(np.int32)), seed


def reference_loss(reference: Any, blocks: Blocks) -> Any:
    total = 0
    rows = zip(blocks.ids_NT, blocks.labels_NT, blocks.segments_NT, strict=True)
    for ids, labels, segments in rows:
        for number in np.unique(segments):
            here = torch.from_numpy(segments == number)
            ids_S, labels_S = torch.from_numpy(ids)[here], torch.from_numpy(labels)[here]
            logits_SV = reference(input_ids=ids_S[None], use_cache=False).logits[0]
            total += torch.nn.functional.cross_entropy(
                logits_SV[:-1], labels_S[1:], ignore_index=IGNORED, reduction="sum"
            )
    return total


def batch_of(blocks: Blocks) -> dict[str, Any]:
    return Collate(blocks)(list(range(len(blocks.ids_NT))))


def assert_close(
    got: dict[str, Any], wanted: dict[str, Any], tolerance: float, message: str
) -> None:
    """Every tensor within `tolerance` of its own norm, or of 1% of the norm of all."""
    assert got.keys() == wanted.keys()
    whole = torch.stack([one.norm() for one in wanted.values()]).norm()
    for name, one in wanted.items():
        assert one.norm() > 0, f"{name} has no gradient to compare; {message}"
        error = (got[name].float() - one).norm() / max(one.norm(), 0.01 * whole)
        assert error < tolerance, f"{name} is off by {error:.1e}; {message}"


def compare(fast: Any, reference: Any, *, packed: bool, tolerance: float) -> None:
    blocks, seed = random_blocks(packed=packed)
    message = f"blocks of seed {seed}"
    loss = fast(**batch_of(blocks))
    loss.backward()
    wanted = reference_loss(reference, blocks)
    wanted.backward()
    assert abs(loss.item() / wanted.item() - 1) < tolerance, message
    assert_close(gradients(fast), gradients(reference), tolerance, message)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loss_and_gradients_equal_a_plain_reference_packed_unpacked_and_checkpointed(
    name: str,
) -> None:
    fast = fast_model(name)
    reference = reference_model(name, fast)
    assert not fast.get_base_model().lmft_plain_head
    for packed in (False, True):
        compare(fast, reference, packed=packed, tolerance=FP32)
    fast.gradient_checkpointing_enable({"use_reentrant": False})
    compare(fast, reference, packed=True, tolerance=FP32)


@pytest.mark.parametrize("name", COMMON_FIRST)
@pytest.mark.parametrize("keep_dequantised", [False, True])
def test_nf4_equals_a_plain_reference_over_the_dequantised_weights(
    name: str, keep_dequantised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmft.train.variant import export_variant, variant_name

    monkeypatch.setattr(paths, "bases_dir", lambda: tmp_path)
    plan = replace(PLAN, quantization="nf4", keep_dequantised=keep_dequantised)
    fast = fast_model(name, plan)
    served = export_variant(_base(name), plan, fast, variant_name(_base(name), plan, "dequantized"))
    compare(fast, reference_model(name, fast, served), packed=True, tolerance=FP32)


@pytest.mark.parametrize("name", COMMON_FIRST)
def test_bf16_is_as_right_as_plain_bf16_with_masters_and_gradients_in_fp32(name: str) -> None:
    from lmft.train.model import add_lora, load_base

    plan = replace(PLAN, compute_dtype="bfloat16")
    fast = fast_model(name, plan)
    exact = reference_model(name, fast, rounded=True)
    plain = with_lora_of(fast, add_lora(load_base(_base(name), plan), LORA, seed=1))
    blocks, seed = random_blocks(packed=True)
    losses = [
        fast(**batch_of(blocks)), reference_loss(plain, blocks), reference_loss(exact, blocks)
    ]  # fmt: skip
    for loss in losses:
        loss.backward()
    assert abs(losses[0].item() / losses[2].item() - 1) < BF16_LOSS, f"seed {seed}"
    got, usual, wanted = map(joined, map(gradients, (fast, plain, exact)))
    assert got.dtype == torch.float32 == next(iter(learnt(fast).values())).dtype
    error, usual_error = ((one - wanted).norm() / wanted.norm() for one in (got, usual))
    assert error < BF16_RATIO * usual_error < 0.15, f"seed {seed}"


@pytest.mark.long
@pytest.mark.parametrize("name", ["gpt2", "llama", "gpt_neo"])
def test_compiled_blocks_compute_the_same_and_compile_once(name: str) -> None:
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    fast = fast_model(name, replace(PLAN, compile=True))
    reference = reference_model(name, fast)
    for packed in (False, True):
        compare(fast, reference, packed=packed, tolerance=FP32)
    counters.clear()
    compare(fast, reference, packed=True, tolerance=FP32)
    ids = torch.arange(1, 12)[None]
    fast.eval()
    with torch.no_grad():
        fast(input_ids=ids, picked=torch.arange(10), targets=ids[0, 1:])
        fast.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=3)
    assert not counters["stats"], "other cuts, or an evaluation, made torch.compile start anew"


def test_eight_blocks_at_once_give_the_gradient_of_one_block_eight_times(tmp_path: Path) -> None:
    from transformers import TrainerCallback

    from lmft.train.trainer import make_trainer

    class Keep(TrainerCallback):  # type: ignore[misc]
        kept: dict[str, Any]

        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            self.kept = {name: one.grad.clone() for name, one in learnt(model).items()}

    blocks, seed = random_blocks(packed=True, n_blocks=8)
    # Blocks with little to learn, and one with nothing: a mean of means would be another.
    blocks.labels_NT[2, 4:] = blocks.labels_NT[5] = IGNORED
    seen = []
    for micro, accumulation in ((8, 1), (1, 8)):
        keep = Keep()
        plan = replace(PLAN, batch_blocks=8, micro_blocks=micro, accumulation=accumulation)
        recipe = Recipe(name="x", data="x")
        make_trainer(fast_model("gpt2", plan), blocks, recipe, plan, tmp_path, [keep]).train()
        seen.append(keep.kept)
    assert_close(seen[1], seen[0], FP32, f"seed {seed}")
    # The trainer has clipped them: the same direction as the reference is left.
    fast = fast_model("gpt2")
    reference_loss(reference := reference_model("gpt2", fast), blocks).backward()
    got, wanted = joined(seen[0]), joined(gradients(reference))
    assert (got / got.norm() - wanted / wanted.norm()).norm() < FP32, f"seed {seed}"


def test_ignored_labels_are_not_learnt() -> None:
    fast = fast_model("gpt2")
    blocks, _ = random_blocks(packed=True)
    losses = []
    for keep in (slice(0, 20), slice(20, 40), slice(0, 40)):
        labels = np.full_like(blocks.labels_NT, IGNORED)
        labels[:, keep] = blocks.labels_NT[:, keep]
        losses.append(fast(**batch_of(replace(blocks, labels_NT=labels))).item())
    assert losses[2] == pytest.approx(losses[0] + losses[1], rel=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_dropout_is_left_and_the_lora_is_on_the_blocks_alone(name: str) -> None:
    fast = fast_model(name)
    for where, module in fast.named_modules():
        for key, value in vars(module).items():
            dropped = "drop" in key and isinstance(value, float)
            assert not (dropped and value), f"{where}.{key} is {value}"
        assert not isinstance(module, torch.nn.Dropout) or module.p == 0, where
    batch = batch_of(random_blocks(packed=True)[0])
    with torch.no_grad():
        assert fast(**batch).item() == fast(**batch).item()
    head = fast.get_output_embeddings()
    assert isinstance(head, torch.nn.Linear)
    assert not hasattr(head, "lora_A")
    assert all(".layers." in key or ".h." in key or ".project_" in key for key in learnt(fast))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_calls_answer_as_before_between_training_calls(name: str) -> None:
    """Generation with its cache and padding, logits, and the base alone; then training again."""
    fast = fast_model(name)
    reference = reference_model(name, fast)
    packed = batch_of(random_blocks(packed=True)[0])
    before = fast(**packed).item()
    ids_BT = torch.randint(1, VOCABULARY, (2, 12))
    fast.eval()
    for padding in (slice(0, 5), slice(8, 12)):
        mask_BT = torch.ones_like(ids_BT)
        mask_BT[1, padding] = 0
        with torch.no_grad():
            got, wanted = (
                model(input_ids=ids_BT, attention_mask=mask_BT).logits[mask_BT == 1]
                for model in (fast, reference)
            )
        assert (got - wanted).norm() < FP32 * wanted.norm()
    mask_BT = torch.ones_like(ids_BT)
    mask_BT[1, :5] = 0
    ask = {"input_ids": ids_BT, "attention_mask": mask_BT, "max_new_tokens": 4, "do_sample": False}
    answers = [model.generate(**ask, pad_token_id=0) for model in (fast, reference)]
    assert torch.equal(*answers)
    with torch.no_grad(), fast.disable_adapter(), reference.disable_adapter():
        plain = fast(input_ids=ids_BT, picked=torch.arange(11), targets=ids_BT[0, 1:]).item()
        logits = reference(input_ids=ids_BT[:1]).logits[0, :-1]
    nats = torch.nn.functional.cross_entropy(logits, ids_BT[0, 1:], reduction="sum").item()
    assert plain == pytest.approx(nats, rel=1e-5)
    assert fast.train()(**packed).item() == before


def test_the_fast_call_refuses_padding() -> None:
    fast = fast_model("gpt2")
    batch = batch_of(random_blocks(packed=False)[0])
    with pytest.raises(ValueError, match="attention_mask"):
        fast(**batch, attention_mask=torch.ones_like(batch["input_ids"]))
