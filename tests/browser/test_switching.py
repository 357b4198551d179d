"""One client through all transports while messages come: none is lost, none is there twice."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.driving import TRANSPORTS, expect_all, publish, start, wait
from tests.integration.server import API_KEY, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]

# The transport in use is cut and refused until another one is live, again and again.
BLOCKING: Final = """
  const blocked = (globalThis.blocked = new Set());
  const cuts = new Map();
  globalThis.used = new Set();
  globalThis.watched = (transport) => ({
    ...transport,
    open(request, sink) {
      if (blocked.has(transport.name)) throw { reason: "blocked" };
      cuts.set(transport.name, () => sink.end({ reason: "cut" }));
      return transport.open(request, sink);
    },
  });
  globalThis.block = (name) => (blocked.clear(), blocked.add(name), cuts.get(name)?.());
  globalThis.rotate = () => {
    if (client.state !== "live") return;
    used.add(client.transport);
    const all = ["websocket", "mqtt", "sse", "eventsource", "iframe", "long_poll", "short_poll"];
    blocked.clear();
    // All but the next one, so that each has its turn.
    const next = all[(all.indexOf(client.transport) + 1) % all.length];
    for (const name of all) if (name !== next) blocked.add(name);
    cuts.get(client.transport)?.();
  };
"""


@pytest.fixture
def page(context: BrowserContext) -> Page:
    opened = context.new_page()
    opened.add_init_script(BLOCKING)
    return opened


def test_every_switch_under_load(page: Page, shared_server: ServerFactory, topic: str) -> None:
    """From each transport to the next, with the one cursor, twice round."""
    server = shared_server(dev=True, api_key=API_KEY)
    start(page, server, topic, transports=TRANSPORTS)
    wait(page, "client.state === 'live'")
    first = 0
    for _ in range(2 * len(TRANSPORTS)):
        page.evaluate("rotate()")
        for _ in range(5):
            publish(server, topic, first, 5)
            first += 5
            page.wait_for_timeout(40)
        wait(page, "client.state === 'live'")
    expect_all(page, first)
    assert page.evaluate("[...used].sort()") == sorted(
        ["websocket", "mqtt", "sse", "eventsource", "iframe", "long_poll", "short_poll"]
    )
    assert page.evaluate("gaps") == []


def test_the_trail_says_what_was_chosen_and_why(
    page: Page, shared_server: ServerFactory, topic: str
) -> None:
    """Demoted after two failures in a row; back on the better one when the network has changed."""
    server = shared_server(dev=True, api_key=API_KEY)
    start(page, server, topic, transports=["websocket", "sse", "longPoll"])
    wait(page, "client.transport === 'websocket'")
    for _ in range(2):
        page.evaluate("block('websocket')")
        wait(page, "client.transport === 'sse'")
        page.evaluate("dispatchEvent(new Event('online'))")
        wait(page, "client.trail.at(-1).transport === 'websocket'")
    what = "client.trail.map(({ transport, what, reason }) => [transport, what, reason])"
    wait(page, f"JSON.stringify({what}).includes('demoted')")
    trail = page.evaluate(what)
    assert ["websocket", "trying", None] in trail
    assert ["websocket", "proved", None] in trail
    assert ["websocket", "failed", "blocked"] in trail
    assert ["sse", "live", None] in trail
    first = next(one for one in trail if one[1] == "demoted")
    assert first == ["websocket", "demoted", "blocked"]
    page.evaluate("blocked.clear(); dispatchEvent(new Event('online'))")
    wait(page, "client.transport === 'websocket'")
    publish(server, topic, 0, 10)
    expect_all(page, 10)
