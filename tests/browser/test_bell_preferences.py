"""The preferences in the panel: what is muted, by what, and for how long; quiet hours; locks."""

from __future__ import annotations

from typing import Any, cast

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.driving import until
from tests.browser.shop import BELL, COURIERS, IN_ONE, Open, Shop, bell, notify
from tests.integration.server import API_KEY, HTTP, Server, ServerFactory
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture
def server(shop: Shop, shared_server: ServerFactory) -> Server:
    return shop.serve(shared_server, **COURIERS)


def kept(server: Server, user: str, change: object = None) -> dict[str, Any]:
    """What the server keeps of a person; `change` is put before."""
    headers = {"authorization": f"Bearer {user_token(user)}"}
    method = "GET" if change is None else "PUT"
    answer = HTTP.request(method, f"{server.url}/v1/preferences", json=change, headers=headers)
    return cast("dict[str, Any]", answer.raise_for_status().json())


def preferences(page: Page) -> None:
    bell(page).click()
    page.get_by_role("button", name="Preferences").click()


def switch(page: Page, name: str) -> Locator:
    return page.get_by_role("switch", name=name, exact=True)


def expect_on(choice: Locator, on: bool) -> None:
    expect(choice).to_have_attribute("aria-checked", str(on).lower())


def test_a_category_by_a_courier(visit: Open, server: Server, user: str) -> None:
    """By keyboard; what was muted elsewhere is kept."""
    elsewhere = {"topics": ["news/x"], "couriers": {"web_push": ["offer"], "gone": ["a"]}}
    kept(server, user, {"muted": elsewhere})
    notify(server, user, "One", category="order")
    page = visit()
    preferences(page)
    expect_on(switch(page, "offer by push"), False)
    switch(page, "order by email").focus()
    page.keyboard.press("Space")
    expect_on(switch(page, "order by email"), False)
    expect_on(switch(page, "order in the inbox"), True)
    expect(page.locator(".badge")).to_have_text("1")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_on(switch(page, "order by push"), False)
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Preferences").click()
    expect_on(switch(page, "order by email"), False)
    switch(page, "order by push").click()
    expect_on(switch(page, "order by push"), True)
    couriers = {"email": ["order"], "gone": ["a"], "web_push": ["offer"]}
    until(lambda: kept(server, user)["muted"]["couriers"] == couriers)
    assert kept(server, user)["muted"]["topics"] == ["news/x"]
    switch(page, "order in the inbox").click()
    expect(page.locator(".badge")).to_have_count(0)
    expect(switch(page, "order by push")).to_be_disabled()
    expect_on(switch(page, "order by push"), False)


@IN_ONE
def test_muted_for_a_while(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "One", category="order")
    page = visit()
    page.clock.install()
    preferences(page)
    spans = page.get_by_role("combobox", name="Mute order")
    spans.select_option("1 hour")
    expect(page.locator(".badge")).to_have_count(0)
    expect(spans.locator("option").first).to_contain_text("Until")
    assert spans.input_value() == ""
    until(lambda: "order" in kept(server, user)["muted"]["until"])
    hour = kept(server, user)["muted"]["until"]["order"]
    left_s = page.evaluate("(end) => (Date.parse(end) - Date.now()) / 1000", hour)
    assert 3500 < left_s <= 3600
    spans.select_option("Until tomorrow")
    expect(spans.locator("option").first).not_to_have_text("Muted")
    until(lambda: kept(server, user)["muted"]["until"]["order"] != hour)
    end = kept(server, user)["muted"]["until"]["order"]
    assert page.evaluate("(end) => new Date(end).toTimeString()", end).startswith("08:00:00")
    spans.select_option("Until I turn it on")
    expect(spans.locator("option").first).to_have_text("Muted")
    switch(page, "order in the inbox").click()
    expect(page.locator(".badge")).to_have_text("1")
    expect(spans.locator("option").first).to_have_text("Mute for…")
    until(lambda: kept(server, user)["muted"]["categories"] == [])


@IN_ONE
def test_a_mute_ends_on_the_page_by_itself(visit: Open, server: Server, user: str) -> None:
    notify(server, user, "One", category="order")
    other, page = visit(), visit()
    end = page.evaluate("new Date(Date.now() + 4000).toISOString()")
    kept(server, user, {"muted": {"until": {"order": end}}})
    preferences(page)
    expect_on(switch(page, "order in the inbox"), False)
    expect(other.locator(".badge")).to_have_count(0)
    expect(other.locator(".badge")).to_have_text("1")
    expect_on(switch(page, "order in the inbox"), True)


def test_quiet_hours(visit: Open, server: Server, user: str) -> None:
    page = visit()
    preferences(page)
    expect(page.get_by_text("(UTC)")).to_be_visible()
    switch(page, "Quiet hours").click()
    start = page.get_by_label("From")
    expect(start).to_have_value("22:00")
    start.fill("23:30")
    expect(page.get_by_label("To")).to_have_value("08:00")
    until(lambda: kept(server, user)["quiet"] == {"start": "23:30", "end": "08:00"})
    page.get_by_label("To").fill("23:30")  # Begins when it ends: refused.
    expect(page.get_by_role("status").get_by_text("That did not work")).to_be_visible()
    expect(page.get_by_label("To")).to_have_value("08:00")
    switch(page, "Quiet hours").click()
    expect(start).to_have_count(0)
    until(lambda: kept(server, user)["quiet"] is None)


def test_the_time_zone_of_the_browser_is_offered(visit: Open, server: Server, user: str) -> None:
    """Also where the operator's word holds, which no other change repeats as the person's own."""
    attributes = {"timezone": "Asia/Shanghai"}
    admin = {"authorization": f"Bearer {API_KEY}"}
    url = f"{server.url}/v1/users/{user}/attributes"
    HTTP.put(url, json=attributes, headers=admin).raise_for_status()
    page = visit()
    here = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    assert here != "Asia/Shanghai"
    preferences(page)
    switch(page, "Quiet hours").click()
    expect(page.get_by_text("(Asia/Shanghai)")).to_be_visible()
    until(lambda: kept(server, user)["quiet"] is not None)
    HTTP.put(url, json={"timezone": "Asia/Tokyo"}, headers=admin).raise_for_status()
    assert kept(server, user)["timezone"] == "Asia/Tokyo"
    page.get_by_role("button", name=f"Use {here}").click()
    expect(page.get_by_text(f"({here})")).to_be_visible()
    expect(page.get_by_role("button", name="Use ")).to_have_count(0)
    until(lambda: kept(server, user)["timezone"] == here)
    assert kept(server, user)["quiet"] == {"start": "22:00", "end": "08:00"}


@IN_ONE
def test_what_is_locked_says_so(visit: Open, user: str) -> None:
    page = visit()
    preferences(page)
    row = page.get_by_role("row").filter(has_text="security")
    expect(row.get_by_text("Cannot be turned off")).to_be_visible()
    expect(row.get_by_role("switch")).to_have_count(3)
    for choice in row.get_by_role("switch").all():
        expect(choice).to_be_disabled()
        expect_on(choice, True)
    expect(row.get_by_role("combobox")).to_have_count(0)
    expect(page.get_by_role("columnheader")).to_have_text(["Category", "Inbox", "email", "push"])


@IN_ONE
def test_what_fails_is_taken_back(visit: Open, user: str) -> None:
    page = visit()
    preferences(page)
    expect_on(switch(page, "general by email"), True)

    def refuse(route: Route) -> None:
        if route.request.method == "PUT":
            route.fulfill(status=503, body="{}", content_type="application/json")
        else:
            route.fallback()

    page.route("**/v1/preferences", refuse)
    switch(page, "general by email").click()
    expect(page.get_by_role("status").get_by_text("That did not work")).to_be_visible()
    expect_on(switch(page, "general by email"), True)


@IN_ONE
def test_without_couriers_there_is_one_column(
    visit: Open, shop: Shop, shared_server: ServerFactory
) -> None:
    shop.serve(shared_server)
    page = visit()
    preferences(page)
    expect(page.get_by_role("columnheader")).to_have_text(["Category", "Inbox"])
    expect(switch(page, "Quiet hours")).to_have_count(0)


@IN_ONE
def test_a_toast_of_what_is_locked_comes_whatever_is_muted(
    visit: Open, server: Server, user: str
) -> None:
    kept(server, user, {"muted": {"topics": [f"users/{user}"]}})
    page = visit(BELL + "<red-dot-toast></red-dot-toast>")
    notify(server, user, "Muted", category="order")
    notify(server, user, "Locked", category="security")
    expect(page.locator(".badge")).to_have_text("1")
    expect(page.locator(".toast .title")).to_have_text(["Locked"])


@IN_ONE
def test_what_a_page_puts_into_a_slot_is_its_own(visit: Open, user: str) -> None:
    """Its fields tell the page of changes, through the panel that they are in."""
    field = '<select slot="footer" aria-label="Own"><option>a<option>b</select>'
    page = visit(
        '<red-dot-inbox server="{server}" token-url="{shop}/token">' + field + "</red-dot-inbox>"
    )
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.get_by_role("button", name="Preferences").click()
    expect_on(switch(page, "security in the inbox"), True)
    page.get_by_label("Own").select_option("b")
    expect(page.get_by_label("Own")).to_have_value("b")
    assert failed == []
