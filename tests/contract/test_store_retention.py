"""What a store keeps: retention by count and age, gaps, trimming, retained values."""

from __future__ import annotations

from pathlib import Path

import pytest

from reddot.errors import ReddotError
from reddot.model import Gap, Page, Retention
from reddot.ports import Store
from reddot.testing import FakeClock
from tests.contract.conftest import (
    DAY_MS,
    NOW_MS,
    Backend,
    Settings,
    append,
    opened,
)
from tests.contract.drafts import (
    by_topic,
    draft,
    everything,
    kept,
    keyed,
    numbers,
    run,
    trim_all,
)

# ---- retention ----


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


def test_a_topic_stays_known_when_all_of_it_is_gone(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    retention = by_topic(few=Retention(2, DAY_MS))

    async def test() -> None:
        async with opened(backend, Settings(tmp_path, clock, retention)) as store:
            for _ in range(5):
                await append(store, draft("few/1", time_ms=clock.wall_ms()))
            for _ in range(2):
                (state,) = await store.topics(prefix="few", after="", limit=9)
                assert (state.offset, state.kept, state.time_ms) == (5, 2, clock.wall_ms())
                await trim_all(store)
            clock.advance(DAY_MS / 1000 + 1)
            await trim_all(store)
            (state,) = await store.topics(prefix="few", after="", limit=9)
            assert (state.offset, state.kept, state.time_ms) == (5, 0, None)

    run(test())
