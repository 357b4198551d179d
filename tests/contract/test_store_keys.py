"""Idempotency: one id is one publication for a day, whatever a publisher tries."""

from __future__ import annotations

from pathlib import Path

import pytest

from reddot.errors import ReddotError
from reddot.model import Appended, Draft, Retention
from reddot.testing import FakeClock
from tests.contract.conftest import (
    DAY_MS,
    NOW_MS,
    Backend,
    Settings,
    append,
    opened,
    start,
)
from tests.contract.drafts import draft, everything, keyed, numbers, run, trim_all

# ---- idempotency ----


def test_a_retry_is_answered_with_what_was_stored_first(
    backend: Backend, settings: Settings, clock: FakeClock
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            first = await append(store, keyed("k", expires_ms=NOW_MS + 5_000))
            await append(store, draft("a"))
            clock.advance(60)
            later = clock.wall_ms()
            again = await append(store, keyed("k", time_ms=later, expires_ms=later + 5_000))
            assert again == [Appended(first[0].publication, True)]
            assert store.head == 2

    run(test())


@pytest.mark.parametrize(
    "other",
    [
        keyed("k", "b"),
        keyed("k", data=b"2"),
        keyed("k", event="alert"),
        keyed("k", retain=True),
        keyed("k", binary=True),
        keyed("k", expires_ms=NOW_MS + 1),
    ],
    ids=["topic", "data", "event", "retain", "binary", "ttl"],
)
def test_an_id_with_other_content_is_a_conflict(
    backend: Backend, settings: Settings, other: Draft
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, keyed("k"))
            with pytest.raises(ReddotError, match=r"id_conflict.*'k'"):
                await append(store, other)
            assert store.head == 1
            assert store.retained_count == 0

    run(test())


def test_parts_of_the_content_are_not_mixed_up(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, keyed("k", data=b"23", event="1"))
            with pytest.raises(ReddotError, match="id_conflict"):
                await append(store, keyed("k", data=b"3", event="12"))

    run(test())


def test_a_conflict_refuses_its_whole_batch_and_no_other(
    backend: Backend, settings: Settings
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, keyed("k"))
            before = start(store, draft("b", b"10"))
            refused = start(
                store, draft("new"), keyed("fresh"), keyed("k", data=b"2"), draft("b", retain=True)
            )
            after = start(store, draft("b", b"20"), keyed("fresh", "b", b"30"))
            error = await refused
            assert isinstance(error, ReddotError)
            assert error.code == "id_conflict"
            for answer, expected in ((before, [(2, 1)]), (after, [(3, 2), (4, 3)])):
                result = await answer
                assert not isinstance(result, ReddotError)
                assert numbers(result) == expected
            assert await everything(store) == [b"1", b"10", b"20", b"30"]
            assert store.retained_count == 0
            assert numbers(await append(store, draft("new"))) == [(5, 1)]

    run(test())


def test_an_id_twice_in_one_batch(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            results = await append(store, keyed("k"), draft("a"), keyed("k"))
            assert numbers(results) == [(1, 1), (2, 2), (1, 1)]
            assert [r.duplicate for r in results] == [False, False, True]
            with pytest.raises(ReddotError, match="id_conflict"):
                await append(store, keyed("l"), keyed("l", data=b"2"))
            # The refused batch has not used the id.
            assert numbers(await append(store, keyed("l", data=b"2"))) == [(3, 3)]

    run(test())


def test_a_retry_that_waits_beside_the_first(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            one, two = start(store, keyed("k")), start(store, keyed("k"))
            results = await one, await two
            assert not isinstance(results[0], ReddotError)
            assert not isinstance(results[1], ReddotError)
            assert results[1][0] == Appended(results[0][0].publication, True)

    run(test())


def test_a_key_is_forgotten_after_24_hours(
    backend: Backend, settings: Settings, clock: FakeClock
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, keyed("k"))
            clock.advance(DAY_MS / 1000 - 0.001)
            assert (await append(store, keyed("k", data=b"1")))[0].duplicate
            clock.advance(0.001)
            assert numbers(await append(store, keyed("k", data=b"2"))) == [(2, 2)]
            clock.advance(DAY_MS / 1000 - 0.001)
            assert (await append(store, keyed("k", data=b"2")))[0].duplicate

    run(test())


def test_a_retry_is_known_after_its_publication_was_trimmed(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    settings = Settings(tmp_path, clock, lambda topic: Retention(count=1, age_ms=DAY_MS * 9))

    async def test() -> None:
        async with opened(backend, settings) as store:
            first = await append(store, keyed("k", event="e"))
            await append(store, draft())
            await trim_all(store)
            again = await append(store, keyed("k", event="e"))
            assert again == [Appended(first[0].publication, True)]

    run(test())


def test_an_id_that_nobody_chose_is_not_checked(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, draft(id="x"), draft(id="x", data=b"2"))
            await append(store, keyed("x", data=b"3"))
            assert store.head == 3

    run(test())
