"""Credentials on the wire: tickets, what a WebSocket may say, tokens that end meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.clients import Frame, Http, Refused, beside, frames, query, run
from tests.integration.ready_clients import CHUNK, NODE_CLIENT, curl, lines, output
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

STOPS_S_MAX = 2.0
WAIT_S = 10.0
API_HEADERS = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def secured(shared_server: ServerFactory) -> Server:
    """A server that lets nobody in without a credential."""
    return shared_server(jwt_secret=SECRET, api_key=API_KEY, jwt_leeway_s=0, ws_auth_timeout_s=2)


def publish(server: Server, topic: str, data: object) -> None:
    body = {"topic": topic, "data": data}
    answer = httpx.post(f"{server.url}/v1/publish", json=body, headers=API_HEADERS)
    assert answer.status_code == 200, answer.text


def ticket_for(server: Server, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{server.url}/v1/tickets", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["ticket"])


# ---- tickets ----


async def first_publication(server: Server, topic: str, frames_: AsyncIterator[Frame]) -> Frame:
    """Publish when the stream has begun; returns what comes then."""
    async for frame in frames_:
        if frame["type"] != "sync":
            return frame
        await asyncio.to_thread(publish, server, topic, "mine")
    raise AssertionError("the stream ended")


@pytest.mark.service
def test_a_ticket_lets_an_eventsource_in_once(secured: Server, topic: str) -> None:
    ticket = ticket_for(secured, user_token(topic))
    command = ("node", str(NODE_CLIENT), f"{secured.url}/v1/sse?ticket={ticket}")

    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            async with aclosing(lines(*command)) as printed:
                events = (json.loads(line) async for line in printed)
                event = await first_publication(secured, f"users/{topic}", events)
                assert json.loads(event["data"])["data"] == "mine"
            async with aclosing(lines(*command)) as printed:
                refusal = json.loads(await anext(printed))
                assert refusal == {"type": "error", "code": 401, "closed": True}

    run(main())


@pytest.mark.service
def test_a_ticket_lets_an_iframe_in_once(secured: Server, topic: str) -> None:
    ticket = ticket_for(secured, user_token(topic))
    url = f"{secured.url}/v1/iframe?ticket={ticket}"

    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            async with aclosing(lines(*curl(url))) as printed:
                chunks = (CHUNK.fullmatch(line) async for line in printed)
                events = (json.loads(chunk[1]) async for chunk in chunks if chunk)
                frame = await first_publication(secured, f"users/{topic}", events)
                assert frame["data"] == "mine"
            # A page cannot see the status, so the refusal is a frame of the document.
            refusal = await output(*curl("--write-out", "%{http_code}", url))
            document, _, status = refusal.rpartition("\n")
            found = CHUNK.search(document)
            assert status == "401" and found is not None
            assert json.loads(found[1])["code"] == "unauthorized"

    run(main())


def test_a_ticket_stands_for_a_credential(secured: Server) -> None:
    assert httpx.post(f"{secured.url}/v1/tickets").status_code == 401
    for path in ("sse", "poll", "longpoll", "iframe", "ws"):
        answer = httpx.get(f"{secured.url}/v1/{path}?ticket=made-up")
        assert answer.status_code in (401, 426), path


# ---- what a WebSocket may say ----


def websocket(server: Server, token: str | None = None, **params: str) -> ClientConnection:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"{server.ws_url}/v1/ws?{query((), **params)}"
    return connect(url, additional_headers=headers, proxy=None)


def next_frame(connection: ClientConnection) -> Frame:
    frame: Frame = json.loads(connection.recv(WAIT_S))
    return frame


def ask(connection: ClientConnection, type_: str, **fields: object) -> Frame:
    """Send a command; returns the answer to it, which must be the next frame."""
    connection.send(json.dumps({"type": type_, "ref": type_, **fields}))
    answer = next_frame(connection)
    assert answer["ref"] == type_, answer
    return answer


def test_a_websocket_may_send_its_token_first(secured: Server, topic: str) -> None:
    with websocket(secured) as connection:
        assert next_frame(connection)["type"] == "sync"
        answer = ask(connection, "subscribe", filters=["news/a"])
        assert (answer["type"], answer["code"]) == ("error", "unauthorized")
        assert ask(connection, "auth", token=user_token(topic))["type"] == "ok"
        publish(secured, f"users/{topic}", "mine")
        frame = next_frame(connection)
        assert (frame["topic"], frame["data"]) == (f"users/{topic}", "mine")


def test_a_websocket_with_a_wrong_token_is_closed(secured: Server, topic: str) -> None:
    with websocket(secured) as connection:
        assert next_frame(connection)["type"] == "sync"
        answer = ask(connection, "auth", token=user_token(topic)[:-4] + "AAAA")
        assert answer["code"] == "unauthorized"
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(WAIT_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


def test_a_websocket_that_never_says_who_it_is_is_closed(secured: Server) -> None:
    began = time.monotonic()
    with websocket(secured) as connection:
        assert next_frame(connection)["type"] == "sync"
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(WAIT_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
    assert time.monotonic() - began > 1.5


def test_subscribe_unsubscribe_publish_and_ping(shared_server: ServerFactory, topic: str) -> None:
    server = shared_server(dev=True)
    a, b = f"{topic}/a", f"{topic}/b"
    with websocket(server, topic=a) as connection:
        start = next_frame(connection)
        assert start["complete"] is True
        assert ask(connection, "ping") == {"type": "ok", "ref": "ping"}
        # Published before it listens to b: what it has missed comes before the answer.
        missed = httpx.post(f"{server.url}/v1/publish", json={"topic": b, "data": "missed"}).json()
        connection.send(
            json.dumps({"type": "subscribe", "filters": [b], "cursor": start["cursor"], "ref": 1})
        )
        frame = next_frame(connection)
        assert frame["type"] == "publication", frame
        assert (frame["id"], frame["data"]) == (missed["id"], "missed")
        assert next_frame(connection) | {"cursor": ""} == {"type": "ok", "ref": 1, "cursor": ""}
        published = ask(connection, "publish", topic=b, data={"n": 1}, id=topic)
        assert (published["id"], published["offset"], published["duplicate"]) == (topic, 2, False)
        frame = next_frame(connection)
        assert (frame["offset"], frame["data"]) == (2, {"n": 1})
        assert ask(connection, "publish", topic=b, data={"n": 1}, id=topic)["duplicate"] is True
        assert ask(connection, "publish", topic=b, data="other", id=topic)["code"] == "id_conflict"
        assert ask(connection, "publish", topic="a/+", data=1)["code"] == "topic_invalid"
        assert ask(connection, "unsubscribe", filters=[b])["type"] == "ok"
        for to in (b, a):
            httpx.post(f"{server.url}/v1/publish", json={"topic": to, "data": "after"})
        frame = next_frame(connection)
        assert frame["topic"] == a, "b was unsubscribed"


# ---- tokens that end ----


class Tail:
    """Reads a stream to its end, and knows when the last publication came."""

    def __init__(self) -> None:
        self.last_at = 0.0
        self.received = 0
        self.others: list[Frame] = []
        self.refused: Refused | None = None

    async def read(self, server: Server, transport: str, topic: str, token: str) -> None:
        try:
            async for frame in frames(server.port, transport, [topic], token=token):
                if frame["type"] == "publication":
                    self.last_at = time.time()
                    self.received += 1
                else:
                    self.others.append(frame)
        except Refused as refused:
            self.refused = refused


async def publish_steadily(server: Server, topic: str) -> None:
    http = await Http.open(server.port)
    body = json.dumps({"topic": topic, "data": 0}).encode()
    try:
        while True:
            status, _, _ = await http.request("POST", "/v1/publish", API_HEADERS, body)
            assert status == 200
            await asyncio.sleep(0.05)
    finally:
        http.abort()


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [False, True], ids=["busy", "quiet"])
def test_a_token_that_ends_stops_the_stream(secured: Server, topic: str, quiet: bool) -> None:
    """On all transports at once: within two seconds nothing comes any more, and it is said why."""
    transports = ("sse", "ws", "iframe", "longpoll", "poll")
    token = user_token(topic, subscribe=[topic], lifetime_s=3)
    ends_at = int(time.time()) + 3
    tails = {transport: Tail() for transport in transports}

    async def main() -> None:
        listened_to = "elsewhere" if quiet else topic
        async with beside(publish_steadily(secured, listened_to)), asyncio.timeout(WAIT_S):
            await asyncio.gather(
                *(tail.read(secured, name, topic, token) for name, tail in tails.items())
            )

    run(main())
    assert time.time() < ends_at + STOPS_S_MAX + 1
    for transport, tail in tails.items():
        if not quiet:
            assert tail.received > 20, transport
            assert ends_at - 1 < tail.last_at < ends_at + STOPS_S_MAX, transport
        if transport.endswith("poll"):
            assert tail.refused is not None and tail.refused.status == 401, transport
        else:
            said = [f["reason"] for f in tail.others if f["type"] == "reconnect"]
            assert said == ["reauth"], transport


def test_a_websocket_may_renew_its_token(secured: Server, topic: str) -> None:
    short = user_token(topic, lifetime_s=2)
    with websocket(secured, short) as connection:
        assert next_frame(connection)["type"] == "sync"
        assert ask(connection, "auth", token=user_token(topic))["type"] == "ok"
        time.sleep(4)
        publish(secured, f"users/{topic}", "later")
        assert next_frame(connection)["data"] == "later"
