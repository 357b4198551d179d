"""Which back ends there are. A new store or bus is one line here and passes the suite unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reddot.buses.local import LocalBus
from reddot.errors import ReddotError
from reddot.inbox import Keep
from reddot.model import Appended, Draft, RetainedLimits, Retention
from reddot.outreach import DeliveryKeep
from reddot.ports import Bus, Store
from reddot.stores.memory import MemoryStore
from reddot.stores.sqlite import SqliteStore
from reddot.testing import FakeClock

EPOCH = 0x1234_5678
DAY_MS = 86_400_000
PLENTY = Retention(count=1_000_000, age_ms=365 * DAY_MS)

NOW_MS = 1_767_225_600_000

RetentionOf = Callable[[str], Retention]


@dataclass(frozen=True)
class Settings:
    """What a test chooses of a store."""

    folder: Path
    clock: FakeClock
    retention: RetentionOf = lambda topic: PLENTY
    queue_drafts_max: int = 10_000
    keep: Keep = field(default_factory=Keep)
    keep_deliveries: DeliveryKeep = field(default_factory=DeliveryKeep)
    retained: RetainedLimits = field(default_factory=RetainedLimits)


@dataclass(frozen=True)
class Backend:
    """One kind of store.

    Attributes:
        make: a store, not opened; twice with the same folder is the same log, if it is `lasting`.
        lasting: whether the log outlives the object.
    """

    name: str
    make: Callable[[Settings], Store]
    lasting: bool


def _memory(settings: Settings) -> Store:
    return MemoryStore(
        clock=settings.clock,
        retention=settings.retention,
        epoch=EPOCH,
        queue_drafts_max=settings.queue_drafts_max,
        keep=settings.keep,
        keep_deliveries=settings.keep_deliveries,
        retained=settings.retained,
    )


def _sqlite(settings: Settings) -> Store:
    return SqliteStore(
        settings.folder / "log.db",
        clock=settings.clock,
        retention=settings.retention,
        new_epoch=lambda: EPOCH,
        queue_drafts_max=settings.queue_drafts_max,
        keep=settings.keep,
        keep_deliveries=settings.keep_deliveries,
        retained=settings.retained,
    )


BACKENDS = [
    Backend("memory", _memory, lasting=False),
    Backend("sqlite", _sqlite, lasting=True),
]
LASTING = [backend for backend in BACKENDS if backend.lasting]
BUSES: dict[str, Callable[[], Bus]] = {"local": LocalBus}


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    assert isinstance(request.param, Backend)
    return request.param


@pytest.fixture(params=list(BUSES.values()), ids=list(BUSES))
def new_bus(request: pytest.FixtureRequest) -> Callable[[], Bus]:
    make: Callable[[], Bus] = request.param
    return make


@asynccontextmanager
async def opened(backend: Backend, settings: Settings) -> AsyncIterator[Store]:
    store = backend.make(settings)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


async def append(store: Store, *drafts: Draft) -> Sequence[Appended]:
    """Append and wait; raises what `done` was given."""
    result = await start(store, *drafts)
    if isinstance(result, ReddotError):
        raise result
    return result


def start(store: Store, *drafts: Draft) -> asyncio.Future[Sequence[Appended] | ReddotError]:
    """Append without waiting."""
    answer: asyncio.Future[Sequence[Appended] | ReddotError] = (
        asyncio.get_running_loop().create_future()
    )
    store.append(drafts, answer.set_result)
    assert not answer.done(), "done was called inside append"
    return answer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW_MS)


@pytest.fixture
def settings(tmp_path: Path, clock: FakeClock) -> Settings:
    return Settings(tmp_path, clock)
