"""The sizes of a base that cost memory and time, read from its config; loads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lmft.bases import Base
from lmft.errors import BaseModelError

# transformers' names for the same thing, architecture by architecture.
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
_HIDDEN = ("hidden_size", "n_embd", "n_embed")
_HEADS = ("num_attention_heads", "n_head", "num_heads")
_INTERMEDIATE = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads")
_GATED = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi3"})
# One matrix for query, key and value (phi3: for gate and up too).
_FUSED = frozenset({"gpt2", "gpt_bigcode", "gpt_neox", "bloom", "falcon", "phi3"})
_ONE_NORM = frozenset({"gptj", "phi"})
_WHOLE_SCORES = frozenset({"gpt_neo", "gptj", "bloom", "falcon", "gemma2"})
_DEFAULT_HEAD_DIM = {"gemma": 256, "gemma2": 256, "qwen3": 128}


@dataclass(frozen=True)
class Shape:
    """Sizes of one causal language model.

    Attributes:
        hidden, intermediate, heads, kv_heads, head_dim: D, F, H, K and the size of one head.
        embedding: width of the token embeddings and the head, which is mostly D.
        gated: the MLP multiplies two branches. fused: query, key and value are one matrix.
        rms: it has RMSNorm, which works in fp32. norms: normalisations in a layer.
        whole_scores: its attention holds a weight for every pair of tokens.
        window: tokens that attention looks back, where that is fewer than the context.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    embedding: int
    gated: bool
    fused: bool
    rms: bool
    norms: int
    whole_scores: bool
    window: int | None

    @classmethod
    def of(cls, config: Any) -> Self:
        """`config`: of transformers, or what stands in config.json.

        Raises:
            BaseModelError: it names no sizes.
        """
        tree = config if isinstance(config, Mapping) else config.to_dict()
        text = tree.get("text_config")
        tree = text if isinstance(text, Mapping) else tree
        kind = str(tree.get("model_type"))
        hidden, heads = _size(tree, _HIDDEN), _size(tree, _HEADS)
        gated = kind in _GATED
        return cls(
            layers=_size(tree, _LAYERS),
            hidden=hidden,
            intermediate=_size(tree, _INTERMEDIATE, 4 * hidden),
            heads=heads,
            kv_heads=1 if _one_for_all(kind, tree) else _size(tree, _KV_HEADS, heads),
            head_dim=_size(tree, ("head_dim",), _DEFAULT_HEAD_DIM.get(kind, hidden // heads)),
            vocabulary=_size(tree, ("vocab_size",)),
            embedding=_size(tree, ("word_embed_proj_dim",), hidden),
            gated=gated,
            fused=kind in _FUSED,
            rms=gated,
            norms=1 if kind in _ONE_NORM else 2,
            whole_scores=kind in _WHOLE_SCORES,
            window=_window(tree),
        )

    @property
    def attention(self) -> int:
        """Elements of the queries of a token."""
        return self.heads * self.head_dim

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of every linear layer of one block: what LoRA and NF4 apply to."""
        hidden, inner, queries = self.hidden, self.intermediate, self.attention
        keys = self.kv_heads * self.head_dim
        into: tuple[int, ...] = (queries, keys, keys)
        if self.fused:
            into = (queries + 2 * keys,)
        widths: tuple[int, ...] = (inner,)
        if self.gated:
            widths = (2 * inner,) if self.fused else (inner, inner)
        up = tuple((hidden, width) for width in (*into, *widths))
        return (*up, (queries, hidden), (inner, hidden))

    @property
    def n_linear(self) -> int:
        """Parameters of all linear layers of all blocks."""
        return self.layers * sum(wide * high for wide, high in self.linears)

    @property
    def n_head(self) -> int:
        return self.vocabulary * self.embedding

    def n_lora(self, rank: int) -> int:
        """Parameters of a LoRA on all of them."""
        return self.layers * rank * sum(wide + high for wide, high in self.linears)


def shape_of(base: Base) -> Shape:
    return Shape.of(json.loads((base.path / "config.json").read_text(encoding="utf-8")))


def _size(tree: Mapping[str, Any], names: tuple[str, ...], default: int | None = None) -> int:
    for name in names:
        if isinstance(tree.get(name), int):
            return int(tree[name])
    if default is None:
        raise BaseModelError(
            f"config.json of the base model names no {names[0]}.",
            "Give the directory of a Hugging Face model.",
        )
    return default


def _one_for_all(kind: str, tree: Mapping[str, Any]) -> bool:
    """Whether all heads share one of keys and values; the number of them may say otherwise."""
    shared = kind == "gpt_bigcode" or (
        kind == "falcon" and not tree.get("new_decoder_architecture", False)
    )
    return shared and bool(tree.get("multi_query", True))


def _window(tree: Mapping[str, Any]) -> int | None:
    window = tree.get("sliding_window")
    kinds = tree.get("layer_types")
    sliding = tree.get("use_sliding_window", True) and (
        not isinstance(kinds, list) or "sliding_attention" in kinds
    )
    return int(window) if isinstance(window, int) and sliding else None
