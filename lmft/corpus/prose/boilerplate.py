"""Licence text, credits and page furniture: found, reported, left out. In doubt it stays."""

from __future__ import annotations

from lmft.corpus.findings import Findings
from lmft.corpus.prose.licence import licence_spans
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.marks import drop_marks
from lmft.corpus.prose.notices import notice_spans
from lmft.corpus.prose.pages import page_spans
from lmft.corpus.prose.spans import drop_spans


def strip_boilerplate(
    name: str,
    lines: list[Line],
    findings: Findings,
    *,
    first: bool,
    last: bool,
    paged: bool = True,
) -> list[Line]:
    """The lines that are the text itself; the others go to `findings.drop`.

    `first` and `last` say whether the text begins and ends with these lines: headers, footers and
    copyright pages are looked for there only. Page numbers and running headers are looked for
    where `paged`, and where no markup says which lines are headings: what has markup has no
    pages. Blank lines are kept, but for those around what is left out.
    """
    licences = licence_spans(lines, first=first, last=last)
    lines = drop_spans(name, lines, licences, findings)
    notices = notice_spans(lines, first=first, last=last, gutenberg=bool(licences))
    lines = drop_spans(name, lines, notices, findings)
    lines = drop_marks(name, lines, findings)
    if not paged or any(line.heading for line in lines):
        return lines
    return drop_spans(name, lines, page_spans(lines), findings)
