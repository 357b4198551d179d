"""More than one element, and more than one tab: what shows in each, and what happens once."""

from __future__ import annotations

from typing import Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.shop import IN_ONE, ROWS, THE_BELL, Open, attribute, bell, notify
from tests.integration.server import API_KEY, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]


TOASTED: Final = attribute("") + "<red-dot-toast></red-dot-toast>"
# How long a toast stays says the style sheet: the time of its animations, but of those that wait.
SEVEN_SECONDS_PASS: Final = """
    document.querySelector("red-dot-toast").shadowRoot.getAnimations()
        .filter(({ playState }) => playState === "running")
        .forEach((animation) => { animation.currentTime += 7000; });
"""


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


@IN_ONE
def test_toasts_come_and_go(visit: Open, server: Server, user: str) -> None:
    page = visit(TOASTED)
    for number in range(5):
        notify(server, user, f"Number {number}")
    expect(page.locator(".toast")).to_have_count(3)
    expect(page.locator(".toast .title").last).to_have_text("Number 4")
    page.locator(".toast").last.hover()
    page.evaluate(SEVEN_SECONDS_PASS)
    expect(page.locator(".toast")).to_have_count(1)
    page.mouse.move(20, 300)
    expect(page.locator(".toast:hover")).to_have_count(0)
    page.evaluate(SEVEN_SECONDS_PASS)
    expect(page.locator(".toast")).to_have_count(0)
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


@IN_ONE
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


@IN_ONE
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


@IN_ONE
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
    page.evaluate(f"{THE_BELL}.reconnect()")
    expect(page.locator(".badge")).to_have_count(0)
    expect(page).to_have_title("Shop")
    bell(page).click()
    expect(page.get_by_text("Signed out")).to_be_visible()
    page.keyboard.press("Escape")
    visit()
    page.evaluate(f"{THE_BELL}.reconnect()")
    expect(page.locator(".badge")).to_have_text("1")
