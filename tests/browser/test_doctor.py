"""The transport doctor in real browsers, behind a real nginx: it says what is so, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.driving import publish, start, wait
from tests.browser.nginx import GOOD, NO_UPGRADES, WILD, Nginx
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]

SETTINGS: Final[dict[str, Any]] = {"jwt_secret": SECRET, "api_key": API_KEY}
ALL: Final = {"short_poll", "long_poll", "iframe", "sse", "mqtt", "websocket"}
READY_MS: Final = 15_000


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@contextmanager
def behind(folder: Path, server: Server, directives: str) -> Iterator[str]:
    nginx = Nginx(folder, server.url, directives)
    try:
        yield nginx.url
    finally:
        nginx.close()


def diagnose(page: Page, url: str) -> dict[str, Any]:
    """What the page of the doctor says; it is left before the server is."""
    page.goto(f"{url}/v1/diag")
    expect(page.get_by_role("button", name="Try again")).to_be_enabled(timeout=READY_MS)
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in page.locator("#transports tr").all()
    }
    shown = {
        "results": {name: cells[0] for name, cells in rows.items()},
        "seen": {name: cells[2] for name, cells in rows.items()},
        "verdicts": page.locator("#verdicts li").all_inner_texts(),
        "text": page.locator("#report").inner_text(),
    }
    page.evaluate("document.querySelectorAll('iframe').length === 0 || stop()")
    page.goto("about:blank")
    page.evaluate("globalThis.policyViolations = []")
    return shown


def test_nothing_in_the_way(page: Page, shared_server: ServerFactory) -> None:
    shown = diagnose(page, shared_server(**SETTINGS).url)
    assert shown["verdicts"] == ["Every transport works from here."]
    assert set(shown["results"].values()) == {"works"}
    assert len(shown["results"]) == len(ALL)
    assert "the same origin" in shown["text"]
    assert "http/1.1" in shown["text"]


def test_behind_the_nginx_of_the_documentation(
    page: Page, shared_server: ServerFactory, tmp_path: Path
) -> None:
    with behind(tmp_path, shared_server(**SETTINGS), GOOD) as url:
        assert diagnose(page, url)["verdicts"] == ["Every transport works from here."]


def test_a_proxy_that_buffers_is_named(
    page: Page, shared_server: ServerFactory, tmp_path: Path
) -> None:
    with behind(tmp_path, shared_server(**SETTINGS), WILD) as url:
        shown = diagnose(page, url)
    assert shown["results"] == {
        "Short polling": "works",
        "Long polling": "works",
        "iframe stream": "held back",
        "Server-sent events": "held back",
        "MQTT over WebSocket": "blocked",
        "WebSocket": "blocked",
    }
    assert "proxy_buffering off" in shown["verdicts"][0]
    assert "WebSocket upgrades do not get through" in shown["verdicts"][1]
    # The answer to the plain question is ours: it was the upgrade that was lost on the way.
    assert "answered by the server" in shown["seen"]["WebSocket"]


def test_a_proxy_that_refuses_upgrades_is_told_from_one_that_loses_them(
    page: Page, shared_server: ServerFactory, tmp_path: Path
) -> None:
    with behind(tmp_path, shared_server(**SETTINGS), NO_UPGRADES) as url:
        shown = diagnose(page, url)
    assert [name for name, result in shown["results"].items() if result != "works"] == [
        "MQTT over WebSocket",
        "WebSocket",
    ]
    # Names and addresses of what is in between stay there.
    assert "via: 1.1 *" in shown["text"]
    assert "x-forwarded-for: 1 entry" in shown["text"]
    assert "gateway" not in shown["text"]
    assert "10.1.2.3" not in shown["text"]


def test_a_client_says_why_it_has_demoted(
    page: Page, shared_server: ServerFactory, topic: str, tmp_path: Path
) -> None:
    with behind(tmp_path, shared_server(dev=True, api_key=API_KEY), NO_UPGRADES) as url:
        start(page, shared_server(dev=True, api_key=API_KEY), topic, url=url)
        wait(page, "client.transport === 'sse'")
        page.evaluate("dispatchEvent(new Event('online'))")
        wait(page, "client.trail.some(({ what }) => what === 'demoted')")
        report = page.evaluate("client.diagnose()")
        page.evaluate("client.close()")
        page.goto("about:blank")
    assert report["client"]["transport"] == "sse"
    assert report["transports"]["websocket"]["result"] == "blocked"
    assert "The client has demoted websocket: closed, 1006." in report["verdicts"]
    assert "websocket demoted closed, 1006" in report["text"]


def test_from_another_origin(page: Page, shared_server: ServerFactory, topic: str) -> None:
    """Refused and allowed are told apart from no answer at all; the client goes on meanwhile."""
    home = shared_server(dev=True, api_key=API_KEY)
    start(page, home, topic)
    wait(page, "client.state === 'live'")
    ask = """async (server) => {
      const { Client } = await import("/reddot.js");
      return new Client({ server }).diagnose();
    }"""
    refused = page.evaluate(ask, shared_server(**SETTINGS).url)
    assert "it is not in allowed_origins" in refused["verdicts"][0]
    nobody = page.evaluate(ask, "http://127.0.0.1:9")
    assert "no answer" in nobody["verdicts"][0]
    allowed = page.evaluate(ask, shared_server(**SETTINGS, allowed_origins=home.url).url)
    assert allowed["verdicts"] == ["Every transport works from here."]
    assert {found["result"] for found in allowed["transports"].values()} == {"works"}
    publish(home, topic, 0, 3)
    wait(page, "got.length === 3")
