"""The message centre of docs/howto/message-centre.md in real browsers, in two tabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.server import ROOT, Servers


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "examples"))
    servers = Servers(tmp_path)
    yield servers.start(dev=True, app="message_centre:app").url
    servers.close()
    assert servers.complaints() == []


@pytest.mark.browser
def test_two_tabs_show_one_number(browser: Browser, url: str) -> None:
    context = browser.new_context()
    here, there = context.new_page(), context.new_page()
    for page in (here, there):
        page.goto(url)
        expect(page.locator("#badge")).to_be_hidden()
    for number in ("1", "2"):
        here.click("#hello")
        for page in (here, there):
            expect(page.locator("#badge")).to_have_text(number)
    expect(there).to_have_title("(2) Message centre")
    expect(here.locator("li.unread")).to_have_count(2)
    here.click("li button >> nth=0")
    expect(there.locator("#badge")).to_have_text("1")
    there.click("#all")
    for page in (here, there):
        expect(page.locator("#badge")).to_be_hidden()
        expect(page.locator("li")).to_have_count(2)
        expect(page.locator("li.unread")).to_have_count(0)
    context.close()
