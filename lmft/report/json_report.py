"""The report for machines."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_jsonable_python

from lmft.corpus.info import CorpusInfo
from lmft.dataset.preflight import Preflight


def as_json(info: CorpusInfo, preflight: Preflight) -> dict[str, Any]:
    """Everything that the report is made of, for `--json`.

    Keys:
        ready: whether it may be trained on; true if `refusals` is empty.
        refusals, warnings: sentences, all of them.
        corpus: `corpus.json` as it is on disk (lmft.corpus.info.CorpusInfo).
        tokens: lmft.dataset.preflight.Preflight without the two lists, and its `shown` as
            `{"source", "n_tokens", "tokens": [{"text", "trained", "is_eos", "is_start"}, ...]}`.
    """
    tokens = to_jsonable_python(preflight)
    refusals, warnings = tokens.pop("refusals"), tokens.pop("warnings")
    return {
        "ready": not refusals,
        "refusals": refusals,
        "warnings": warnings,
        "corpus": info.model_dump(mode="json"),
        "tokens": tokens,
    }
