"""A tiny GPT-Neo with two adapters, and the local engine's pieces over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmft.dataset.encode import Encoder
from tests.tiny import make_base

ADAPTERS = ("one", "two")


def make_models(directory: Path) -> Path:
    """`base`, `one` and `two` under `directory`; the adapters are random and strong."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = make_base(directory / "base", "gpt_neo")
    for seed, name in enumerate(ADAPTERS, 1):
        torch.manual_seed(seed)
        lora = LoraConfig(
            r=4,
            lora_alpha=16,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            init_lora_weights=False,
        )
        plain = AutoModelForCausalLM.from_pretrained(base.path)
        get_peft_model(plain, lora).save_pretrained(directory / name)
    return directory


@dataclass
class Answer:
    """What a sequence emitted."""

    pieces: list[Any] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        return [token for piece in self.pieces for token in piece.tokens]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def logprobs(self) -> list[float]:
        return [row[0][1] for piece in self.pieces for row in piece.scored]

    @property
    def finish_reason(self) -> str | None:
        return self.pieces[-1].finish_reason if self.pieces else None


class Bench:
    """A batch that a test steps by hand."""

    def __init__(self, directory: Path, max_adapters: int = 4, room_tokens: int = 10_000) -> None:
        from tokenizers import Tokenizer

        from serving.engine.local.batch import Batch
        from serving.engine.local.model import BASE, Model

        self.model = Model(directory / "base", "float32")
        self.names = {"base": BASE}
        for name in ADAPTERS:
            self.names[name] = self.model.load(directory / name)
        self.batch = Batch(self.model, room_tokens * self.model.token_bytes, max_adapters)
        self.tokenizer = Tokenizer.from_file(str(directory / "base" / "tokenizer.json"))
        self.end_id = Encoder(directory / "base", "<|endoftext|>").eos_id

    def sequence(
        self, prompt: list[int], model: str = "base", max_tokens: int = 8, **settings: Any
    ) -> tuple[Any, Answer]:
        """A greedy one, unless `settings` say otherwise; never ended by chance."""
        from serving.engine.local.sampling import Sampling
        from serving.engine.local.sequence import Ask, Sequence

        fields = Sampling.__dataclass_fields__
        sampler = {key: settings.pop(key) for key in list(settings) if key in fields}
        ask = Ask(
            prompt=tuple(prompt),
            adapter=self.names[model],
            max_tokens=max_tokens,
            sampling=Sampling(**({"temperature": 0.0} | sampler)),
            **({"ignore_eos": True, "logprobs": 0} | settings),
        )
        answer = Answer()
        made = Sequence(ask, self.tokenizer, self.end_id, "cpu", answer.pieces.append)
        return made, answer

    def alone(self, *arguments: Any, **settings: Any) -> Answer:
        sequence, answer = self.sequence(*arguments, **settings)
        self.batch.join(sequence)
        while self.batch.rows:
            self.batch.step()
        return answer
