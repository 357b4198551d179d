"""What every store does: numbers, atomic batches, idempotency, reads, gaps, retained, trimming.

`test_store_model.py` compares stores with a plain list over random schedules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from reddot.errors import ReddotError
from reddot.model import Appended, Draft, Gap, Page, Publication, Retention
from reddot.ports import Store
from reddot.testing import FakeClock
from tests.contract.conftest import (
    DAY_MS,
    EPOCH,
    LASTING,
    PLENTY,
    Backend,
    RetentionOf,
    Settings,
    append,
    opened,
    start,
)

NOW_MS = 1_767_225_600_000
FAR = 1 << 40


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW_MS)


@pytest.fixture
def settings(tmp_path: Path, clock: FakeClock) -> Settings:
    return Settings(tmp_path, clock)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def draft(topic: str = "a", data: bytes = b"1", **rest: Any) -> Draft:
    values: dict[str, Any] = {"id": "made-up", "time_ms": NOW_MS} | rest
    return Draft(topic=topic, data=data, **values)


def keyed(name: str, topic: str = "a", data: bytes = b"1", **rest: Any) -> Draft:
    return draft(topic, data, id=name, keyed=True, **rest)


def numbers(results: Sequence[Appended]) -> list[tuple[int, int]]:
    return [(r.publication.position, r.publication.offset) for r in results]


async def everything(store: Store, filters: Sequence[str] | None = None) -> list[bytes]:
    page = await store.read(filters, after=0, upto=store.head, limit=1000)
    assert page.upto == store.head
    return [p.data for p in page.publications]


# ---- appending ----


def test_a_new_log_is_empty(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            assert store.epoch == EPOCH
            assert store.head == 0
            assert store.retained_count == 0
            assert await store.read(None, after=0, upto=0, limit=10) == Page(
                publications=(), upto=0
            )
            assert list(await store.history("a", before=None, limit=10)) == []
            assert await store.trim(rows_max=10) == 0

    run(test())


def test_positions_count_the_log_and_offsets_a_topic(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            assert numbers(await append(store, draft("a"))) == [(1, 1)]
            assert numbers(await append(store, draft("b"), draft("a"))) == [(2, 1), (3, 2)]
            assert numbers(await append(store, draft("b"))) == [(4, 2)]
            assert store.head == 4

    run(test())


def test_everything_about_a_draft_comes_back(backend: Backend, settings: Settings) -> None:
    drafts = [
        draft("a", b'{"deep": ["\\u0000", "\xc3\xa9", "\\ud83d\\ude00"]}', id="0198-x"),
        draft("a/\N{SNOWMAN}//b", '"\N{SNOWMAN}\N{GRINNING FACE}"'.encode(), event="alert"),
        draft("$sys", b"2", expires_ms=NOW_MS + 1, retain=True),
        draft("b", bytes(range(256)), binary=True, event='"quoted"\\'),
        draft("b", b"", binary=True),
        draft("b", b"[" + b"1," * 30_000 + b"1]"),
    ]

    async def test() -> None:
        async with opened(backend, settings) as store:
            results = await append(store, *drafts)
            assert [r.duplicate for r in results] == [False] * len(drafts)
            appended = [r.publication for r in results]
            for before, after in zip(drafts, appended, strict=True):
                for name in Draft.__struct_fields__:
                    if name not in ("keyed", "ephemeral"):
                        assert getattr(after, name) == getattr(before, name)
            page = await store.read(None, after=0, upto=store.head, limit=100)
            assert list(page.publications) == appended
            assert list(await store.retained(["$sys"], after=0, upto=FAR, limit=9)) == [appended[2]]

    run(test())


def test_done_is_called_later_in_order_and_with_the_head_moved(
    backend: Backend, settings: Settings
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            order: list[int] = []
            heads: list[bool] = []

            def note(result: Sequence[Appended] | ReddotError) -> None:
                assert not isinstance(result, ReddotError)
                order.append(result[-1].publication.position)
                heads.append(store.head >= order[-1])

            for count in (1, 3, 1, 2):
                store.append([draft(f"t{n}") for n in range(count)], note)
            assert not order
            await append(store, draft())
            assert order == [1, 4, 5, 7]
            assert all(heads)

    run(test())


def test_an_empty_batch_is_answered(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            assert list(await append(store)) == []
            assert store.head == 0

    run(test())


def test_a_done_that_raises_stops_nobody(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with opened(backend, settings) as store:

            def fail(result: Sequence[Appended] | ReddotError) -> None:
                raise ValueError("a bug of one publisher")

            store.append([draft()], fail)
            second = start(store, draft())
            result = await second
            assert not isinstance(result, ReddotError)
            assert numbers(result) == [(2, 2)]

    run(test())


def test_many_appends_at_once_leave_no_hole(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            waiting = [start(store, *[draft(f"t{n % 7}")] * (1 + n % 3)) for n in range(3_000)]
            seen: list[int] = []
            offsets: dict[str, list[int]] = {}
            for result in await asyncio.gather(*waiting):
                assert not isinstance(result, ReddotError)
                for appended in result:
                    seen.append(appended.publication.position)
                    of_topic = offsets.setdefault(appended.publication.topic, [])
                    of_topic.append(appended.publication.offset)
            assert seen == list(range(1, len(seen) + 1))
            for of_topic in offsets.values():
                assert of_topic == list(range(1, len(of_topic) + 1))
            assert store.head == len(seen)

    run(test())


def test_one_draft_above_the_queue_limit_is_refused(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    async def test() -> None:
        async with opened(backend, Settings(tmp_path, clock, queue_drafts_max=5)) as store:
            order: list[str] = []
            store.append([draft()] * 3, lambda _: order.append("three"))
            store.append([draft()] * 2, lambda _: order.append("two"))
            refused = start(store, draft())
            refused.add_done_callback(lambda _: order.append("refused"))
            result = await refused
            assert isinstance(result, ReddotError)
            assert result.code == "overloaded"
            assert order == ["three", "two", "refused"]
            assert store.head == 5
            # What has been answered no longer waits.
            assert numbers(await append(store, *[draft()] * 5))[-1] == (10, 10)
            with pytest.raises(ReddotError, match="overloaded"):
                await append(store, *[draft()] * 6)

    run(test())


def test_closing_finishes_what_was_appended_and_refuses_more(
    backend: Backend, settings: Settings
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            waiting = [start(store, draft()) for _ in range(100)]
            await store.aclose()
            assert all(answer.done() for answer in waiting)
            assert not any(isinstance(answer.result(), ReddotError) for answer in waiting)
            with pytest.raises(ReddotError, match="store_unavailable"):
                await append(store, draft())
            await asyncio.gather(store.aclose(), store.aclose())

    run(test())


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


# ---- reading ----


def filled() -> list[Draft]:
    topics = ["a", "news/sport", "users/1", "a", "news", "$sys/x", "news/sport/tennis", "other"]
    return [draft(topic, str(n).encode()) for n, topic in enumerate(topics, start=1)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["a"], [1, 4]),
        (["a", "a"], [1, 4]),
        (["nobody"], []),
        ([], []),
        (["news/#"], [2, 5, 7]),
        (["news/+"], [2]),
        (["#"], [1, 2, 4, 5, 7, 8]),
        (["+"], [1, 4, 5, 8]),
        (["users/+"], [3]),
        (["$sys/#"], [6]),
        (["a", "news/#", "news/sport", "users/1"], [1, 2, 3, 4, 5, 7]),
        (["#", "$sys/x", "nobody/+"], [1, 2, 4, 5, 6, 7, 8]),
        (None, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_filters_select(
    backend: Backend, settings: Settings, filters: list[str] | None, expected: list[int]
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, *filled())
            assert await everything(store, filters) == [str(n).encode() for n in expected]
            paged = []
            after = 2
            while after < store.head:
                page = await store.read(filters, after=after, upto=store.head, limit=1)
                assert after < page.upto <= store.head
                assert len(page.publications) <= 1
                assert all(after < p.position <= page.upto for p in page.publications)
                paged += [p.position for p in page.publications]
                after = page.upto
            assert paged == [n for n in expected if n > 2]

    run(test())


@pytest.mark.parametrize("filters", [["a"], ["#"], ["a", "b/#"], None])
def test_a_read_stays_within_its_bounds(
    backend: Backend, settings: Settings, filters: list[str] | None
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, *[draft("a")] * 10)
            for after, upto, limit, expected, complete in [
                (3, 6, 9, [4, 5, 6], 6),
                (3, 6, 3, [4, 5, 6], 6),
                (3, 6, 2, [4, 5], 5),
                (0, 1, 1, [1], 1),
                (10, 10, 1, [], 10),
                (10, 99, 1, [], 10),
                (12, 99, 1, [], 12),
                (7, 3, 1, [], 7),
                (8, 99, 9, [9, 10], 10),
            ]:
                page = await store.read(filters, after=after, upto=upto, limit=limit)
                assert [p.position for p in page.publications] == expected
                assert page.upto == complete
                assert page.gaps == ()

    run(test())


def test_a_rare_topic_is_found_in_a_long_log(backend: Backend, settings: Settings) -> None:
    """A search by wildcard may answer with less than it was asked for, but it gets on."""

    async def test() -> None:
        async with opened(backend, settings) as store:
            for _ in range(3):
                await append(store, *[draft("noise")] * 4_000)
            await append(store, draft("rare/x", b"2"))
            found: list[bytes] = []
            after = pages = 0
            while after < store.head:
                page = await store.read(["rare/+"], after=after, upto=store.head, limit=100)
                assert page.upto > after
                found += [p.data for p in page.publications]
                after, pages = page.upto, pages + 1
            assert found == [b"2"]
            assert 2 <= pages <= 100

    run(test())


def test_reads_while_appending_see_a_prefix(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            waiting = []
            for n in range(60):
                waiting.append(start(store, draft("a"), draft(f"b/{n % 3}"), draft("a")))
                head = store.head
                page, wild = await asyncio.gather(
                    store.read(["a"], after=0, upto=head, limit=1000),
                    store.read(None, after=0, upto=head, limit=1000),
                )
                assert [p.offset for p in page.publications] == list(range(1, 2 * head // 3 + 1))
                assert [p.position for p in wild.publications] == list(range(1, head + 1))
            await asyncio.gather(*waiting)

    run(test())


def test_the_expired_are_left_out_and_are_no_gap(
    backend: Backend, settings: Settings, clock: FakeClock
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, draft("a", b"1", expires_ms=NOW_MS + 1_000), draft("a", b"2"))
            assert await everything(store, ["a"]) == [b"1", b"2"]
            clock.advance(0.999)
            assert await everything(store, ["#"]) == [b"1", b"2"]
            clock.advance(0.001)
            for filters in (["a"], ["#"], None):
                page = await store.read(filters, after=0, upto=2, limit=9)
                assert [p.data for p in page.publications] == [b"2"]
                assert page.gaps == ()
            assert [p.data for p in await store.history("a", before=None, limit=9)] == [b"2"]
            page = await store.read(["a"], after=0, upto=1, limit=9)
            assert page == Page(publications=(), upto=1)

    run(test())


# ---- history ----


def test_history_goes_back_from_the_newest(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            for n in range(20):
                await append(store, draft("a"), *[draft("noise")] * (n % 4))

            async def offsets(before: int | None, limit: int, topic: str = "a") -> list[int]:
                found = await store.history(topic, before=before, limit=limit)
                assert all(p.topic == topic for p in found)
                return [p.offset for p in found]

            assert await offsets(None, 3) == [20, 19, 18]
            assert await offsets(21, 3) == [20, 19, 18]
            assert await offsets(99, 1) == [20]
            for before in range(1, 21):
                assert await offsets(before, 2) == [n for n in (before - 1, before - 2) if n > 0]
            assert await offsets(0, 5) == []
            assert await offsets(None, 50) == list(range(20, 0, -1))
            assert await offsets(None, 5, "nobody") == []

    run(test())


# ---- retention ----


def by_topic(**rules: Retention) -> RetentionOf:
    return lambda topic: rules.get(topic.partition("/")[0], PLENTY)


async def trim_all(store: Store, rows_max: int = 3) -> int:
    """Trim in small steps until nothing is left to do."""
    total = 0
    while count := await store.trim(rows_max=rows_max):
        assert count <= rows_max
        total += count
    return total


async def views(store: Store) -> list[object]:
    """Everything a reader can see."""
    seen: list[object] = [store.head]
    for filters in (["few/1"], ["old/1"], ["few/1", "old/1", "a"], ["few/#"], ["#"], None):
        seen += [
            await store.read(filters, after=after, upto=store.head, limit=100)
            for after in range(store.head)
        ]
    for topic in ("few/1", "old/1", "a"):
        seen += [await store.history(topic, before=n, limit=9) for n in (None, 4, 3, 2)]
    return seen


def test_trimming_changes_no_answer(backend: Backend, tmp_path: Path, clock: FakeClock) -> None:
    retention = by_topic(few=Retention(2, DAY_MS), old=Retention(100, 10_000))

    async def test() -> None:
        async with opened(backend, Settings(tmp_path, clock, retention)) as store:
            for second in range(8):
                now = clock.wall_ms()
                await append(store, draft("few/1", time_ms=now), draft("a", time_ms=now))
                await append(store, draft("old/1", str(second).encode(), time_ms=now))
                clock.advance(2)
            few = [p.offset for p in await store.history("few/1", before=None, limit=9)]
            old = [p.offset for p in await store.history("old/1", before=None, limit=9)]
            assert few == [8, 7]
            assert old == [8, 7, 6, 5, 4]  # 2 to 10 seconds old; the next is 12.
            before = await views(store)
            assert await trim_all(store) == 6 + 3
            assert await views(store) == before
            clock.advance(DAY_MS / 1000 + 1)
            before = await views(store)
            assert await trim_all(store) == 2 + 5
            assert await views(store) == before
            # Numbers are not used again, also not of topics that are empty now.
            assert numbers(await append(store, draft("few/1"), draft("old/1"))) == [
                (25, 9),
                (26, 9),
            ]

    run(test())


def test_the_limits_of_retention_to_the_last(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    retention = by_topic(few=Retention(3, DAY_MS), old=Retention(100, 10_000))

    async def test() -> None:
        async with opened(backend, Settings(tmp_path, clock, retention)) as store:
            await append(store, *[draft("few/1")] * 3, draft("old/1"))
            assert len((await store.read(["few/1"], after=0, upto=4, limit=9)).publications) == 3
            clock.advance(10)
            page = await store.read(["few/1", "old/1"], after=0, upto=4, limit=9)
            assert len(page.publications) == 4
            assert page.gaps == ()
            assert await store.trim(rows_max=9) == 0
            await append(store, draft("few/1"))
            clock.advance(0.001)
            page = await store.read(["few/1", "old/1"], after=0, upto=5, limit=9)
            assert [p.position for p in page.publications] == [2, 3, 5]
            assert page.gaps == (Gap("few/1", "trimmed"), Gap("old/1", "trimmed"))
            assert await store.trim(rows_max=1) == 1
            assert await store.trim(rows_max=9) == 1
            assert await store.trim(rows_max=9) == 0

    run(test())


@pytest.mark.parametrize("trimmed", [False, True])
def test_a_gap_is_told_at_once_although_it_lies_further_on(
    backend: Backend, tmp_path: Path, clock: FakeClock, trimmed: bool
) -> None:
    retention = by_topic(few=Retention(2, DAY_MS))

    async def test() -> None:
        async with opened(backend, Settings(tmp_path, clock, retention)) as store:
            await append(store, *[draft("a")] * 2, *[draft("few/1")] * 3)
            if trimmed:
                await trim_all(store)
            page = await store.read(["few/1"], after=0, upto=2, limit=9)
            assert page == Page(publications=(), upto=2, gaps=(Gap("few/1", "trimmed"),))

    run(test())


def test_a_topic_that_was_empty_ages_again(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    async def test() -> None:
        settings = Settings(tmp_path, clock, by_topic(old=Retention(100, 10_000)))
        async with opened(backend, settings) as store:
            for _ in range(3):
                now = clock.wall_ms()
                await append(store, draft("old/1", time_ms=now), draft("old/2", time_ms=now))
                assert await trim_all(store) == 0
                clock.advance(10.001)
                assert await trim_all(store) == 2

    run(test())


@pytest.mark.parametrize("trimmed", [False, True])
def test_gaps_are_told_for_what_lies_after_the_cursor(
    backend: Backend, tmp_path: Path, clock: FakeClock, trimmed: bool
) -> None:
    retention = by_topic(few=Retention(2, DAY_MS))

    async def test() -> None:
        async with opened(backend, Settings(tmp_path, clock, retention)) as store:
            await append(store, *[draft("few/1")] * 4, draft("few/2"), draft("a"))
            if trimmed:
                await trim_all(store)
            for filters, after, gaps in [
                (["few/1"], 0, ["few/1"]),
                (["few/1"], 1, ["few/1"]),
                (["few/1"], 2, []),
                (["few/2", "a", "few/1", "few/1"], 1, ["few/1"]),
                (["few/2", "a", "nobody"], 0, []),
                (["few/+", "a", "+/1", "b/#"], 1, ["few/+", "+/1"]),
                (["few/+", "few/1"], 1, ["few/+", "few/1"]),
                (["few/+"], 2, []),
                (["users/#"], 0, []),
                (None, 1, ["#"]),
                (None, 2, []),
            ]:
                page = await store.read(filters, after=after, upto=store.head, limit=9)
                assert [(gap.topic, gap.reason) for gap in page.gaps] == [
                    (text, "trimmed") for text in gaps
                ]

    run(test())


def test_a_topic_of_which_nothing_is_kept(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    async def test() -> None:
        settings = Settings(tmp_path, clock, by_topic(none=Retention(0, DAY_MS)))
        async with opened(backend, settings) as store:
            assert numbers(await append(store, draft("none"), draft("none"))) == [(1, 1), (2, 2)]
            for _ in range(2):
                page = await store.read(["none"], after=1, upto=2, limit=9)
                assert page == Page(publications=(), upto=2, gaps=(Gap("none", "trimmed"),))
                assert list(await store.history("none", before=None, limit=9)) == []
                await trim_all(store)
            assert numbers(await append(store, draft("none"))) == [(3, 3)]

    run(test())


def test_a_clock_that_goes_back_hides_nothing_that_is_young(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    """An old time after a young one: the old one is beyond its age, hidden, and told."""

    async def test() -> None:
        settings = Settings(tmp_path, clock, by_topic(old=Retention(100, 10_000)))
        async with opened(backend, settings) as store:
            await append(store, draft("old", b"1"), draft("old", b"2", time_ms=NOW_MS - 9_000))
            await append(store, draft("old", b"3"))
            clock.advance(2)
            for _ in range(2):
                page = await store.read(["old"], after=0, upto=3, limit=9)
                assert [p.data for p in page.publications] == [b"1", b"3"]
                assert page.gaps == (Gap("old", "trimmed"),)
                await trim_all(store)
            clock.advance(60)
            await trim_all(store)
            assert numbers(await append(store, draft("old"))) == [(4, 4)]

    run(test())


def test_trimming_forgets_stale_keys(
    backend: Backend, settings: Settings, clock: FakeClock
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, *[keyed(f"k{n}") for n in range(7)])
            clock.advance(DAY_MS / 1000)
            await append(store, keyed("young"))
            assert await store.trim(rows_max=5) == 5
            assert await store.trim(rows_max=5) == 2
            assert await store.trim(rows_max=5) == 0
            assert (await append(store, keyed("young")))[0].duplicate

    run(test())


def test_a_key_that_was_used_anew_does_not_hide_stale_ones(
    backend: Backend, settings: Settings, clock: FakeClock
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, keyed("k1"), keyed("k2"))
            clock.advance(DAY_MS / 1000)
            await append(store, keyed("k1"))
            assert await trim_all(store) == 1
            assert (await append(store, keyed("k1")))[0].duplicate

    run(test())


# ---- retained ----


async def kept(store: Store, *filters: str, **bounds: int) -> list[tuple[str, bytes]]:
    values = {"after": 0, "upto": FAR, "limit": 100} | bounds
    found = await store.retained(filters, **values)
    assert [p.position for p in found] == sorted(p.position for p in found)
    return [(p.topic, p.data) for p in found]


def test_the_last_retained_of_a_topic_is_kept(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, draft("a", b"1", retain=True), draft("a", b"2", retain=True))
            await append(store, draft("b", b"3", retain=True), draft("a", b"4"))
            assert store.retained_count == 2
            assert await kept(store, "a", "b", "nobody") == [("a", b"2"), ("b", b"3")]
            await append(store, draft("a", b"5", retain=True))
            assert store.retained_count == 2
            assert await kept(store, "#", "a") == [("b", b"3"), ("a", b"5")]
            assert await kept(store, "b") == [("b", b"3")]

    run(test())


@pytest.mark.parametrize(("data", "binary"), [(b"null", False), (b"", False), (b"", True)])
def test_null_and_nothing_clear(
    backend: Backend, settings: Settings, data: bytes, binary: bool
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, draft("a", b"1", retain=True), draft("b", b"2", retain=True))
            await append(store, draft("a", data, retain=True, binary=binary))
            assert store.retained_count == 1
            assert await kept(store, "#") == [("b", b"2")]
            # Clearing what is clear is no error, also in one batch with its opposite.
            await append(store, *[draft("a", data, retain=True, binary=binary)] * 2)
            await append(
                store, draft("a", b"3", retain=True), draft("b", data, retain=True, binary=binary)
            )
            assert store.retained_count == 1
            assert await kept(store, "#") == [("a", b"3")]
            # It is an ordinary publication all the same.
            assert (await everything(store, ["a"]))[1] == data

    run(test())


def test_retained_is_read_by_position(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, *[draft(f"s/{n % 5}", retain=True) for n in range(10)])
            await append(store, draft("users/1", retain=True), draft("$x", retain=True))
            assert store.retained_count == 7
            for filters in (["s/+"], ["s/0", "s/1", "s/2", "s/3", "s/4"], ["#", "s/1"]):
                assert [t for t, _ in await kept(store, *filters)] == [f"s/{n}" for n in range(5)]
                first = await kept(store, *filters, after=6, limit=2)
                assert [t for t, _ in first] == ["s/1", "s/2"]
                assert [t for t, _ in await kept(store, *filters, after=7, upto=8)] == ["s/2"]
                assert await kept(store, *filters, after=10) == []
            assert [t for t, _ in await kept(store, "users/1", "$x")] == ["users/1", "$x"]

    run(test())


def test_many_retained_are_found_in_pages(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            names = [f"{'noise' if n % 500 else 'rare'}/{n}" for n in range(2_500)]
            await append(store, *[draft(name, retain=True) for name in names])
            found: list[str] = []
            after = 0
            while page := await store.retained(["rare/#"], after=after, upto=store.head, limit=2):
                found += [p.topic for p in page]
                after = page[-1].position
            assert found == ["rare/0", "rare/500", "rare/1000", "rare/1500", "rare/2000"]

    run(test())


def test_retained_outlives_the_log_but_not_its_expiry(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    async def test() -> None:
        settings = Settings(tmp_path, clock, by_topic(few=Retention(1, 60_000)))
        async with opened(backend, settings) as store:
            soon = NOW_MS + 120_000
            await append(store, draft("few/1", b"1", retain=True), draft("few/1", b"2"))
            await append(store, draft("few/2", b"3", retain=True, expires_ms=soon))
            clock.advance(119.999)
            await trim_all(store)
            assert await everything(store) == []
            assert await kept(store, "few/1", "few/2") == [("few/1", b"1"), ("few/2", b"3")]
            clock.advance(0.001)
            assert await kept(store, "few/1", "few/2") == [("few/1", b"1")]
            assert await kept(store, "#") == [("few/1", b"1")]
            assert await trim_all(store) == 1
            assert store.retained_count == 1

    run(test())


def test_a_refused_batch_retains_nothing(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, keyed("k"), draft("b", b"1", retain=True))
            with pytest.raises(ReddotError):
                await append(
                    store,
                    draft("a", retain=True),
                    draft("b", b"null", retain=True),
                    keyed("k", "c"),
                )
            assert store.retained_count == 1
            assert await kept(store, "#") == [("b", b"1")]

    run(test())


# ---- restart ----


@pytest.mark.parametrize("backend", LASTING, ids=lambda backend: backend.name)
def test_a_restart_loses_and_renumbers_nothing(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    settings = Settings(tmp_path, clock, by_topic(few=Retention(1, 60_000)))

    async def test() -> None:
        first: list[Publication] = []
        async with opened(backend, settings) as store:
            results = await append(store, keyed("k"), draft("b", b"2", retain=True))
            first = [r.publication for r in results]
            await append(store, *[draft("few/1")] * 3)
        async with opened(backend, settings) as store:
            assert store.epoch == EPOCH
            assert store.head == 5
            assert store.retained_count == 1
            assert await kept(store, "b") == [("b", b"2")]
            page = await store.read(None, after=0, upto=5, limit=9)
            assert list(page.publications)[:2] == first
            assert page.gaps == (Gap("#", "trimmed"),)
            assert (await append(store, keyed("k")))[0] == Appended(first[0], True)
            with pytest.raises(ReddotError, match="id_conflict"):
                await append(store, keyed("k", data=b"2"))
            clock.advance(61)
            await trim_all(store)
        async with opened(backend, settings) as store:
            assert store.head == 5
            results = await append(store, draft("few/1"), draft("a"), draft("new"))
            assert numbers(results) == [(6, 4), (7, 2), (8, 1)]
            page = await store.read(["few/1"], after=0, upto=8, limit=9)
            assert page.gaps == (Gap("few/1", "trimmed"),)

    run(test())
