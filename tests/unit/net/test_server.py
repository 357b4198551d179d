"""The listening socket, and how the server stops: drain first, let answers finish, exit cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
import uvicorn

from reddot.net.server import FrontServer, open_listener

Scope = MutableMapping[str, Any]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    listener = open_listener(
        host, port, backlog=16, send_buffer_bytes=65_536, tcp_user_timeout_s=20.0
    )
    with listener:
        yield listener


def linger_of(connection: socket.socket) -> tuple[int, ...]:
    return struct.unpack("ii", connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))


def test_accepted_sockets_have_the_options_of_the_listener() -> None:
    with listening() as listener, socket.create_connection(listener.getsockname()) as client:
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            option = accepted.getsockopt
            assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
            # Linux doubles what is asked for, for its own books.
            assert option(socket.SOL_SOCKET, socket.SO_SNDBUF) in (65_536, 131_072)
            assert linger_of(accepted)[0] == 0
            assert client.getpeername() == accepted.getsockname()


def test_the_listener_does_not_block() -> None:
    with listening() as listener, pytest.raises(BlockingIOError):
        listener.accept()


def test_a_port_that_is_taken() -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match="in use"), listening(port=port):
            pass


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with listening("::1") as listener:
        assert listener.family == socket.AF_INET6


class Application:
    """Answers when it is let; remembers what happens in order."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Scope]],
        send: Callable[[Scope], Awaitable[None]],
    ) -> None:
        self.asked.set()
        await self.may_answer.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})
        self.happened.append("answered")

    async def drain(self) -> None:
        self.happened.append("drained")
        self.may_answer.set()


def server_of(application: Application) -> FrontServer:
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, timeout_graceful_shutdown=5
    )
    return FrontServer(config, drain=application.drain)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_lets_answers_finish(number: signal.Signals) -> None:
    async def main() -> None:
        application = Application()
        server = server_of(application)
        with listening() as listener:
            address = listener.getsockname()
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection(*address)
            writer.write(REQUEST)
            await application.asked.wait()
            os.kill(os.getpid(), number)
            answer = await reader.read()
            writer.close()
            # Returns: the signal is not raised again, so the exit code is 0.
            await serving
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"ok")
        assert application.happened == ["drained", "answered"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address).close()

    asyncio.run(main())


def test_a_second_signal_does_not_wait() -> None:
    async def main() -> None:
        application = Application()
        server = server_of(application)
        server.handle_exit(signal.SIGTERM, None)
        assert (server.should_exit, server.force_exit) == (True, False)
        server.handle_exit(signal.SIGTERM, None)
        assert server.force_exit
        with listening() as listener:
            await server.serve(sockets=[listener])
        assert application.happened == []

    asyncio.run(main())
