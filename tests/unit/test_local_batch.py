"""The local engine's batch: what it answers is what transformers and PEFT answer, whoever else is
in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.local_engine import ADAPTERS, Bench, make_models

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
PROMPTS = ([5, 6, 7], list(range(40, 70)), [900], list(range(200, 212)))
MODELS = ("base", *ADAPTERS)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield make_models(tmp_path_factory.mktemp("models"))
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bench(models: Path) -> Bench:
    return Bench(models)


@pytest.fixture(scope="module")
def plain(models: Path) -> dict[str, Any]:
    """The same models by transformers and PEFT alone."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = {}
    for name in MODELS:
        model = AutoModelForCausalLM.from_pretrained(models / "base").eval()
        made[name] = (
            model if name == "base" else PeftModel.from_pretrained(model, models / name).eval()
        )
    return made


def logprobs_of(model: Any, ids: list[int]) -> Any:
    with torch.no_grad():
        return torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), -1)


@pytest.mark.parametrize("name", MODELS)
def test_scores_of_prompt_and_answer_are_those_of_transformers(
    bench: Bench, plain: dict[str, Any], name: str
) -> None:
    prompt = PROMPTS[1]
    answer = bench.alone(prompt, name, logprobs=3, prompt_logprobs=2)
    ids = [*prompt, *answer.tokens]
    wanted = logprobs_of(plain[name], ids)
    scored = [*answer.pieces[0].prompt_scored, *(p.scored[0] for p in answer.pieces)]
    for place, row in enumerate(scored):
        token, logprob, rank = row[0]
        assert token == ids[place + 1]
        assert logprob == pytest.approx(wanted[place, token].item(), abs=1e-4)
        assert rank == (wanted[place] > wanted[place, token]).sum().item() + 1
        best = torch.topk(wanted[place], len(row) - 1)
        assert [entry[0] for entry in row[1:]] == best.indices.tolist()
    assert {len(row) for row in scored[: len(prompt) - 1]} == {3}
    assert {len(row) for row in scored[len(prompt) - 1 :]} == {4}


@pytest.mark.parametrize("name", MODELS)
def test_greedy_answers_are_those_of_generate(
    bench: Bench, plain: dict[str, Any], name: str
) -> None:
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        wanted = plain[name].generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=8,
            min_new_tokens=8,
            do_sample=False,
            pad_token_id=0,
        )
        got = bench.alone(prompt, name, ignore_eos=False, min_tokens=8).tokens
        assert got == wanted[0, len(prompt) :].tolist()


def test_rows_that_join_and_leave_a_mixed_batch_answer_as_they_do_alone(bench: Bench) -> None:
    """Every model with every prompt; lengths differ, so some leave while others go on."""
    asked = [
        (prompt, name, 2 + 3 * number + place)
        for number, prompt in enumerate(PROMPTS)
        for place, name in enumerate(MODELS)
    ]
    alone = [bench.alone(*one) for one in asked]
    together = []
    for one in asked:
        sequence, answer = bench.sequence(*one)
        bench.batch.join(sequence)
        together.append(answer)
        # One step between two that join.
        bench.batch.step()
    assert len(bench.batch.rows) > 3
    while bench.batch.rows:
        bench.batch.step()
    for mixed, solo in zip(together, alone, strict=True):
        assert mixed.tokens == solo.tokens
        assert mixed.logprobs == pytest.approx(solo.logprobs, abs=1e-4)
    # And the models do differ, or the above shows nothing.
    first = [bench.alone(PROMPTS[1], name).logprobs[0] for name in MODELS]
    assert max(first) - min(first) > 0.01


def test_an_aborted_row_is_gone_after_a_step_and_disturbs_nobody(bench: Bench) -> None:
    wanted = bench.alone(PROMPTS[0], "one").tokens
    stays, answer = bench.sequence(PROMPTS[0], "one")
    goes, unread = bench.sequence(PROMPTS[1], "two", max_tokens=90)
    bench.batch.join(stays)
    bench.batch.join(goes)
    bench.batch.step()
    goes.aborted = True
    bench.batch.step()
    assert bench.batch.rows == (stays,)
    n_unread = len(unread.pieces)
    while bench.batch.rows:
        bench.batch.step()
    assert answer.tokens == wanted
    assert len(unread.pieces) == n_unread


def test_the_context_can_be_filled_to_the_last_token(bench: Bench) -> None:
    short, _ = bench.sequence(PROMPTS[0], max_tokens=120)
    bench.batch.join(short)
    answer = bench.alone(list(range(100, 228 - 8)), "two", max_tokens=8)
    assert answer.finish_reason == "length"
    assert len(answer.tokens) == 8


def test_a_batch_takes_what_its_room_and_its_slots_allow_and_anything_when_empty(
    models: Path,
) -> None:
    small = Bench(models, max_adapters=1, room_tokens=60)
    first, _ = small.sequence(PROMPTS[0], "one", max_tokens=17)
    assert small.batch.takes(small.sequence(PROMPTS[1], max_tokens=90)[0])
    small.batch.join(first)
    same = {"max_tokens": 17}
    assert small.batch.takes(small.sequence(PROMPTS[0], "one", **same)[0])
    assert small.batch.takes(small.sequence(PROMPTS[0], "base", **same)[0])
    assert not small.batch.takes(small.sequence(PROMPTS[0], "two", **same)[0])
    assert not small.batch.takes(small.sequence(PROMPTS[0], "one", max_tokens=40)[0])


def test_logits_that_are_no_numbers_fail_their_own_row_alone(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    bench = Bench(models)
    wanted = bench.alone(PROMPTS[0], "one").tokens
    shutil.copytree(models / "one", tmp_path / "nan")
    file = tmp_path / "nan" / "adapter_model.safetensors"
    save_file({key: one * float("nan") for key, one in load_file(file).items()}, file)
    bench.names["nan"] = bench.model.load(tmp_path / "nan")
    good, answer = bench.sequence(PROMPTS[0], "one")
    bad, failed = bench.sequence(PROMPTS[0], "nan", temperature=1.0)
    for sequence in (good, bad):
        bench.batch.join(sequence)
    while bench.batch.rows:
        bench.batch.step()
    assert answer.tokens == wanted
    assert [piece.failed for piece in failed.pieces] == [True]


def test_an_adapter_that_was_unloaded_leaves_the_others_as_they_were(models: Path) -> None:
    bench = Bench(models)
    wanted = {name: bench.alone(PROMPTS[1], name).logprobs for name in MODELS}
    bench.model.unload(bench.names["one"])
    for name in ("base", "two"):
        assert bench.alone(PROMPTS[1], name).logprobs == pytest.approx(wanted[name], abs=1e-5)
    bench.model.unload(bench.names["two"])
    assert bench.alone(PROMPTS[1]).logprobs == pytest.approx(wanted["base"], abs=1e-5)
    bench.names["one"] = bench.model.load(models / "one")
    assert bench.alone(PROMPTS[1], "one").logprobs == pytest.approx(wanted["one"], abs=1e-5)


def test_a_request_that_comes_after_its_adapter_left_fails_and_the_base_does_not_answer(
    models: Path,
) -> None:
    bench = Bench(models)
    for name in ADAPTERS:
        late, answer = bench.sequence(PROMPTS[0], name)
        bench.model.unload(bench.names[name])
        bench.batch.join(late)
        assert [(piece.failed, piece.tokens) for piece in answer.pieces] == [(True, ())]
    assert bench.alone(PROMPTS[0]).tokens


def _without_weights(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")


def _broken_config(adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text("{")


def _cut_weights(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _other_names(adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    save_file({key.replace("k_proj", "g_proj"): t for key, t in load_file(file).items()}, file)


def _other_sizes(adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    save_file({key: t[:, :2].contiguous() for key, t in load_file(file).items()}, file)


def _dora(adapter: Path) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(file.read_text().replace('"use_dora": false', '"use_dora": true'))


@pytest.mark.parametrize(
    "spoil",
    [_without_weights, _broken_config, _cut_weights, _other_names, _other_sizes, _dora],
)
def test_an_adapter_that_does_not_fit_is_refused_and_leaves_nothing(
    models: Path, tmp_path: Path, spoil: Any
) -> None:
    from serving.engine.local.model import BASE, BadAdapterError, Model

    model = Model(models / "base", "float32")
    before, _ = model.prompt(PROMPTS[1], BASE, all_logits=True)
    shutil.copytree(models / "one", tmp_path / "bad")
    spoil(tmp_path / "bad")
    for _ in range(2):
        with pytest.raises(BadAdapterError) as refusal:
            model.load(tmp_path / "bad")
        assert str(tmp_path) not in str(refusal.value)
    after, _ = model.prompt(PROMPTS[1], BASE, all_logits=True)
    assert torch.equal(before, after)
    good = model.load(models / "two")
    assert not torch.equal(before, model.prompt(PROMPTS[1], good, all_logits=True)[0])
