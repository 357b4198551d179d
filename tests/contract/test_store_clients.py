"""What a store keeps for MQTT: what goes with a publication, and rows of clients."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reddot.errors import ReddotError
from reddot.model import ATTACHED_MS, Appended, ClientRow, Draft
from reddot.ports import Store
from reddot.testing import FakeClock
from tests.contract.conftest import LASTING, Backend, Settings, append, opened
from tests.contract.drafts import draft, everything, keyed, run


def row(
    client: str = "c", state: bytes | None = b"s", wake_ms: int = 5, owner: str = "o"
) -> ClientRow:
    return ClientRow(owner=owner, client=client, state=state, wake_ms=wake_ms)


async def save(store: Store, *rows: ClientRow, drafts: tuple[Draft, ...] = ()) -> object:
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    store.append(drafts, answer.set_result, rows)
    assert not answer.done()
    return await answer


async def names(store: Store, first_ms: int, last_ms: int, limit: int = 10) -> list[str]:
    found = await store.clients.woken(first_ms=first_ms, last_ms=last_ms, limit=limit)
    return [one.client for one in found]


def settings_of(tmp_path: Path) -> Settings:
    return Settings(tmp_path, FakeClock())


def test_what_goes_with_a_publication_comes_back(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(backend, settings_of(tmp_path)) as store:
            rich = draft(qos=1, properties=b"\x00\xff&\x00\x01a", source="o\0c", retain=True)
            await append(store, draft(), rich, draft(qos=0))
            page = await store.read(None, after=0, upto=store.head, limit=9)
            plain, found, low = page.publications
            assert (plain.qos, plain.properties, plain.source) == (2, b"", "")
            assert (found.qos, found.properties, found.source) == (1, b"\x00\xff&\x00\x01a", "o\0c")
            assert low.qos == 0
            (kept,) = await store.retained(["a"], after=0, upto=store.head, limit=9)
            assert kept == found

    run(main())


def test_other_properties_are_other_content(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(backend, settings_of(tmp_path)) as store:
            await append(store, keyed("k", properties=b"\x01\x01"))
            again = await append(store, keyed("k", properties=b"\x01\x01", qos=1, source="x"))
            assert again[0].duplicate
            with pytest.raises(ReddotError, match="id_conflict"):
                await append(store, keyed("k"))

    run(main())


def test_rows_are_loaded_replaced_and_forgotten(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(backend, settings_of(tmp_path)) as store:
            assert await store.clients.load("o", "c") is None
            assert await save(store, row(), row(owner="p", state=b"other")) == []
            assert await store.clients.load("o", "c") == row()
            await save(store, row(state=b"new", wake_ms=9))
            assert await store.clients.load("o", "c") == row(state=b"new", wake_ms=9)
            await save(store, row(state=None))
            assert await store.clients.load("o", "c") is None
            assert await store.clients.load("p", "c") == row(owner="p", state=b"other")

    run(main())


def test_the_last_row_of_a_client_counts(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(backend, settings_of(tmp_path)) as store:
            await save(store, row(state=b"1"), row(state=None), row(state=b"2"))
            assert await store.clients.load("o", "c") == row(state=b"2")
            await save(store, row(state=b"3"), row(state=None))
            assert await store.clients.load("o", "c") is None

    run(main())


def test_rows_are_found_by_when_they_wake(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(backend, settings_of(tmp_path)) as store:
            await save(
                store, row("z", wake_ms=7), row("y", wake_ms=3), row("x", wake_ms=ATTACHED_MS)
            )
            assert await names(store, 0, 10) == ["y", "z"]
            assert await names(store, 0, 10, limit=1) == ["y"]
            assert await names(store, 4, 7) == ["z"]
            assert await names(store, ATTACHED_MS, ATTACHED_MS) == ["x"]

    run(main())


def test_rows_come_with_drafts_or_not_at_all(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(backend, settings_of(tmp_path)) as store:
            result = await save(store, row(state=b"1"), drafts=(keyed("k"),))
            assert isinstance(result, list) and isinstance(result[0], Appended)
            result = await save(store, row(state=b"2"), drafts=(keyed("k", data=b"2"),))
            assert isinstance(result, ReddotError) and result.code == "id_conflict"
            assert await store.clients.load("o", "c") == row(state=b"1")
            await save(store, row(state=b"3"), drafts=(keyed("k"),))
            assert await store.clients.load("o", "c") == row(state=b"3")
            assert await everything(store) == [b"1"]

    run(main())


@pytest.mark.parametrize("backend", LASTING, ids=lambda backend: backend.name)
def test_rows_outlive_the_process(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(backend, settings_of(tmp_path)) as store:
            await save(store, row())
        async with opened(backend, settings_of(tmp_path)) as store:
            assert await store.clients.load("o", "c") == row()

    run(main())
