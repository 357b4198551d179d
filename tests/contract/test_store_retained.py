"""The contract of every `Store`: how many topics may be retained, of all and of one user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reddot.errors import ReddotError
from reddot.inbox import Erase
from reddot.model import Appended, Draft, RetainedLimits
from reddot.ports import Store
from reddot.testing import FakeClock
from tests.contract.conftest import LASTING, Backend, Settings, append, opened, start
from tests.contract.drafts import draft, everything, kept, keyed, run, trim_all
from tests.contract.inboxes import Boxes

TWO_EACH = RetainedLimits(topics_max=4, per_user_max=2)


@pytest.fixture
def settings(tmp_path: Path, clock: FakeClock) -> Settings:
    return Settings(tmp_path, clock, retained=TWO_EACH)


def of(retainer: str, topic: str, data: bytes = b"1") -> Draft:
    return draft(topic, data, retain=True, retainer=retainer)


async def refused(store: Store, *drafts: Draft) -> None:
    before = await everything(store)
    answer = await start(store, *drafts)
    assert isinstance(answer, ReddotError) and answer.code == "too_many_retained", answer
    assert await everything(store) == before


async def names(store: Store) -> list[str]:
    found = [name for name, _ in await kept(store, "#")]
    assert len(found) == store.retained_count
    return found


def test_one_user_retains_so_many_topics(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, of("7", "a"), of("7", "b"))
            await refused(store, of("7", "c"))
            await refused(store, draft("d"), of("7", "c"))
            await append(store, of("7", "a", b"2"), draft("c"), of("8", "c"))
            assert await names(store) == ["b", "a", "c"]

    run(test())


def test_all_together_retain_so_many_topics(backend: Backend, settings: Settings) -> None:
    """Servers and administrators are bound by this alone."""

    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, of("7", "a"), of("", "b"), of("", "c"), of("", "d"))
            await refused(store, of("", "e"))
            await refused(store, of("8", "e"))
            await append(store, of("", "d", b"2"))
            await append(store, of("", "d", b"null"), of("8", "e"))
            assert await names(store) == ["a", "b", "c", "e"]

    run(test())


def test_a_topic_is_counted_for_who_retained_it_last(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, of("7", "a"), of("7", "b"), of("8", "c"))
            await append(store, of("8", "b", b"2"))
            await refused(store, of("8", "a", b"2"))
            await append(store, of("7", "d"))
            assert await names(store) == ["a", "c", "b", "d"]

    run(test())


@pytest.mark.parametrize("how", ["cleared", "cleared in the same batch", "expired"])
def test_what_is_cleared_makes_room(backend: Backend, settings: Settings, how: str) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            dies = draft("b", retain=True, retainer="7", expires_ms=settings.clock.wall_ms() + 10)
            await append(store, of("7", "a"), dies)
            if how == "expired":
                settings.clock.advance(1)
                await trim_all(store)
            elif how == "cleared":
                await append(store, of("8", "b", b""))
            await append(store, *[of("7", "b", b"")] * (how[-1] == "h"), of("7", "c"))
            assert await names(store) == ["a", "c"]
            await refused(store, of("7", "d"))

    run(test())


def test_a_retry_beyond_the_limit_is_answered_as_a_duplicate(
    backend: Backend, settings: Settings
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            first = keyed("x", "a", retain=True, retainer="7")
            await append(store, first)
            await append(store, of("7", "a", b""), of("7", "b"), of("7", "c"))
            (answer,) = await append(store, first)
            assert answer.duplicate
            assert await names(store) == ["b", "c"]

    run(test())


def test_a_lower_limit_takes_nothing_away(
    backend: Backend, tmp_path: Path, clock: FakeClock
) -> None:
    async def test() -> None:
        settings = Settings(tmp_path, clock, retained=RetainedLimits(per_user_max=0))
        async with opened(backend, settings) as store:
            await append(store, of("", "a"))
            await refused(store, of("7", "b"))
            await append(store, draft("b", retainer="7"))

    run(test())


@pytest.mark.parametrize("lasting", LASTING, ids=lambda each: each.name)
def test_the_counts_outlive_the_process(lasting: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(lasting, settings) as store:
            await append(store, of("7", "a"), of("7", "b"), of("8", "c"))
        async with opened(lasting, settings) as store:
            assert store.retained_count == 3
            await refused(store, of("7", "d"))
            await append(store, of("7", "a", b"2"), of("8", "d"))
            await refused(store, of("", "e"))
        less = Settings(settings.folder, settings.clock, retained=RetainedLimits(per_user_max=1))
        async with opened(lasting, less) as store:
            await append(store, of("7", "a", b"3"))
            await refused(store, of("7", "a", b"4"), of("7", "e"))

    run(test())


def test_an_erased_person_retains_nothing(backend: Backend, settings: Settings) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            await append(store, of("7", "a"), of("7", "users/7"))
            await Boxes(store, settings.clock).change(Erase(user="7"))
            assert await names(store) == ["a"]
            await append(store, of("7", "b"), of("7", "c"))
            await refused(store, of("7", "d"))

    run(test())


def test_batches_that_wait_together_are_counted_one_after_the_other(
    backend: Backend, settings: Settings
) -> None:
    async def test() -> None:
        async with opened(backend, settings) as store:
            batches = [(of("7", "a"),), (of("7", "b"), of("7", "c")), (of("7", "b"),)]
            waiting = [start(store, *each) for each in batches]
            answers: list[Sequence[Appended] | ReddotError] = [await each for each in waiting]
            assert [isinstance(each, ReddotError) for each in answers] == [False, True, False]
            assert await names(store) == ["a", "b"]

    run(test())
