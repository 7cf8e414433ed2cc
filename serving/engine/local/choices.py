"""vLLM's shapes of an answer, as serving.engine.client, the probe and the gateway read them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from serving.engine.local.question import Question
from serving.engine.local.sequence import Ask, Piece, Scored


class Choice:
    """One choice as it grows: whole at the end, or piece by piece."""

    def __init__(self, index: int, ask: Ask, question: Question, tokenizer: Tokenizer) -> None:
        self.finished = False
        self.n_tokens = 0
        self._index, self._ask, self._question = index, ask, question
        self._tokenizer = tokenizer
        self._pieces: list[Piece] = []
        self._offset = 0

    def add(self, piece: Piece) -> None:
        self.finished = piece.finish_reason is not None
        self.n_tokens += len(piece.tokens)
        self._pieces.append(piece)

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """The event for a piece; the first one has the prompt in it where that is asked for."""
        first = self.n_tokens == 0
        self.add(piece)
        return self._body(piece, first)

    def whole(self) -> dict[str, Any]:
        """The choice of an answer that is not streamed."""
        last, prompt_scored = self._pieces[-1], self._pieces[0].prompt_scored
        everything = Piece(
            text="".join(piece.text for piece in self._pieces),
            tokens=tuple(token for piece in self._pieces for token in piece.tokens),
            scored=tuple(scored for piece in self._pieces for scored in piece.scored),
            prompt_scored=prompt_scored,
            finish_reason=last.finish_reason,
            stop_reason=last.stop_reason,
        )
        scores = None if prompt_scored is None else [None, *map(self._by_id, prompt_scored)]
        return self._body(everything, True) | {"prompt_logprobs": scores}

    def _body(self, piece: Piece, first: bool) -> dict[str, Any]:
        echoed = first and self._question.echo
        prompt = self._ask.prompt
        body: dict[str, Any] = {
            "index": self._index,
            "text": (self._decoded(prompt) if echoed else "") + piece.text,
            "logprobs": self._logprobs(piece, echoed),
            "finish_reason": piece.finish_reason,
            "stop_reason": piece.stop_reason,
        }
        if self._question.return_token_ids:
            body["token_ids"] = list(piece.tokens)
            body["prompt_token_ids"] = list(prompt) if first else None
        return body

    def _logprobs(self, piece: Piece, echoed: bool) -> dict[str, Any] | None:
        wanted = self._question.logprobs
        if wanted is None:
            return None
        rows: list[tuple[Scored, ...] | None] = list(piece.scored)
        ids = [*piece.tokens]
        if echoed:
            rows = [None, *(row[: wanted + 1] for row in piece.prompt_scored or ()), *rows]
            ids = [*self._ask.prompt, *ids]
        tokens = [self._decoded([token]) for token in ids]
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(token)
        return {
            "text_offset": offsets,
            "token_logprobs": [row and row[0][1] for row in rows],
            "tokens": tokens,
            "top_logprobs": [
                row and {self._decoded([token]): logprob for token, logprob, _ in row}
                for row in rows
            ],
        }

    def _by_id(self, row: tuple[Scored, ...]) -> dict[str, Any]:
        return {
            str(token): {
                "logprob": logprob,
                "rank": rank,
                "decoded_token": self._decoded([token]),
            }
            for token, logprob, rank in row
        }

    def _decoded(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text


def envelope(question: Question) -> dict[str, Any]:
    """What every answer and every chunk of one answer share."""
    return {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": question.model,
    }


def usage(question: Question, choices: Sequence[Choice]) -> dict[str, int]:
    n_prompt = sum(map(len, question.prompt))
    n_answer = sum(choice.n_tokens for choice in choices)
    return {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_answer,
        "total_tokens": n_prompt + n_answer,
    }
