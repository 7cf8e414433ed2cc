"""Web pages: the story's lines, without what is around them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.findings import Findings
from lmft.corpus.readers.books.html import READER, html_lines
from lmft.corpus.readers.books.html_tree import MAX_TAGS, decode_markup
from lmft.corpus.readers.registry import choose
from lmft.corpus.source import SourceFile

relaxed = settings(deadline=None, max_examples=150)


def shown(markup: str, findings: Findings | None = None) -> str:
    """The text of the lines, paragraphs apart by an empty line, headings marked by their level."""
    lines = html_lines(markup, "page.html", Findings() if findings is None else findings)
    return "\n".join("#" * line.heading + line.text for line in lines).strip("\n")


def dropped(markup: str) -> list[tuple[str, str]]:
    findings = Findings()
    shown(markup, findings)
    return [(drop.reason, drop.excerpt) for drop in findings.drops]


def file(tmp_path, data: bytes | str, name: str = "page.html") -> SourceFile:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return SourceFile(path, name)


# Lines


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One\n  two</p><p>Three", "One two\n\nThree"),
        ("<h1>I</h1><p>a</p><h3>The <i>Lamp</i></h3><p>b", "#I\n\na\n\n###The Lamp\n\nb"),
        ("<h2>CHAPTER I<br/>The Storm</h2>x", "##CHAPTER I The Storm\n\nx"),
        ("<h2><div>CHAPTER I</div><div>The Storm</div></h2>x", "##CHAPTER I The Storm\n\nx"),
        ("<p>Roses<br>Violets<br/>\nSugar</p>", "Roses\nViolets\nSugar"),
        ("one<br><br>two<br>\n&nbsp;<br>three", "one\n\ntwo\n\nthree"),
        ("<p>a</p><hr><p>b", "a\n\n* * *\n\nb"),
        ("<p>mid<b>night</b>, <i>he</i> <em>said</em>.", "midnight, he said."),
        ("<p>rain&shy;fall No.&nbsp;7 &amp; &#8220;&eacute;&#x201d;", "rainfall No. 7 & “é”"),
        ("<ul><li>one<li>two</ul>", "one\n\ntwo"),
        ("<table><tr><td>A</td><td>Hi <b>B</b></td></tr><tr><td>B<td>A</table>", "A\tHi B\nB\tA"),
        ("<pre>\n  one\n    two\n\n  three</pre>", "  one\n    two\n\n  three"),
        ("<blockquote>a<p>b</p>c</blockquote>d", "a\n\nb\n\nc\n\nd"),
        ('<p><img alt="T" src="t.png">he end. <img alt="A ship at sea"></p>', "The end."),
        ("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字", "漢字"),
        ("<p>Fish <!-- chips --> here<script>x='<p>no'</script><style>p{}</style>", "Fish here"),
        ("<title>T</title><p>a", "a"),
        ("just words", "just words"),
        ("<p>broken <b>tags</p> <i>every</b>where <p <p>x</", "broken tags\n\neverywhere\n\nx"),
    ],
)  # fmt: skip
def test_lines_are_broken_as_a_browser_breaks_them(markup, text):
    assert shown(markup) == text


def test_lines_are_numbered_by_paragraph():
    lines = html_lines("<p>a<br>b</p><p>c</p>", "x", Findings())
    assert [(line.number, line.text) for line in lines if line.text] == [
        (1, "a"),
        (1, "b"),
        (2, "c"),
    ]


# What is left out

PROSE = "<p>" + "The keeper climbed the stairs once more. " * 20 + "</p>"
TEXT = ("The keeper climbed the stairs once more. " * 20).strip()


@pytest.mark.parametrize(
    ("markup", "reason", "excerpt"),
    [
        ("<nav><a href='/'>Home</a></nav>", "navigation", "Home"),
        ("<a href='#main'>Skip to content</a>", "navigation", "Skip to content"),
        ("<header><h1>Mine</h1><a href='/'>Start</a></header>", "navigation", "Mine Start"),
        ("<footer>© 2020 Somebody</footer>", "navigation", "© 2020 Somebody"),
        ("<aside><a href='a'>Other story</a></aside>", "navigation", "Other story"),
        ("<div role='navigation'>menu</div>", "navigation", "menu"),
        ("<p><a href='1'>Back</a> | <a href='3'>Next</a></p>", "navigation", "Back | Next"),
        ("<h2>Contents</h2><ul><a href=1>I</a><a href=2>V</a></ul>", "navigation", "Contents IV"),
        ("<form><label>Name</label><input><button>Send</button></form>", "navigation", "Send"),
        ("<div style='display: none'>spam</div>", "hidden text", "spam"),
        ("<p hidden>spam</p>", "hidden text", "spam"),
        ("<span class='big sr-only'>spam</span>", "hidden text", "spam"),
        ("<section id='pg-header'><p>The eBook</p></section>", "licence", "The eBook"),
        ("<div class='pgheader'>Of the use of anyone</div>", "licence", "Of the use of anyone"),
        ("<section id='pg-footer'>*** END</section>", "licence", "*** END"),
        ("<pre id='pg-machine-header'>Title: X</pre>", "licence", "Title: X"),
    ],
)  # fmt: skip
def test_what_is_no_story_is_left_out_and_reported(markup, reason, excerpt):
    for page in (markup + PROSE, PROSE + markup):
        assert shown(page) == TEXT
        assert (reason, excerpt) in dropped(page)


def test_page_numbers_and_note_marks_leave_no_gap_in_a_sentence():
    markup = (
        '<p>He wal<span class="pagenum">[Pg 12]</span>ked on<a class="fnanchor" href="#f1">[1]</a>.'
        '<aside epub:type="footnote">1. Did he?</aside>'
    )
    assert shown(markup) == "He walked on."
    assert [reason for reason, _ in dropped(markup)] == ["page number", "footnote", "footnote"]


@pytest.mark.parametrize(
    "markup",
    [
        "<header><h1>The Lamp</h1><p>A story</p></header>",
        "<article><footer>The End</footer></article>",
        "<p>See <a href='x'>the map</a> or <a href='y'>the list</a> that she left there.</p>",
        "<h2><a href='#toc'>Part I</a></h2><h3><a href='#toc'>The Storm</a></h3>",
        "<aside>A letter lay there.</aside>",
        "<form><p>Old pages wrap all of it in a form.</p></form>",
        "<p class='note'>x</p><p id='message'>y</p>",
    ],
)
def test_what_only_looks_like_a_frame_stays(markup):
    assert dropped(PROSE + markup + PROSE) == []


@pytest.mark.parametrize("tag", ["main", "article"])
def test_main_content_is_taken_when_it_holds_most_of_the_text(tag):
    page = f"<div><p>Trending now</p></div><{tag}>{PROSE}</{tag}><p>Subscribe!</p>"
    assert shown(page) == TEXT
    assert dropped(page) == [("navigation", "Trending now"), ("navigation", "Subscribe!")]


def test_a_small_article_is_not_all_of_the_page():
    assert shown(f"<article>Teaser</article>{PROSE}") == f"Teaser\n\n{TEXT}"


def test_chapters_that_are_articles_are_all_kept():
    page = f"<article>{PROSE}{PROSE}</article><article>{PROSE}</article>"
    assert shown(page) == "\n\n".join([TEXT] * 3)


def test_a_work_of_the_archive_of_our_own_is_its_chapters():
    page = (
        '<body><div id="preface"><p class="message">Posted originally on the '
        '<a href="http://archiveofourown.org/">Archive of Our Own</a></p><div class="meta">'
        '<dl class="tags"><dt>Rating:<dd>General</dl><h1>The Lamp</h1><div class="byline">by ann'
        "</div><p>Notes</p><blockquote class='userstuff'>I own nothing!</blockquote></div></div>"
        '<div id="chapters" class="userstuff"><div class="meta group"><h2 class="heading">Chapter 1'
        f'</h2><p>Chapter Notes</p></div><div class="userstuff">{PROSE}</div></div>'
        '<div id="afterword"><p>Please comment</p></div>'
    )
    assert shown(page) == f"#The Lamp\n\n##Chapter 1\n\n{TEXT}"
    assert {reason for reason, _ in dropped(page)} == {"licence", "front matter", "author's note"}


# Encodings


@pytest.mark.parametrize(
    "data",
    [
        "<p>“é”".encode(),
        b"\xef\xbb\xbf<p>\xe2\x80\x9c\xc3\xa9\xe2\x80\x9d",
        "<p>“é”".encode("utf-16"),
        b"<meta charset='windows-1252'><p>\x93\xe9\x94",
        # Declared Latin-1 is cp1252 to every browser.
        b'<meta http-equiv="Content-Type" content="text/html; charset=ISO-8859-1"><p>\x93\xe9\x94',
        b"<?xml version='1.0' encoding='cp1252'?><html><p>\x93\xe9\x94",
        # A wrong or dangerous name is not obeyed.
        "<meta charset='rot13'><p>“é”".encode(),
        "<meta charset='unicode_escape'><p>“é”".encode(),
        "<meta charset='no-such'><p>“é”".encode(),
    ],
)
def test_the_encoding_is_the_mark_then_the_declared_one_then_utf8(data):
    markup = decode_markup(data)
    assert markup is not None
    assert shown(markup) == "“é”"


def test_a_page_in_no_declared_encoding_is_guessed_and_said(tmp_path):
    text = "<html><p>Été à la plage, où l’élève répète sa leçon près de la fenêtre.</p>" * 5
    findings = Findings()
    (document,) = READER.read(file(tmp_path, text.encode("cp1252")), findings)
    assert document.text.startswith("Été à la plage, où l’élève")
    assert any("cp1252" in note for note in findings.notes)


# Files


@pytest.mark.parametrize(
    ("text", "name", "claimed"),
    [
        ("<!DOCTYPE html><html><p>x", "a.html", True),
        ("\ufeff \n<!-- saved from -->\n<HTML lang=en>", "a.txt", True),
        ("<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'><html>", "a", True),
        ("<body><p>x</p></body>", "a.htm", True),
        ("<body><p>x</p></body>", "a.txt", False),
        ("No tags at all.", "a.html", False),
        ("He wrote <html> on the board.", "a.txt", False),
        ("<htmlish>", "a.txt", False),
        ("<!doctype html><html><tw-storydata name='x'>", "a.html", False),
        ("<svg><p>", "a.svg", False),
    ],
)
def test_a_page_is_known_by_how_it_begins(tmp_path, text, name, claimed):
    assert (READER.sniff(file(tmp_path, text, name)) is not None) == claimed


def test_a_page_becomes_documents(tmp_path):
    source = file(tmp_path, "<!doctype html><h1>The Lamp</h1><p>It was dark.<p>It was late.")
    assert READER.sniff(source)
    (document,) = READER.read(source, Findings())
    assert document.source == "page.html"
    assert document.text.endswith("It was dark.\n\nIt was late.")
    assert document.begins
    assert document.ends


def test_a_story_of_twines_far_into_its_page_is_read_as_one(tmp_path):
    story = (
        '<tw-storydata name="T" startnode="1"><tw-passagedata pid="1" name="Start">A door. '
        '[[Open it->Hall]]</tw-passagedata><tw-passagedata pid="2" name="Hall">A hall.'
        "</tw-passagedata></tw-storydata>"
    )
    page = f"<!doctype html><html><script>{'x();' * 20_000}</script><body>{story}</body></html>"
    source, findings = file(tmp_path, page), Findings()
    reader, _ = choose(source)
    (document,) = reader.read(source, findings)
    assert (document.kind, document.text) == ("adventure", "A door.\n> You open it.\nA hall.")
    assert findings.notes == ["page.html: holds a story that Twine published; read as that"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("<html><script>x</script>", "without text"),
        ("<html>\0<p>x", "NUL"),
        ("<html>" + "<p>" * (MAX_TAGS + 1), "split it"),
    ],
)
def test_a_page_that_cannot_be_used_says_why(tmp_path, data, says):
    with pytest.raises(Unreadable, match=says):
        list(READER.read(file(tmp_path, data), Findings()))


@pytest.mark.parametrize(
    "tag", ["div", "b", "article", "header", "a href=x", "nav", "ul", "pre", "h1", "table><tr><td"]
)
def test_deep_nesting_is_read(tag):
    assert shown(f"<{tag}>" * 5_000 + "deep") in ("deep", "#deep", "")


def test_entities_of_the_page_are_not_expanded():
    bomb = '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]><html><p>&b;</p></html>'
    assert "lollol" not in shown(bomb)


@relaxed
@given(
    st.lists(
        st.sampled_from(["<p>", "<div>", "</div>", "<h2>", "</h2>", "<pre>", "</pre>", "<nav>"])
        | st.sampled_from(["<br>", "<hr>", "<td>", "<li>", "<main>", "</main>", "<footer>", "</a>"])
        | st.sampled_from(["<article>", "</article>", "<a href=x>", "<p hidden>", "&#xD800;"])
        | st.sampled_from(["&#0;", "<!--", "-->", "\r\n", "word", "<![CDATA[", "]]>", "<?", "<"])
        | st.text(max_size=5)
    ).map("".join)
)
def test_no_markup_is_an_error_and_no_line_holds_a_line_end(markup):
    try:
        lines = html_lines(markup, "x", Findings())
    except Unreadable:
        assert "\0" in markup
        return
    assert not any("\n" in line.text or "\r" in line.text for line in lines)
    assert [line.number for line in lines] == sorted(line.number for line in lines)


@relaxed
@given(st.lists(st.text(alphabet="ab.é“ ", min_size=1).filter(str.strip), min_size=1, max_size=8))
def test_every_word_of_plain_paragraphs_is_kept_in_order(paragraphs):
    markup = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    assert shown(markup) == "\n\n".join(" ".join(text.split()) for text in paragraphs)
