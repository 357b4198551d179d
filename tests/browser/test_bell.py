"""The bell in real browsers: on a page of another origin, with two lines, under a strict policy."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.shop import Shop, badge, notify, wait
from tests.integration.server import API_KEY, ROOT, Server, ServerFactory
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]

ROWS: Final = "article"
BELL: Final = "document.querySelector('red-dot')"


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex}"


@pytest.fixture
def server(shop: Shop, shared_server: ServerFactory) -> Server:
    return shop.serve(shared_server)


@pytest.fixture
def own_server(server: Server, shop: Shop, server_factory: ServerFactory) -> Server:
    """One that a test may stop, or whose connections it counts."""
    return shop.serve(server_factory)


Open = Callable[..., Page]
# A page that makes its bell by a script, and gives it a token by a function.
ADD: Final = (
    "document.querySelector('nav').append(Object.assign(document.createElement('red-dot'),"
    " { token: () => fetch('/token').then((a) => a.json()).then(({ token }) => token) }));"
)


@pytest.fixture
def visit(shop: Shop, server: Server, user: str, context: BrowserContext) -> Open:
    """Open the shop in another tab; `body` is what it has in place of a bell."""

    def visit(body: str | None = None) -> Page:
        if body is not None:
            shop.body = body
        page = context.new_page()
        page.goto(f"{shop.url}/?user={user}")
        wait(page, f"!{BELL} || {BELL}.connected")
        return page

    return visit


def bell(page: Page) -> Locator:
    return page.get_by_role("button", name="Notifications")


def titles(page: Page) -> list[str]:
    return page.locator(f"{ROWS} .title").all_inner_texts()


def focused(page: Page) -> str:
    """The text of what has the focus, through all shadow roots."""
    return str(
        page.evaluate(
            "(() => { let at = document.activeElement;"
            " while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
            " return at.matches('article') ? at.querySelector('.title').textContent"
            " : at.getAttribute('aria-label') ?? at.textContent; })()"
        )
    )


def attribute(text: str) -> str:
    return f'<red-dot server="{{server}}" token-url="{{shop}}/token" {text}></red-dot>'


# ---- the badge ----


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
    wait(page, "document.querySelector('link[rel=icon]').href.startsWith('data:')")
    bell(page).click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".badge")).to_have_count(0)
    expect(page).to_have_title("Shop")
    wait(page, "document.querySelector('link[rel=icon]').href.endsWith('.ico')")
    assert shop.tokens_given == 1


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


def test_the_page_keeps_its_title(visit: Open, server: Server, user: str) -> None:
    page = visit()
    notify(server, user, "One")
    expect(page).to_have_title("(1) Shop")
    page.evaluate("document.title = 'Cart'")
    expect(page).to_have_title("(1) Cart")
    page.evaluate(f"{BELL}.remove()")
    expect(page).to_have_title("Cart")
    wait(page, "document.querySelector('link[rel=icon]').href.endsWith('.ico')")


def test_the_app_has_the_same_number(visit: Open, server: Server, user: str) -> None:
    page = visit("")
    page.evaluate(
        "navigator.setAppBadge = async (count) => { (window.shown ??= []).push(count); };"
        f"{ADD} document.querySelector('red-dot').setAttribute('server', '{server.url}')"
    )
    notify(server, user, "One")
    expect(page).to_have_title("(1) Shop")
    page.evaluate(f"{BELL}.remove()")
    wait(page, "shown.join() === '1,0'")


# ---- the panel ----


def test_opening_is_seeing(visit: Open, server: Server, user: str) -> None:
    for number in range(3):
        notify(server, user, f"Number {number}")
    page = visit(attribute('badge="unseen"'))
    expect(page.locator(".badge")).to_have_text("3")
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(3)
    expect(page.locator(".badge")).to_have_count(0)
    assert badge(server, user)["unread"] == 3
    assert badge(server, user)["unseen"] == 0
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
    page.keyboard.press("ArrowRight")
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


@pytest.mark.parametrize(
    "corner", ["top: 4px; left: 4px", "bottom: 4px; right: 4px", "bottom: 4px; left: 4px"]
)
def test_the_panel_stays_in_the_window(visit: Open, corner: str) -> None:
    page = visit()
    page.evaluate(f"{BELL}.style.cssText = 'position: fixed; {corner}'")
    bell(page).click()
    box = page.locator(".panel").bounding_box()
    assert box is not None
    assert box["x"] >= 0 and box["y"] >= 0
    assert box["x"] + box["width"] <= 1280
    assert box["y"] + box["height"] <= 900
    assert box["height"] > 500


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


# ---- the list ----


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
        f"{BELL}.addEventListener('red-dot-click', (event) => {{ event.preventDefault();"
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
    expect(page.locator("button.bell")).to_have_accessible_name("Notifications")
    assert badge(server, user)["unread"] == 0


def test_actions(visit: Open, server: Server, user: str) -> None:
    actions = [{"title": "Approve", "id": "yes"}, {"title": "Look", "url": "/look"}, {"title": "x"}]
    notify(server, user, "Request", actions=actions)
    page = visit()
    page.evaluate(
        f"{BELL}.addEventListener('red-dot-click', ({{ detail }}) => {{ window.chosen = detail; }})"
    )
    bell(page).click()
    assert page.locator(".action").all_inner_texts() == ["Approve", "Look"]
    page.get_by_role("button", name="Approve").click()
    assert page.evaluate("chosen.action") == {"title": "Approve", "id": "yes"}
    expect(page.locator("article.unread")).to_have_count(0)


def test_tabs_and_categories(visit: Open, server: Server, user: str) -> None:
    for category in ("mention", "mention", "billing"):
        notify(server, user, f"Of {category}", category=category)
    page = visit()
    bell(page).click()
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_text(["All", "Unread3", "Archived", "billing1", "general", "mention2"])
    page.get_by_role("tab", name="mention").click()
    expect(page.locator(ROWS)).to_have_count(2)
    page.get_by_role("button", name="Mark all as read").click()
    expect(tabs).to_have_text(["All", "Unread1", "Archived", "billing1", "general", "mention"])
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
    assert badge(server, user)["unread"] == 3
    pill.click()
    expect(page.locator("article.unread")).to_have_count(3)
    assert titles(page)[:3] == ["New 2", "New 1", "New 0"]
    assert page.locator(".list").evaluate("(list) => list.scrollTop") == 0
    notify(server, user, "At the top")
    expect(page.locator(f"{ROWS} .title").first).to_have_text("At the top")


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
    assert badge(server, user)["unread"] == 125
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".note")).to_be_visible()
    expect(page.locator(".note")).to_have_count(0, timeout=8000)


def test_older_ones_come_as_they_are_reached(visit: Open, server: Server, user: str) -> None:
    for number in range(45):
        notify(server, user, f"Number {number}")
    page = visit()
    bell(page).click()
    expect(page.locator(ROWS).first).to_have_attribute("aria-setsize", "-1")
    for _ in range(4):
        page.locator(".list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        page.wait_for_timeout(150)
    expect(page.locator(ROWS)).to_have_count(45)
    expect(page.locator(ROWS).last).to_have_attribute("aria-posinset", "45")
    expect(page.locator(ROWS).last).to_have_attribute("aria-setsize", "45")
    expect(page.get_by_text("You’re all caught up")).to_be_visible()
    expect(page.get_by_role("button", name="Load more")).to_have_count(0)


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


def test_nothing_is_said_in_each_tab(visit: Open) -> None:
    page = visit()
    bell(page).click()
    for name, text in [
        ("Unread", "Nothing unread"),
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


# ---- words ----


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
    expect(page.get_by_role("tab")).to_have_text(["全部", "未读1", "已归档"])
    page.get_by_role("tab", name="全部").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="未读")).to_be_focused()
    box = page.locator(".panel").bounding_box()
    assert box is not None
    assert box["x"] < 100


def test_the_pages_own_words_and_rows(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "One", data={"price": 42})
    page = visit()
    page.evaluate(
        f"{BELL}.strings = {{ Notifications: 'News', '{{n}} unread': '{{n}} to read' }};"
        f"void ({BELL}.row = ({{ data }}) => document.createTextNode(`${{data.title}} for ${{data.data.price}}`))"
    )
    page.locator("button.bell").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("News")
    expect(page.locator("button.bell")).to_have_accessible_name("News, 1 to read")
    expect(page.locator(f"{ROWS} .content")).to_contain_text("One for 42")


def test_slots(visit: Open) -> None:
    inner = '<b slot="icon">B</b><h2 slot="header">Mine</h2><p slot="empty">None</p>'
    page = visit(attribute("").replace("></red-dot>", f">{inner}</red-dot>"))
    page.locator("button.bell").click()
    for text in ("B", "Mine", "None"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()


# ---- more elements, more tabs ----

TOASTED: Final = attribute("") + "<red-dot-toast></red-dot-toast>"


def test_a_toast_in_one_of_eight_tabs(own_server: Server, visit: Open, user: str) -> None:
    pages = [visit(TOASTED) for _ in range(8)]
    assert own_server.metric("reddot_sessions") == 1
    notify(own_server, user, "Once", category="mail")
    for page in pages:
        expect(page.locator(".badge")).to_have_text("1")
    pages[0].wait_for_timeout(800)
    (shown,) = [page for page in pages if page.locator(".toast").count()]
    shown.bring_to_front()
    shown.locator(".toast .title").click()
    expect(shown.locator(".toast")).to_have_count(0)
    for page in pages:
        expect(page.locator(".badge")).to_have_count(0)


def test_toasts_come_and_go(visit: Open, server: Server, user: str) -> None:
    page = visit(TOASTED)
    for number in range(5):
        notify(server, user, f"Number {number}")
    expect(page.locator(".toast")).to_have_count(3)
    expect(page.locator(".toast .title").last).to_have_text("Number 4")
    page.locator(".toast").last.hover()
    page.wait_for_timeout(7000)
    expect(page.locator(".toast")).to_have_count(1)
    page.mouse.move(20, 300)
    expect(page.locator(".toast")).to_have_count(0, timeout=8000)
    asks = notify(server, user, "Asks", actions=[{"title": "Yes"}])
    expect(page.get_by_role("region").get_by_role("button", name="Yes")).to_be_visible()
    httpx.delete(
        f"{server.url}/v1/notifications/{asks}", headers={"authorization": f"Bearer {API_KEY}"}
    ).raise_for_status()
    expect(page.locator(".toast")).to_have_count(0)
    bell(page).click()
    notify(server, user, "Seen in the list")
    expect(page.locator(f"{ROWS} .title").first).to_have_text("Seen in the list")
    expect(page.locator(".toast")).to_have_count(0)


def test_what_is_muted_is_silent_everywhere(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "One", category="mail")
    here, there = visit(TOASTED), visit(TOASTED)
    bell(here).click()
    here.get_by_role("button", name="Preferences").click()
    choice = here.get_by_role("switch", name="mail")
    expect(choice).to_have_attribute("aria-checked", "true")
    choice.click()
    for page in (here, there):
        expect(page.locator(".badge")).to_have_count(0)
    notify(server, user, "Two", category="mail")
    notify(server, user, "Three", category="news")
    for page in (here, there):
        expect(page.locator(".badge")).to_have_text("1")
    here.keyboard.press("Escape")
    here.wait_for_timeout(500)
    shown = [
        title for page in (here, there) for title in page.locator(".toast .title").all_inner_texts()
    ]
    assert shown in (["Three"], [])
    choice = here.get_by_role("switch", name="mail")
    bell(here).click()
    here.get_by_role("button", name="Preferences").click()
    choice.click()
    expect(there.locator(".badge")).to_have_text("3")


def test_a_sound_in_one_tab(
    context: BrowserContext, visit: Open, server: Server, user: str
) -> None:
    context.add_init_script(
        "window.sounds = 0; AudioContext.prototype.createOscillator = ((make) =>"
        " function () { window.sounds += 1; return make.call(this); })"
        "(AudioContext.prototype.createOscillator)"
    )
    here, there = visit(), visit()
    bell(here).click()
    here.get_by_role("button", name="Preferences").click()
    here.get_by_role("switch", name="Play a sound").click()
    assert here.evaluate("sounds") == 1
    notify(server, user, "One")
    expect(there.locator(".badge")).to_have_text("1")
    here.wait_for_timeout(800)
    assert here.evaluate("sounds") + there.evaluate("sounds") == 2
    here.get_by_role("switch", name="Play a sound").click()
    notify(server, user, "Two")
    expect(there.locator(".badge")).to_have_text("2")
    here.wait_for_timeout(800)
    assert here.evaluate("sounds") + there.evaluate("sounds") == 2


def test_an_inbox_as_a_page(visit: Open, server: Server, user: str) -> None:
    """It has a list of its own beside the bell's, and both show one truth."""
    for number in range(30):
        notify(server, user, f"Number {number}")
    page = visit(attribute("") + "<red-dot-inbox></red-dot-inbox>")
    own = page.locator("nav > red-dot-inbox")
    expect(own.locator(ROWS).first).to_be_visible()
    own.get_by_role("tab", name="Unread").click()
    bell(page).click()
    panel = page.get_by_role("dialog")
    expect(panel.locator(ROWS).first).to_be_visible()
    panel.locator(ROWS).first.hover()
    panel.locator(ROWS).first.get_by_role("button", name="Mark as read").click()
    expect(panel.locator(ROWS).first).not_to_have_class("unread")
    expect(own.locator(f"{ROWS} .title").first).to_have_text("Number 28")
    expect(page.locator(".badge")).to_have_text("29")


def test_somebody_signs_out_and_in(
    visit: Open, server: Server, user: str, context: BrowserContext
) -> None:
    notify(server, user, "One")
    page = visit()
    expect(page.locator(".badge")).to_have_text("1")
    context.clear_cookies()
    page.evaluate(f"{BELL}.reconnect()")
    expect(page.locator(".badge")).to_have_count(0)
    expect(page).to_have_title("Shop")
    bell(page).click()
    expect(page.get_by_text("Signed out")).to_be_visible()
    page.keyboard.press("Escape")
    visit()
    page.evaluate(f"{BELL}.reconnect()")
    expect(page.locator(".badge")).to_have_text("1")


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
    wanted = [1, True, "websocket", True]
    assert (
        page.evaluate(
            f"(({{ count, connected, transport, open }}) => [count, connected, transport, open])({BELL})"
        )
        == wanted
    )


def test_debug_says_where_it_is(visit: Open, server: Server, user: str) -> None:
    page = visit(attribute("debug"))
    notify(server, user, "One")
    bell(page).click()
    expect(page.locator(".footer")).to_contain_text("live · websocket · as_of")
