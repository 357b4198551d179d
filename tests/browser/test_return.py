"""A server that was away: a browser's own `EventSource` comes back by itself, as soon and as spread
out as the server has said. What our client does is in `test_bell_devices.py`.
"""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.driving import on_this_machine, publish, wait
from tests.integration.server import API_KEY, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.mark.parametrize("ending", ["restart", "kill -9"])
def test_a_plain_eventsource_is_back_within_a_second(
    context: BrowserContext, server_factory: ServerFactory, topic: str, ending: str
) -> None:
    """Left to itself a browser waits three to five seconds."""
    server = server_factory(dev=True, api_key=API_KEY)
    page = context.new_page()
    page.goto(f"{server.url}/livez")
    page.evaluate(
        """(topic) => {
          Object.assign(window, { got: [], states: [], errors: [], gaps: [] });
          const source = new EventSource(`/v1/sse?topic=${topic}`);
          source.addEventListener("sync", () => states.push("live"));
          source.addEventListener("publication", ({ data }) => got.push(JSON.parse(data).data));
        }""",
        topic,
    )
    wait(page, "states.length > 0")  # What came before is not for it.
    publish(server, topic, 0, 3)
    wait(page, "got.length === 3")
    if ending == "restart":
        server.restart()
    else:
        server.kill9()
        page.wait_for_timeout(1_500)
        server.start()
    back_at = time.monotonic()
    publish(server, topic, 3, 3)
    wait(page, "got.length === 6")
    assert time.monotonic() - back_at < on_this_machine(1)
    assert page.evaluate("got") == list(range(6))
