"""Projects and what they may use: in the file, with the rows that count, and in a race."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError

from lmft.errors import InputError, NotFoundError, QuotaError
from lmft.jobs.events import say
from lmft.jobs.job import NewJob, Said
from lmft.jobs.queue import create as create_job
from lmft.object_ids import mint_id
from lmft.store import job_tables as tables
from lmft.store.database import Store
from lmft.store.keys import Keys, Limits
from lmft.store.projects import DEFAULT_PROJECT, DEFAULT_PROJECT_ID, ProjectLimits, Projects
from lmft.store.quotas import Usage, require_disk, require_job, require_tokens, usage

MIB = 2**20


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


@pytest.fixture
def projects(store: Store) -> Projects:
    return Projects(store)


def add_job(connection, project: int = 1, key: int | None = None) -> int:
    new = NewJob(
        project_id=project,
        key=key,
        method="sft",
        model="embedded",
        seed=1,
        adapter=mint_id("ft:"),
        files=("file-a",),
        request={},
        recipe={},
    )
    return create_job(connection, new).number


def add_file(connection, project: int, size: int, sha256: str = "a" * 64, **more) -> None:
    row = {
        "id": mint_id("file-"),
        "project": project,
        "purpose": "fine-tune",
        "filename": "a.jsonl",
        "bytes": size,
        "sha256": sha256,
        "created_at": 1,
    }
    connection.execute(insert(tables.files).values(row | more))


def claim(connection, job: int) -> None:
    jobs = tables.jobs
    change = {"status": "queued"}
    connection.execute(update(jobs).where(jobs.c.number == job).values(change))
    change = {"status": "running", "attempt": 1}
    connection.execute(update(jobs).where(jobs.c.number == job).values(change))


def end(connection, job: int, *, at: int | None = None, tokens: int | None = None) -> None:
    jobs = tables.jobs
    if tokens is not None:
        claim(connection, job)
    change = {
        "status": "cancelled",
        "finished_at": int(time.time()) if at is None else at,
        "trained_tokens": tokens,
    }
    connection.execute(update(jobs).where(jobs.c.number == job).values(change))


# Projects


def test_the_first_project_is_there_from_the_start(projects: Projects) -> None:
    (first,) = projects.all()
    assert (first.id, first.name) == (DEFAULT_PROJECT_ID, DEFAULT_PROJECT)
    assert first.limits == ProjectLimits()


def test_a_project_is_made_read_back_and_limited_anew(projects: Projects) -> None:
    made = projects.create("shop", ProjectLimits(active_jobs=2))
    assert projects.get("shop") == made == projects.all()[-1]
    limits = ProjectLimits(5 * MIB, None, 9)
    assert projects.set_limits("shop", limits).limits == limits
    assert projects.get("shop").limits == limits
    for missing in (projects.get, lambda name: projects.set_limits(name, limits)):
        with pytest.raises(NotFoundError, match="no project 'nosuch'"):
            missing("nosuch")


@pytest.mark.parametrize("name", ["", "A", "a b", "a:b", "a/b", "..", "-a", "a-", "x" * 65, "é"])
def test_a_name_is_a_part_of_an_id(projects: Projects, name: str) -> None:
    with pytest.raises(InputError, match="cannot be a project's name"):
        projects.create(name)


def test_a_name_is_taken_for_good(projects: Projects, store: Store) -> None:
    projects.create("shop")
    with pytest.raises(InputError, match="shop already"):
        projects.create("shop")
    for change in ("DELETE FROM projects", "UPDATE projects SET name = 'x'"):
        with pytest.raises(IntegrityError), store.writing() as connection:
            connection.execute(text(change))


@pytest.mark.parametrize(
    "limits", [{"disk_bytes": 0}, {"active_jobs": -1}, {"active_jobs": 2**31}], ids=str
)
def test_a_limit_is_a_positive_number(projects: Projects, limits: dict) -> None:
    with pytest.raises(InputError, match="Give a number"):
        projects.create("shop", ProjectLimits(**limits))
    with pytest.raises(InputError, match="Give a number"):
        projects.set_limits("me", ProjectLimits(**limits))


# What is used


def test_equal_files_count_once_a_project_and_deleted_ones_not_at_all(
    store: Store, projects: Projects
) -> None:
    shop = projects.create("shop", ProjectLimits(disk_bytes=3 * MIB)).id
    with store.writing() as connection:
        for project in (1, shop, shop):
            add_file(connection, project, MIB)
        add_file(connection, shop, 9 * MIB, "b" * 64, deleted_at=2)
        assert usage(connection, shop).disk_bytes == MIB
        require_disk(connection, shop, 2 * MIB)
        with pytest.raises(QuotaError, match=r"may keep 3\.0 MiB .* make it 3\.0") as caught:
            require_disk(connection, shop, 2 * MIB + 1)
        assert caught.value.code == "quota_exceeded"
        # The first project has no limit.
        require_disk(connection, 1, 2**50)
        # Content that is there already takes no further room.
        add_file(connection, shop, 2 * MIB, "c" * 64)
        add_file(connection, shop, 2 * MIB, "c" * 64)
        require_disk(connection, shop)
        add_file(connection, shop, 1, "d" * 64)
        with pytest.raises(QuotaError):
            require_disk(connection, shop)


def test_the_parts_of_an_upload_count_until_it_ends(store: Store) -> None:
    with store.writing() as connection:
        upload = {
            "project": 1,
            "purpose": "fine-tune",
            "filename": "a",
            "bytes": 10,
            "mime_type": "text/plain",
            "created_at": 1,
            "expires_at": 2,
        }
        for name, status in (("upload_a", "pending"), ("upload_b", "cancelled")):
            row = upload | {"id": name, "status": status}
            connection.execute(insert(tables.uploads).values(row))
            for part in range(2):
                row = {"id": f"part_{name}{part}", "upload": name, "bytes": 5, "created_at": 1}
                connection.execute(insert(tables.upload_parts).values(row))
        assert usage(connection, 1) == Usage(10, 0, 0)


def test_a_job_has_its_place_until_it_ends(store: Store, projects: Projects) -> None:
    shop = projects.create("shop", ProjectLimits(active_jobs=2)).id
    with store.writing() as connection:
        add_job(connection)
        first = add_job(connection, shop)
        require_job(connection, shop)
        add_job(connection, shop)
        with pytest.raises(QuotaError, match=r"Project shop may have 2 .* not ended"):
            require_job(connection, shop)
        end(connection, first)
        require_job(connection, shop)
        assert usage(connection, shop).active_jobs == 1


def test_a_keys_own_limits_hold_within_its_project(store: Store) -> None:
    key, _ = Keys(store).create("app", limits=Limits(active_jobs=1, jobs_per_day=2))
    other, _ = Keys(store).create("other")
    with store.writing() as connection:
        first = add_job(connection, key=key.id)
        with pytest.raises(QuotaError, match="This key may have 1 "):
            require_job(connection, 1, key.id)
        for free in (None, other.id):
            require_job(connection, 1, free)
        end(connection, first)
        require_job(connection, 1, key.id)
        end(connection, add_job(connection, key=key.id))
        with pytest.raises(QuotaError, match=r"2 fine-tuning job\(s\) in 24 hours"):
            require_job(connection, 1, key.id)


def test_tokens_count_for_a_day(store: Store, projects: Projects) -> None:
    projects.set_limits("me", ProjectLimits(training_tokens_per_day=1000))
    with store.writing() as connection:
        now = int(time.time())
        end(connection, add_job(connection), at=now - 90_000, tokens=5000)
        end(connection, add_job(connection), at=now - 80_000, tokens=600)
        assert usage(connection, 1).training_tokens == 600
        require_job(connection, 1)
        require_tokens(connection, 1, 400)
        with pytest.raises(QuotaError, match="trained 600, and this job would be 401 more"):
            require_tokens(connection, 1, 401)
        end(connection, add_job(connection), tokens=400)
        with pytest.raises(QuotaError, match=r"may train 1,000 .* trained 1,000\."):
            require_job(connection, 1)


def test_the_tokens_of_a_job_that_is_cancelled_late_count_too(store: Store) -> None:
    with store.writing() as connection:
        job = add_job(connection)
        claim(connection, job)
        for tokens in (100, 900):
            say(connection, job, [Said("Step", data={"tokens": tokens}, type="metrics")], 1)
        say(connection, job, [Said("Step 2 is reached")], 1)
        assert usage(connection, 1).training_tokens == 900
        end(connection, job)
        assert usage(connection, 1).training_tokens == 900


def test_of_many_at_once_no_more_than_allowed_pass(store: Store, projects: Projects) -> None:
    projects.set_limits("me", ProjectLimits(active_jobs=3))
    together = Barrier(12)

    def ask(_: int) -> bool:
        together.wait()
        try:
            with store.writing() as connection:
                require_job(connection, 1)
                add_job(connection)
        except QuotaError:
            return False
        return True

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(ask, range(12))) == 3
    with store.reading() as connection:
        assert usage(connection, 1).active_jobs == 3
