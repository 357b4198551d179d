"""What tests do with the client in a page: start it, publish to it, ask what has arrived."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from typing import Final

from playwright.sync_api import Page

from tests.integration.server import API_KEY, HTTP, ROOT, Server

TRANSPORTS: Final = [
    "websocket",
    "mqtt",
    "sse",
    "eventsource",
    "iframe",
    "longPoll",
    "shortPoll",
]
MQTT_JS: Final = ROOT / "src/reddot/static/vendor/mqtt.js"
SOON_S: Final = 20.0

# Everything that has arrived, in order, and every state there was.
START: Final = """
async ([options, filters, transports]) => {
  const reddot = await import("/reddot.js");
  const { mqtt } = await import("/reddot-mqtt.js");
  const all = { ...reddot, mqtt: mqtt(() => import("/of-the-page/mqtt.js")) };
  const { watched = (one) => one } = globalThis;
  if (transports) options.transports = transports.map((name) => watched(all[name]));
  if (options.token) { const token = options.token; options.token = () => token; }
  const client = new reddot.Reddot(options);
  Object.assign(window, { client, got: [], gaps: [], states: [], errors: [] });
  client.on("state", (state) => states.push(`${state} ${client.transport ?? ""} ${client.reason}`));
  client.on("error", (error) => errors.push(String(error)));
  const take = ({ data }) => got.push(data);
  if (filters.length) client.subscribe(filters, take, (gap) => gaps.push(gap));
}
"""


def start(
    page: Page,
    server: Server,
    topic: str,
    *,
    transports: list[str] | None = None,
    filters: list[str] | None = None,
    url: str | None = None,
    **options: object,
) -> None:
    page.route("**/of-the-page/mqtt.js", lambda route: route.fulfill(path=MQTT_JS))
    page.goto(f"{url or server.url}/livez")  # The plainest page of this origin.
    wanted = [topic] if filters is None else filters
    page.evaluate(START, [options, wanted, transports])


def until(condition: Callable[[], object], timeout_s: float = SOON_S) -> None:
    """Wait until something outside of a page is so; a page shows what it does before it is done."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, inspect.getsource(condition)
        time.sleep(0.02)


def wait(page: Page, condition: str, timeout_s: float = SOON_S) -> None:
    """Wait until a JavaScript expression is true; says what the client was about if it is not."""
    until = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        if time.monotonic() > until:
            about = page.evaluate("({ got: got.length, states, errors, gaps })")
            raise AssertionError(f"{condition} is not true: {about}")
        page.wait_for_timeout(20)


def publish(server: Server, topic: str, first: int, count: int) -> None:
    drafts = [{"topic": topic, "data": number} for number in range(first, first + count)]
    headers = {"authorization": f"Bearer {API_KEY}"}
    for start_at in range(0, count, 100):
        part = drafts[start_at : start_at + 100]
        HTTP.post(f"{server.url}/v1/publish", json=part, headers=headers).raise_for_status()


def expect_all(page: Page, count: int, timeout_s: float = SOON_S) -> None:
    """Each of the numbers once, in order."""
    wait(page, f"got.length >= {count}", timeout_s)
    page.wait_for_timeout(300)
    assert page.evaluate("got") == list(range(count))


def notify(server: Server, user: str, title: str) -> None:
    headers = {"authorization": f"Bearer {API_KEY}"}
    body = {"to": {"users": [user]}, "title": title}
    HTTP.post(f"{server.url}/v1/notifications", json=body, headers=headers).raise_for_status()


def on_this_machine(seconds: float) -> float:
    """A bound that holds on an idle machine, as much longer as this one is busy: who wants a core
    waits for all others that are ready to run on it."""
    per_core = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * max(1.0, 1.5 * per_core)
