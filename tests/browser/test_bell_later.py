"""What elements show is loaded by itself, before it is needed; if that fails, they wait for it."""

from __future__ import annotations

from typing import Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.shop import ROWS, Open, attribute, bell, notify, wait
from tests.integration.server import API_KEY, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]

SOURCE: Final = 'server="{server}" token-url="{shop}/token"'
INSIDE: Final = "**/reddot-inbox.js**"
LOADED: Final = (
    "performance.getEntriesByType('resource').some(({ name }) => name.includes('/reddot-inbox.js'))"
)


def lose(context: BrowserContext) -> None:
    """From now on it cannot be had."""
    context.route(INSIDE, lambda route: route.abort())


def visit_toast(visit: Open) -> Page:
    """A page that has toasts and no bell."""
    page = visit(f"<red-dot-toast {SOURCE}></red-dot-toast>")
    wait(page, "document.querySelector('red-dot-toast').session?.live")
    return page


def lose_when_loaded(context: BrowserContext, page: Page) -> None:
    """Nobody has touched the page, and it has loaded what it loads."""
    wait(page, LOADED)
    page.wait_for_timeout(100)  # It has been fetched, and is imported.
    lose(context)


def test_the_inside_is_there_before_anybody_opens_it(
    context: BrowserContext, visit: Open, server: Server, user: str
) -> None:
    page = visit()
    lose_when_loaded(context, page)
    notify(server, user, "One")
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(1)


def test_a_toast_is_there_at_once(
    context: BrowserContext, visit: Open, server: Server, user: str
) -> None:
    page = visit_toast(visit)
    lose_when_loaded(context, page)
    notify(server, user, "One")
    expect(page.locator(".toast .title")).to_have_text(["One"])


def test_an_inside_that_cannot_be_had(
    context: BrowserContext, own_server: Server, visit: Open, user: str
) -> None:
    """It is tried again by hand, and when the connection is back."""
    lose(context)
    notify(own_server, user, "One")
    here, there = visit(), visit(f"<red-dot-inbox {SOURCE}></red-dot-inbox>")
    bell(here).click()
    for page in (here, there):
        expect(page.get_by_role("alert").get_by_text("Could not load")).to_be_visible()
    here.get_by_role("button", name="Try again").click()
    expect(here.get_by_role("alert").get_by_text("Could not load")).to_be_visible()
    expect(here.locator(ROWS)).to_have_count(0)
    context.unroute_all()
    here.get_by_role("button", name="Try again").click()
    expect(here.locator(ROWS)).to_have_count(1)
    own_server.kill9()
    own_server.start()
    expect(there.locator(ROWS)).to_have_count(1, timeout=15_000)


def test_a_toast_that_cannot_be_shown_yet_waits(
    context: BrowserContext, server: Server, visit: Open, user: str
) -> None:
    """The next one brings it along, but not what was retracted meanwhile."""
    lose(context)
    page = visit(attribute("") + "<red-dot-toast></red-dot-toast>")
    notify(server, user, "One")
    gone = notify(server, user, "Gone")
    expect(page.locator(".badge")).to_have_text("2")
    httpx.delete(
        f"{server.url}/v1/notifications/{gone}", headers={"authorization": f"Bearer {API_KEY}"}
    ).raise_for_status()
    expect(page.locator(".badge")).to_have_text("1")
    expect(page.locator(".toast")).to_have_count(0)
    context.unroute_all()
    notify(server, user, "Two")
    expect(page.locator(".toast .title")).to_have_text(["One", "Two"])


def test_a_toast_that_waits_comes_with_the_connection(
    context: BrowserContext, own_server: Server, visit: Open, user: str
) -> None:
    lose(context)
    page = visit_toast(visit)
    notify(own_server, user, "One")
    # Said aloud it is at once.
    expect(page.get_by_role("status")).to_have_text("One")
    expect(page.locator(".toast")).to_have_count(0)
    context.unroute_all()
    own_server.kill9()
    own_server.start()
    expect(page.locator(".toast .title")).to_have_text(["One"], timeout=15_000)


def test_two_elements_wait_for_one_file(
    context: BrowserContext, visit: Open, server: Server, user: str
) -> None:
    held: list[Route] = []
    # It is fetched, which is held up, and then imported.
    context.route(INSIDE, lambda route: route.continue_() if held else held.append(route))
    page = visit(attribute("") + "<red-dot-toast></red-dot-toast>")
    page.evaluate("document.addEventListener('red-dot-message', () => (window.came = true))")
    notify(server, user, "One")
    wait(page, "window.came")
    bell(page).click()
    expect(page.locator("red-dot-inbox .loading")).to_be_attached()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.locator(f"{ROWS} .title")).to_have_text(["One"])
    toast = page.locator(".toast")
    expect(toast.locator(".title")).to_have_text(["One"])
    expect(toast).to_have_css("animation-name", "stay")
