"""What every store does: numbers, atomic batches, reads, history, restart.

`test_store_model.py` compares stores with a plain list over random schedules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from reddot.errors import ReddotError
from reddot.model import Appended, Draft, Gap, Page, Publication, Retention, TopicState
from reddot.testing import FakeClock
from tests.contract.conftest import (
    EPOCH,
    LASTING,
    NOW_MS,
    Backend,
    Settings,
    append,
    opened,
    start,
)
from tests.contract.drafts import (
    FAR,
    by_topic,
    draft,
    everything,
    kept,
    keyed,
    numbers,
    run,
    trim_all,
)

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
                    if name not in ("keyed", "ephemeral", "retainer"):
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


def test_what_has_expired_can_still_be_asked_for_by_its_position(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    settings = Settings(tmp_path, clock, by_topic(few=Retention(1, 60_000)))

    async def test() -> None:
        async with opened(backend, settings) as store:
            expiring = draft("a", b"1", expires_ms=NOW_MS + 1_000)
            results = await append(store, expiring, *[draft("few/1")] * 3)
            clock.advance(2)
            assert await store.at(1) == results[0].publication
            assert await store.at(2) is None  # Beyond its retention by count.
            assert await store.at(4) == results[3].publication
            assert await store.at(5) is None

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


# ---- topics ----


def test_topics_are_listed_in_order_with_what_is_kept(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            assert list(await store.topics(prefix="", after="", limit=9)) == []
            await append(store, draft("b/1"), draft("b/2", retain=True), draft("a"))
            await append(store, draft("b/1"), draft("b/é"), draft("b"), draft("bb"))

            async def names(prefix: str, after: str = "", limit: int = 9) -> list[str]:
                found = await store.topics(prefix=prefix, after=after, limit=limit)
                return [state.topic for state in found]

            assert await names("") == ["a", "b", "b/1", "b/2", "b/é", "bb"]
            assert await names("b/") == ["b/1", "b/2", "b/é"]
            assert await names("b/", after="b/1", limit=1) == ["b/2"]
            assert await names("b/", after="bb") == []
            assert await names("c") == await names("b/", after="b/é") == []
            one, two = await store.topics(prefix="b/", after="", limit=2)
            assert one == TopicState(
                topic="b/1", offset=2, kept=2, retained=False, time_ms=one.time_ms
            )
            assert (two.offset, two.kept, two.retained) == (1, 1, True)
            assert one.time_ms is not None

    run(test())
