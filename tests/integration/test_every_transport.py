"""What holds for one transport holds for all: filters, retain, ephemeral, ttl, raw, inbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.clients import (
    ALL_TRANSPORTS,
    STREAMS,
    TRANSPORTS,
    Reader,
    beside,
    frames,
    query,
    run,
    until,
)
from tests.integration.ready_clients import CHUNK
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token


@pytest.fixture
def dev(shared_server: ServerFactory) -> Server:
    return shared_server(dev=True)


every_transport = pytest.mark.parametrize("transport", ALL_TRANSPORTS)
every_http_transport = pytest.mark.parametrize("transport", TRANSPORTS)


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
    await until(lambda: last in data_of(reader), 10)


@every_transport
def test_filters_select_the_same_topics(dev: Server, transport: str, topic: str) -> None:
    async def main() -> None:
        filters = ["{}/a/+/c", "{}/x/#", "+/{}/end"]
        selected = ["{}/a/b/c", "{}/a//c", "{}/x", "{}/x/y", "{}/x/y/z", "the/{}/end"]
        others = ["{}/a/c", "{}/a/b/c/d", "{}/xx", "{}/end", "a/b/{}/end", "users/{}/end"]
        reader = Reader(dev.port, transport, [text.format(topic) for text in filters])
        async with beside(reader.run()):
            await attached(reader)
            for text in [*others, *selected]:
                await publish(dev, {"topic": text.format(topic), "data": 0})
            await publish(dev, {"topic": f"{topic}/x/last", "data": "last"})
            await until_data(reader, "last")
        assert topics_of(reader)[:-1] == [text.format(topic) for text in selected]

    run(main())


def test_everything_is_all_but_peoples_own_topics(server: Server) -> None:
    async def main() -> None:
        readers = [Reader(server.port, transport, ["#"]) for transport in ALL_TRANSPORTS]
        async with beside(*(reader.run() for reader in readers)):
            await asyncio.gather(*map(attached, readers))
            await publish(server, *({"topic": t, "data": 0} for t in ("users/42", "a", "b/c")))
            await publish(server, {"topic": "d", "data": "last"})
            await asyncio.gather(*(until_data(reader, "last") for reader in readers))
        for reader in readers:
            assert topics_of(reader) == ["a", "b/c", "d"], reader.transport

    run(main())


@every_transport
def test_overlapping_filters_deliver_once(dev: Server, transport: str, topic: str) -> None:
    async def main() -> None:
        own = f"{topic}/a"
        reader = Reader(dev.port, transport, [f"{topic}/#", f"{topic}/+", own, "+/a"])
        async with beside(reader.run()):
            await attached(reader)
            await publish(dev, {"topic": own, "data": 1}, {"topic": own, "data": 2})
            await until_data(reader, 2)
            await publish(dev, {"topic": own, "data": 3})
            await until_data(reader, 3)
        assert data_of(reader) == [1, 2, 3]

    run(main())


@every_transport
def test_new_subscribers_get_what_is_retained(dev: Server, transport: str, topic: str) -> None:
    async def main() -> None:
        retained: list[Mapping[str, object]] = [
            {"topic": f"{topic}/1", "data": "old", "retain": True},
            {"topic": f"{topic}/2", "data": "kept", "retain": True},
            {"topic": f"{topic}/1", "data": "new", "retain": True},
            {"topic": f"{topic}/3", "data": "cleared", "retain": True},
            {"topic": f"{topic}/3", "data": None, "retain": True},
            {"topic": f"{topic}/1", "data": "passed by"},
        ]
        await publish(dev, *retained)
        reader = Reader(dev.port, transport, [f"{topic}/+"])
        async with beside(reader.run()):
            await reader.until(2)
            await publish(dev, {"topic": f"{topic}/4", "data": "live", "retain": True})
            await until_data(reader, "live")
        assert sorted(map(str, data_of(reader))) == ["kept", "live", "new"]
        assert data_of(reader)[-1] == "live"
        # Who comes back is owed only what it has missed.
        again = Reader(dev.port, transport, [f"{topic}/+"], reader.cursor)
        async with beside(again.run()):
            await publish(dev, {"topic": f"{topic}/5", "data": "after"})
            await until_data(again, "after")
        assert data_of(again) == ["after"]

    run(main())


@every_transport
def test_ephemeral_publications_reach_those_who_are_there(
    dev: Server, transport: str, topic: str
) -> None:
    async def main() -> None:
        reader = Reader(dev.port, transport, [topic])
        async with beside(reader.run()):
            await attached(reader)
            before = reader.cursor
            # A long poll between two answers is not there.
            await asyncio.sleep(0.2)
            await publish(dev, {"topic": topic, "data": "gone", "ephemeral": True})
            await asyncio.sleep(0.2)
            assert reader.cursor == before, "it moves no cursor"
            await publish(dev, {"topic": topic, "data": "stays"})
            await until_data(reader, "stays")
        gone, stays = [], reader.publications[-1]
        if transport != "poll":
            gone = ["gone"]
            assert reader.publications[0].keys().isdisjoint({"offset", "cursor"})
        assert data_of(reader) == [*gone, "stays"]
        assert stays["offset"] == 1, "it takes no offset"
        late = Reader(dev.port, transport, [topic], before)
        async with beside(late.run()):
            await until_data(late, "stays")
        assert data_of(late) == ["stays"]

    run(main())


@every_transport
@pytest.mark.parametrize("recent_publications_max", [20_000, 0], ids=["memory", "store"])
def test_what_has_expired_is_not_delivered(
    shared_server: ServerFactory, transport: str, topic: str, recent_publications_max: int
) -> None:
    server = shared_server(dev=True, recent_publications_max=recent_publications_max)

    async def main() -> None:
        reader = Reader(server.port, transport, [topic])
        async with beside(reader.read_once()):
            await attached(reader)
        before = reader.cursor
        short = {"topic": topic, "data": "short", "ttl": 0.5, "retain": True}
        await publish(server, short, {"topic": topic, "data": "long", "ttl": 60})
        async with beside(reader.run()):
            await until_data(reader, "long")
        assert data_of(reader) == ["short", "long"]
        await asyncio.sleep(0.6)
        await publish(server, {"topic": topic, "data": "last"})
        late = Reader(server.port, transport, [topic], before)
        new = Reader(server.port, transport, [topic])
        async with beside(late.run(), new.run()):
            await until_data(late, "last")
            await attached(new)
            await publish(server, {"topic": topic, "data": "newer"})
            await until_data(new, "newer")
        assert data_of(late)[:2] == ["long", "last"]
        assert data_of(new) == ["newer"], "it was retained, and has expired"

    run(main())


# ---- format=raw: what was published, and nothing around it ----

PUBLISHED = ["<li>hi & ho</li>", {"a": [1, 2]}, 'say "</script>"\nin two lines', None, 5]


def publish_for_raw(server: Server, topic: str) -> str:
    """Publish all; returns the cursor before the first."""
    cursor = str(httpx.get(f"{server.url}/v1/poll?topic={topic}").json()["cursor"])
    body = [
        {"topic": topic, "data": data, "event": f"kind-{n}"} for n, data in enumerate(PUBLISHED)
    ]
    assert httpx.post(f"{server.url}/v1/publish", json=body).status_code == 200
    return cursor


def as_text(data: object) -> str:
    return data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))


def read_raw(server: Server, transport: str, topic: str, count: int) -> list[str]:
    """So many lines of a stream that does not end."""
    cursor = publish_for_raw(server, topic)
    url = f"{server.url}/v1/{transport}?{query([topic], cursor, format='raw')}"
    with httpx.stream("GET", url, timeout=5) as answer:
        found: list[str] = []
        for line in answer.iter_lines():
            found.append(line)
            if len(found) == count:
                return found
    raise AssertionError(found)


def test_raw_over_sse_is_the_published_text_under_its_event_name(dev: Server, topic: str) -> None:
    lines = read_raw(dev, "sse", topic, 26)
    assert lines[0].startswith("retry: ")
    assert lines[1] == "event: sync"
    text = [line for line in lines[5:] if not line.startswith("id: ")]
    assert text[:17] == [
        "event: kind-0", "data: <li>hi & ho</li>", "",
        "event: kind-1", 'data: {"a":[1,2]}', "",
        "event: kind-2", 'data: say "</script>"', "data: in two lines", "",
        "event: kind-3", "data: null", "",
        "event: kind-4", "data: 5", "",
    ]  # fmt: skip


def test_raw_over_an_iframe_is_the_published_value(dev: Server, topic: str) -> None:
    lines = read_raw(dev, "iframe", topic, 2 + len(PUBLISHED))
    assert CHUNK.fullmatch(lines[1]), "the sync frame has an envelope"
    values = [line.partition(">p(")[2].removesuffix(")</script>") for line in lines[2:]]
    assert [json.loads(value) for value in values] == PUBLISHED


def test_raw_over_websocket_is_the_published_text(dev: Server, topic: str) -> None:
    url = f"{dev.ws_url}/v1/ws?{query([topic], publish_for_raw(dev, topic), format='raw')}"
    with connect(url, proxy=None) as connection:
        assert json.loads(connection.recv(5))["type"] == "sync"
        assert [connection.recv(5) for _ in PUBLISHED] == [as_text(data) for data in PUBLISHED]


@pytest.mark.parametrize("transport", ["poll", "longpoll"])
def test_raw_over_polls_is_a_list_of_the_published_values(
    dev: Server, transport: str, topic: str
) -> None:
    params = query([topic], publish_for_raw(dev, topic), format="raw")
    assert httpx.get(f"{dev.url}/v1/{transport}?{params}").json()["publications"] == PUBLISHED


# ---- a signed-in user's own topics ----


@every_http_transport
@pytest.mark.parametrize("inbox", [None, "false"])
def test_a_user_gets_the_inbox_unless_it_is_not_wanted(
    shared_server: ServerFactory, transport: str, topic: str, inbox: str | None
) -> None:
    server = shared_server(jwt_secret=SECRET, api_key=API_KEY)
    token = user_token(topic, subscribe=["news/+"])
    news, own = f"news/{topic}", f"users/{topic}"

    async def main() -> None:
        reader = Reader(server.port, transport, [news])

        async def read() -> None:
            async for frame in frames(server.port, transport, [news], token=token, inbox=inbox):
                reader.take(frame)

        async with beside(read()):
            await attached(reader)
            for to in ("users/other", own, "everyone", f"{own}/more", "news/other", news):
                await publish(server, {"topic": to, "data": to})
            await until_data(reader, news)
        assert topics_of(reader) == [*([] if inbox == "false" else [own, "everyone"]), news]

    run(main())


# ---- heartbeats ----


def test_heartbeats_come_as_often_as_the_settings_say(server_factory: ServerFactory) -> None:
    server = server_factory(dev=True, heartbeat_sse_s=1, heartbeat_websocket_s=1)

    async def beats(transport: str, count: int) -> None:
        async for frame in frames(server.port, transport, ["quiet"]):
            assert frame["type"] in ("sync", "heartbeat") and frame["cursor"]
            count -= frame["type"] == "heartbeat"
            if not count:
                return

    async def main() -> None:
        async with asyncio.timeout(8):
            await asyncio.gather(*(beats(transport, 2) for transport in STREAMS))

    run(main())
