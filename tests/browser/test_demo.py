"""The demo page in real browsers, against the server that `reddot demo` starts."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

NAMES: Final = [
    "Short polling",
    "Long polling",
    "iframe stream",
    "Server-sent events",
    "MQTT",
    "WebSocket",
]
# Longer than a server stays cut by the test before, and a frame that said nothing is given.
LIVE_MS: Final = 15_000
# A cut iframe may say nothing; its watchdog waits for two and a half heartbeats of 15 s.
RECOVERED_MS: Final = 50_000
SOME: Final = re.compile("[1-9]")

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]


def panel(page: Page, name: str) -> Locator:
    return page.locator(".panel", has=page.get_by_role("heading", name=name, exact=True))


def state(page: Page, name: str) -> Locator:
    return panel(page, name).get_by_role("status")


def lost_and_twice(page: Page) -> dict[str, str]:
    return {name: panel(page, name).locator(".faults").inner_text() for name in NAMES}


def received(page: Page) -> list[int]:
    texts = [panel(page, name).locator(".received").inner_text() for name in NAMES]
    return [int(text.replace(",", "")) for text in texts]


def expect_live(page: Page, *, timeout: int = LIVE_MS) -> None:
    for name in NAMES:
        expect(state(page, name)).to_have_text("live", timeout=timeout)


def expect_received_at_least(page: Page, count: int, *, timeout_ms: int = LIVE_MS) -> None:
    for _ in range(timeout_ms // 100):
        if min(received(page)) >= count:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"received {received(page)}, expected {count} of each")


def logged(page: Page, name: str) -> list[str]:
    """The publications in the frame log of one panel, newest first."""
    page.get_by_label("Transport", exact=True).select_option(label=name)
    return page.locator("#log li[data-type=publication] .log-text").all_inner_texts()


def stop_publishing(page: Page, *, timeout_ms: int = LIVE_MS) -> int:
    """Pause, and wait until the last publication is the same in every panel.

    Returns the fewest that a panel has received. The numbers may differ by what was on its way
    when the figures were started anew.
    """
    page.get_by_role("button", name="Pause").click()
    last: list[str] = []
    for _ in range(timeout_ms // 500):
        page.wait_for_timeout(500)
        before, last = last, [logged(page, name)[0] for name in NAMES]
        if before == last and len(set(last)) == 1:
            return min(received(page))
    raise AssertionError(f"the panels have come to {last}")


def test_all_panels_become_live_and_receive_the_same_messages(page: Page) -> None:
    expect_live(page)
    page.get_by_role("button", name="Five a second").click()
    expect_received_at_least(page, 12)
    assert stop_publishing(page) >= 12
    logs = {name: logged(page, name)[:12] for name in NAMES}
    assert len(logs["WebSocket"]) == 12
    assert all(lines == logs["WebSocket"] for lines in logs.values())
    assert set(lost_and_twice(page).values()) == {"0 / 0"}


def test_every_panel_shows_delay_cost_and_requests(page: Page) -> None:
    expect_live(page)
    page.get_by_role("button", name="Five a second").click()
    expect_received_at_least(page, 12)
    page.wait_for_timeout(1500)  # the next counters
    table = page.get_by_role("table")
    for name in NAMES:
        row = table.get_by_role("row", name=re.compile(f"^{name}"))
        median, p99, requests, cost = (
            float(text.replace(",", "")) for text in row.locator("td").all_inner_texts()[2:6]
        )
        assert 0 <= median <= p99 < 10_000
        assert requests >= 1
        assert 60 < cost < 5_000
    expect(page.locator("#insight")).to_contain_text("slowest")
    label = panel(page, "Short polling").get_by_role("img").get_attribute("aria-label")
    assert label is not None and label.startswith("Delays over Short polling: median ")


def test_nothing_is_lost_or_twice_across_a_cut(page: Page) -> None:
    expect_live(page)
    page.get_by_role("button", name="Five a second").click()
    expect_received_at_least(page, 5)
    page.get_by_role("button", name="Cut connections").click()
    expect(state(page, "WebSocket")).to_have_text("reconnecting")
    expect(page.locator("#cut")).to_have_text("Cut connections", timeout=LIVE_MS)
    expect_live(page, timeout=RECOVERED_MS)
    # More than in the five seconds of the cut.
    assert stop_publishing(page, timeout_ms=RECOVERED_MS) > 25
    assert set(lost_and_twice(page).values()) == {"0 / 0"}


def test_nothing_is_lost_or_twice_when_the_hub_restarts(page: Page) -> None:
    expect_live(page)
    page.get_by_role("button", name="Five a second").click()
    expect_received_at_least(page, 5)
    page.get_by_role("button", name="Restart the hub").click()
    expect(page.locator("#fault-note")).to_have_text("The hub has dropped every session.")
    expect_live(page, timeout=RECOVERED_MS)
    expect_received_at_least(page, 15, timeout_ms=RECOVERED_MS)
    stop_publishing(page, timeout_ms=RECOVERED_MS)
    assert set(lost_and_twice(page).values()) == {"0 / 0"}


def test_without_the_cursor_a_cut_loses_messages(page: Page) -> None:
    expect_live(page)
    page.get_by_role("button", name="Five a second").click()
    expect_received_at_least(page, 5)
    page.get_by_role("switch", name="Resume with cursor").uncheck(force=True)
    page.get_by_role("button", name="Cut connections").click()
    for name in NAMES:
        expect(panel(page, name).locator(".lost")).to_have_text(SOME, timeout=RECOVERED_MS)
        expect(panel(page, name).locator(".lost")).to_have_class(re.compile("alarm"))
        expect(panel(page, name).locator(".twice")).to_have_text("0")


def test_an_experiment_sets_the_controls_and_says_what_to_watch(page: Page) -> None:
    expect_live(page)
    page.get_by_role("button", name="Cut without cursor").click()
    expect(page.locator("#experiment-note")).to_contain_text("start from now")
    expect(page.get_by_role("switch", name="Resume with cursor")).not_to_be_checked()
    expect(page.locator("#rate-value")).to_have_text("5 / s")
    expect(page.locator("#cut")).to_contain_text("left", timeout=LIVE_MS)


def test_the_publish_form_shows_the_answer_and_every_panel_the_message(page: Page) -> None:
    expect_live(page)
    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Data, any JSON value").fill('{"text": "héllo </script>"}')
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#answer-status")).to_have_text(re.compile(r"HTTP 200 after \d"))
    answer = json.loads(page.locator("#answer").inner_text())
    assert answer["topic"] == "demo/hello"
    assert answer["duplicate"] is False
    expected = f'demo/hello #{answer["offset"]} greeting {{"text":"héllo </script>"}}'
    for name in NAMES:
        page.get_by_label("Transport", exact=True).select_option(label=name)
        expect(page.locator("#log")).to_contain_text(expected, timeout=LIVE_MS)


def test_an_ephemeral_message_has_no_offset(page: Page) -> None:
    expect_live(page)
    page.get_by_role("radio", name="Ephemeral").check(force=True)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#answer-status")).to_have_text(re.compile(r"HTTP 202 after \d"))
    expect(page.locator("#log")).to_contain_text("demo/hello ephemeral greeting")
    assert set(lost_and_twice(page).values()) == {"0 / 0"}


def test_the_publish_form_refuses_what_is_not_json(page: Page) -> None:
    page.get_by_label("Data, any JSON value").fill("{")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#publish-invalid[role=alert]")).to_contain_text("Not JSON")
    expect(page.locator("#answer")).to_be_hidden()


def test_the_publish_form_shows_a_refusal(page: Page) -> None:
    expect_live(page)
    page.get_by_label("Topic", exact=True).fill("demo/#")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#answer-status")).to_have_text(re.compile(r"HTTP 400 after \d"))
    assert json.loads(page.locator("#answer").inner_text())["code"] == "topic_invalid"


def test_a_second_tab_waits_and_may_take_over(
    context: BrowserContext, page: Page, demo_url: str
) -> None:
    expect_live(page)
    second = context.new_page()
    second.goto(demo_url)
    notice = "This demo is running in another tab."
    expect(second.get_by_text(notice)).to_be_visible()
    expect(state(second, "WebSocket")).to_have_text("off")
    second.get_by_role("button", name="Take over here").click()
    expect_live(second)
    expect(page.get_by_text(notice)).to_be_visible()
    expect(state(page, "WebSocket")).to_have_text("off")
    second.close()
    expect_live(page)
    expect(page.get_by_text(notice)).to_be_hidden()


def test_the_theme_is_chosen_and_remembered(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.get_by_role("radio", name="Light").check(force=True)
    light = page.evaluate(ground)
    page.get_by_role("radio", name="Dark").check(force=True)
    dark = page.evaluate(ground)
    assert light != dark
    page.reload()
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize("width", [320, 360, 768, 1080, 1600])
def test_no_width_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_controls_work_by_keyboard_and_have_names(page: Page) -> None:
    expect_live(page)
    slider = page.get_by_role("slider", name="Message rate")
    before = slider.get_attribute("aria-valuetext")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") != before
    page.get_by_role("switch", name="Resume with cursor").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("switch", name="Resume with cursor")).not_to_be_checked()
    for role in ("button", "slider", "textbox", "combobox", "checkbox", "radio"):
        for control in page.get_by_role(role).all():
            name = "(e) => e.ariaLabel || e.labels?.length || e.textContent.trim()"
            assert control.evaluate(name), role


def test_the_loading_icon_comes_to_rest(page: Page) -> None:
    expect_live(page)
    assert page.evaluate("document.readyState") == "complete"
    assert page.evaluate("document.querySelector('iframe').sandbox.value") == "allow-scripts"
    assert page.evaluate("history.length") <= 2
