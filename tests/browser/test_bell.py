"""The bell in real browsers: on a page of another origin, with two lines, under a strict policy."""

from __future__ import annotations

import re
from typing import Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.shop import (
    IN_ONE,
    ROWS,
    THE_BELL,
    Open,
    Shop,
    attribute,
    bell,
    focused,
    notify,
    wait,
    wait_for_badge,
)
from tests.integration.server import ROOT, Server
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]


# A page that makes its bell by a script, and gives it a token by a function.
ADD: Final = (
    "document.querySelector('nav').append(Object.assign(document.createElement('red-dot'),"
    " { token: () => fetch('/token').then((a) => a.json()).then(({ token }) => token) }));"
)


def test_the_readme_is_right(visit: Open, server: Server, user: str, shop: Shop) -> None:
    (lines,) = re.findall(r"```html\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    script, element = lines.splitlines()
    shop.script = script.split('"')[3].replace("https://push.example.com", "{server}")
    page = visit(element.replace("https://push.example.com", "{server}").replace("/my", ""))
    notify(server, user, "One")
    expect(page.locator(".badge")).to_have_text("1")


def test_two_lines_make_a_bell(visit: Open, server: Server, user: str, shop: Shop) -> None:
    page = visit()
    expect(bell(page)).to_have_accessible_name("Notifications")
    expect(page.locator(".badge")).to_have_count(0)
    notify(server, user, "One")
    expect(page.locator(".badge")).to_have_text("1")
    expect(bell(page)).to_have_accessible_name("Notifications, 1 unread")
    expect(page).to_have_title("(1) Shop")
    wait(page, "document.querySelector('link[rel=icon]')?.href.startsWith('data:')")
    bell(page).click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".badge")).to_have_count(0)
    expect(page).to_have_title("Shop")
    wait(page, "document.querySelector('link[rel=icon]')?.href.endsWith('.ico')")
    assert shop.tokens_given == 1


def test_a_nonce_is_enough(visit: Open, server: Server, user: str, shop: Shop) -> None:
    """What the script loads by itself has it too."""
    shop.nonce = "c2hvcA"
    notify(server, user, "One")
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(1)


@IN_ONE
@pytest.mark.parametrize(
    ("attributes", "text", "name"),
    [
        ("", "12", "Notifications, 12 unread"),
        ('max="9"', "9+", "Notifications, 12 unread"),
        ('badge="dot"', "", "Notifications, 12 unread"),
        ('badge="unseen"', "3", "Notifications, 3 new"),
        ('lang="zh-CN"', "12", "通知, 12 条未读"),
    ],
)
def test_forms_of_the_badge(
    visit: Open, server: Server, user: str, attributes: str, text: str, name: str
) -> None:
    for number in range(12):
        notify(server, user, f"Number {number}")
        if number == 8:
            see(server, user)
    page = visit(attribute(attributes))
    expect(page.locator(".badge")).to_have_text(text)
    expect(page.locator("button.bell")).to_have_accessible_name(name)
    title = "3" if "unseen" in attributes else "12"
    expect(page).to_have_title(f"({text if '+' in text else title}) Shop")


def see(server: Server, user: str) -> None:
    """As another device of theirs would: all that is there is seen."""
    headers = {"authorization": f"Bearer {user_token(user)}"}
    cursor = httpx.get(f"{server.url}/v1/inbox", headers=headers).json()["cursor"]
    mark = {"upto": cursor, "as": "seen"}
    httpx.post(f"{server.url}/v1/inbox/mark", json=mark, headers=headers).raise_for_status()


@IN_ONE
def test_the_page_keeps_its_title(visit: Open, server: Server, user: str) -> None:
    page = visit()
    notify(server, user, "One")
    expect(page).to_have_title("(1) Shop")
    page.evaluate("document.title = 'Cart'")
    expect(page).to_have_title("(1) Cart")
    page.evaluate(f"{THE_BELL}.remove()")
    expect(page).to_have_title("Cart")
    wait(page, "document.querySelector('link[rel=icon]')?.href.endsWith('.ico')")


@IN_ONE
def test_the_page_keeps_its_icon(visit: Open, server: Server, user: str) -> None:
    """Also one that it gives itself while there is a dot on another."""
    page = visit()
    icon = "document.querySelector('link[rel=icon]')"
    notify(server, user, "One")
    wait(page, f"{icon}?.href.startsWith('data:')")
    page.evaluate(f"{icon}.href = '/cart.ico'")
    notify(server, user, "Two")
    wait(page, f"{icon}?.href.startsWith('data:')")
    page.evaluate(f"{THE_BELL}.remove()")
    wait(page, f"{icon}.href.endsWith('/cart.ico')")


@IN_ONE
def test_the_app_has_the_same_number(visit: Open, server: Server, user: str) -> None:
    page = visit("")
    page.evaluate(
        "navigator.setAppBadge = async (count) => { (window.shown ??= []).push(count); };"
        f"{ADD} document.querySelector('red-dot').setAttribute('server', '{server.url}')"
    )
    notify(server, user, "One")
    expect(page).to_have_title("(1) Shop")
    page.evaluate(f"{THE_BELL}.remove()")
    wait(page, "shown.join() === '1,0'")


@IN_ONE
def test_opening_is_seeing(visit: Open, server: Server, user: str) -> None:
    for number in range(3):
        notify(server, user, f"Number {number}")
    page = visit(attribute('badge="unseen"'))
    expect(page.locator(".badge")).to_have_text("3")
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(3)
    expect(page.locator(".badge")).to_have_count(0)
    wait_for_badge(server, user, unseen=0, unread=3)
    expect(page.locator("article.unread")).to_have_count(3)


def test_keyboard(visit: Open, server: Server, user: str) -> None:
    """The whole way without a pointer."""
    for number in range(4):
        notify(server, user, f"Number {number}")
    page = visit()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Notifications")).to_be_visible()
    expect(page.locator(ROWS)).to_have_count(4)
    assert focused(page) == "Notifications"
    for key, where in [
        ("ArrowDown", 3),
        ("ArrowDown", 2),
        ("End", 0),
        ("Home", 3),
        ("PageDown", 0),
    ]:
        page.keyboard.press(key)
        assert focused(page) == f"Number {where}"
    page.keyboard.press("u")
    expect(page.locator("article.unread")).to_have_count(3)
    page.keyboard.press("u")
    expect(page.locator("article.unread")).to_have_count(4)
    page.keyboard.press("e")
    expect(page.locator(ROWS)).to_have_count(3)
    assert focused(page) == "Number 1"
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Preferences")).to_be_focused()
    page.get_by_role("button", name="Back").press("Enter")
    page.keyboard.press("Shift+A")
    expect(page.locator("article.unread")).to_have_count(0)
    page.get_by_role("tab", name="All", exact=True).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Archived")).to_be_focused()
    expect(page.locator(f"{ROWS} .title")).to_have_text("Number 0")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(bell(page)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_click_elsewhere_closes(visit: Open) -> None:
    page = visit()
    bell(page).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(bell(page)).to_have_attribute("aria-expanded", "true")
    page.mouse.click(20, 400)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(bell(page)).to_have_attribute("aria-expanded", "false")
    expect(bell(page)).to_be_focused()
    bell(page).click()
    bell(page).click()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_leaving_by_tab_closes(visit: Open) -> None:
    page = visit(attribute("") + '<a href="/next" id="next">Next</a>')
    bell(page).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "next":
            break
    expect(page.locator("#next")).to_be_focused()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_panel_stays_in_the_window(visit: Open) -> None:
    page = visit()
    for corner in ("top: 4px; left: 4px", "bottom: 4px; right: 4px", "bottom: 4px; left: 4px"):
        page.evaluate(f"{THE_BELL}.style.cssText = 'position: fixed; {corner}'")
        bell(page).click()
        box = page.locator(".panel").bounding_box()
        assert box is not None
        assert box["x"] >= 0 and box["y"] >= 0
        assert box["x"] + box["width"] <= 1280
        assert box["y"] + box["height"] <= 900
        assert box["height"] > 500
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_narrow_window_is_filled(visit: Open) -> None:
    page = visit()
    page.set_viewport_size({"width": 390, "height": 780})
    bell(page).click()
    assert page.locator(".panel").bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 780}
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_without_popovers(context: BrowserContext, visit: Open, server: Server, user: str) -> None:
    """A browser that does not know them shows the panel all the same."""
    context.add_init_script(
        "for (const name of ['showPopover', 'hidePopover', 'togglePopover', 'popover',"
        " 'popoverTargetElement']) { delete HTMLElement.prototype[name];"
        " delete HTMLButtonElement.prototype[name]; }"
        "Object.defineProperty(HTMLElement.prototype, 'attachShadow', { value(init) {"
        " const root = Element.prototype.attachShadow.call(this, init);"
        " new MutationObserver(() => root.querySelectorAll('[popover], [popovertarget]').forEach("
        "(one) => { one.removeAttribute('popover'); one.removeAttribute('popovertarget'); }))"
        ".observe(root, { childList: true, subtree: true }); return root; } })"
    )
    notify(server, user, "One")
    page = visit()
    bell(page).click()
    expect(page.locator(f"{ROWS} .title")).to_have_text("One")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_be_hidden()


@IN_ONE
def test_said_aloud_once_for_many(visit: Open, server: Server, user: str) -> None:
    page = visit()
    status, alert = page.get_by_role("status"), page.get_by_role("alert")
    for number in range(3):
        notify(server, user, f"Number {number}")
    expect(status).to_have_text("3 new notifications", timeout=6000)
    notify(server, user, "Disk full", priority="urgent")
    expect(alert).to_have_text("Urgent: Disk full")


def test_chinese_from_right_to_left(visit: Open, server: Server, user: str, shop: Shop) -> None:
    shop.lang, shop.direction = "zh-CN", "rtl"
    notify(server, user, "你好")
    page = visit()
    page.get_by_role("button", name="通知, 1 条未读").click()
    expect(page.get_by_role("tab")).to_have_text(["全部", "未读1", "已推迟", "已归档"])
    page.get_by_role("tab", name="全部").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="未读")).to_be_focused()
    box = page.locator(".panel").bounding_box()
    assert box is not None
    assert box["x"] < 100


@IN_ONE
def test_the_pages_own_words_and_rows(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "One", data={"price": 42})
    page = visit()
    page.evaluate(
        f"{THE_BELL}.strings = {{ Notifications: 'News', '{{n}} unread': '{{n}} to read' }};"
        f"void ({THE_BELL}.row = ({{ data: {{ title, data }} }}) =>"
        " document.createTextNode(`${title} for ${data.price}`))"
    )
    page.locator("button.bell").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("News")
    expect(page.locator("button.bell")).to_have_accessible_name("News, 1 to read")
    expect(page.locator(f"{ROWS} .content")).to_contain_text("One for 42")


@IN_ONE
def test_slots(visit: Open) -> None:
    inner = '<b slot="icon">B</b><h2 slot="header">Mine</h2><p slot="empty">None</p>'
    page = visit(attribute("").replace("></red-dot>", f">{inner}</red-dot>"))
    page.locator("button.bell").click()
    for text in ("B", "Mine", "None"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()


@IN_ONE
def test_events_and_properties(visit: Open, server: Server, user: str) -> None:
    page = visit()
    page.evaluate(
        "window.heard = []; for (const name of ['count', 'message', 'open', 'state'])"
        " document.addEventListener(`red-dot-${name}`, ({ detail }) => heard.push([name, detail]))"
    )
    notify(server, user, "One", category="mail")
    expect(page.locator(".badge")).to_have_text("1")
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(1)
    heard = page.evaluate("heard")
    counts = [detail for name, detail in heard if name == "count"]
    assert counts[0]["count"] == 1 and counts[0]["by_category"] == {"mail": 1}
    assert [d["data"]["title"] for name, d in heard if name == "message"] == ["One"]
    assert ["open", {"open": True}] in heard
    for name, value in {
        "count": 1,
        "connected": True,
        "transport": "websocket",
        "open": True,
    }.items():
        assert page.evaluate(f"{THE_BELL}.{name}") == value


@IN_ONE
def test_debug_says_where_it_is(visit: Open, server: Server, user: str) -> None:
    page = visit(attribute("debug"))
    notify(server, user, "One")
    bell(page).click()
    expect(page.locator(".footer")).to_contain_text("live · websocket · as_of")
