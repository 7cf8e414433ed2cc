"""An adapter over a base of every architecture is trained, published, proven and answers.

The table in docs/architectures.md is written by the same functions: see serving_architectures.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lmft import machine
from lmft.train.servable import Service
from tests.integration.serving_architectures import Served, recipe_over, serve, train
from tests.tiny import ARCHITECTURES, make_base

pytest.importorskip("torch")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]
# Of the probe's allowed tenth of the effect: in fp32 what is right is right to the rounding, and
# a LoRA of which a part was left out has been seen at a twentieth.
EXACT_SHARE = 0.002 if machine.serving_dtype() == "float32" else 0.1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def require_right(served: Served) -> None:
    proof = served.proof
    assert proof.adapter_effect > 0.1
    worst = max(proof.adapter_difference, proof.base_difference, proof.mixed_difference)
    assert worst < EXACT_SHARE * proof.adapter_effect
    assert proof.greedy_agreement == 1
    assert served.text
    assert served.n_tokens > 0


@pytest.mark.parametrize(
    ("name", "service"),
    [("gptj", "lora"), ("falcon", "merged"), ("gpt_neo", "transformers")],
)
def test_one_of_each_kind_is_trained_published_proven_and_answers(
    home: Path, tmp_path: Path, name: str, service: Service
) -> None:
    adapter = train(name, tmp_path)
    card = (adapter.path / "README.md").read_text(encoding="utf-8")
    assert {"lora": "as a LoRA", "merged": "merged into", "transformers": "own transformers"}[
        service
    ] in card
    assert (home / "merged" / adapter.path.name).is_dir() == (service == "merged")
    served = serve(name, adapter)
    assert served.service == service
    require_right(served)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - {"gptj", "falcon", "gpt_neo"}))
def test_every_other_architecture_is_too(home: Path, tmp_path: Path, name: str) -> None:
    require_right(serve(name, train(name, tmp_path)))


def test_the_first_lines_of_a_training_say_how_its_adapter_will_be_served(
    home: Path, tmp_path: Path
) -> None:
    from lmft.train.planning.plan_shown import plan_lines
    from lmft.train.prepare import prepare

    for name, said in (("gpt_neo", "own transformers engine"), ("bloom", "merged into the base")):
        lines = list(plan_lines(prepare(recipe_over(make_base(tmp_path / name, name)))))
        assert any(line.startswith("to be served by") and said in line for line in lines)
