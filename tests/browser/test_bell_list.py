"""The list of the panel: what is shown, marked, taken back, added and said when it fails."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.shop import (
    IN_ONE,
    ROWS,
    THE_BELL,
    Open,
    attribute,
    bell,
    notify,
    titles,
    wait_for_badge,
)
from tests.integration.server import Server
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]


def test_reading_and_archiving(visit: Open, server: Server, user: str) -> None:
    page = visit()
    notify(server, user, "Plain", body="And a body", category="mail")
    notify(server, user, "Linked", url="/orders/7")
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(2)
    link = page.get_by_role("link", name="Linked")
    expect(link).to_have_attribute("href", f"{page.url.split('/?')[0]}/orders/7")
    expect(link).to_have_attribute("rel", "noopener")
    page.evaluate(
        f"{THE_BELL}.addEventListener('red-dot-click', (event) => {{ event.preventDefault();"
        " window.chosen = event.detail; })"
    )
    link.click()
    assert page.evaluate("[chosen.item.data.title, chosen.url.endsWith('/orders/7')]") == [
        "Linked",
        True,
    ]
    expect(page.locator("article.unread")).to_have_count(1)
    row = page.locator("article", has_text="Plain")
    row.hover()
    row.get_by_role("button", name="Archive").click()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(".badge")).to_have_count(0)
    page.get_by_role("tab", name="Archived").click()
    expect(page.locator(f"{ROWS} .title")).to_have_text("Plain")
    row.hover()
    row.get_by_role("button", name="Move to inbox").click()
    expect(page.locator(ROWS)).to_have_count(0)
    expect(page.locator(".badge")).to_have_text("1")


def test_a_link_that_is_followed_is_read(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "Linked", url="/?elsewhere")
    page = visit()
    bell(page).click()
    page.locator(f"{ROWS} .title").click()
    page.wait_for_url("**/?elsewhere")
    wait_for_badge(server, user, unread=0)  # The mark outlives the page that made it.
    expect(page.locator("button.bell")).to_have_accessible_name("Notifications")


@IN_ONE
def test_actions(visit: Open, server: Server, user: str) -> None:
    actions = [{"title": "Approve", "id": "yes"}, {"title": "Look", "url": "/look"}, {"title": "x"}]
    notify(server, user, "Request", actions=actions)
    page = visit()
    page.evaluate(
        f"{THE_BELL}.addEventListener('red-dot-click', ({{ detail }}) =>"
        " { window.chosen = detail; })"
    )
    bell(page).click()
    expect(page.locator(".action")).to_have_text(["Approve", "Look"])
    page.get_by_role("button", name="Approve").click()
    assert page.evaluate("chosen.action") == {"title": "Approve", "id": "yes"}
    expect(page.locator("article.unread")).to_have_count(0)


@IN_ONE
def test_tabs_and_categories(visit: Open, server: Server, user: str) -> None:
    for category in ("mention", "mention", "billing"):
        notify(server, user, f"Of {category}", category=category)
    page = visit()
    bell(page).click()
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_text(["All", "Unread3", "Snoozed", "Archived"])
    page.get_by_role("button", name="More3").click()
    page.get_by_role("menuitem", name="mention").click()
    expect(page.locator(ROWS)).to_have_count(2)
    expect(tabs).to_have_text(["All", "Unread3", "Snoozed", "mention2"])
    page.get_by_role("button", name="Mark all as read").click()
    expect(tabs).to_have_text(["All", "Unread1", "Snoozed", "mention"])
    page.get_by_role("tab", name="Unread").click()
    expect(page.locator(f"{ROWS} .title")).to_have_text("Of billing")


def test_what_has_come_since_stays_unread(visit: Open, server: Server, user: str) -> None:
    """Somebody who has scrolled down is told, and "all" means what they were shown."""
    for number in range(30):
        notify(server, user, f"Number {number}")
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS).first).to_be_visible()
    page.locator(".list").evaluate("(list) => list.scrollTo(0, 300)")
    for number in range(3):
        notify(server, user, f"New {number}")
    pill = page.get_by_role("button", name="3 new")
    expect(pill).to_be_visible()
    assert titles(page)[0] == "Number 29"
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".badge")).to_have_text("3")
    wait_for_badge(server, user, unread=3)
    # A click that has to be tried twice scrolls up first, and then the button is gone.
    pill.evaluate("(pill) => Promise.all(pill.getAnimations().map(({ finished }) => finished))")
    pill.click()
    expect(page.locator("article.unread")).to_have_count(3)
    assert titles(page)[:3] == ["New 2", "New 1", "New 0"]
    assert page.locator(".list").evaluate("(list) => list.scrollTop") == 0
    notify(server, user, "At the top")
    expect(page.locator(f"{ROWS} .title").first).to_have_text("At the top")


@IN_ONE
def test_undo_brings_back_what_was_unread(visit: Open, server: Server, user: str) -> None:
    """All of it, and not what was read before; also what the list has not loaded."""
    ids = [notify(server, user, f"Number {number}") for number in range(130)]
    headers = {"authorization": f"Bearer {user_token(user)}"}
    mark = {"ids": ids[:5], "as": "read"}
    httpx.post(f"{server.url}/v1/inbox/mark", json=mark, headers=headers).raise_for_status()
    page = visit()
    expect(page.locator(".badge")).to_have_text("99+")
    bell(page).click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".badge")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(bell(page)).to_have_accessible_name("Notifications, 125 unread")
    wait_for_badge(server, user, unread=125)
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".note")).to_be_visible()
    expect(page.locator(".note")).to_have_count(0, timeout=8000)


def test_older_ones_come_as_they_are_reached(visit: Open, server: Server, user: str) -> None:
    for number in range(45):
        notify(server, user, f"Number {number}")
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS).first).to_have_attribute("aria-setsize", "-1")
    # Opening leads to the heading or to the first row, and so back up.
    expect(page.locator(f"{ROWS}:focus, h2:focus")).to_have_count(1)
    for least in (21, 41):
        page.locator(".list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        expect(page.locator(ROWS).nth(least - 1)).to_be_attached(timeout=20_000)
    expect(page.locator(ROWS)).to_have_count(45)
    expect(page.locator(ROWS).last).to_have_attribute("aria-posinset", "45")
    expect(page.locator(ROWS).last).to_have_attribute("aria-setsize", "45")
    expect(page.get_by_text("You're all caught up")).to_be_visible()
    expect(page.get_by_role("button", name="Load more")).to_have_count(0)


@IN_ONE
def test_what_is_looked_at_is_read(visit: Open, server: Server, user: str) -> None:
    for number in range(30):
        notify(server, user, f"Number {number}")
    page = visit(attribute("read-on-view"))
    marks: list[str] = []
    page.on("request", lambda one: marks.append(one.post_data or "") if "mark" in one.url else None)
    bell(page).click()
    shown = page.locator("article:not(.unread)")
    expect(shown.nth(3)).to_be_visible(timeout=8000)
    assert page.locator("article.unread").count() >= 10
    assert 1 <= len([one for one in marks if '"as":"read"' in one]) <= 3


@IN_ONE
def test_a_mark_that_fails_is_taken_back(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "One")
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(1)
    problem = {"code": "field_invalid", "retry": False}
    page.route("**/inbox/mark", lambda route: route.fulfill(status=400, json=problem))
    page.locator(ROWS).hover()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("That did not work")).to_be_visible()
    expect(page.locator("article.unread")).to_have_count(1)
    expect(page.locator(".badge")).to_have_text("1")


@IN_ONE
def test_a_list_that_cannot_be_had(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "One")
    page = visit()
    page.route("**/v1/inbox?**", lambda route: route.abort())
    page.route("**/v1/inbox", lambda route: route.abort())
    bell(page).click()
    expect(page.get_by_text("Could not load")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(ROWS)).to_have_count(1)


@IN_ONE
def test_nothing_is_said_in_each_tab(visit: Open) -> None:
    page = visit()
    bell(page).click()
    for name, text in [
        ("Unread", "Nothing unread"),
        ("Snoozed", "Nothing snoozed"),
        ("Archived", "Nothing archived"),
        ("All", "No notifications yet"),
    ]:
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_text(text)).to_be_visible()


def test_a_server_that_is_away(own_server: Server, visit: Open, user: str) -> None:
    """The number that may be old is grey, not wrong; it comes back by itself."""
    notify(own_server, user, "One")
    page = visit()
    expect(page.locator(".badge")).to_have_text("1")
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(1)
    own_server.kill9()
    expect(page.locator(".stale .badge")).to_have_text("1", timeout=15_000)
    expect(page.get_by_text("No connection · Last updated")).to_be_visible()
    expect(page.locator("button.bell")).to_have_accessible_name(
        "Notifications, 1 unread, No connection"
    )
    own_server.start()
    notify(own_server, user, "Two")
    expect(page.locator(".badge")).to_have_text("2", timeout=30_000)
    expect(page.locator(".stale")).to_have_count(0)
    expect(page.locator(ROWS)).to_have_count(2)
