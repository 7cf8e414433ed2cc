"""Webhooks: what is signed, which addresses can be named, and when what is tried again."""

from __future__ import annotations

import base64
import json
import time

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from sqlalchemy.exc import IntegrityError

from lmft.errors import InputError, NotFoundError
from lmft.jobs.job import NewJob
from lmft.jobs.queue import create as create_job
from lmft.object_ids import mint_id
from lmft.store.database import Store
from lmft.store.projects import Projects
from lmft.webhooks import outbox
from lmft.webhooks.endpoints import Endpoint, Endpoints
from lmft.webhooks.event import TYPES, Event, mint_secret
from lmft.webhooks.outbox import MAX_TRIES, Outbox, delay_seconds, enqueue

URL = "https://example.org/hook?x=1"
SUCCEEDED = TYPES[0]
DAY = 86_400


@pytest.fixture
def store(either_store: Store) -> Store:
    return either_store


@pytest.fixture
def endpoints(store: Store) -> Endpoints:
    return Endpoints(store)


@pytest.fixture
def post(store: Store) -> Outbox:
    return Outbox(store)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> int:
    """The moment in which all jobs of a test end."""

    class Clock:
        time = staticmethod(lambda: 1_800_000_000.7)

    monkeypatch.setattr(outbox, "time", Clock)
    return 1_800_000_000


def ended(store: Store, project: int = 1, type: str = SUCCEEDED) -> str:
    """A job of which an event is to be sent."""
    new = NewJob(project, None, "sft", "embedded", 1, mint_id("ft:"), ("file-a",), {}, {})
    with store.writing() as connection:
        job = create_job(connection, new)
        enqueue(connection, job.number, project, type)
    return job.id


# One event


@pytest.mark.parametrize("kind", TYPES)
def test_the_sdk_takes_what_is_signed(kind: str) -> None:
    secret = mint_secret()
    client = OpenAI(api_key="x", webhook_secret=secret)
    event = Event("evt_1", kind, "ftjob-1", 1234)
    read = client.webhooks.unwrap(event.body, event.headers(secret, int(time.time())))
    assert kind.rpartition(".")[2] in type(read).__name__.lower()
    assert (read.id, read.type, read.object, read.created_at) == ("evt_1", kind, "event", 1234)
    assert read.data.id == "ftjob-1"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda headers, body: (headers, body.replace(b"ftjob-1", b"ftjob-2")),
        lambda headers, body: (headers | {"webhook-id": "evt_2"}, body),
        lambda headers, body: (
            headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
            body,
        ),
        lambda headers, body: (headers | {"webhook-signature": "v1,AAAA"}, body),
    ],
    ids=["body", "id", "time", "signature"],
)
def test_what_was_changed_on_the_way_is_not_taken(spoil) -> None:
    secret = mint_secret()
    event = Event("evt_1", SUCCEEDED, "ftjob-1", 1234)
    headers, body = spoil(event.headers(secret, int(time.time())), event.body)
    with pytest.raises(InvalidWebhookSignatureError):
        OpenAI(api_key="x", webhook_secret=secret).webhooks.unwrap(body, headers)


def test_a_secret_is_256_random_bits() -> None:
    first, second = mint_secret(), mint_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


# Addresses


def test_an_address_is_named_listed_and_removed(endpoints: Endpoints, store: Store) -> None:
    Projects(store).create("shop")
    made = endpoints.add(URL, "shop")
    assert (made.project, made.url) == ("shop", URL)
    other = endpoints.add(URL)
    assert endpoints.all() == [made, other]
    assert endpoints.remove(made.id) == made
    assert endpoints.all() == [other]
    for gone in (endpoints.get, endpoints.remove):
        with pytest.raises(NotFoundError, match="no webhook"):
            gone(made.id)
    with pytest.raises(NotFoundError, match="no project 'nosuch'"):
        endpoints.add(URL, "nosuch")


def test_a_secret_is_not_shown_with_its_address(endpoints: Endpoints) -> None:
    made = endpoints.add(URL)
    assert made.secret not in repr(made)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/hook",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://example.org/" + "x" * 2000,
        "https://exa\nmple.org/",
        "https://user:word@example.org/",
        "http://[::1",
    ],
)
def test_what_cannot_be_sent_to_is_refused(endpoints: Endpoints, url: str) -> None:
    with pytest.raises(InputError):
        endpoints.add(url)
    assert endpoints.all() == []


# The outbox


def test_every_address_of_the_project_hears_of_a_job_once(
    store: Store, endpoints: Endpoints, post: Outbox, now: int
) -> None:
    shop = Projects(store).create("shop").id
    first, second = endpoints.add(URL), endpoints.add("http://127.0.0.1:1/")
    endpoints.add(URL, "shop")
    endpoints.remove(endpoints.add("https://gone.example.org").id)
    job = ended(store)
    letters = post.take(now)
    assert [letter.url for letter in letters] == [first.url, second.url]
    assert [letter.secret for letter in letters] == [first.secret, second.secret]
    assert len({letter.event.id for letter in letters}) == 2
    body = json.loads(letters[0].event.body)
    assert body == {
        "id": letters[0].event.id,
        "object": "event",
        "created_at": now,
        "type": SUCCEEDED,
        "data": {"id": job},
    }
    # They are on their way.
    assert post.take(now) == []
    post.record([(letter, "") for letter in letters], now)
    assert post.take(now + DAY) == []
    assert [one.delivered for one in endpoints.all()] == [1, 1, 0]
    other = ended(store, shop)
    assert [letter.event.job for letter in post.take(now)] == [other]


def test_a_job_that_does_not_end_after_all_is_not_told(
    store: Store, endpoints: Endpoints, post: Outbox, now: int
) -> None:
    endpoints.add(URL)

    def end_and_fail() -> None:
        with store.writing() as connection:
            new = NewJob(1, None, "sft", "embedded", 1, "ft:x", ("file-a",), {}, {})
            enqueue(connection, create_job(connection, new).number, 1, SUCCEEDED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        end_and_fail()
    assert post.take(now) == []


def test_the_same_end_is_not_told_twice(store: Store, endpoints: Endpoints) -> None:
    endpoints.add(URL)
    with store.writing() as connection:
        new = NewJob(1, None, "sft", "embedded", 1, "ft:x", ("file-a",), {}, {})
        job = create_job(connection, new).number
        enqueue(connection, job, 1, SUCCEEDED)
    with pytest.raises(IntegrityError), store.writing() as connection:
        enqueue(connection, job, 1, SUCCEEDED)


def only(endpoints: Endpoints) -> Endpoint:
    (one,) = endpoints.all()
    return one


def test_what_fails_is_tried_again_ever_later_and_given_up_after_a_day(
    store: Store, endpoints: Endpoints, post: Outbox, now: int
) -> None:
    endpoints.add(URL)
    ended(store)
    at, ids = now, set()
    for tries in range(1, MAX_TRIES + 1):
        (letter,) = post.take(at)
        ids.add(letter.event.id)
        assert letter.tries == tries
        post.record([(letter, "It answered 500.")], at)
        if tries < MAX_TRIES:
            assert (only(endpoints).waiting, only(endpoints).given_up) == (1, 0)
            assert post.take(at + delay_seconds(tries) - 1) == []
            at += delay_seconds(tries)
    assert len(ids) == 1
    assert at - now == pytest.approx(DAY, rel=0.05)
    assert post.take(at + DAY) == []
    assert (only(endpoints).waiting, only(endpoints).given_up) == (0, 1)
    assert only(endpoints).detail == "It answered 500."


def test_what_arrives_at_last_is_no_longer_a_failure(
    store: Store, endpoints: Endpoints, post: Outbox, now: int
) -> None:
    endpoints.add(URL)
    ended(store)
    post.record([(post.take(now)[0], "It answered 500.")], now)
    post.record([(post.take(now + 5)[0], "")], now + 5)
    assert (only(endpoints).delivered, only(endpoints).detail) == (1, "")


def test_a_sender_that_was_killed_leaves_its_letters_to_the_next(
    store: Store, endpoints: Endpoints, post: Outbox, now: int
) -> None:
    endpoints.add(URL)
    ended(store)
    (lost,) = post.take(now)
    assert post.take(now + 30) == []
    (again,) = post.take(now + 60)
    assert (again.event, again.tries) == (lost.event, 2)


def test_a_clock_that_was_set_back_makes_nothing_wait_for_a_day(
    store: Store, endpoints: Endpoints, post: Outbox, now: int
) -> None:
    endpoints.add(URL)
    ended(store)
    assert len(post.take(now - DAY)) == 1


def test_what_waits_goes_with_its_address(
    store: Store, endpoints: Endpoints, post: Outbox, now: int
) -> None:
    gone = endpoints.add(URL)
    ended(store)
    ended(store)
    under_way, _ = post.take(now)
    ended(store)
    endpoints.remove(gone.id)
    post.record([(under_way, "It answered 500.")], now)
    assert post.take(now + DAY) == []


def test_many_are_sent_in_turns(store: Store, endpoints: Endpoints, post: Outbox, now: int) -> None:
    endpoints.add(URL)
    jobs = [ended(store) for _ in range(40)]
    taken = post.take(now) + post.take(now)
    assert sorted(letter.event.job for letter in taken) == sorted(jobs)
