"""Three devices with two tabs each show the server's number, at each step, within a second.

Of a restart, the second begins when the new server is ready: before, there is no number to show.
"""

from __future__ import annotations

import time
import uuid

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driving import on_this_machine
from tests.browser.shop import IN_ONE, Shop, badge, notify
from tests.integration.server import API_KEY, Server, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]

SHOWN = """
(() => {
  const bell = document.querySelector("red-dot");
  const badge = bell.shadowRoot.querySelector(".badge");
  const inTitle = /^\\((\\d+)\\)/.exec(document.title);
  return [bell.count, Number(badge?.textContent ?? 0), Number(inTitle?.[1] ?? 0)];
})()
"""
WITHIN_S = 1.0


class Household:
    """One person's tabs."""

    def __init__(self, browser: Browser, shop: Shop, server: Server, user: str) -> None:
        self.server, self.user = server, user
        self.contexts = [browser.new_context() for _ in range(3)]
        self.pages = [context.new_page() for context in self.contexts for _ in range(2)]
        for page in self.pages:
            page.goto(f"{shop.url}/?user={user}")

    def agree(self, expected: int | None = None, *, within_s: float = WITHIN_S) -> int:
        """Wait until all show what the server says, which is `expected` if that is given.

        Returns it.
        """
        until = time.monotonic() + on_this_machine(within_s)
        while True:
            wanted = badge(self.server, self.user)["unread"]
            shown = [page.evaluate(SHOWN) for page in self.pages]
            # A click is with the server a moment later.
            known = expected is None or wanted == expected
            if known and shown == [[wanted] * 3] * len(self.pages):
                return int(wanted)
            assert time.monotonic() < until, f"the server says {wanted}, the tabs show {shown}"

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def everyone(server: Server, title: str) -> None:
    body = {"to": {"everyone": True}, "title": title}
    headers = {"authorization": f"Bearer {API_KEY}"}
    httpx.post(f"{server.url}/v1/notifications", json=body, headers=headers).raise_for_status()


def in_panel(page: Page, name: str, row: int) -> None:
    """Open the panel, press a button of a row, close it."""
    page.locator("button.bell").click()
    chosen = page.locator("article").nth(row)
    chosen.hover()
    chosen.get_by_role("button", name=name).click()
    page.keyboard.press("Escape")


@IN_ONE
def test_one_number_everywhere(browser: Browser, shop: Shop, server_factory: ServerFactory) -> None:
    server = shop.serve(server_factory)
    home = Household(browser, shop, server, f"user-{uuid.uuid4().hex}")
    phone, laptop, desk = home.pages[0], home.pages[2], home.pages[5]
    home.agree(0, within_s=20)
    for round_ in range(2):
        for number in range(3):
            notify(server, home.user, f"Number {round_}.{number}")
            home.agree()
        everyone(server, f"To all {round_}")
        before = home.agree()
        in_panel(phone, "Mark as read", 0)
        home.agree(before - 1)
        in_panel(laptop, "Archive", 1)
        home.agree(before - 2)
        in_panel(desk, "Mark as unread", 0)
        home.agree(before - 1)
        if round_ == 0:
            server.restart()
        else:
            server.kill9()
            server.start()
        home.agree()
        notify(server, home.user, f"After the restart {round_}")
        home.agree()
    desk.locator("button.bell").click()
    desk.get_by_role("button", name="Mark all as read").click()
    home.agree(0)
    home.close()
