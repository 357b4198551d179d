"""Somebody with a token at a whole node behind fake sockets: asks, listens on every transport."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import quote

from reddot.core.tokens import issue_token
from reddot.testing import DEV_SECRET
from tests.wire import wsclient
from tests.wire.answers import Answer, read_answers
from tests.wire.node import WireNode
from tests.wire.transport import FakeTransport, settle

STREAMS: Final = ("sse", "iframe", "ws")
_DATA: Final = re.compile(rb"^data: (\{.*\})$", re.MULTILINE)
_CHUNK: Final = re.compile(rb"p\((\{.*?\})\)</script>")

Json = dict[str, Any]


class Stream:
    """An open stream and the frames that have come."""

    def __init__(self, transport: FakeTransport, kind: str) -> None:
        self.transport = transport
        self._kind = kind
        self._taken = 0

    def frames(self) -> list[Json]:
        """All frames so far, heartbeats left out."""
        return [frame for frame in self._all() if frame.get("type", "heartbeat") != "heartbeat"]

    def take(self) -> list[Json]:
        """The frames since the last call."""
        frames = self.frames()
        fresh = frames[self._taken :]
        self._taken = len(frames)
        return fresh

    def badges(self) -> list[Json]:
        return [frame for frame in self.frames() if frame["type"] == "badge"]

    def ids(self) -> list[str]:
        """Ids of the publications that came, in order."""
        return [frame["id"] for frame in self.frames() if frame["type"] == "publication"]

    def _all(self) -> list[Json]:
        _, _, body = bytes(self.transport.sent).partition(b"\r\n\r\n")
        if self._kind == "ws":
            return [json.loads(text) for text in wsclient.Incoming(body).texts]
        pattern = _DATA if self._kind == "sse" else _CHUNK
        return [json.loads(found) for found in pattern.findall(body)]

    def send(self, command: Json) -> None:
        self.transport.feed(wsclient.text(json.dumps(command)))


class Someone:
    """Args:
    user: None for the operator.
    """

    def __init__(self, node: WireNode, user: str | None, **grants: Any) -> None:
        self.node = node
        self.token = issue_token(
            DEV_SECRET, user=user, admin=user is None, lifetime_s=3600, clock=node.clock, **grants
        )

    async def ask(
        self, method: str, path: str, body: object = None, *fields: str, token: str | None = None
    ) -> Answer:
        """Ask on a connection of its own."""
        transport = self.node.connect()
        transport.feed(self.request(method, path, body, *fields, token=token))
        await settle()
        for _ in range(20):
            if transport.sent:
                break
            await settle()
        (answer,) = read_answers(bytes(transport.sent), [method])
        return answer

    def request(
        self, method: str, path: str, body: object = None, *fields: str, token: str | None = None
    ) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: x",
            f"authorization: Bearer {token or self.token}",
            *fields,
        ]
        if body is not None:
            lines += ["content-type: application/json", f"content-length: {len(content)}"]
        return "\r\n".join([*lines, "", ""]).encode() + content

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json

    async def badge(self) -> Json:
        found: Json = await self.get("/v1/badge")
        return found

    async def unread(self) -> int:
        count: int = (await self.badge())["unread"]
        return count

    async def ids(self, query: str = "") -> list[str]:
        page = await self.get(f"/v1/inbox{query}")
        return [item["id"] for item in page["items"]]

    async def notify(self, **wanted: Any) -> Json:
        """Send a notification; `to` is a user's name, a topic with a slash, or everyone."""
        to = wanted.pop("to")
        if isinstance(to, str):
            to = {"everyone": True} if to == "everyone" else {"topic": to} if "/" in to else [to]
        if isinstance(to, list):
            to = {"users": to}
        answer = await self.ask("POST", "/v1/notifications", {"to": to, "title": "Hi"} | wanted)
        assert answer.status in (200, 201, 202), answer
        found: Json = answer.json
        return found

    async def mark(self, state: str, *ids: str, **more: Any) -> Json:
        body = {"as": state} | ({"ids": ids} if ids else {}) | more
        answer = await self.ask("POST", "/v1/inbox/mark", body)
        assert answer.status == 200, answer
        found: Json = answer.json
        return found

    async def follow(self, topic: str, query: str = "") -> Json:
        answer = await self.ask("PUT", f"/v1/follows/{quote(topic)}{query}")
        assert answer.status == 200, answer
        found: Json = answer.json
        return found

    async def unfollow(self, topic: str) -> Json:
        answer = await self.ask("DELETE", f"/v1/follows/{quote(topic)}")
        assert answer.status == 200, answer
        found: Json = answer.json
        return found

    async def listen(self, kind: str = "sse", query: str = "") -> Stream:
        transport = self.node.connect()
        path = f"/v1/{kind}{query}"
        if kind == "ws":
            field = f"Authorization: Bearer {self.token}"
            transport.feed(wsclient.handshake(path, field))
        else:
            transport.feed(self.request("GET", path))
        await settle()
        return Stream(transport, kind)


def unread_of(frame: Json) -> tuple[int, int]:
    return frame["unread"], frame["unseen"]
