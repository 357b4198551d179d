"""What holds for one transport holds for all: filters, retain, ephemeral, ttl, raw, inbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.clients import (
    STREAMS,
    TRANSPORTS,
    Frame,
    Publisher,
    Reader,
    beside,
    frames,
    query,
    run,
)
from tests.integration.ready_clients import CHUNK
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

every_transport = pytest.mark.parametrize("transport", TRANSPORTS)


async def attached(reader: Reader) -> None:
    await asyncio.wait_for(reader.attached.wait(), 10)


async def publish(server: Server, *publications: Mapping[str, object]) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {API_KEY}"} if "api_key" in server.settings else {}
        answer = await client.post("/v1/publish", json=publications, headers=headers)
        assert answer.status_code in (200, 202), answer.text


def topics_of(reader: Reader) -> list[str]:
    return [frame["topic"] for frame in reader.publications]


def data_of(reader: Reader) -> list[object]:
    return [frame["data"] for frame in reader.publications]


async def until_data(reader: Reader, last: object) -> None:
    """Until the publication with this `data` has come, which is published last."""
    async with asyncio.timeout(10):
        while last not in data_of(reader):
            await asyncio.sleep(0.01)


@every_transport
def test_filters_select_the_same_topics(server: Server, transport: str) -> None:
    async def main() -> None:
        reader = Reader(server.port, transport, ["a/+/c", "x/#", "+/end"])
        async with beside(reader.run()):
            await attached(reader)
            selected = ["a/b/c", "a//c", "x", "x/y", "x/y/z", "the/end"]
            others = ["a/c", "a/b/c/d", "xx", "end", "the/very/end", "users/end", "y/x"]
            for topic in [*others, *selected]:
                await publish(server, {"topic": topic, "data": 0})
            await publish(server, {"topic": "x/last", "data": "last"})
            await until_data(reader, "last")
        assert topics_of(reader) == [*selected, "x/last"]

    run(main())


@every_transport
def test_everything_is_all_but_people_and_the_servers_own(server: Server, transport: str) -> None:
    async def main() -> None:
        reader = Reader(server.port, transport, ["#"])
        async with beside(reader.run()):
            await attached(reader)
            await publish(server, *({"topic": t, "data": 0} for t in ("users/42", "a", "b/c")))
            await publish(server, {"topic": "d", "data": "last"})
            await until_data(reader, "last")
        assert topics_of(reader) == ["a", "b/c", "d"]

    run(main())


@every_transport
def test_overlapping_filters_deliver_once(server: Server, transport: str) -> None:
    async def main() -> None:
        reader = Reader(server.port, transport, ["a/#", "a/+", "a/b", "#"])
        async with beside(reader.run()):
            await attached(reader)
            await publish(server, {"topic": "a/b", "data": 1}, {"topic": "a/b", "data": 2})
            await until_data(reader, 2)
            await publish(server, {"topic": "a/b", "data": 3})
            await until_data(reader, 3)
        assert data_of(reader) == [1, 2, 3]

    run(main())


@every_transport
def test_new_subscribers_get_what_is_retained(server: Server, transport: str) -> None:
    async def main() -> None:
        retained = [
            {"topic": "r/1", "data": "old", "retain": True},
            {"topic": "r/2", "data": "kept", "retain": True},
            {"topic": "r/1", "data": "new", "retain": True},
            {"topic": "r/3", "data": "cleared", "retain": True},
            {"topic": "r/3", "data": None, "retain": True},
            {"topic": "r/1", "data": "passed by"},
        ]
        await publish(server, *retained)
        reader = Reader(server.port, transport, ["r/+"])
        async with beside(reader.run()):
            await reader.until(2)
            await publish(server, {"topic": "r/4", "data": "live", "retain": True})
            await until_data(reader, "live")
        assert sorted(map(str, data_of(reader))) == ["kept", "live", "new"]
        assert data_of(reader)[-1] == "live"
        # Who comes back is owed only what it has missed.
        again = Reader(server.port, transport, ["r/+"], reader.cursor)
        async with beside(again.run()):
            await attached(again)
            await publish(server, {"topic": "r/5", "data": "after"})
            await until_data(again, "after")
        assert data_of(again) == ["after"]

    run(main())


@every_transport
def test_ephemeral_publications_reach_those_who_are_there(server: Server, transport: str) -> None:
    async def main() -> None:
        reader = Reader(server.port, transport, ["e"])
        async with beside(reader.run()):
            await attached(reader)
            before = reader.cursor
            # A long poll between two polls is not there.
            await asyncio.sleep(0.2)
            await publish(server, {"topic": "e", "data": "gone", "ephemeral": True})
            await asyncio.sleep(0.2)
            assert transport == "poll" or data_of(reader) == ["gone"]
            assert reader.cursor == before, "it moves no cursor"
            await publish(server, {"topic": "e", "data": "stays"})
            await until_data(reader, "stays")
        assert data_of(reader) == ([] if transport == "poll" else ["gone"]) + ["stays"]
        if transport != "poll":
            assert "offset" not in reader.publications[0]
            assert "cursor" not in reader.publications[0]
        assert reader.publications[-1]["offset"] == 1
        late = Reader(server.port, transport, ["e"], before)
        async with beside(late.run()):
            await until_data(late, "stays")
        assert data_of(late) == ["stays"]

    run(main())


@every_transport
@pytest.mark.parametrize("recent_publications_max", [20_000, 0], ids=["memory", "store"])
def test_what_has_expired_is_not_delivered(
    server_factory: ServerFactory, transport: str, recent_publications_max: int
) -> None:
    server = server_factory(dev=True, recent_publications_max=recent_publications_max)

    async def main() -> None:
        reader = Reader(server.port, transport, ["t"])
        async with beside(reader.read_once()):
            await attached(reader)
        begin = reader.cursor
        short = {"topic": "t", "data": "short", "ttl": 0.3, "retain": True}
        await publish(server, short, {"topic": "t", "data": "long", "ttl": 60})
        async with beside(reader.run()):
            await until_data(reader, "long")
        assert data_of(reader) == ["short", "long"]
        await asyncio.sleep(0.4)
        for cursor, expected in ((begin, ["long", "last"]), (None, ["last"])):
            late = Reader(server.port, transport, ["t"], cursor)
            async with beside(late.run()):
                await attached(late)
                await publish(server, {"topic": "t", "data": "last"})
                await until_data(late, "last")
            assert data_of(late)[-len(expected) :] == expected
            assert "short" not in data_of(late)

    run(main())


# ---- format=raw: what was published, and nothing around it ----

PUBLISHED = ["<li>hi & ho</li>", {"a": [1, 2]}, 'say "</script>"\nin two lines', None, 5]


def publish_for_raw(server: Server) -> str:
    """Publish all; returns the cursor before the first."""
    cursor = str(httpx.get(f"{server.url}/v1/poll?topic=raw").json()["cursor"])
    body = [{"topic": "raw", "data": data, "event": f"kind-{n}"} for n, data in enumerate(PUBLISHED)]
    assert httpx.post(f"{server.url}/v1/publish", json=body).status_code == 200
    return cursor


def as_text(data: object) -> str:
    return data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))


def read_raw(server: Server, transport: str, cursor: str, count: int) -> list[str]:
    """So many lines of a stream that does not end."""
    url = f"{server.url}/v1/{transport}?{query(['raw'], cursor, format='raw')}"
    with httpx.stream("GET", url, timeout=5) as answer:
        found: list[str] = []
        for line in answer.iter_lines():
            found.append(line)
            if len(found) == count:
                return found
    raise AssertionError(found)


def test_raw_over_sse_is_the_published_text_under_its_event_name(server: Server) -> None:
    lines = read_raw(server, "sse", publish_for_raw(server), 25)
    assert lines[0] == "event: sync"
    text = [line for line in lines[4:] if not line.startswith("id: ")]
    assert text[:17] == [
        "event: kind-0", "data: <li>hi & ho</li>", "",
        "event: kind-1", 'data: {"a":[1,2]}', "",
        "event: kind-2", 'data: say "</script>"', "data: in two lines", "",
        "event: kind-3", "data: null", "",
        "event: kind-4", "data: 5", "",
    ]  # fmt: skip


def test_raw_over_an_iframe_is_the_published_value(server: Server) -> None:
    lines = read_raw(server, "iframe", publish_for_raw(server), 2 + len(PUBLISHED))
    assert CHUNK.fullmatch(lines[1]), "the sync frame has an envelope"
    values = [line.partition(">p(")[2].removesuffix(")</script>") for line in lines[2:]]
    assert [json.loads(value) for value in values] == PUBLISHED


def test_raw_over_websocket_is_the_published_text(server: Server) -> None:
    url = f"{server.ws_url}/v1/ws?{query(['raw'], publish_for_raw(server), format='raw')}"
    with connect(url, proxy=None) as connection:
        assert json.loads(connection.recv(5))["type"] == "sync"
        assert [connection.recv(5) for _ in PUBLISHED] == [as_text(data) for data in PUBLISHED]


@pytest.mark.parametrize("transport", ["poll", "longpoll"])
def test_raw_over_polls_is_a_list_of_the_published_values(server: Server, transport: str) -> None:
    url = f"{server.url}/v1/{transport}?{query(['raw'], publish_for_raw(server), format='raw')}"
    assert httpx.get(url).json()["publications"] == PUBLISHED


# ---- a signed-in user's own topics ----


@every_transport
@pytest.mark.parametrize("inbox", [None, "false"])
def test_a_user_gets_the_inbox_unless_it_is_not_wanted(
    server_factory: ServerFactory, transport: str, inbox: str | None
) -> None:
    server = server_factory(jwt_secret=SECRET, api_key=API_KEY, jwt_leeway_s=0)
    token = user_token("42", subscribe=["news"])

    async def main() -> None:
        reader = Reader(server.port, transport, ["news"])

        async def read() -> None:
            arriving = frames(server.port, transport, ["news"], token=token, inbox=inbox)
            async for frame in arriving:
                reader.take(frame)

        async with beside(read()):
            await attached(reader)
            topics = ("users/7", "users/42", "everyone", "users/42/more", "other", "news")
            for topic in topics:
                await publish(server, {"topic": topic, "data": topic})
            await until_data(reader, "news")
        assert topics_of(reader) == (
            ["news"] if inbox == "false" else ["users/42", "everyone", "news"]
        )

    run(main())


# ---- heartbeats ----


@pytest.mark.parametrize("transport", STREAMS)
def test_heartbeats_come_as_often_as_the_setting_says(
    server_factory: ServerFactory, transport: str
) -> None:
    server = server_factory(dev=True, heartbeat_sse_s=0.5, heartbeat_websocket_s=0.5)

    async def main() -> None:
        beats: list[Frame] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(6):
                async for frame in frames(server.port, transport, ["quiet"]):
                    beats += [frame] if frame["type"] == "heartbeat" else []
                    if len(beats) == 2:
                        break
        assert len(beats) == 2 and all(beat["cursor"] for beat in beats)

    run(main())
