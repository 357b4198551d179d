"""Each page of examples/transports against a real server that is restarted under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.payloads import PAYLOADS
from tests.integration.server import API_KEY, ROOT, SECRET, Server, Servers

FOLDER: Final = ROOT / "examples/transports"
PAGES: Final = ["short_poll", "long_poll", "iframe", "sse", "mqtt", "websocket"]
LIVE_MS: Final = 20_000

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("PYTHONPATH", str(FOLDER))
    servers = Servers(tmp_path)
    yield servers.start(
        dev=True, app="serve:app", jwt_secret=SECRET, api_key=API_KEY, drain_delay_s=0
    )
    servers.close()
    assert servers.complaints() == []


def post(server: Server, path: str, body: object) -> None:
    headers = {"authorization": f"Bearer {API_KEY}"}
    httpx.post(f"{server.url}/v1/{path}", json=body, headers=headers).raise_for_status()


def test_all_pages_come_back_with_what_they_missed(context: BrowserContext, server: Server) -> None:
    pages = {name: context.new_page() for name in PAGES}
    for name, page in pages.items():
        page.goto(f"{server.url}/{name}.html")
        expect(page.locator("#state")).to_have_text("live", timeout=LIVE_MS)
        expect(page.locator("#badge")).to_be_hidden()
    texts = [f"{number} {text}" for number, text in enumerate(PAYLOADS[:10])]
    for text in texts[:5]:
        post(server, "publish", {"topic": "demo/chat", "data": {"title": text}})
    post(server, "notifications", {"to": {"users": ["10086"]}, "title": "for you"})
    for page in pages.values():
        expect(page.locator("#badge")).to_have_text("1", timeout=LIVE_MS)
        expect(page.locator("#messages li")).to_have_count(6, timeout=LIVE_MS)
    server.restart()
    for text in texts[5:]:
        post(server, "publish", {"topic": "demo/chat", "data": {"title": text}})
    post(server, "notifications", {"to": {"everyone": True}, "title": "for all"})
    expected = ["for all", *texts[:4:-1], "for you", *texts[4::-1]]
    for name, page in pages.items():
        expect(page.locator("#badge")).to_have_text("2", timeout=LIVE_MS)
        expect(page.locator("#messages li").first).to_have_text("for all", timeout=LIVE_MS)
        assert page.locator("#messages li").all_text_contents() == expected, name
        assert page.evaluate("typeof pwned") == "undefined"
    pages["sse"].get_by_role("button", name="Mark all read").click()
    for page in pages.values():
        expect(page.locator("#badge")).to_be_hidden(timeout=LIVE_MS)
        page.close()


def test_a_page_sends(context: BrowserContext, server: Server) -> None:
    anna, bert = context.new_page(), context.new_page()
    anna.goto(f"{server.url}/websocket.html?user=anna")
    bert.goto(f"{server.url}/")
    bert.get_by_role("link", name="Server-sent events").click()
    for page in (anna, bert):
        expect(page.locator("#state")).to_have_text("live", timeout=LIVE_MS)
    for to, both in (("me", False), ("everyone", True), ("topic", True)):
        anna.get_by_label("Message").fill(to)
        anna.get_by_label("To", exact=True).select_option(to)
        anna.get_by_role("button", name="Send").click()
        expect(anna.locator("#messages li").first).to_have_text(to)
        if both:
            expect(bert.locator("#messages li").first).to_have_text(to)
    expect(anna.locator("#badge")).to_have_text("2")
    expect(bert.locator("#badge")).to_have_text("1")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_short(name: str) -> None:
    """The article's promise: what a transport needs fits on a screen."""
    script = (FOLDER / f"{name}.html").read_text().partition("<script")[2].splitlines()
    assert len([line for line in script if line.strip()]) <= 42
