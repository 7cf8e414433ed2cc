"""Closed-loop load by vLLM's own tool: so many streams, each with one request after the other."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.served.loadtool import RESULT

ROOT = Path(__file__).resolve().parents[2]
_WORDS_A_PROMPT = 40


@dataclass(frozen=True)
class Target:
    """What answers /v1/completions at `url`; over the Unix socket `socket` where there is one."""

    url: str
    socket: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Measured:
    """Attributes:
    tokens_per_second: of output, over the whole run. ttft_ms: median time to the first token.
    """

    completed: int
    failed: int
    tokens_per_second: float
    ttft_ms: float
    errors: tuple[str, ...]


class LoadTool:
    """Context manager around the tool's process.

    Args:
        tokenizer: directory; the tool counts tokens with it.
        text: prompts are windows of it, none used twice, so that no prefix cache helps anyone.
    """

    def __init__(self, tokenizer: Path, text: str, seed: int = 0) -> None:
        self._tokenizer = tokenizer
        self._words = text.split()
        self._random = random.Random(seed)
        self._scratch = tempfile.TemporaryDirectory(prefix="lmft-load-")

    def __enter__(self) -> Self:
        log = Path(self._scratch.name) / "tool.log"
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.served.loadtool"],
                cwd=ROOT,
                # Its engine settings are nobody's; it must not load lmft's plugin either.
                env={**os.environ, "VLLM_PLUGINS": "", "HF_HUB_OFFLINE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._scratch.cleanup()

    def run(
        self,
        target: Target,
        models: Sequence[str],
        *,
        streams: int,
        requests: int,
        output_tokens: int,
        forbidden_token: int,
    ) -> Measured:
        """Ask `models` in turn.

        Args:
            forbidden_token: the end of text; banned, so that every answer has all its tokens.
        """
        prompts = Path(self._scratch.name) / "prompts.jsonl"
        prompts.write_text(
            "".join(json.dumps({"prompt": one}) + "\n" for one in self.prompts(requests)),
            encoding="utf-8",
        )
        extra = {"stop": [], "logit_bias": {str(forbidden_token): -100}}
        arguments = [
            *("--backend", "openai", "--base-url", target.url, "--endpoint", "/v1/completions"),
            *("--model", models[0], "--tokenizer", str(self._tokenizer)),
            *("--dataset-name", "custom", "--dataset-path", str(prompts)),
            *("--skip-chat-template", "--disable-shuffle"),
            *("--custom-output-len", str(output_tokens), "--num-prompts", str(requests)),
            *("--max-concurrency", str(streams), "--temperature", "0", "--top-p", "1"),
            *("--extra-body", json.dumps(extra), "--disable-tqdm", "--save-detailed"),
            *("--ready-check-timeout-sec", "0"),
        ]
        if len(models) > 1:
            arguments += ["--lora-modules", *models, "--lora-assignment", "round-robin"]
        request = {"arguments": arguments, "socket": target.socket, "key": target.key}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return _measured(self._answer(), requests, output_tokens)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(RESULT):
                answer: dict[str, Any] = json.loads(line.removeprefix(RESULT))
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer
        raise RuntimeError((Path(self._scratch.name) / "tool.log").read_text()[-2000:])

    def prompts(self, n: int) -> list[str]:
        """Windows of the text; the number makes the first tokens differ from all others."""
        found = []
        for _ in range(n):
            start = self._random.randrange(len(self._words) - _WORDS_A_PROMPT)
            window = " ".join(self._words[start : start + _WORDS_A_PROMPT])
            found.append(f"{self._random.randrange(10**9)}. {window}")
        return found


def _measured(answer: dict[str, Any], requests: int, output_tokens: int) -> Measured:
    errors = tuple(sorted({error.strip().split("\n")[-1] for error in answer["errors"] if error}))
    short = sum(length != output_tokens for length in answer["output_lens"])
    completed = int(answer["completed"])
    if completed == requests and short:
        errors = (*errors, f"{short} answers shorter than {output_tokens} tokens")
    return Measured(
        completed,
        requests - completed,
        float(answer["output_throughput"]),
        float(answer["median_ttft_ms"]),
        errors,
    )
