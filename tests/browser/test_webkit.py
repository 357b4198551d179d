"""The client and the bell in WebKitGTK: every transport, what is in the way, restarts, tabs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.browser.driving import START, notify, publish
from tests.browser.shop import THE_BELL, Shop, wait_for_badge
from tests.browser.webkit import Driver, Page
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

# MQTT.js comes from the page, which here is one of the server's own.
TRANSPORTS: Final = ["websocket", "sse", "eventsource", "iframe", "longPoll", "shortPoll"]
IN_BELL: Final = f"{THE_BELL}.shadowRoot.querySelector"
IN_PANEL: Final = f"{IN_BELL}('red-dot-inbox').shadowRoot.querySelector"


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    if "webkit" not in os.environ.get("ENGINES", "webkit").split(","):
        pytest.skip("webkit is not among ENGINES")
    running = Driver()
    yield running
    running.close()


@pytest.fixture
def page(driver: Driver) -> Iterator[Page]:
    opened = Page(driver)
    yield opened
    opened.close()


def start(
    page: Page, server: Server, topic: str, transports: list[str] | None, **options: object
) -> None:
    page.goto(f"{server.url}/livez")
    page.evaluate(f"({START})(arguments[0])", [options, [topic] if topic else [], transports])


def expect_all(page: Page, count: int, timeout_s: float = 20.0) -> None:
    """Each of the numbers once, in order."""
    page.wait(f"got.length >= {count}", timeout_s)
    page.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert page.evaluate("got") == list(range(count))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_transport(
    page: Page, shared_server: ServerFactory, topic: str, transport: str
) -> None:
    server = shared_server(jwt_secret=SECRET, api_key=API_KEY)
    token = user_token(topic, subscribe=[topic])
    start(page, server, topic, [transport], token=token, shared=False)
    page.wait("client.state === 'live'")
    for first in range(0, 30, 10):
        publish(server, topic, first, 10)
    expect_all(page, 30)
    notify(server, topic, "hello")
    page.wait("client.inbox.badge?.unread === 1")


def test_a_blocked_websocket(page: Page, shared_server: ServerFactory, topic: str) -> None:
    server = shared_server(dev=True, api_key=API_KEY)
    page.goto(f"{server.url}/livez")
    page.evaluate(
        "void (window.WebSocket = class { constructor() {"
        " setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), 5); } close() {} })"
    )
    page.evaluate(f"({START})(arguments[0])", [{}, [topic], None])
    page.wait("client.state === 'live'")
    assert page.evaluate("client.transport") == "sse"
    publish(server, topic, 0, 20)
    expect_all(page, 20)


@pytest.mark.parametrize("transport", [None, "eventsource", "iframe"])
def test_kill_9_and_a_restart(
    page: Page, server_factory: ServerFactory, topic: str, transport: str | None
) -> None:
    # An iframe of a dead server says nothing: its silence has to be noticed.
    server = server_factory(dev=True, api_key=API_KEY, heartbeat_sse_s=1)
    start(page, server, topic, [transport] if transport else None)
    page.wait("client.state === 'live'")
    publish(server, topic, 0, 10)
    page.wait("got.length === 10")
    server.kill9()
    server.start()
    publish(server, topic, 10, 10)
    expect_all(page, 20, 60)


def test_tabs_share_a_connection_and_the_next_one_takes_over(
    page: Page, server_factory: ServerFactory, topic: str
) -> None:
    server = server_factory(dev=True, api_key=API_KEY)
    names = [page.name, page.tab(), page.tab()]
    for name in names:
        page.switch(name)
        start(page, server, topic, None, shared=True)
        page.wait("client.state === 'live'")
    assert server.metric("reddot_sessions") == 1
    page.switch(names[0])
    assert page.evaluate("client.leads")
    page.close_tab()
    publish(server, topic, 0, 10)
    for name in names[1:]:
        page.switch(name)
        expect_all(page, 10)
    assert server.metric("reddot_sessions") == 1


def visit(page: Page, shop: Shop, user: str) -> None:
    page.goto(f"{shop.url}/?user={user}")
    page.wait(f"{THE_BELL}?.connected")


def test_the_bell(page: Page, shop: Shop, server: Server, user: str, tmp_path: Path) -> None:
    """Its number, its panel, a mark, and the focus afterwards."""
    visit(page, shop, user)
    for number in range(3):
        notify(server, user, f"Number {number}")
    page.wait(f"{THE_BELL}.count === 3")
    assert page.evaluate(f"[{IN_BELL}('.badge').textContent, document.title]") == ["3", "(3) Shop"]
    page.click(f"{IN_BELL}('.bell')")
    page.wait(f"{IN_PANEL}All('article').length === 3")
    assert page.evaluate(f"{IN_BELL}('.bell').ariaExpanded") == "true"
    titles = f"[...{IN_PANEL}All('article .title')].map((one) => one.textContent)"
    assert page.evaluate(titles) == ["Number 2", "Number 1", "Number 0"]
    page.evaluate("new Promise((done) => setTimeout(done, 500))")  # What moves comes to rest.
    page.screenshot(Path(os.environ.get("SHOTS", tmp_path)) / "webkit.png")
    page.click(f"{IN_PANEL}('article .tool')")
    page.wait(f"{THE_BELL}.count === 2")
    wait_for_badge(server, user, unread=2)
    page.press("\ue00c")  # Escape
    page.wait(f"!{THE_BELL}.open")
    assert page.evaluate(f"{THE_BELL}.shadowRoot.activeElement?.className") == "bell"


def test_the_bell_after_a_restart(page: Page, shop: Shop, own_server: Server, user: str) -> None:
    visit(page, shop, user)
    notify(own_server, user, "Before")
    page.wait(f"{THE_BELL}.count === 1")
    own_server.restart()
    notify(own_server, user, "After")
    page.wait(f"{THE_BELL}.count === 2", 2)
    assert page.evaluate(f"{THE_BELL}.connected")
