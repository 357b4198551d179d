"""The demo page's red dot and its seventh panel; nothing shown runs, and everybody can use it."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.axe import violations
from tests.browser.payloads import PAYLOADS
from tests.browser.test_demo import LIVE_MS, NAMES, expect_live, logged, panel

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]


def notify(page: Page, to: str = "me", title: str = "Hello") -> None:
    page.get_by_label("Notification", exact=True).fill(title)
    page.get_by_label("To", exact=True).select_option(to)
    page.get_by_role("button", name="Notify").click()


def expect_unread(page: Page, count: int) -> None:
    """In the bell, and in every panel as its transport has told it."""
    for name in NAMES:
        badge = panel(page, name).locator(".badge")
        if count:
            expect(badge).to_have_text(str(count), timeout=LIVE_MS)
        else:
            expect(badge).to_be_hidden(timeout=LIVE_MS)
    name = f"Notifications, {count} unread" if count else "Notifications"
    expect(page.locator("#bell").get_by_role("button", name=name, exact=True)).to_be_visible()
    expect(page.locator("#inbox article.unread")).to_have_count(count)


def read_all(page: Page) -> None:
    page.locator("#inbox").get_by_role("button", name="Mark all as read").click()


def begin(page: Page) -> None:
    """Live, with nothing unread: what others have sent to everyone counts for newcomers too."""
    expect_live(page)
    expect(page.locator("#inbox .tabs")).to_be_visible()
    page.wait_for_timeout(500)
    if page.evaluate("document.querySelector('red-dot').count"):
        read_all(page)
    expect_unread(page, 0)


def test_one_dot_over_every_transport(page: Page) -> None:
    """It is lit by each of them, read in one panel, and dark in all."""
    begin(page)
    notify(page)
    expect_unread(page, 1)
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    notify(page, "group", "For the club")
    notify(page, "everyone", "For all")
    expect_unread(page, 3)
    expect(page.locator("#race li")).to_have_count(7)
    panel(page, "MQTT").locator(".badge").click()
    expect_unread(page, 0)
    expect(page).to_have_title(re.compile("^Reddot"))
    expect(page.locator("#sessions")).to_contain_text(re.compile(r"\d+ connections? "))


def test_a_tab_that_rests_has_the_right_number_too(context: BrowserContext, page: Page) -> None:
    """Its panels are off; its bell shares a connection with the tab that runs."""
    begin(page)
    second = context.new_page()
    second.goto(page.url)
    expect(second.get_by_role("button", name="Take over here")).to_be_visible()
    notify(page, title="For both tabs")
    for one in (page, second):
        expect(one.locator("#bell").get_by_role("button")).to_have_accessible_name(
            "Notifications, 1 unread"
        )
    second.locator("#bell").get_by_role("button").click()
    second.locator("#bell article.unread").click()
    expect_unread(page, 0)


def test_its_bell_speaks_and_leads_to_the_console(page: Page) -> None:
    begin(page)
    notify(page, title="你好")
    page.get_by_label("中文").check()
    expect(page.locator("#bell").get_by_role("button")).to_have_accessible_name("通知, 1 条未读")
    expect(page.locator("#inbox").get_by_role("tab").first).to_have_text("全部")
    page.get_by_role("link", name="why the badge is what it is").click()
    own = page.get_by_role("row").filter(has_text="their own")
    expect(own).to_contain_text("users/visitor", timeout=LIVE_MS)


def test_the_seventh_panel_demotes_and_climbs_back(page: Page) -> None:
    expect_live(page)
    state, timeline = page.locator("#negotiated-state"), page.locator("#timeline")
    expect(state).to_have_text("live over WebSocket", timeout=LIVE_MS)
    page.get_by_role("button", name="Block WebSocket").click()
    expect(state).to_have_text("live over SSE", timeout=LIVE_MS)
    expect(timeline).to_contain_text("WebSocket failed: closed, 1006")
    page.get_by_role("button", name="Hold back streams").click()
    expect(state).to_have_text("live over Long polling", timeout=LIVE_MS)
    expect(timeline).to_contain_text("WebSocket is demoted")
    expect(timeline).to_contain_text(re.compile("SSE (failed|is demoted): slower"))
    page.get_by_role("button", name="Hold back streams").click()
    page.get_by_role("button", name="Block WebSocket").click()
    page.get_by_role("button", name="Change of network").click()
    expect(state).to_have_text("live over WebSocket", timeout=LIVE_MS)
    expect(timeline.locator("li").first).to_contain_text("WebSocket has proved itself")
    expect(page.locator("#negotiated-figures")).to_contain_text(
        re.compile(r"[1-9]\d* received, 0 lost, 0 twice"), timeout=LIVE_MS
    )


def test_nothing_that_is_published_runs(context: BrowserContext, page: Page, demo_url: str) -> None:
    """Through topic, event, data, title, body and address, over every transport."""
    page.add_init_script("globalThis.hits = 0; globalThis.pwned = () => { hits += 1; };")
    page.reload()
    expect_live(page)
    page.get_by_role("button", name="Pause").click()
    visitor = page.evaluate("localStorage.getItem('reddot-demo-visitor')")
    origin = demo_url.removesuffix("/demo")
    topics = [re.sub(r"[+#\x00-\x1f\u2028\u2029]", "", text) for text in PAYLOADS]
    drafts = [
        {"topic": f"demo/{topic}", "event": "x" + re.sub(r"\s", "", text), "data": {"text": text}}
        for topic, text in zip(topics, PAYLOADS, strict=True)
    ]
    with httpx.Client(base_url=origin, trust_env=False) as client:
        for draft in drafts:
            answer = client.post("/v1/publish", json=draft)
            assert answer.status_code == 200, (draft, answer.text)
        for text in PAYLOADS:
            note = {"to": {"users": [visitor]}, "title": text, "body": text}
            client.post("/v1/notifications", json=note).raise_for_status()
        last = client.post("/v1/publish", json={"topic": "demo/last", "data": "the last one"})
        assert last.status_code == 200
    for name in NAMES:
        page.get_by_label("Transport", exact=True).select_option(label=name)
        expect(page.locator("#log")).to_contain_text("the last one", timeout=LIVE_MS)
        assert len(logged(page, name)) >= 10, "the newest lines are shown"
    expect(page.locator("#inbox article.unread")).to_have_count(20)
    page.get_by_label("Data, any JSON value").fill(json.dumps(PAYLOADS[0]))
    page.get_by_label("Topic", exact=True).fill("demo/<img src=x onerror=pwned()>")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#answer-status")).to_have_text(re.compile(r"HTTP 200"))
    read_all(page)
    expect_unread(page, 0)
    assert page.evaluate("hits") == 0
    foreign = "#log :not(li, span), #answer *, #timeline :not(li, span, b, time)"
    assert page.locator(foreign).count() == 0


@pytest.mark.parametrize("path", ["/demo", "/v1/diag"])
def test_axe_finds_nothing(page: Page, demo_url: str, path: str) -> None:
    page.goto(demo_url.removesuffix("/demo") + path)
    if path == "/demo":
        begin(page)
        notify(page)
        expect_unread(page, 1)
        page.get_by_role("button", name="Block WebSocket").click()
    else:
        expect(page.locator("#transports tr")).to_have_count(6, timeout=LIVE_MS)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(page) == [], scheme


@pytest.mark.parametrize("width", [320, 768, 1600])
def test_the_doctor_does_not_scroll_sideways(page: Page, demo_url: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(demo_url.removesuffix("/demo") + "/v1/diag")
    expect(page.locator("#transports tr")).to_have_count(6, timeout=LIVE_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
