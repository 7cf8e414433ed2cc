"""An HTML tree to lines, as a browser would break it; for web pages and book chapters."""

from __future__ import annotations

from typing import NamedTuple

from bs4 import CData, Tag
from bs4.element import NavigableString

from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.readers.books.boilerplate import RULES, Rules, reason_to_drop
from lmft.corpus.readers.books.page import Page, Place

SCENE_BREAK = "* * *"

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_REGIONS = ("article", "main")
_FRAMES = frozenset(("aside", "footer", "header"))
_SECTIONS = frozenset((*_REGIONS, "blockquote", "section"))
_JUDGED = frozenset((*_REGIONS, *_FRAMES, "div", "dl", "menu", "ol", "p", "section", "table", "ul"))
_BLOCKS = frozenset(
    (
        *(*_HEADINGS, *_SECTIONS, *_JUDGED),
        *("address", "body", "caption", "center", "dd", "details", "dt", "fieldset", "figcaption"),
        *("figure", "form", "hgroup", "hr", "html", "legend", "li", "nav", "pre", "summary"),
        *("tbody", "tfoot", "thead"),
    )
)
# A paragraph of prose may hold a link or two; a menu is made of them.
_MIN_LINKS, _MENU_LINK_SHARE, _FRAME_LINK_SHARE = 2, 0.75, 0.3


def tree_lines(
    root: Tag, name: str, findings: Findings, *, rules: Rules = RULES, number: int = 0
) -> list[Line]:
    """The lines of a page, numbered by paragraph; an empty line ends each paragraph.

    Left out and reported to `findings` are what `rules` say, menus, and what is around an
    `article` or `main` that holds most of the text. `number`: of the paragraph before it.
    """
    walk = _Walk(Page(name, findings, number), rules)
    # No recursion: a page may nest 100,000 deep.
    open_tags, rest = [root], [iter(root.contents)]
    while open_tags:
        node = next(rest[-1], None)
        if node is None:
            rest.pop()
            if (tag := open_tags.pop()) is not root:
                walk.leave(tag)
        elif isinstance(node, Tag):
            if walk.enter(node):
                open_tags.append(node)
                rest.append(iter(node.contents))
        elif type(node) in (NavigableString, CData):
            walk.page.add_text(str(node))
    return walk.finish()


class _Region(NamedTuple):
    begin: int
    end: int
    size: int


class _Walk:
    """Whether a block is prose or a menu is known when it ends; its lines are taken back then."""

    def __init__(self, page: Page, rules: Rules) -> None:
        self.page, self._rules = page, rules
        self._sections = 0
        self._places: list[Place] = []
        self._regions: dict[str, list[_Region]] = {name: [] for name in _REGIONS}

    def enter(self, tag: Tag) -> bool:
        """False when what is inside is left out."""
        name, page = tag.name, self.page
        if name in _BLOCKS:
            page.end_paragraph()
        elif name == "tr":
            page.end_row()
        reason = reason_to_drop(tag, self._rules)
        if reason is not None:
            if reason:
                page.report(reason, tag.get_text(" "))
            return False
        if name in _HEADINGS:
            page.heading = _HEADINGS[name]
        elif name == "a" and "href" in tag.attrs:
            page.begin_link()
        elif name == "pre":
            page.pre += 1
        elif name == "br":
            page.end_line()
        elif name == "hr":
            page.add_text(SCENE_BREAK)
            page.end_paragraph()
        elif name in ("td", "th"):
            page.begin_cell()
        elif name == "img" and len(letter := str(tag.attrs.get("alt", ""))) == 1:
            # A decorated initial: without it the first word has lost its first letter.
            page.add_text(letter)
        self._sections += name in _SECTIONS
        if name in _JUDGED:
            self._places.append(page.place())
        return True

    def leave(self, tag: Tag) -> None:
        name, page = tag.name, self.page
        if name in _HEADINGS:
            page.end_heading()
        elif name in _BLOCKS:
            page.end_paragraph()
        elif name == "tr":
            page.end_row()
        elif name == "a" and "href" in tag.attrs:
            page.links -= 1
        page.pre -= name == "pre"
        self._sections -= name in _SECTIONS
        if name in _JUDGED:
            self._judge(name, self._places.pop())

    def finish(self) -> list[Line]:
        page = self.page
        page.end_paragraph()
        regions: list[_Region] = []
        for name in _REGIONS:
            held = sum(region.size for region in self._regions[name])
            if not regions and 2 * held >= page.place().size:
                regions = self._regions[name]
        if not regions:
            return page.lines
        kept: list[Line] = []
        position = 0
        for begin, end, _ in regions:
            page.report_lines(page.lines[position:begin])
            kept += page.lines[begin:end]
            position = end
        page.report_lines(page.lines[position:])
        return kept

    def _judge(self, name: str, place: Place) -> None:
        held = self.page.since(place)
        menu = held.n_links >= _MIN_LINKS and held.link_size >= _MENU_LINK_SHARE * held.size
        frame = name in _FRAMES and (
            (held.n_links > 0 and held.link_size >= _FRAME_LINK_SHARE * held.size)
            or (name == "footer" and not self._sections)
        )
        if menu or frame:
            self.page.take_back(place)
            for regions in self._regions.values():
                _forget_inside(regions, place)
        elif name in _REGIONS:
            _forget_inside(self._regions[name], place)
            region = _Region(place.n_lines, len(self.page.lines), held.size)
            self._regions[name].append(region)


def _forget_inside(regions: list[_Region], place: Place) -> None:
    while regions and regions[-1].begin >= place.n_lines:
        regions.pop()
