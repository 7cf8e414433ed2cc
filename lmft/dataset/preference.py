"""A preference looked at as the two conversations that it compares."""

from __future__ import annotations

import dataclasses

from lmft.corpus.documents import Document


def conversations(document: Document) -> tuple[Document, ...]:
    """Prompt and preferred answer, prompt and rejected answer; any other document as it is.

    Both answers are learnt from; the model's turns in the prompt are context.
    """
    if document.kind != "preference":
        return (document,)
    prompt = tuple(dataclasses.replace(turn, trained=False) for turn in document.messages)
    answers = (("preferred", document.chosen), ("rejected", document.rejected))
    return tuple(
        dataclasses.replace(
            document,
            source=f"{document.source}, {name}",
            kind="chat",
            messages=prompt + answer,
            chosen=(),
            rejected=(),
        )
        for name, answer in answers
    )
