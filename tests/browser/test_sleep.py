"""A laptop that sleeps: every process of the browser stops, in the middle of what it does, and goes
on 20 s later, when all its timers are late.

A stopped process differs from a machine that sleeps in one thing: the kernel goes on, so what comes
meanwhile waits in its sockets. Therefore three pages: the connections of one are as they were,
those of another were ended by the server, and those of the third a router has forgotten without a
word.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.browser.conftest import ENGINES, PATHS
from tests.browser.driving import on_this_machine, publish
from tests.browser.shop import THE_BELL, Shop, badge, notify, wait
from tests.integration.server import Server, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]

SLEEP_S: Final = 20.0
AWAKE_S: Final = 1.0
# What a browser keeps for its next request is dead too when it wakes. It finds out when the network
# changes, which nobody tells it here: the server ends those connections before it sleeps.
IDLE_S: Final = 1.0
LISTEN: Final = f"""
(topic) => {{
  globalThis.got = [];
  {THE_BELL}.session.client.subscribe(topic, ({{ data }}) => got.push(data));
}}
"""
SHOWN: Final = f"[{THE_BELL}.count, got.length]"


def tree(mark: str) -> list[int]:
    """The process that has `mark` among its arguments, and all that it has started."""
    parents: dict[int, int] = {}
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            parents[int(folder.name)] = int(status[1])
            if mark in (folder / "cmdline").read_text() and "chromium" in os.readlink(
                folder / "exe"
            ):
                found.append(int(folder.name))
    for one in found:  # It grows while it is walked through.
        found += [
            child for child, parent in parents.items() if parent == one and child not in found
        ]
    return found


@contextmanager
def asleep(mark: str) -> Iterator[None]:
    processes = tree(mark)
    assert len(processes) > 2, "a browser, and a page of its own process"
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


class Router:
    """Passes connections on to a server, until it forgets those that there are."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._known = object()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def forget(self) -> None:
        """Nothing comes through any more, and neither side is told."""
        self._known = object()

    def close(self) -> None:
        # A closed listener still gives the thread that waits for it one more connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                inside, _ = self._listener.accept()
                self._sockets.append(inside)
                outside = socket.create_connection(("127.0.0.1", self._port))
                self._sockets.append(outside)
                for pair in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        known = self._known
        with suppress(OSError):
            while (data := source.recv(65_536)) and known is self._known:
                target.sendall(data)
            if known is self._known:
                target.shutdown(socket.SHUT_WR)


@pytest.fixture
def mark() -> str:
    return f"--reddot-test={uuid.uuid4().hex}"


@pytest.fixture
def laptop(playwright: Playwright, mark: str) -> Iterator[Browser]:
    if "chromium" not in ENGINES or not PATHS["chromium"].exists():
        pytest.skip("no chromium")
    launched = playwright.chromium.launch(
        executable_path=PATHS["chromium"], chromium_sandbox=False, args=[mark]
    )
    yield launched
    launched.close()


def opened(laptop: Browser, shop: Shop, url: str, user: str) -> Page:
    """A page whose server is at `url`; of a profile of its own."""
    shop.server_url = url
    page = laptop.new_context().new_page()
    page.goto(f"{shop.url}/?user={user}")
    wait(page, f"{THE_BELL}.connected")
    page.evaluate(LISTEN, f"lines/{user}")
    return page


@pytest.fixture
def kept(shop: Shop, server_factory: ServerFactory) -> Server:
    return shop.serve(server_factory, idle_timeout_s=IDLE_S)


@pytest.fixture
def ended(shop: Shop, server_factory: ServerFactory) -> Server:
    return shop.serve(server_factory)


@pytest.fixture
def router(kept: Server) -> Iterator[Router]:
    opened = Router(kept.port)
    yield opened
    opened.close()


def test_it_is_right_within_a_second_of_waking(
    laptop: Browser, mark: str, shop: Shop, kept: Server, ended: Server, router: Router, user: str
) -> None:
    servers = {"kept": kept, "ended": ended, "forgotten": kept}
    urls = {"kept": kept.url, "ended": ended.url, "forgotten": router.url}
    pages = {name: opened(laptop, shop, url, f"{user}-{name}") for name, url in urls.items()}

    def send(first: int, count: int) -> None:
        for name, server in servers.items():
            publish(server, f"lines/{user}-{name}", first, count)
            notify(server, f"{user}-{name}", f"Number {first}")

    send(0, 5)
    for page in pages.values():
        wait(page, f"`${{{SHOWN}}}` === '1,5'")
    time.sleep(2 * IDLE_S)
    with asleep(mark):
        router.forget()
        ended.kill9()
        time.sleep(SLEEP_S / 2)
        ended.start()
        send(5, 20)
        time.sleep(SLEEP_S / 2)
    took = times(pages, [2, 25])
    bound_s = on_this_machine(AWAKE_S)
    assert {name: took[name] for name in took if took[name] > bound_s} == {}
    for name, page in pages.items():
        assert page.evaluate("got") == list(range(25))
        assert badge(servers[name], f"{user}-{name}")["unread"] == 2


def times(pages: dict[str, Page], wanted: list[int]) -> dict[str, float]:
    """After how many seconds each page shows what it is to show."""
    began = time.monotonic()
    took: dict[str, float] = {}
    while pages.keys() - took.keys():
        for name in pages.keys() - took.keys():
            if (shown := pages[name].evaluate(SHOWN)) == wanted:
                took[name] = time.monotonic() - began
            assert time.monotonic() - began < 30, f"{name} shows {shown}; {took}"
    return took
