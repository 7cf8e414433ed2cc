"""EPUB books, and zip archives from people who mean harm."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.findings import Findings
from lmft.corpus.readers.books import archive as limits
from lmft.corpus.readers.books.archive import open_zip
from lmft.corpus.readers.books.epub import READER, epub_lines
from lmft.corpus.source import SourceFile

CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
SCRAMBLED = (
    '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
    '<enc:EncryptionMethod Algorithm="{}"/></enc:EncryptedData></encryption>'
)


def page(body: str, body_type: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f'<head><title>Never shown</title></head><body epub:type="{body_type}">{body}</body></html>'
    )


def package(spine: str, *, items: str = "", guide: str = "") -> str:
    return (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item id="one" href="one.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="two" href="text/chapter%20two.xhtml" media-type="application/xhtml+xml"/>'
        f'{items}</manifest><spine toc="ncx">{spine}</spine><guide>{guide}</guide></package>'
    )


def itemrefs(*ids: str) -> str:
    return "".join(f'<itemref idref="{name}"/>' for name in ids)


CHAPTERS = {
    "OEBPS/one.xhtml": page("<h1>One</h1><p>It was dark.</p><p>It was late.</p>"),
    "OEBPS/text/chapter two.xhtml": page("<h1>Two</h1><p>It was light.</p>"),
}


def members(opf: str = "", **more: str) -> dict[str, str]:
    return {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": opf or package(itemrefs("one", "two")),
        **CHAPTERS,
        **more,
    }


def zipped(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in files.items():
            stored = name == "mimetype"
            book.writestr(
                zipfile.ZipInfo(name), text, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            )
    return data.getvalue()


def file(tmp_path, data: bytes, name: str = "book.epub") -> SourceFile:
    path = tmp_path / name
    path.write_bytes(data)
    return SourceFile(path, name)


def shown(tmp_path, files: dict[str, str], findings: Findings | None = None) -> str:
    source = file(tmp_path, zipped(files))
    lines = epub_lines(source, Findings() if findings is None else findings)
    return "\n".join("#" * line.heading + line.text for line in lines).strip("\n")


BOTH = "#One\n\nIt was dark.\n\nIt was late.\n\n#Two\n\nIt was light."


# Books


def test_a_book_is_its_chapters_in_reading_order(tmp_path):
    assert shown(tmp_path, members()) == BOTH
    swapped = shown(tmp_path, members(package(itemrefs("two", "one"))))
    assert swapped == "#Two\n\nIt was light.\n\n#One\n\nIt was dark.\n\nIt was late."


def test_paragraphs_are_numbered_through_the_book(tmp_path):
    lines = epub_lines(file(tmp_path, zipped(members())), Findings())
    assert [line.number for line in lines if line.text] == [1, 2, 3, 4, 5]


def test_a_book_is_one_story(tmp_path):
    source = file(tmp_path, zipped(members()))
    assert READER.sniff(source)
    documents = list(READER.read(source, Findings()))
    assert documents[0].begins
    assert [document.ends for document in documents] == [False] * (len(documents) - 1) + [True]
    joined = "".join(document.text for document in documents)
    assert "It was late." in joined
    assert joined.endswith("It was light.")


def test_prefixed_names_and_a_missing_container_are_understood(tmp_path):
    opf = package(itemrefs("one", "two")).replace("<item", "<opf:item")
    opf = opf.replace("<package ", '<package xmlns:opf="http://www.idpf.org/2007/opf" ')
    files = members(opf)
    assert shown(tmp_path, files) == BOTH
    del files["META-INF/container.xml"]
    assert shown(tmp_path, files) == BOTH


def test_a_chapter_listed_twice_is_read_once(tmp_path):
    assert shown(tmp_path, members(package(itemrefs("one", "two", "one", "one")))) == BOTH


# What is left out

ITEM = '<item id="x" href="x.xhtml" media-type="application/xhtml+xml" {}/>'
COPYRIGHT = "<p>Copyright © 2019 A. Writer. All rights reserved.</p><p>ISBN 978-0</p>"


@pytest.mark.parametrize(
    ("properties", "guide", "body", "reason"),
    [
        ('properties="nav"', "", page("<p>One, Two</p>"), "navigation"),
        ("", '<reference type="toc" href="x.xhtml#top"/>', page("<p>One, Two</p>"), "navigation"),
        ("", '<reference type="cover" href="x.xhtml"/>', page("<p>The Lamp</p>"), "navigation"),
        ("", '<reference type="copyright-page" href="x.xhtml"/>', page("<p>(c)</p>"), "licence"),
        ("", "", page("<p>(c)</p>", "frontmatter copyright-page"), "licence"),
        ("", "", page("<section epub:type='copyright-page'><p>(c)</p></section>"), "licence"),
        ("", "", page(COPYRIGHT), "licence"),
        ("", "", page("<p>The Lamp</p>", "titlepage"), "front matter"),
        ("", "", page("<nav epub:type='toc'><ol><li>One</li></ol></nav>"), "navigation"),
    ],
)
def test_pages_that_are_not_the_story_are_left_out_and_reported(
    tmp_path, properties, guide, body, reason
):
    opf = package(itemrefs("x", "one", "two"), items=ITEM.format(properties), guide=guide)
    findings = Findings()
    assert shown(tmp_path, members(opf, **{"OEBPS/x.xhtml": body}), findings) == BOTH
    assert [drop.reason for drop in findings.drops] == [reason]
    assert not findings.faults


def test_a_page_beside_the_reading_order_is_not_read(tmp_path):
    opf = package(itemrefs("one", "two") + '<itemref idref="x" linear="no"/>', items=ITEM)
    assert shown(tmp_path, members(opf, **{"OEBPS/x.xhtml": page("<p>A map</p>")})) == BOTH


def test_a_chapter_may_speak_of_rights(tmp_path):
    opf = package(itemrefs("one", "two", "x"), items=ITEM)
    text = "“All rights reserved,” he said."
    found = shown(tmp_path, members(opf, **{"OEBPS/x.xhtml": page(f"<p>{text}</p>")}))
    assert found == f"{BOTH}\n\n{text}"


# Books that are damaged or locked


def test_a_missing_or_unreadable_chapter_is_a_fault_and_the_others_are_read(tmp_path):
    opf = package(itemrefs("one", "x", "y", "two"), items=ITEM + ITEM.replace("x", "y", 2))
    findings = Findings()
    files: dict[str, str | bytes] = {**members(opf), "OEBPS/x.xhtml": b"<p>caf\xe9</p>"}
    assert shown(tmp_path, files, findings) == BOTH
    assert findings.n_faults == 2


@pytest.mark.parametrize(
    "href", ["../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://x.test/", ""]
)
def test_a_chapter_outside_of_the_book_is_not_there(tmp_path, href):
    items = f'<item id="x" href="{href}" media-type="application/xhtml+xml"/>'
    findings = Findings()
    opf = package(itemrefs("one", "x", "two"), items=items)
    assert shown(tmp_path, members(opf), findings) == BOTH
    assert [fault.message[:28] for fault in findings.faults] == ["a chapter that the book list"]


def test_member_names_that_lead_out_are_only_names(tmp_path):
    files = members(**{"../../evil.xhtml": page("evil"), "/abs.xhtml": page("evil")})
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    assert shown(tmp_path, files) == BOTH
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before


def test_a_protected_book_is_refused_and_scrambled_fonts_are_not(tmp_path):
    name = "META-INF/encryption.xml"
    fonts = SCRAMBLED.format("http://www.idpf.org/2008/embedding")
    assert shown(tmp_path, members(**{name: fonts})) == BOTH
    locked = SCRAMBLED.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    with pytest.raises(Unreadable, match="protected against copying"):
        shown(tmp_path, members(**{name: locked}))


def test_entities_of_the_package_are_refused(tmp_path):
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
    opf = f'<!DOCTYPE package [<!ENTITY a0 "lol">{bomb}]>' + package(itemrefs("one"))
    for text in (opf, opf.encode("utf-16")):
        with pytest.raises(Unreadable, match=r"book\.opf is not as EPUB wants it"):
            shown(tmp_path, {**members(), "OEBPS/book.opf": text})


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"mimetype": "application/epub+zip"}, r"list of chapters \(\.opf\) is missing"),
        (members("<package/>"), "lists no chapters"),
        (members("not XML"), "lists no chapters"),
        (members("<a>" * 20_000), "lists no chapters"),
        (members(package(itemrefs("no", "such"))), "lists no chapters"),
        ({**members(), **dict.fromkeys(CHAPTERS, page("<img src='1.png'/>"))}, "without text"),
    ],
)
def test_a_book_that_cannot_be_used_says_why(tmp_path, files, says):
    with pytest.raises(Unreadable, match=says):
        list(READER.read(file(tmp_path, zipped(files)), Findings()))


# Archives


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    files = {**members(), "OEBPS/one.xhtml": " " * (16 << 20)}
    with pytest.raises(Unreadable, match="zip bomb"):
        shown(tmp_path, files)


def test_many_members_together_have_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_TOTAL_BYTES", 1_000)
    with open_zip(file(tmp_path, zipped({"a": "x" * 600, "b": "y" * 600}))) as archive:
        assert len(archive.read("a")) == 600
        with pytest.raises(Unreadable, match="when unpacked"):
            archive.read("b")


def test_an_archive_of_too_many_files_is_refused(tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as book:
        for number in range(limits.MAX_MEMBERS + 1):
            book.writestr(zipfile.ZipInfo(str(number)), "")
    source = file(tmp_path, data.getvalue())
    with pytest.raises(Unreadable, match="more than 10000 files"), open_zip(source):
        pass


@pytest.mark.parametrize("declared", [0, 1, 50, 10_000_000, 0xFFFFFFFE])
def test_a_declared_size_is_not_believed(tmp_path, declared):
    text = "It was dark. " * 20
    data = bytearray(zipped({"a": text}))
    central = data.index(b"PK\x01\x02")
    for offset in (22, central + 24):
        data[offset : offset + 4] = struct.pack("<I", declared)
    # The lie is consistent: the checksum is that of the part that is declared.
    forged = struct.pack("<I", zlib.crc32(text.encode()[:declared]))
    for offset in (14, central + 16):
        data[offset : offset + 4] = forged
    read = b""
    with open_zip(file(tmp_path, bytes(data))) as archive, suppress(Unreadable):
        read = archive.read("a")
    assert read in (b"", text.encode()[:declared])


def test_an_encrypted_archive_is_refused(tmp_path):
    data = bytearray(zipped(members()))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Unreadable, match="encrypted"):
        epub_lines(file(tmp_path, bytes(data)), Findings())


def test_a_packing_that_documents_never_have_is_refused(tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_LZMA) as book:
        book.writestr("a", "x")
    with pytest.raises(Unreadable, match="never are"), open_zip(file(tmp_path, data.getvalue())):
        pass


def test_a_book_cut_anywhere_is_refused(tmp_path):
    more = {f"OEBPS/{number}.png": str(number) * 3_000 for number in range(200)}
    whole = zipped(members(**more))
    for length in range(1, len(whole) - 1, 1_000):
        with pytest.raises(Unreadable):
            epub_lines(file(tmp_path, whole[:length]), Findings())


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_book_is_read_or_refused(tmp_path_factory, data):
    whole = bytearray(zipped(members()))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    source = file(tmp_path_factory.mktemp("damaged"), bytes(whole))
    with suppress(Unreadable):
        epub_lines(source, Findings())


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=300))
def test_anything_behind_the_magic_is_refused(tmp_path_factory, rest):
    source = file(tmp_path_factory.mktemp("random"), b"PK\x03\x04" + rest)
    READER.sniff(source)
    with pytest.raises(Unreadable):
        epub_lines(source, Findings())


@pytest.mark.parametrize(
    ("files", "claimed"),
    [
        (members(), True),
        ({"META-INF/container.xml": CONTAINER}, True),
        ({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<x/>"}, False),
        ({"[Content_Types].xml": "<x/>", "word/document.xml": "<x/>"}, False),
        ({"story.txt": "META-INF/container.xml mimetypeapplication/epub+zip"}, False),
    ],
)
def test_only_books_are_claimed(tmp_path, files, claimed):
    source = file(tmp_path, zipped(files), "any.zip")
    assert (READER.sniff(source) is not None) == claimed


def test_plain_text_is_not_claimed(tmp_path):
    assert READER.sniff(file(tmp_path, b"PK stands for Phil Katz.", "book.epub")) is None
