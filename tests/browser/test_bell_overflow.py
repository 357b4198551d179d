"""Tabs for which there is no room: they go into a menu, and the chosen one stays."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.shop import IN_ONE, ROWS, Open, Shop, bell, focused, notify, wait
from tests.integration.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

CATEGORIES: Final = ("billing", "comments", "deployments", "incidents", "mentions", "releases")
COUNTS: Final = """
() => {
  const bar = document.querySelector('red-dot').shadowRoot.querySelector('red-dot-inbox')
    .shadowRoot.querySelector('.tabs');
  const inside = (box) => box.left >= bar.getBoundingClientRect().left
    && box.right <= bar.getBoundingClientRect().right;
  return [...bar.querySelectorAll('.tab:not(.away)')].every(
    (tab) => inside(tab.getBoundingClientRect()) && tab.scrollWidth <= tab.clientWidth);
}
"""


def fill(server: Server, user: str) -> None:
    for category in CATEGORIES:
        for number in range(2):
            notify(server, user, f"{category} {number}", category=category)


def shown(page: Page) -> list[str]:
    """Names of the tabs that are to be seen, without their counts."""
    texts = page.get_by_role("tab").all_inner_texts()
    return [name for text in texts if (name := text.rstrip("0123456789\n ")) != "Snoozed"]


def away(page: Page) -> list[str]:
    """Opens the menu."""
    page.get_by_role("button", name="More").click()
    items = page.get_by_role("menuitem").all_inner_texts()
    return [text.rstrip("0123456789\n ") for text in items]


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_what_does_not_fit_is_in_a_menu(
    visit: Open, server: Server, user: str, shop: Shop, direction: str
) -> None:
    shop.direction = direction
    fill(server, user)
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(12)
    visible = shown(page)
    more = page.get_by_role("button", name="More")
    expect(more).to_have_attribute("aria-expanded", "false")
    hidden = away(page)
    assert [*visible, *hidden] == ["All", "Unread", "Archived", *sorted([*CATEGORIES, "general"])]
    assert page.evaluate(COUNTS)
    summed = 2 * len(set(hidden) & set(CATEGORIES))
    expect(more).to_have_text(f"More{summed}")
    page.get_by_role("menuitem", name="releases").click()
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(page.get_by_role("tab", name="releases")).to_be_focused()
    expect(page.get_by_role("tab", name="releases")).to_have_attribute("aria-selected", "true")
    expect(page.locator(ROWS)).to_have_count(2)
    assert page.evaluate(COUNTS)


def test_by_keyboard(visit: Open, server: Server, user: str) -> None:
    fill(server, user)
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(12)
    page.get_by_role("tab", name="All", exact=True).focus()
    page.keyboard.press("End")
    more = page.get_by_role("button", name="More")
    expect(more).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab").last).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    items = page.get_by_role("menuitem")
    expect(items.first).to_be_focused()
    page.keyboard.press("End")
    expect(items.last).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(items.nth(-2)).to_be_focused()
    page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    expect(more).to_be_focused()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    name = focused(page).rstrip("0123456789")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name=name)).to_be_focused()
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="All", exact=True)).to_be_focused()
    more.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(items).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


@IN_ONE
def test_the_room_changes(visit: Open, server: Server, user: str) -> None:
    """And nobody ever sees tabs that are cut off: each frame is looked at."""
    fill(server, user)
    page = visit("<div id=box></div>")
    page.evaluate(
        "() => { const box = document.querySelector('#box');"
        " const inbox = document.createElement('red-dot-inbox');"
        " inbox.setAttribute('server', document.querySelector('script[src]').src"
        ".replace('/reddot.js', '')); inbox.setAttribute('token-url', '/token');"
        " inbox.style.height = '500px'; box.append(inbox); }"
    )
    expect(page.locator(ROWS)).to_have_count(12)
    counts: dict[int, int] = {}
    for width in (1200, 700, 400, 320, 400, 700, 1200):
        found = page.evaluate(
            """(width) => new Promise((resolve) => {
              const box = document.querySelector('#box');
              box.style.width = `${width}px`;
              const bar = box.firstChild.shadowRoot.querySelector('.tabs');
              requestAnimationFrame(() => setTimeout(() => resolve([
                bar.querySelectorAll('[role=tab]:not(.away)').length,
                [...bar.querySelectorAll('.tab:not(.away)')].every((tab) =>
                  tab.getBoundingClientRect().right <= bar.getBoundingClientRect().right),
              ])));
            })""",
            width,
        )
        number, fits = found
        assert fits, width
        assert counts.setdefault(width, number) == number
    assert counts[320] < counts[400] < counts[700] < counts[1200]
    expect(page.get_by_role("button", name="More")).to_have_count(0)


@IN_ONE
def test_an_inbox_that_is_as_wide_as_its_content_shows_all(
    visit: Open, server: Server, user: str
) -> None:
    """Tabs in the menu would make it narrower, and put more of them there."""
    fill(server, user)
    page = visit('<red-dot-inbox server="{server}" token-url="{shop}/token"></red-dot-inbox>')
    expect(page.locator(ROWS)).to_have_count(12)
    expect(page.get_by_role("tab", name="releases")).to_be_visible()
    expect(page.get_by_role("button", name="More")).to_have_count(0)
    page.evaluate(
        """() => {
          globalThis.changedAt = performance.now();
          const tabs = document.querySelector('red-dot-inbox').shadowRoot.querySelector('.tabs');
          new MutationObserver(() => (globalThis.changedAt = performance.now()))
            .observe(tabs, { subtree: true, attributes: true, childList: true });
        }"""
    )
    wait(page, "performance.now() - changedAt > 500")  # What fits does not change what fits.
