"""A push service for Firefox: its WebSocket protocol on one side, RFC 8030 on the other.

Written after Mozilla's description of autopush (`hello`, `register`, `notification`, `ack`,
`unregister`), for one browser at a time. It cannot read what it passes on; the browser can.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

ANSWER_S: Final = 10
OK: Final = 100
"""Code of an `ack`: the message was decrypted and given to the service worker."""


@dataclass
class Channel:
    """One subscription of the browser."""

    id: str
    connection: ServerConnection
    key: str


class PushService:
    """Listens on two free ports of this machine, in a thread of its own.

    Attributes:
        url: what `dom.push.serverURL` is to be.
        channels: subscriptions by the last part of their endpoint.
        acks: codes by version of the message.
        said: types of all messages of the browser, in order.
    """

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.acks: dict[str, int] = {}
        self.said: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._endpoints = f"http://127.0.0.1:{self._http.server_port}/push/"
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._loop.run_forever, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._sockets: Server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(
            ANSWER_S
        )
        port = next(iter(self._sockets.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(ANSWER_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(ANSWER_S)
        self._loop.close()

    async def _listen(self) -> Server:
        return await serve(self._serve, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._sockets.close()
        await self._sockets.wait_closed()

    # ---- the browser's side ----

    async def _serve(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in connection:
                message = json.loads(text)
                kind = message.get("messageType", "ping")
                self.said.append(kind)
                if (answer := self._answer(kind, message, connection)) is not None:
                    await connection.send(json.dumps(answer))

    def _answer(
        self, kind: str, message: dict[str, Any], connection: ServerConnection
    ) -> dict[str, Any] | None:
        if kind == "hello":
            uaid = message.get("uaid") or secrets.token_hex(16)
            return {"messageType": kind, "uaid": uaid, "status": 200, "use_webpush": True}
        if kind == "register":
            return self._register(message, connection)
        if kind == "unregister":
            self._forget(message["channelID"])
            return {"messageType": kind, "channelID": message["channelID"], "status": 200}
        if kind == "ack":
            self.acks.update({one["version"]: one["code"] for one in message["updates"]})
        elif kind == "nack":
            self.acks[message["version"]] = message["code"]
        return {} if kind == "ping" else None

    def _register(self, message: dict[str, Any], connection: ServerConnection) -> dict[str, Any]:
        name = secrets.token_urlsafe(16)
        self.channels[name] = Channel(message["channelID"], connection, message["key"].rstrip("="))
        return {
            "messageType": "register",
            "channelID": message["channelID"],
            "status": 200,
            "pushEndpoint": self._endpoints + name,
        }

    def _forget(self, channel_id: str) -> None:
        self.channels = {n: one for n, one in self.channels.items() if one.id != channel_id}

    # ---- the application server's side ----

    def _deliver(self, name: str, encoding: str, body: bytes) -> int:
        channel = self.channels.get(name)
        if channel is None:
            return 410
        version = secrets.token_hex(8)
        message = {
            "messageType": "notification",
            "channelID": channel.id,
            "version": version,
            "data": urlsafe_b64encode(body).decode().rstrip("="),
            "headers": {"encoding": encoding},
        }
        asyncio.run_coroutine_threadsafe(
            channel.connection.send(json.dumps(message)), self._loop
        ).result(ANSWER_S)
        return 201

    def _handler(service) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                name = self.path.rpartition("/")[2]
                complete = self.headers["ttl"] and self.headers["authorization"]
                encoding = self.headers["content-encoding"]
                status = service._deliver(name, encoding, body) if complete else 400
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler


@contextmanager
def push_service() -> Iterator[PushService]:
    service = PushService()
    try:
        yield service
    finally:
        service.stop()
