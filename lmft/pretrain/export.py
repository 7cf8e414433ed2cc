"""The finished base as a directory that lmft.bases, transformers and vLLM read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast

from lmft import paths
from lmft.bases import EXTRAS_FILE
from lmft.pretrain import chat
from lmft.pretrain.data import Data
from lmft.pretrain.text import SEPARATOR
from lmft.pretrain.vocabulary import TOKENIZER_FILE

RECORD_FILE = "lmft_training.json"
# Some hosts of source code refuse files that are much larger. A matrix is never cut.
_MAX_SHARD = "15MB"


def export(model: Any, data: Data, target: Path, record: dict[str, Any]) -> None:
    """Write weights in bf16, tokenizer and record; what `target` was goes once it is there.

    The record gains `files`: the sha256 of every other file.
    """
    with paths.disk_errors(target.parent), paths.scratch(target.parent) as scratch:
        made = scratch / "base"
        model.config.use_cache = True
        model.generation_config = _generation(data)
        model.to(torch.bfloat16).save_pretrained(made, max_shard_size=_MAX_SHARD)
        fast = PreTrainedTokenizerFast(
            tokenizer_object=data.tokenizer,
            eos_token=SEPARATOR,
            bos_token=SEPARATOR,
            pad_token=SEPARATOR,
            model_max_length=model.config.n_positions,
        )
        if data.has_chat:
            fast.chat_template = chat.TEMPLATE
        fast.save_pretrained(made)
        # Once more, since the library's own way to write it hides a full disk.
        (made / TOKENIZER_FILE).write_text(
            fast.backend_tokenizer.to_str(pretty=True), encoding="utf-8"
        )
        _write_json(made / EXTRAS_FILE, {"fold_quotes": data.fold})
        files = {file.name: paths.sha256_file(file) for file in sorted(made.iterdir())}
        _write_json(made / RECORD_FILE, {**record, "files": files})
        paths.replace(made, target)


def _generation(data: Data) -> GenerationConfig:
    ends = [SEPARATOR, chat.END] if data.has_chat else [SEPARATOR]
    ids = [data.tokenizer.token_to_id(token) for token in ends]
    return GenerationConfig(bos_token_id=ids[0], eos_token_id=ids if len(ids) > 1 else ids[0])


def _write_json(file: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
