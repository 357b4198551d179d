"""The JavaScript client in real browsers against a real server: nothing lost, nothing twice.

A page of the server's own origin loads `/reddot.js` as any page would. The test publishes through
the server and asks the page what has arrived.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route

from tests.browser.driving import (
    TRANSPORTS,
    expect_all,
    notify,
    publish,
    start,
    until,
    wait,
)
from tests.browser.nginx import Nginx
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

# The ETag of what is sent compressed is a weak one.
PLAIN: Final = {"accept-encoding": "identity"}

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_transport_alone(
    page: Page, shared_server: ServerFactory, topic: str, transport: str
) -> None:
    server = shared_server(dev=True, api_key=API_KEY)
    start(page, server, topic, transports=[transport])
    wait(page, "client.state === 'live'")
    for first in range(0, 60, 20):
        publish(server, topic, first, 20)
        page.wait_for_timeout(50)
    expect_all(page, 60)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_transport_with_a_token(
    page: Page, shared_server: ServerFactory, topic: str, transport: str
) -> None:
    server = shared_server(jwt_secret=SECRET, api_key=API_KEY)
    token = user_token(topic, subscribe=[topic])
    start(page, server, topic, transports=[transport], token=token, shared=False)
    wait(page, "client.state === 'live'")
    publish(server, topic, 0, 5)
    expect_all(page, 5)
    notify(server, topic, "hello")
    wait(page, "client.inbox.badge?.unread === 1")


@pytest.mark.parametrize("transport", [None, *TRANSPORTS[:-1]])
def test_kill_9_and_a_restart(
    page: Page,
    server_factory: ServerFactory,
    topic: str,
    transport: str | None,
) -> None:
    # An iframe of a dead server says nothing: its silence has to be noticed.
    server = server_factory(dev=True, api_key=API_KEY, heartbeat_sse_s=1)
    start(page, server, topic, transports=[transport] if transport else None)
    wait(page, "client.state === 'live'")
    publish(server, topic, 0, 10)
    wait(page, "got.length === 10")
    server.kill9()
    if transport != "iframe":
        wait(page, "client.state !== 'live'")
    server.start()
    publish(server, topic, 10, 10)
    expect_all(page, 20, 60)


def test_a_blocked_websocket(page: Page, shared_server: ServerFactory, topic: str) -> None:
    server = shared_server(dev=True, api_key=API_KEY)
    page.add_init_script(
        "window.WebSocket = class { constructor() {"
        " setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), 5); } close() {} }"
    )
    start(page, server, topic)
    wait(page, "client.state === 'live'")
    assert page.evaluate("client.transport") == "sse"
    publish(server, topic, 0, 20)
    expect_all(page, 20)


def test_streams_that_are_held_back(page: Page, shared_server: ServerFactory, topic: str) -> None:
    """A proxy that takes WebSockets and says nothing, and buffers streams: polling is left."""
    server = shared_server(dev=True, api_key=API_KEY)
    page.add_init_script("window.WebSocket = class { close() {} }")
    held: list[Route] = []
    page.route("**/v1/sse**", lambda route: held.append(route))
    start(page, server, topic)
    wait(page, "client.state === 'live'")
    assert page.evaluate("client.transport") == "long_poll"
    publish(server, topic, 0, 20)
    expect_all(page, 20)
    for route in held:
        route.abort()


def test_a_proxy_that_buffers(
    page: Page, server_factory: ServerFactory, topic: str, tmp_path: Path
) -> None:
    """It refuses WebSockets, and of a stream nothing comes through until there is much."""
    server = server_factory(dev=True, api_key=API_KEY)
    nginx = Nginx(tmp_path, server.url)
    try:
        start(page, server, topic, url=nginx.url)
        wait(page, "client.state === 'live'")
        assert page.evaluate("client.transport") == "long_poll"
        for first in range(0, 100, 10):
            publish(server, topic, first, 10)
            page.wait_for_timeout(50)
        expect_all(page, 100)
        page.evaluate("client.close()")
        page.goto("about:blank")
    finally:
        nginx.close()


def test_switching_under_load(page: Page, shared_server: ServerFactory, topic: str) -> None:
    """A new stream every 100 ms, made before the old one is broken, while messages come."""
    server = shared_server(dev=True, api_key=API_KEY)
    start(page, server, topic, transports=["sse", "longPoll"])
    wait(page, "client.state === 'live'")
    page.evaluate(
        "setInterval(() => { const stop = client.subscribe(`x${Math.random()}`, () => {});"
        " setTimeout(stop, 150); }, 100)"
    )
    for first in range(0, 600, 10):
        publish(server, topic, first, 10)
        page.wait_for_timeout(30)
    expect_all(page, 600)
    assert server.metric("reddot_transport_opened_total", transport="sse") > 20


def test_a_log_that_began_anew_is_a_gap(
    page: Page,
    server_factory: ServerFactory,
    topic: str,
) -> None:
    server = server_factory(dev=True, api_key=API_KEY, store_url="memory://")
    start(page, server, topic)
    wait(page, "client.state === 'live'")
    publish(server, topic, 0, 5)
    wait(page, "got.length === 5")
    server.kill9()
    server.start()
    wait(page, "gaps.length === 1")
    assert page.evaluate("gaps") == [{"topic": topic, "reason": "epoch"}]
    publish(server, topic, 5, 5)
    expect_all(page, 10)


def test_a_token_that_ends_is_renewed(page: Page, shared_server: ServerFactory, topic: str) -> None:
    server = shared_server(jwt_secret=SECRET, api_key=API_KEY)
    tokens = [user_token("42", subscribe=[topic], lifetime_s=lifetime) for lifetime in (3, 600)]
    start(page, server, topic, filters=[], shared=False)
    page.evaluate(
        """async ([tokens, topic]) => {
          client.close();
          const { Reddot } = await import("/reddot.js");
          window.client = new Reddot({ token: () => tokens.shift(), shared: false });
          client.on("state", (state) => states.push(`${state} ${client.reason}`));
          client.subscribe(topic, ({ data }) => got.push(data));
          window.tokens = tokens;
        }""",
        [tokens, topic],
    )
    wait(page, "client.state === 'live'")
    publish(server, topic, 0, 5)
    wait(page, "tokens.length === 0")
    wait(page, "client.state === 'live'")
    publish(server, topic, 5, 5)
    expect_all(page, 10)


def test_the_inbox(page: Page, shared_server: ServerFactory, topic: str) -> None:
    server = shared_server(jwt_secret=SECRET, api_key=API_KEY)
    start(page, server, "", filters=[], token=user_token(topic), shared=False)
    for number in range(3):
        notify(server, topic, f"Number {number}")
    wait(page, "client.inbox.badge?.unread === 3")
    titles = page.evaluate("client.inbox.list().then((all) => all.map(({ data }) => data.title))")
    assert titles == ["Number 2", "Number 1", "Number 0"]
    at_once = page.evaluate(
        "(async () => { const done = client.inbox.mark(client.inbox.items[0].id, 'read');"
        " const now = client.inbox.badge.unread; return [now, (await done).unread]; })()"
    )
    assert at_once == [2, 2]
    notify(server, topic, "One more")
    wait(page, "client.inbox.items[0].data.title === 'One more'")
    page.evaluate("client.inbox.mark('all', 'read')")
    wait(page, "client.inbox.badge.unread === 0")
    assert page.evaluate("client.inbox.items.every(({ read }) => read)")


def test_a_network_that_was_away(
    page: Page, context: BrowserContext, shared_server: ServerFactory, topic: str
) -> None:
    server = shared_server(dev=True, api_key=API_KEY)
    start(page, server, topic, transports=["sse", "longPoll"])
    wait(page, "client.state === 'live'")
    publish(server, topic, 0, 10)
    wait(page, "got.length === 10")
    context.set_offline(True)
    page.wait_for_timeout(1500)
    publish(server, topic, 10, 10)
    context.set_offline(False)
    expect_all(page, 20)


def test_a_laptop_that_slept(
    page: Page, context: BrowserContext, server_factory: ServerFactory, topic: str
) -> None:
    """Its connections are dead when it wakes, and its waits have grown: it comes back at once."""
    server = server_factory(dev=True, api_key=API_KEY)
    start(page, server, topic)
    wait(page, "client.state === 'live'")
    publish(server, topic, 0, 10)
    wait(page, "got.length === 10")
    context.set_offline(True)
    httpx.post(f"{server.url}/v1/demo/cut", headers={"origin": server.url}).raise_for_status()
    page.wait_for_timeout(7_000)
    assert page.evaluate("client.state") != "live"
    publish(server, topic, 10, 10)
    woke_at = time.monotonic()
    context.set_offline(False)
    wait(page, "got.length === 20", 10)
    assert time.monotonic() - woke_at < 3
    expect_all(page, 20)


@pytest.mark.parametrize("forged", [None, "reddot.js", "reddot-inbox.js"])
def test_their_etags_pin_them(page: Page, shared_server: ServerFactory, forged: str | None) -> None:
    server = shared_server(dev=True, api_key=API_KEY)
    pins = {}
    for name in ("reddot.js", "reddot-inbox.js"):
        digest = httpx.get(f"{server.url}/{name}", headers=PLAIN).headers["etag"].strip('"')
        query = httpx.QueryParams({"v": digest} if name == "reddot-inbox.js" else {})
        address = f"{server.url}/{name}{'?' if query else ''}{query}"
        pins[address] = "sha384-" + "A" * 64 if name == forged else digest
    page.goto(f"{server.url}/livez")
    shown = page.evaluate(
        """async ([url, integrity]) => {
          const map = document.createElement("script");
          map.type = "importmap";
          map.textContent = JSON.stringify({ integrity });
          document.head.append(map);
          const inbox = document.createElement("red-dot-inbox");
          document.body.append(inbox);
          try {
            await import(url);
          } catch {
            return "refused";
          }
          const at = (selector) => inbox.shadowRoot.querySelector(selector);
          while (!at(".tabs, [role=alert]")) await new Promise((done) => setTimeout(done, 20));
          return at(".tabs") ? "tabs" : at("[role=alert]").textContent;
        }""",
        [f"{server.url}/reddot.js", pins],
    )
    expected = {None: "tabs", "reddot.js": "refused", "reddot-inbox.js": "Could not loadTry again"}
    assert shown == expected[forged]


def test_web_push_is_taken_by_its_digest_only(page: Page, shared_server: ServerFactory) -> None:
    server = shared_server(dev=True, api_key=API_KEY)
    forged = "globalThis.forged = true; export const pushOf = () => ({ state: () => 'forged' });"
    page.route(
        "**/reddot-push.js**",
        lambda route: route.fulfill(body=forged, content_type="text/javascript"),
    )
    page.goto(f"{server.url}/livez")
    ask = "client.pushState().catch(() => 'refused')"
    start = (
        f"import('/reddot.js').then(({{ Reddot }}) => (globalThis.client = new Reddot(), {ask}))"
    )
    assert page.evaluate(start) == "refused"
    assert page.evaluate("globalThis.forged") is None
    page.unroute_all()
    assert page.evaluate(ask) in ("off", "denied"), "it is tried again"


# ---- tabs ----


def tabs(context: BrowserContext, server: Server, topic: str, count: int) -> list[Page]:
    pages = [context.new_page() for _ in range(count)]
    for one in pages:
        start(one, server, topic, shared=True)
        wait(one, "client.state === 'live'")
    return pages


def leaders(pages: list[Page]) -> list[Page]:
    return [one for one in pages if one.evaluate("client.leads")]


def sessions(server: Server) -> float:
    return server.metric("reddot_sessions")


def test_eight_tabs_are_one_connection(
    context: BrowserContext, server_factory: ServerFactory, topic: str
) -> None:
    server = server_factory(dev=True, api_key=API_KEY)
    pages = tabs(context, server, topic, 8)
    assert len(leaders(pages)) == 1
    assert sessions(server) == 1
    publish(server, topic, 0, 50)
    for one in pages:
        expect_all(one, 50)


def test_each_tab_gets_what_it_asked_for(
    context: BrowserContext, server_factory: ServerFactory, topic: str
) -> None:
    server = server_factory(dev=True, api_key=API_KEY)
    first, second = tabs(context, server, topic, 2)
    for one, name in ((first, "x"), (second, "y")):
        one.evaluate(f"void client.subscribe('{topic}/{name}', ({{ data }}) => got.push(data))")
    second.wait_for_timeout(300)
    publish(server, f"{topic}/x", 1, 1)
    publish(server, f"{topic}/y", 2, 1)
    wait(first, "got.length === 1")
    wait(second, "got.length === 1")
    assert (first.evaluate("got"), second.evaluate("got")) == ([1], [2])
    assert sessions(server) == 1


def test_a_leader_that_is_closed_is_followed_within_a_second(
    context: BrowserContext, server_factory: ServerFactory, topic: str
) -> None:
    server = server_factory(dev=True, api_key=API_KEY)
    pages = tabs(context, server, topic, 3)
    publish(server, topic, 0, 10)
    (leader,) = leaders(pages)
    rest = [one for one in pages if one is not leader]
    for one in rest:
        wait(one, "got.length === 10")
    closed_at = time.monotonic()
    leader.close()
    publish(server, topic, 10, 10)
    for one in rest:
        wait(one, "got.length >= 20")
    assert time.monotonic() - closed_at < 1
    assert len(leaders(rest)) == 1
    for one in rest:
        expect_all(one, 20)
    until(lambda: sessions(server) == 1)


def test_a_tab_that_was_put_away_catches_up(
    context: BrowserContext, server_factory: ServerFactory, topic: str
) -> None:
    """As when Back brings a page out of the browser's cache, with another tab leading by now."""
    server = server_factory(dev=True, api_key=API_KEY)
    first, second = tabs(context, server, topic, 2)
    publish(server, topic, 0, 10)
    for one in (first, second):
        wait(one, "got.length === 10")
    first.evaluate("void dispatchEvent(new Event('pagehide'))")
    wait(second, "client.leads && client.state === 'live'")
    publish(server, topic, 10, 10)
    wait(second, "got.length === 20")
    assert first.evaluate("got.length") == 10
    first.evaluate(
        "void (() => { const real = fetch; const slow = new Promise((go) => { window.go = go; });"
        " window.fetch = (url, init) => slow.then(() => real(url, init)); })()"
    )
    first.evaluate("void dispatchEvent(new Event('pageshow'))")
    wait(first, "client.state === 'live'")
    publish(server, topic, 20, 10)
    wait(second, "got.length === 30")
    first.evaluate("go()")
    for one in (first, second):
        expect_all(one, 30)
    assert len(leaders([first, second])) == sessions(server) == 1


def test_a_leader_that_hangs_is_replaced(
    context: BrowserContext, server_factory: ServerFactory, topic: str
) -> None:
    server = server_factory(dev=True, api_key=API_KEY)
    pages = tabs(context, server, topic, 2)
    (leader,) = leaders(pages)
    (follower,) = [one for one in pages if one is not leader]
    leader.evaluate(
        "setTimeout(() => { const end = Date.now() + 6000; while (Date.now() < end); })"
    )
    leader_hung_at = time.monotonic()
    publish(server, topic, 0, 10)
    wait(follower, "client.leads && client.state === 'live'", 4)
    assert time.monotonic() - leader_hung_at < 4
    expect_all(follower, 10)
    wait(leader, "!client.leads && client.state === 'live'")
    assert follower.evaluate("client.state") == "live"
    publish(server, topic, 10, 10)
    for one in pages:
        expect_all(one, 20)


def test_users_do_not_share(context: BrowserContext, server_factory: ServerFactory) -> None:
    server = server_factory(jwt_secret=SECRET, api_key=API_KEY)
    pages = [context.new_page() for _ in range(3)]
    for one, user in zip(pages, ("1", "2", "2"), strict=True):
        start(one, server, "", filters=[], token=user_token(user))
        wait(one, "client.state === 'live'")
    assert sessions(server) == 2
    notify(server, "2", "for two")
    for one in pages[1:]:
        wait(one, "client.inbox.badge?.unread === 1")
    assert pages[0].evaluate("client.inbox.badge?.unread ?? 0") == 0
