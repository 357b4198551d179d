"""uvicorn with our listening socket and our way of stopping.

SIGTERM or SIGINT: drain, let answers under way finish, exit 0. A second signal: at once.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn


def open_listener(
    host: str, port: int, *, backlog: int, send_buffer_bytes: int, tcp_user_timeout_s: float
) -> socket.socket:
    """A listening TCP socket. Accepted sockets inherit its options on Linux.

    A peer that stops acknowledging is dropped after `tcp_user_timeout_s` (RFC 5482).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            timeout_ms = int(tcp_user_timeout_s * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class FrontServer(uvicorn.Server):
    """Args:
    drain: awaited when stopping begins, before uvicorn closes connections.
    """

    def __init__(self, config: uvicorn.Config, *, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await self._drain()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal; uvicorn's main loop sees it within 0.1 s."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Without uvicorn's re-raising at the end: a drained stop is exit code 0."""
        with super().capture_signals():
            yield
