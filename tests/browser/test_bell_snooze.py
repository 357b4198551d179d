"""Snoozing in the panel: by key and by click, what is away and until when, and that it returns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.shop import IN_ONE, ROWS, Open, bell, focused, notify, titles, wait_for_badge
from tests.integration.server import Server
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]

CHOICES: Final = "In 1 hour", "Tomorrow morning", "Next week"


def snoozed(server: Server, user: str) -> dict[str, datetime]:
    """What the server has, by title."""
    headers = {"authorization": f"Bearer {user_token(user)}"}
    answer = httpx.get(f"{server.url}/v1/inbox?view=snoozed", headers=headers)
    items = answer.raise_for_status().json()["items"]
    return {one["data"]["title"]: datetime.fromisoformat(one["snoozed_until"]) for one in items}


def snooze(server: Server, user: str, id: str, seconds: float) -> None:
    """As another device of theirs would, which knows shorter times."""
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    mark = {"ids": [id], "as": "snoozed", "until": until}
    headers = {"authorization": f"Bearer {user_token(user)}"}
    httpx.post(f"{server.url}/v1/inbox/mark", json=mark, headers=headers).raise_for_status()


def opened(visit: Open) -> Page:
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS).first).to_be_visible()
    return page


def test_by_key_and_back_on_top_on_both_tabs(visit: Open, server: Server, user: str) -> None:
    first = notify(server, user, "First")
    notify(server, user, "Second")
    page, other = opened(visit), visit()
    expect(other.locator(".badge")).to_have_text("2")
    page.bring_to_front()  # Behind another one, Firefox clicks nothing by key.
    page.locator("article", has_text="First").focus()
    page.keyboard.press("s")
    expect(page.get_by_role("menuitem")).to_have_count(3)
    assert focused(page).startswith("In 1 hour")
    page.keyboard.press("Enter")
    for one in (page, other):
        expect(one.locator(".badge")).to_have_text("1")
    assert titles(page) == ["Second"]
    assert focused(page) == "Second"
    away = snoozed(server, user)["First"] - datetime.now(UTC)
    assert timedelta(minutes=59) < away <= timedelta(minutes=60)
    snooze(server, user, first, 2)
    for one in (page, other):
        expect(one.locator(".badge")).to_have_text("2", timeout=10_000)
    expect(page.locator(f"{ROWS} .title")).to_have_text(["First", "Second"])
    wait_for_badge(server, user, unread=2)
    assert snoozed(server, user) == {}


@IN_ONE
def test_the_menu_is_one_for_the_keyboard(visit: Open, server: Server, user: str) -> None:
    for title in ("First", "Second"):
        notify(server, user, title)
    page = opened(visit)
    page.locator("article", has_text="Second").focus()
    page.keyboard.press("s")
    for key, choice in [("ArrowDown", 1), ("End", 2), ("ArrowDown", 2), ("Home", 0)]:
        page.keyboard.press(key)
        assert focused(page).startswith(CHOICES[choice])
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    assert focused(page) == "Second"
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("s")
    page.locator("article", has_text="First").focus()
    expect(page.get_by_role("menu")).to_have_count(0)
    assert snoozed(server, user) == {}
    page.keyboard.press("?")
    expect(page.locator("dl")).to_contain_text("Snooze")


@IN_ONE
def test_what_is_away_and_bringing_it_back(visit: Open, server: Server, user: str) -> None:
    for title in ("First", "Second"):
        notify(server, user, title)
    page = opened(visit)
    row = page.locator("article", has_text="First")
    row.hover()
    row.get_by_role("button", name="Snooze").click()
    page.get_by_role("menuitem", name="Tomorrow morning").click()
    expect(page.locator(ROWS)).to_have_count(1)
    page.get_by_role("tab", name="Snoozed").click()
    expect(page.locator(f"{ROWS} .title")).to_have_text(["First"])
    expect(row.locator(".meta .time")).to_contain_text("8:00")
    expect(page.locator(".unread")).to_have_count(0)
    expect(page.get_by_role("button", name="Mark all as read")).to_have_count(0)
    row.focus()
    page.keyboard.press("s")
    expect(page.get_by_role("menu")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Move to inbox").click()
    expect(page.locator(ROWS)).to_have_count(0)
    expect(page.locator(".empty")).to_have_text("Nothing snoozed")
    expect(page.locator(".badge")).to_have_text("2")
    page.get_by_role("tab", name="All").click()
    expect(page.locator(f"{ROWS} .title")).to_have_text(["First", "Second"])


@IN_ONE
def test_undo_and_refusal(visit: Open, server: Server, user: str) -> None:
    id = notify(server, user, "First")
    page = opened(visit)
    row = page.locator("article", has_text="First")
    row.focus()
    page.keyboard.press("s")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_be_visible()
    page.route("**/v1/inbox/mark", lambda route: route.fulfill(status=400, json={"retry": False}))
    row.focus()
    page.keyboard.press("s")
    page.keyboard.press("Enter")
    expect(page.locator(".note")).to_contain_text("That did not work")
    expect(row).to_be_visible()
    assert snoozed(server, user) == {}, id


@IN_ONE
def test_a_page_of_its_own_in_chinese(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "First")
    page = visit(
        '<red-dot-inbox server="{server}" token-url="{shop}/token" lang="zh-CN"></red-dot-inbox>'
    )
    page.locator("article", has_text="First").focus()
    page.keyboard.press("s")
    expect(page.get_by_role("menuitem")).to_contain_text(["1 小时后", "明天早上", "下周"])
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="已推迟").click()
    expect(page.locator(".meta .time")).to_contain_text("返回")
    expect(page.locator(f"{ROWS} .title")).to_have_text(["First"])
    (until,) = snoozed(server, user).values()
    assert until > datetime.now(UTC)
