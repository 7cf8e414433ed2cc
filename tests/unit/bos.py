"""The embedded tokenizer as one that writes a token before every text."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from lmft.dataset.encode import Encoder
from lmft.paths import EMBEDDED_BASE

EOS = "<|endoftext|>"
BOS = "<s>"


def bos_encoder(directory: Path, bos: str = BOS) -> Encoder:
    """`bos` may be EOS too, as in OPT."""
    tokenizer = Tokenizer.from_file(str(EMBEDDED_BASE / "tokenizer.json"))
    tokenizer.add_special_tokens([bos])
    tokenizer.post_processor = TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    return Encoder(directory, EOS)
