"""Who runs, who waits, who comes again later; nobody takes all, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

import pytest

from lmft.errors import NotFoundError
from lmft.store.keys import Limits
from serving.gateway.access.admission import Admission, Room, TooManyError
from serving.gateway.access.buckets import Bucket
from serving.gateway.access.callers import Caller
from serving.gateway.access.queue import FairQueue, FullError

MODEL = "ft:embedded:me:tales:00000001"
ALIAS = "ft:embedded:me:tales"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key(name: str, **limits: int) -> Caller:
    return Caller(name, name, limits=Limits(**limits))


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)


async def use(admission: Admission, caller: Caller, seconds: float, clock: Clock) -> None:
    async with admission.enter(caller, MODEL):
        clock.now += seconds


# The queue


def order_of(places: int, waiting: int, arrivals: list[str]) -> tuple[list[str], list[str]]:
    """Who came in, in which order, and who was refused; each leaves as the next one is due."""
    came: list[str] = []
    refused: list[str] = []

    async def play() -> None:
        queue = FairQueue(places, waiting)
        leave = asyncio.Event()

        async def one(name: str) -> None:
            try:
                await queue.enter(name[0])
            except FullError:
                refused.append(name)
                return
            came.append(name)
            await leave.wait()
            await settle()
            queue.leave(name[0])
            assert queue.running <= places

        async with asyncio.TaskGroup() as group:
            for name in arrivals:
                group.create_task(one(name))
                await settle()
                assert queue.running <= places
                assert queue.waiting <= waiting
            leave.set()
        assert (queue.running, queue.waiting) == (0, 0)

    asyncio.run(play())
    return came, refused


def test_who_came_first_runs_first():
    assert order_of(1, 9, ["a1", "a2", "a3"]) == (["a1", "a2", "a3"], [])


def test_a_key_with_one_request_does_not_wait_for_another_keys_many():
    came, refused = order_of(1, 9, ["a1", "a2", "a3", "a4", "b1"])
    assert not refused
    assert came.index("b1") <= 2


def test_keys_that_wait_take_turns():
    came, _ = order_of(1, 9, ["a1", "a2", "a3", "a4", "b1", "b2", "c1"])
    assert sorted(came[1:4], key=lambda name: name[0]) == ["a2", "b1", "c1"]


def test_beyond_places_and_queue_the_newest_is_refused():
    assert order_of(2, 1, ["a1", "a2", "a3", "a4"]) == (["a1", "a2", "a3"], ["a4"])
    assert order_of(1, 0, ["a1", "a2"]) == (["a1"], ["a2"])


def test_one_key_cannot_fill_the_queue_for_the_others():
    came, refused = order_of(1, 4, ["a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3"])
    assert refused == ["a5", "a4", "b3"]
    assert {"b1", "b2"} < set(came)


def test_whoever_stops_waiting_takes_no_place():
    async def play() -> None:
        queue = FairQueue(1, 9)
        await queue.enter("a")
        waiting = [asyncio.create_task(queue.enter("b")) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        # Cancelled in the same moment in which its place comes.
        queue.leave("a")
        waiting[1].cancel()
        await settle()
        assert [task.cancelled() for task in waiting] == [True, True, False]
        assert (queue.running, queue.waiting) == (1, 0)
        queue.leave("b")
        assert (queue.running, queue.waiting) == (0, 0)

    asyncio.run(play())


@pytest.mark.parametrize("seed", range(20))
def test_in_any_disorder_no_place_is_lost_and_none_is_given_twice(seed: int):
    draw = random.Random(seed)
    ended: Counter[str] = Counter()

    async def play() -> None:
        queue = FairQueue(3, 8)

        async def one(name: str) -> None:
            try:
                await queue.enter(name)
            except FullError:
                ended["refused"] += 1
                return
            try:
                assert queue.running <= 3
                for _ in range(draw.randrange(6)):
                    await asyncio.sleep(0)
            finally:
                queue.leave(name)
            ended["served"] += 1

        tasks = []
        for _ in range(200):
            tasks.append(asyncio.create_task(one(draw.choice("abc"))))
            if draw.random() < 0.3:
                await asyncio.sleep(0)
            if draw.random() < 0.2:
                draw.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        ended["cancelled"] = sum(isinstance(r, asyncio.CancelledError) for r in results)
        assert (queue.running, queue.waiting) == (0, 0)

    asyncio.run(play())
    assert ended.total() == 200
    assert min(ended["refused"], ended["served"], ended["cancelled"]) > 0


# Limits of a key


def test_a_bucket_fills_evenly_and_holds_a_minute():
    bucket = Bucket(60, 0.0)
    bucket.take(60, 0.0)
    assert bucket.level(0.5) == pytest.approx(0.5)
    assert bucket.seconds_until(3, 0.0) == pytest.approx(3)
    assert bucket.level(1e6) == 60


def test_a_debt_is_paid_before_anything_else():
    bucket = Bucket(600, 0.0)
    bucket.take(1200, 0.0)
    assert bucket.level(30.0) == pytest.approx(-300)
    assert bucket.seconds_until(1, 30.0) == pytest.approx(30.1)


def test_requests_per_minute_are_a_bucket_of_each_keys_own():
    clock = Clock()
    admission = Admission(Room(9, 9), clock)

    async def play() -> None:
        mean, free = key("mean", requests_per_minute=2), key("free")
        for _ in range(2):
            await use(admission, mean, 0, clock)
        with pytest.raises(TooManyError) as caught:
            await use(admission, mean, 0, clock)
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.retry_after_seconds == pytest.approx(30)
        await use(admission, free, 0, clock)
        clock.now += 30
        await use(admission, mean, 0, clock)

    asyncio.run(play())


def test_tokens_are_counted_when_they_are_known():
    clock = Clock()
    admission = Admission(Room(9, 9), clock)

    async def play() -> None:
        caller = key("app", tokens_per_minute=100, requests_per_minute=7)
        async with admission.enter(caller, MODEL) as admitted:
            admitted.used(150)
            assert admitted.headers == {
                "x-ratelimit-limit-requests": "7",
                "x-ratelimit-remaining-requests": "6",
                "x-ratelimit-reset-requests": "8.6s",
                "x-ratelimit-limit-tokens": "100",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "90.0s",
            }
        with pytest.raises(TooManyError, match="100 tokens a minute") as caught:
            await use(admission, caller, 0, clock)
        clock.now += caught.value.retry_after_seconds
        await use(admission, caller, 0, clock)

    asyncio.run(play())


def test_a_refused_request_is_not_counted():
    clock = Clock()
    admission = Admission(Room(9, 9), clock)

    async def play() -> None:
        caller = key("app", requests_per_minute=2, concurrent=1)
        async with admission.enter(caller, MODEL):
            for _ in range(5):
                with pytest.raises(TooManyError, match="at the same time"):
                    await use(admission, caller, 0, clock)
        await use(admission, caller, 0, clock)

    asyncio.run(play())


def test_what_waits_counts_as_concurrent_too():
    async def play() -> None:
        admission = Admission(Room(1, 9), Clock())
        caller = key("app", concurrent=2)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(admission.enter(key("other"), MODEL))
            waiting = [asyncio.create_task(use(admission, caller, 0, Clock())) for _ in range(3)]
            await settle()
            assert [task.done() for task in waiting] == [False, False, True]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), type(None), TooManyError]

    asyncio.run(play())


def test_who_stands_aside_is_in_nobodys_way_and_comes_back_by_the_queue():
    async def play() -> None:
        admission = Admission(Room(1, 1), Clock())
        engine_is_up, others_leave = asyncio.Event(), asyncio.Event()
        caller = key("patient", concurrent=2)

        async def patient() -> None:
            async with admission.enter(caller, MODEL) as admitted:
                async with admitted.aside():
                    await engine_is_up.wait()
                assert admission.queue.running == 1

        async def other() -> None:
            async with admission.enter(key("other"), MODEL):
                await others_leave.wait()

        tasks = [asyncio.create_task(patient()), asyncio.create_task(patient())]
        await settle()
        # Both stand aside, and count as their key's; the only place is free.
        assert (admission.queue.running, admission.queue.present("patient")) == (0, 2)
        with pytest.raises(TooManyError, match="at the same time"):
            await use(admission, caller, 0, Clock())
        # As many as run and wait may stand aside.
        with pytest.raises(TooManyError):
            async with admission.enter(key("third"), MODEL) as admitted, admitted.aside():
                pass
        tasks.append(asyncio.create_task(other()))
        await settle()
        engine_is_up.set()
        await settle()
        assert (admission.queue.running, admission.queue.waiting) == (1, 1)
        others_leave.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        # One came back in; for the other there was no room to wait.
        assert sum(isinstance(result, TooManyError) for result in results) == 1
        assert (admission.queue.running, admission.queue.present("patient")) == (0, 0)

    asyncio.run(play())


def test_who_goes_while_aside_leaves_nothing_behind():
    async def play() -> None:
        admission = Admission(Room(1, 1), Clock())

        async def patient() -> None:
            async with admission.enter(key("p"), MODEL) as admitted, admitted.aside():
                await asyncio.sleep(60)

        task = asyncio.create_task(patient())
        await settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (admission.queue.running, admission.queue.present("p")) == (0, 0)
        await use(admission, key("p"), 0, Clock())

    asyncio.run(play())


# The server's own bound


def test_retry_after_is_the_measured_time_until_there_is_room():
    clock = Clock()
    admission = Admission(Room(2, 2), clock)

    async def refused() -> TooManyError:
        async with asyncio.TaskGroup() as group:
            done = asyncio.Event()

            async def stay() -> None:
                async with admission.enter(key("app"), MODEL):
                    await done.wait()

            for _ in range(4):
                group.create_task(stay())
            await settle()
            with pytest.raises(TooManyError) as caught:
                await use(admission, key("app"), 0, clock)
            done.set()
        return caught.value

    async def play() -> None:
        for _ in range(200):
            await use(admission, key("app"), 20, clock)
        error = await refused()
        assert error.code == "server_busy"
        # Three would be before it, two at a time, each 20 s.
        assert error.retry_after_seconds == pytest.approx(30, rel=0.01)
        for _ in range(200):
            await use(admission, key("app"), 0.1, clock)
        assert (await refused()).retry_after_seconds == 1

    asyncio.run(play())


def test_what_ends_in_an_error_gives_its_place_back():
    async def play() -> None:
        admission = Admission(Room(1, 0), Clock())
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with admission.enter(key("app"), MODEL):
                    raise ZeroDivisionError
        assert admission.queue.running == 0

    asyncio.run(play())


# Models


def test_a_model_that_the_key_may_not_use_is_not_there():
    async def play() -> None:
        admission = Admission(Room(1, 0), Clock())
        limited = Caller("a", "a", models=frozenset({ALIAS}))
        await use(admission, limited, 0, Clock())
        with pytest.raises(NotFoundError):
            async with admission.enter(limited, "embedded"):
                pass
        assert admission.queue.running == 0

    asyncio.run(play())


@pytest.mark.parametrize(
    ("models", "model", "may"),
    [
        ({}, "embedded", True),
        ({ALIAS}, ALIAS, True),
        ({ALIAS}, MODEL, True),
        ({MODEL}, MODEL, True),
        # Its meaning changes, and with it whether the key may.
        ({MODEL}, ALIAS, False),
        ({MODEL}, f"{ALIAS}:00000002", False),
        ({ALIAS}, f"{ALIAS}2", False),
        ({ALIAS}, f"{ALIAS}:0000000x", False),
        ({ALIAS}, "embedded", False),
        ({"embedded"}, MODEL, False),
    ],
)
def test_an_alias_stands_for_its_versions_and_a_version_for_itself(models, model, may):
    assert Caller("a", "a", models=frozenset(models)).may_use(model) is may
