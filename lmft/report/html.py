"""The report page: one file, in the order in which a person asks."""

from __future__ import annotations

from lmft.corpus.info import CorpusInfo
from lmft.dataset.preflight import Preflight
from lmft.report import content, findings
from lmft.report.page import document, listing, safe
from lmft.report.plain import counted
from lmft.report.summary import numbers, verdict
from lmft.report.tokens import shown_tokens


def render_html(info: CorpusInfo, preflight: Preflight) -> str:
    """The whole page. It loads nothing and runs nothing; same input, same bytes."""
    title, box = verdict(preflight)
    text = counted(info.n_documents, f"{info.kind} document")
    heading = (
        f"<header><h1>Corpus report</h1><p>{text} from {counted(len(info.files), 'file')}, "
        f"seen with the tokenizer of {safe(preflight.base)}.</p></header>\n"
    )
    sections = {
        "Numbers": numbers(info, preflight),
        "Files": content.files(info),
        "Who plays whom": content.speakers(info),
        "What the model will see": shown_tokens(preflight.shown),
        "Length of documents": content.lengths(info),
        "Languages": content.languages(info),
        "Person": content.person(info),
        "Letters": content.coverage(preflight),
        "Left out on purpose": findings.drops(info),
        "Duplicates": findings.duplicates(info),
        "Secrets and personal data": findings.secrets(info),
        "Bad input, left out": findings.faults(info),
        "Notes": listing(info.notes),
    }
    body = "".join(
        f"<section><h2>{name}</h2>\n{section}</section>\n"
        for name, section in sections.items()
        if section
    )
    return document(f"{title} | Corpus report", heading + box + body)
