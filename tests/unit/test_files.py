"""Files and uploads: kept once by content, owned apart, gone without a trace."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from lmft.corpus.readers.registry import choose
from lmft.corpus.source import SourceFile
from lmft.errors import InputError, QuotaError, StoreError, UserError
from lmft.files.accepted import EmptyFileError, UnsupportedFileError, check_content
from lmft.files.blobs import Blobs, FileTooLargeError
from lmft.files.file import RESULTS, File, FileInUseError, FileMissingError, NewFile
from lmft.files.files import Files
from lmft.files.limits import max_file_bytes
from lmft.files.names import disk_name, shown_name
from lmft.files.sweep import sweep
from lmft.files.upload import UploadMissingError, UploadStateError
from lmft.files.uploads import Uploads
from lmft.object_ids import is_id, mint_id
from lmft.store import idempotency
from lmft.store.database import Store, open_store
from lmft.store.idempotency import KeyReusedError
from lmft.store.job_tables import files as table
from lmft.store.job_tables import jobs, upload_parts
from lmft.store.job_tables import uploads as uploads_table
from lmft.store.projects import ProjectLimits, Projects

ME = 1
TALE = b"Once upon a time there was a door.\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(home: Path, either_store: Store) -> Store:
    return either_store


@pytest.fixture
def files(store: Store) -> Files:
    return Files(store)


@pytest.fixture
def uploads(store: Store) -> Uploads:
    return Uploads(store)


def take(
    files: Files,
    content: bytes = TALE,
    filename: str = "tale.txt",
    project: int = ME,
    purpose: str = "fine-tune",
    seconds: int | None = None,
    key: str | None = None,
) -> File:
    staged = files.stage()
    try:
        staged.write(content)
        return files.take(staged, NewFile(project, purpose, filename, seconds), key)
    finally:
        staged.discard()


def on_disk(home: Path) -> list[str]:
    return sorted(
        path.relative_to(home / "files").parts[0]
        for path in (home / "files").rglob("*")
        if path.is_file() and path.name != "lock"
    )


def job_on(store: Store, file: File, status: str = "queued", **columns: object) -> str:
    row = {
        "id": mint_id("ftjob-"),
        "project": ME,
        "status": status,
        "wish": "",
        "hold": 0,
        "priority": 0,
        "method": "sft",
        "model": "embedded",
        "seed": 1,
        "adapter": mint_id("ft:"),
        "training_file": file.id,
        "files": f'["{file.id}"]',
        **dict.fromkeys(("request", "recipe", "integrations"), "{}"),
        "attempt": 0,
        "step": 0,
        "created_at": 1,
        **columns,
    }
    with store.writing() as connection:
        connection.execute(insert(jobs).values(row))
    return str(row["id"])


# Ids


def test_an_id_is_its_prefix_and_24_hex_digits() -> None:
    made = {mint_id("file-") for _ in range(100)}
    assert len(made) == 100
    assert all(is_id("file-", one) and len(one) == 29 for one in made)


@pytest.mark.parametrize(
    "text", ["", "file-", "file-../../../../etc/pass", "file-" + "A" * 24, "file-" + "0" * 23]
)
def test_nothing_else_is_an_id(text: str) -> None:
    assert not is_id("file-", text)
    assert not is_id("file-", "file-" + "0" * 24 + "\n")
    assert not is_id("upload_", "file-" + "0" * 24)


# Taken in and given out


def test_a_file_is_what_was_sent(files: Files, home: Path) -> None:
    before = int(time.time())
    file = take(files)
    assert is_id("file-", file.id)
    assert (file.project_id, file.purpose, file.filename) == (ME, "fine-tune", "tale.txt")
    assert (file.n_bytes, file.sha256) == (len(TALE), hashlib.sha256(TALE).hexdigest())
    assert before <= file.created_at <= time.time()
    assert file.expires_at is None
    assert files.get(file.id, ME) == file
    with files.open(file) as content:
        assert content.read() == TALE
    blob = files.path_of(file)
    assert stat.S_IMODE(blob.stat().st_mode) == 0o600
    for directory in (blob.parent, home / "files", home / "files" / "staging"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_equal_contents_lie_there_once_until_the_last_owner_deletes_his(
    files: Files, store: Store, home: Path
) -> None:
    shop = Projects(store).create("shop").id
    mine, theirs = take(files), take(files, project=shop, filename="other.txt")
    assert mine.id != theirs.id
    assert on_disk(home) == ["blobs"]
    with pytest.raises(FileMissingError):
        files.get(theirs.id, ME)
    with pytest.raises(FileMissingError):
        files.delete(theirs.id, ME)
    files.delete(mine.id, ME)
    assert files.path_of(theirs).read_bytes() == TALE
    files.delete(theirs.id, shop)
    assert on_disk(home) == []
    with pytest.raises(FileMissingError):
        files.delete(theirs.id, shop)


def test_a_damaged_copy_is_healed_by_an_upload_of_the_same(files: Files) -> None:
    first = take(files)
    files.path_of(first).write_bytes(b"x")
    take(files)
    assert files.path_of(first).read_bytes() == TALE


def test_a_content_that_is_gone_is_said(files: Files, tmp_path: Path) -> None:
    file = take(files)
    files.path_of(file).unlink()
    with pytest.raises(StoreError, match="is gone from the disk"):
        files.open(file)
    with pytest.raises(StoreError, match="is gone from the disk"):
        files.materialise([file.id], tmp_path / "there")


def test_lists_go_by_cursor_in_both_orders(files: Files, store: Store) -> None:
    made = [take(files, f"{n}".encode()).id for n in range(5)]
    other = take(files, purpose="evals").id
    shop = take(files, project=Projects(store).create("shop").id).id

    def ids(**asked: object) -> tuple[list[str], bool]:
        found, more = files.list(ME, **asked)  # type: ignore[arg-type]
        return [file.id for file in found], more

    assert ids() == ([other, *reversed(made)], False)
    assert ids(order="asc", limit=2) == (made[:2], True)
    assert ids(order="asc", after=made[1], limit=3) == (made[2:], True)
    assert ids(after=made[2]) == ([made[1], made[0]], False)
    assert ids(purpose="evals") == ([other], False)
    with pytest.raises(FileMissingError):
        ids(after=shop)


def test_a_file_at_the_limit_is_taken_and_one_beyond_it_never_written(
    files: Files, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMFT_MAX_FILE_BYTES", "100")
    assert take(files, b"x" * 100).n_bytes == 100
    with pytest.raises(FileTooLargeError, match="100 bytes"):
        take(files, b"y" * 101)
    assert on_disk(home) == ["blobs"]
    monkeypatch.setenv("LMFT_MAX_FILE_BYTES", "many")
    with pytest.raises(UserError, match="LMFT_MAX_FILE_BYTES is 'many'"):
        max_file_bytes()


@pytest.mark.parametrize("purpose", ["", "fine_tune", RESULTS, "'; DROP TABLE files"])
def test_a_purpose_that_is_none_is_refused(files: Files, home: Path, purpose: str) -> None:
    with pytest.raises(InputError, match="is no purpose"):
        take(files, purpose=purpose)
    assert on_disk(home) == []


def test_the_quota_of_a_project_counts_a_content_once(files: Files, store: Store) -> None:
    shop = Projects(store).create("shop", ProjectLimits(disk_bytes=2 * len(TALE))).id
    take(files, project=shop)
    take(files, project=shop)
    take(files, TALE[::-1], project=shop)
    with pytest.raises(QuotaError):
        take(files, b"!", project=shop)
    results = files.create(io.BytesIO(b"step\n"), NewFile(shop, RESULTS, "results.csv"))
    assert files.get(results.id, shop).purpose == RESULTS


# Deleting


def test_what_an_unfinished_job_works_on_stays(files: Files, store: Store) -> None:
    training, validation, more = (take(files, bytes([65 + n])) for n in range(3))
    columns = {"validation_file": validation.id, "files": f'["{training.id}", "{more.id}"]'}
    job = job_on(store, training, **columns)
    for file in (training, validation, more):
        with pytest.raises(FileInUseError, match="Cancel the job"):
            files.delete(file.id, ME)
    with store.writing() as connection:
        ended = {"status": "cancelled", "finished_at": 2}
        connection.execute(update(jobs).where(jobs.c.id == job).values(ended))
    for file in (training, validation, more):
        files.delete(file.id, ME)


def test_files_expire_but_not_under_a_job(files: Files, store: Store, home: Path) -> None:
    short, used, kept = (
        take(files, b"1", seconds=3600),
        take(files, b"2", seconds=3600),
        take(files),
    )
    assert short.expires_at == short.created_at + 3600
    job_on(store, used)
    later = time.time() + 3601
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        with pytest.raises(FileMissingError):
            files.get(short.id)
        assert [file.id for file in files.list(ME)[0]] == [kept.id]
        sweep(store)
    assert on_disk(home) == ["blobs"] * 2
    with store.reading() as connection:
        gone = connection.scalars(select(table.c.id).where(table.c.deleted_at.is_not(None))).all()
    assert gone == [short.id]
    assert files.materialise([used.id], home / "there")[0].read_bytes() == b"2"


@pytest.mark.parametrize("seconds", [0, 3599, 2_592_001, -1])
def test_a_time_to_expire_that_openai_refuses_is_refused(files: Files, seconds: int) -> None:
    with pytest.raises(InputError, match="cannot expire"):
        take(files, seconds=seconds)


# Idempotency


def test_one_key_is_one_file(files: Files, home: Path) -> None:
    first = take(files, key="k")
    assert take(files, key="k") == first
    assert take(files, key="other").id != first.id
    for changed in (
        lambda: take(files, b"else", key="k"),
        lambda: take(files, filename="b.txt", key="k"),
        lambda: take(files, purpose="evals", key="k"),
        lambda: take(files, seconds=3600, key="k"),
    ):
        with pytest.raises(KeyReusedError):
            changed()
    assert len(files.list(ME)[0]) == 2


def test_of_many_at_once_with_one_key_one_is_made(files: Files) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = {one.id for one in threads.map(lambda _: take(files, key="k"), range(24))}
    assert len(made) == 1
    assert [file.id for file in files.list(ME)[0]] == list(made)


def test_a_key_is_a_projects_own_and_forgotten_after_a_day(
    files: Files, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Projects(store).create("shop").id
    first, theirs = take(files, key="k"), take(files, b"else", project=shop, key="k")
    assert first.id != theirs.id
    later = time.time() + idempotency.KEPT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert take(files, b"else", key="k").id != first.id


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x00b", "a\nb"])
def test_a_key_that_is_none_is_refused(files: Files, key: str) -> None:
    with pytest.raises(InputError, match="Idempotency-Key"):
        take(files, key=key)


def test_the_order_of_a_bodys_keys_does_not_matter() -> None:
    digest = idempotency.request_sha256("jobs", {"a": 1, "b": {"c": 2, "d": None}})
    assert digest == idempotency.request_sha256("jobs", {"b": {"d": None, "c": 2}, "a": 1})
    assert digest != idempotency.request_sha256("files", {"a": 1, "b": {"c": 2, "d": None}})


# For the compiler


def test_files_are_laid_out_in_order_under_harmless_names(
    files: Files, store: Store, tmp_path: Path
) -> None:
    given = ["My Novel.EPUB.txt", "../../etc/passwd", "CON", "règne 🐉.jsonl", "x.exe", "a.MD"]
    made = [take(files, bytes([65 + n]), name) for n, name in enumerate(given)]
    directory = tmp_path / "job" / "data"
    for _ in range(2):
        laid_out = files.materialise([file.id for file in made], directory)
        assert [path.name for path in laid_out] == [
            "001-my-novel-epub.txt",
            "002-passwd",
            "003-con",
            "004-r-gne.jsonl",
            "005-x",
            "006-a.md",
        ]
        assert [path.read_bytes() for path in laid_out] == [bytes([65 + n]) for n in range(6)]
    assert laid_out[0].samefile(files.path_of(made[0]))
    files.delete(made[0].id, ME)
    # Laid out is laid out; but it cannot be done again.
    assert laid_out[0].read_bytes() == b"A"
    with pytest.raises(FileMissingError):
        files.materialise([made[0].id], directory)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("tale.txt", "tale.txt"),
        ("../../x", "x"),
        ("C:\\Users\\me\\tale.txt", "tale.txt"),
        ("a\x00b\x1b[31m\n.txt", "ab[31m.txt"),
        ("fdp.\u202etxt", "fdp.txt"),
        ("\ud800.txt", ".txt"),
        ("", "file"),
        ("..", "file"),
        ("///", "file"),
        ("CON", "CON"),
        ("🐉.txt", "🐉.txt"),
        ("é" * 300 + ".jsonl", "é" * 249 + ".jsonl"),
        ("a." + "b" * 300, "a." + "b" * 253),
    ],
)
def test_a_name_is_shown_without_what_cannot_be_seen(given: str, shown: str) -> None:
    assert shown_name(given) == shown
    assert disk_name(1, shown).isascii()
    assert Path(disk_name(1, shown)).name == disk_name(1, shown)


# What is taken in


def zipped(members: dict[str, bytes], comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = comment
    return made.getvalue()


def tarred(form: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        member = tarfile.TarInfo('{"text": "a"}')
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return made.getvalue()


EPUB = zipped({"mimetype": b"application/epub+zip", "META-INF/container.xml": b"<x/>"})
DOCX = zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})
WEIGHTS = (60).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
OLD_TAR = bytearray(tarred(tarfile.USTAR_FORMAT))
OLD_TAR[257:265] = bytes(8)
OLD_TAR[148:156] = b" " * 8
OLD_TAR[148:156] = f"{sum(OLD_TAR[:512]):06o}\0 ".encode()

REFUSED = {
    "zip": zipped({"a.txt": TALE}),
    "a zip that ends early": zipped({"a.txt": TALE})[:-5],
    "an epub behind text": TALE + EPUB,
    "a zip behind text": TALE + zipped({"a.txt": TALE}),
    "a zip with a comment behind a PDF": b"%PDF-1.7\n" + zipped({"a.txt": TALE}, b"x" * 60_000),
    "an epub with a program behind it": EPUB + b"\x7fELF" * 10,
    "an epub in which a zip is hidden": EPUB[:-22] + zipped({"a": b"a"}) + EPUB[-22:],
    "an epub of too many files": zipped(
        {"META-INF/container.xml": b""} | {f"{n}": b"" for n in range(10_001)}
    ),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
    "bzip2": b"BZh91AY&SY",
    "xz": b"\xfd7zXZ\x00\x00",
    "zst": b"\x28\xb5\x2f\xfd\x00",
    "7z": b"7z\xbc\xaf\x27\x1c\x00",
    "lz4": b"\x04\x22\x4d\x18\x60",
    "tar": tarred(tarfile.USTAR_FORMAT),
    "a GNU tar": tarred(tarfile.GNU_FORMAT),
    "a PAX tar": tarred(tarfile.PAX_FORMAT),
    "a tar from before ustar": bytes(OLD_TAR),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05hello\x94.",
    "an old pickle": b"cos\nsystem\n(S'true'\ntR.",
    "parquet": b"PAR1" + bytes(30) + b"PAR1",
    "safetensors": WEIGHTS + bytes(10),
    "lzip": b"LZIP\x01\x0c",
    "cabinet": b"MSCF\x00\x00\x00\x00\x2c",
    "cpio": b"070701" + b"0000A1b2" * 13 + b"name",
    "ELF": b"\x7fELF\x02\x01\x01",
    "PE": b"MZ\x78\x01" + bytes(56) + (64).to_bytes(4, "little") + b"PE\0\0",
    "Mach-O": b"\xcf\xfa\xed\xfe\x07",
    "WebAssembly": b"\x00asm\x01",
    "a picture": b"\x89PNG\r\n\x1a\n",
}
TAKEN = {
    "text": TALE,
    "one letter": b"a",
    "JSONL": b'{"text": "PK is short for player killer"}\n',
    "UTF-16": "\ufeffOnce".encode("utf-16-le"),
    "a NUL, which validation reports": b"a\x00b" * 1000,
    "Latin-1": b"caf\xe9\n",
    "LZIP as a word": b"LZIP is a tool.\n",
    "MSCF as a word": b"MSCF, they said.\n",
    "a log of 2007": b"070701 12:00:00 InnoDB: Started; log sequence number 0 43655\n" * 3,
    "MZ as a word": b"MZ is a band.\n" * 20,
    "epub": EPUB,
    "docx": DOCX,
    "docx with a comment": zipped({"[Content_Types].xml": b"", "word/document.xml": b""}, b"hi"),
    "PDF": b"%PDF-1.7\n1 0 obj\n",
    "HTML": b"<!doctype html><p>Hi",
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_neither_text_nor_book_is_refused(what: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(REFUSED[what])
    with pytest.raises(UnsupportedFileError, match="whatever its name says"):
        check_content(tmp_path / "f")


@pytest.mark.parametrize("what", TAKEN)
def test_what_the_compiler_reads_is_taken(what: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(TAKEN[what])
    check_content(tmp_path / "f")
    choose(SourceFile(tmp_path / "f", "f"))


def test_nothing_is_no_file(files: Files, home: Path) -> None:
    with pytest.raises(EmptyFileError):
        take(files, b"")
    assert on_disk(home) == []


# What killed processes left


def test_the_sweep_takes_what_is_left_and_leaves_what_is_being_written(
    files: Files, uploads: Uploads, store: Store, home: Path
) -> None:
    kept, pending, over = take(files), begin(uploads), begin(uploads)
    part(uploads, pending, b"12345")
    uploads.cancel(over, ME)
    writing = files.stage()
    writing.write(b"half")
    # As a process leaves them that is killed before it has written the row, or taken the mark.
    blobs = Blobs()
    orphan = files.stage()
    orphan.write(b"orphan")
    blobs.put(orphan, sha256 := orphan.finish())
    orphan.discard()
    (home / "files" / "staging" / kept.sha256).touch()
    (home / "files" / "staging" / "left").write_bytes(b"left")
    (home / "files" / "uploads" / over).mkdir()
    assert blobs.path(sha256).exists()
    sweep(store)
    assert on_disk(home) == ["blobs", "staging", "uploads"]
    assert len(list((home / "files" / "uploads").iterdir())) == 1
    assert not blobs.path(sha256).exists()
    done = files.take(writing, NewFile(ME, "fine-tune", "half.txt"))
    writing.discard()
    assert files.path_of(done).read_bytes() == b"half"
    assert files.path_of(kept).read_bytes() == TALE


def test_a_database_that_is_not_theirs_takes_no_contents_away(
    files: Files, uploads: Uploads, store: Store, home: Path
) -> None:
    """Of a server that was started without its LMFT_DATABASE_URL, or on an old backup."""
    kept, gone = take(files), take(files, b"gone")
    upload = begin(uploads, 5)
    first = part(uploads, upload, b"hello")
    wrong = open_store(home / "new.db")
    try:
        sweep(wrong)
    finally:
        wrong.close()
    assert files.path_of(kept).read_bytes() == TALE
    assert uploads.complete(upload, [first], ME).status == "completed"
    with store.writing() as connection:
        connection.execute(update(table).where(table.c.id == gone.id).values(deleted_at=1))
    sweep(store)
    assert not files.path_of(gone).exists()
    assert files.path_of(kept).read_bytes() == TALE


def test_sweeps_beside_uploads_and_deletions_lose_nothing(files: Files, store: Store) -> None:
    def churn(n: int) -> None:
        for _ in range(10):
            files.delete(take(files, bytes([65 + n % 3])).id, ME)
            sweep(store)

    kept = take(files)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(churn, range(6)))
        made = list(threads.map(lambda _: take(files, b"A"), range(6)))
    for file in (kept, *made):
        assert files.path_of(file).exists()


# Uploads


def begin(uploads: Uploads, n_bytes: int = 10, key: str | None = None, project: int = ME) -> str:
    new = NewFile(project, "fine-tune", "big.txt", 3600)
    return uploads.create(new, n_bytes, "text/plain", key).id


def part(uploads: Uploads, upload: str, content: bytes, project: int = ME) -> str:
    staged = uploads.stage()
    try:
        staged.write(content)
        return uploads.add_part(staged, upload, project).id
    finally:
        staged.discard()


def test_parts_become_one_file_in_the_order_given(
    uploads: Uploads, files: Files, home: Path
) -> None:
    upload = begin(uploads)
    with ThreadPoolExecutor(2) as threads:
        last, first = threads.map(lambda data: part(uploads, upload, data), (b"world", b"hello"))
    md5 = hashlib.md5(b"helloworld").hexdigest().upper()
    done = uploads.complete(upload, [first, last], ME, md5)
    assert done.status == "completed"
    assert done.file is not None
    assert files.path_of(done.file).read_bytes() == b"helloworld"
    assert done.file.expires_at == done.file.created_at + 3600
    assert on_disk(home) == ["blobs"]
    # A second try, whose first answer was lost.
    assert uploads.complete(upload, [first, last], ME) == done
    with pytest.raises(UploadStateError, match="is completed"):
        part(uploads, upload, b"x")
    with pytest.raises(UploadStateError):
        uploads.cancel(upload, ME)
    files.delete(done.file.id, ME)
    assert uploads.get(upload, ME).file is None


def test_an_upload_is_completed_only_by_all_of_its_own_parts(uploads: Uploads, home: Path) -> None:
    upload, other = begin(uploads), begin(uploads, 5)
    mine, also, foreign = (
        part(uploads, upload, b"hello"),
        part(uploads, upload, b"world"),
        part(uploads, other, b"other"),
    )
    for ids, message in (
        ([mine], "have 5 bytes"),
        ([mine, mine], "twice"),
        ([mine, foreign], "is no part of"),
        ([mine, "../../etc/passwd"], "is no part of"),
    ):
        with pytest.raises(InputError, match=message):
            uploads.complete(upload, ids, ME)
    with pytest.raises(InputError, match="md5"):
        uploads.complete(upload, [also, mine], ME, hashlib.md5(b"helloworld").hexdigest())
    with pytest.raises(InputError, match="empty"):
        part(uploads, other, b"")
    assert uploads.get(upload, ME).status == "pending"
    assert on_disk(home) == ["uploads"] * 3


def test_a_part_that_is_sent_again_is_no_harm_and_a_third_time_too_much(
    uploads: Uploads, home: Path
) -> None:
    """As OpenAI's client does when the answer to the first was lost."""
    upload = begin(uploads)
    _, first, _, last = (part(uploads, upload, data) for data in (b"hello", b"hello") * 2)
    for content in (b"!", b"eleven bytes"):
        with pytest.raises(InputError, match="larger than the 10 bytes"):
            part(uploads, upload, content)
    assert uploads.complete(upload, [first, last], ME).status == "completed"
    assert on_disk(home) == ["blobs"]


def test_an_upload_has_at_most_20_000_parts(uploads: Uploads, store: Store) -> None:
    upload = begin(uploads, 100_000)
    rows = [
        {"id": mint_id("part_"), "upload": upload, "bytes": 1, "created_at": 1}
        for _ in range(20_000)
    ]
    with store.writing() as connection:
        connection.execute(insert(upload_parts), rows)
    with pytest.raises(InputError, match="at most 10000 larger ones"):
        part(uploads, upload, b"x")


def test_of_many_that_complete_it_at_once_all_hear_what_it_became(uploads: Uploads) -> None:
    """As OpenAI's client does when the first takes too long for it."""
    for _ in range(5):
        upload = begin(uploads, 1_000_000)
        parts = [part(uploads, upload, b"x" * 100_000) for _ in range(10)]
        with ThreadPoolExecutor(6) as threads:
            asked = [threads.submit(uploads.complete, upload, parts, ME) for _ in range(6)]
            became = {one.result().file for one in asked}
        assert len(became) == 1
        assert None not in became


def test_what_is_no_text_is_refused_when_it_is_whole(uploads: Uploads, home: Path) -> None:
    archive = zipped({"a.txt": TALE})
    upload = begin(uploads, len(archive))
    ids = [part(uploads, upload, archive[:9]), part(uploads, upload, archive[9:])]
    with pytest.raises(UnsupportedFileError):
        uploads.complete(upload, ids, ME)
    assert uploads.cancel(upload, ME).status == "cancelled"
    assert uploads.cancel(upload, ME).status == "cancelled"
    assert on_disk(home) == []
    with pytest.raises(UploadStateError, match="cancelled"):
        uploads.complete(upload, ids, ME)


def test_an_upload_expires_after_an_hour(
    uploads: Uploads, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(uploads, 5)
    first = part(uploads, upload, b"hello")
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)
    assert uploads.get(upload, ME).status == "expired"
    for ends in (
        lambda: part(uploads, upload, b"x"),
        lambda: uploads.complete(upload, [first], ME),
        lambda: uploads.cancel(upload, ME),
    ):
        with pytest.raises(UploadStateError, match="expired"):
            ends()
    sweep(store)
    assert on_disk(home) == []
    with store.reading() as connection:
        assert connection.scalars(select(uploads_table.c.status)).all() == ["expired"]


def test_an_upload_is_a_projects_own(uploads: Uploads, store: Store) -> None:
    shop = Projects(store).create("shop").id
    upload = begin(uploads, key="k")
    assert begin(uploads, key="k") == upload
    with pytest.raises(KeyReusedError):
        begin(uploads, 11, key="k")
    for asked in (
        lambda: uploads.get(upload, shop),
        lambda: part(uploads, upload, b"x", shop),
        lambda: uploads.complete(upload, ["part_x"], shop),
        lambda: uploads.cancel(upload, shop),
        lambda: uploads.get("../x"),
    ):
        with pytest.raises(UploadMissingError):
            asked()


@pytest.mark.parametrize(("n_bytes", "error"), [(0, EmptyFileError), (2**40, FileTooLargeError)])
def test_an_upload_has_a_size_that_a_file_can_have(
    uploads: Uploads, n_bytes: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        begin(uploads, n_bytes)
