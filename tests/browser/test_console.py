"""The console in real browsers, against a real server: signing in, every section, every button."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.consoles import (
    Listener,
    admin_token,
    ask,
    console,
    go,
    notify,
    row,
    server,
    surely,
)
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

__all__ = ["console", "server"]

MINUS: Final = "\N{MINUS SIGN}"
SOME: Final = re.compile("[1-9]")

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]


# ---- signing in ----


def test_the_printed_link_signs_in_once(
    context: BrowserContext, server_factory: ServerFactory
) -> None:
    server = server_factory(jwt_secret=SECRET)
    (link,) = [json.loads(line)["url"] for line in server.log().splitlines() if '"console"' in line]
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert "setup" not in page.url
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
        *("reddot_console", True, "Strict"),
    )
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert context.cookies() == []
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("the link was used")
    assert "setup" not in page.url
    assert server.metric("reddot_rejected_total", code="unauthorized") >= 1


def test_a_token_and_a_key_sign_in_and_nonsense_does_not(
    context: BrowserContext, server: Server
) -> None:
    page = context.new_page()
    page.goto(f"{server.url}/console")
    field = page.get_by_label("Administrator's token or API key")
    expect(field).to_be_focused()
    for wrong in ("nonsense", user_token("anna")):
        field.fill(wrong)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text(re.compile("credential|token"))
    field.fill(admin_token())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Signed in: administrator")).to_be_visible()
    assert field.input_value() == ""
    page.get_by_role("button", name="Sign out").click()
    field.fill(API_KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Signed in: server's key")).to_be_visible()
    for section in ("Credentials", "Settings"):
        go(page, section)
        expect(page.locator("#main")).to_contain_text("administrator")
        expect(page.locator("#main").get_by_role("button")).to_have_count(0)


def test_development_needs_no_signing_in(
    context: BrowserContext, shared_server: ServerFactory
) -> None:
    server = shared_server(dev=True)
    page = context.new_page()
    page.goto(f"{server.url}/console")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_text("everybody on this machine is let in")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_what_is_shown_is_live_or_says_that_it_is_not(
    context: BrowserContext, server_factory: ServerFactory
) -> None:
    server = server_factory(jwt_secret=SECRET, api_key=API_KEY)
    page = context.new_page()
    page.goto(f"{server.url}/console")
    page.get_by_label("Administrator's token or API key").fill(admin_token())
    page.get_by_role("button", name="Sign in").click()
    live = page.locator("#live")
    expect(live).to_have_text("Live")
    go(page, "Topics")
    ask(server, "POST", "/v1/publish", {"topic": "news", "data": 1})
    expect(row(page, "news")).to_be_visible()
    server.kill9()
    expect(live).to_have_text("Not live", timeout=8000)
    expect(page.get_by_role("alert")).to_contain_text("not up to date")
    server.start()
    # Its key died with the process, and so did the session.
    expect(page.get_by_role("alert")).to_contain_text("signed out", timeout=8000)


# ---- the sections ----


def test_the_overview_shows_what_is_going_on(console: Page, server: Server, topic: str) -> None:
    with Listener(server, "anna", topic):
        for _ in range(20):
            ask(server, "POST", "/v1/publish", {"topic": topic, "data": "x" * 100})
        sse = row(console, "Server-sent events").get_by_role("cell")
        expect(sse.nth(0)).to_have_text("1")
        expect(sse.nth(4)).to_have_text(SOME)
        published = console.get_by_role("img", name=re.compile("^Published: now"))
        expect(published).to_have_attribute("aria-label", re.compile("at most [1-9]"))
        assert published.locator("path").nth(1).get_attribute("d")
        expect(console.locator("#main")).to_contain_text("Ready for clients")
        expect(console.locator("#main")).to_contain_text("sqlite")


def test_sessions_are_found_and_ended(console: Page, server: Server, topic: str) -> None:
    go(console, "Sessions")
    with (
        Listener(server, "ben", topic) as one,
        Listener(server, "carla", topic) as other,
        Listener(server, "carla", topic) as third,
    ):
        console.get_by_label("Hears the topic").fill(topic)
        expect(console.get_by_text("3 sessions")).to_be_visible()
        ben = row(console, "ben")
        expect(ben).to_contain_text("SSE")
        expect(ben).to_contain_text("live")
        expect(ben).to_contain_text(topic)
        # Rows survive the next answers: what is focused stays focused.
        button = console.get_by_role("button", name="Disconnect ben on sse")
        button.focus()
        console.wait_for_timeout(4500)
        expect(button).to_be_focused()
        surely(console, "Disconnect ben on sse")
        assert b"reconnect" in one.read_until(b"event: reconnect")
        expect(console.get_by_text("2 sessions")).to_be_visible()
        console.get_by_label("User").fill("carla")
        surely(console, "Disconnect all sessions of carla")
        for stream in (other, third):
            assert b"reconnect" in stream.read_until(b"event: reconnect")
        expect(console.get_by_text("Nobody like that is attached.")).to_be_visible()
        expect(console.locator("#toast")).to_have_text("Disconnected 2 sessions.")


def test_topics_are_listed_and_looked_into(console: Page, server: Server, topic: str) -> None:
    for number in range(25):
        ask(server, "POST", "/v1/publish", {"topic": topic, "data": {"n": number}})
    go(console, "Topics")
    console.get_by_label("Begins with").fill(topic)
    expect(row(console, topic)).to_contain_text("#25")
    opener = console.get_by_role("button", name=topic)
    opener.click()
    drawer = console.get_by_role("dialog", name=topic)
    expect(drawer.get_by_role("listitem")).to_have_count(20)
    expect(drawer.get_by_role("listitem").first).to_contain_text('"n": 24')
    drawer.get_by_role("button", name="Older").click()
    expect(drawer.get_by_role("listitem")).to_have_count(25)
    expect(drawer.get_by_role("button", name="Older")).to_be_hidden()
    console.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(opener).to_be_focused()
    console.get_by_label("Begins with").fill("no such topic")
    expect(console.get_by_text("No topic begins like that.")).to_be_visible()


def test_a_publication_is_sent_as_it_was_written(console: Page, server: Server, topic: str) -> None:
    go(console, "Send")
    form = console.get_by_role("form", name="Publish")
    form.get_by_label("Topic").fill(topic)
    form.get_by_label("Data").fill("{")
    form.get_by_role("button", name="Publish").click()
    assert "Not JSON" in form.get_by_label("Data").evaluate("(e) => e.validationMessage")
    form.get_by_label("Data").fill('{"big": 12345678901234567890.50}')
    form.get_by_label("Event").fill("greeting")
    form.get_by_label("Id, to send it once").fill(f"id-{topic}")
    form.get_by_text("Retain").click()
    form.get_by_role("button", name="Publish").click()
    expect(console.get_by_text("Stored as number 1.")).to_be_visible()
    answer = httpx.get(
        f"{server.url}/v1/topics/{topic}/history",
        headers={"Authorization": f"Bearer {admin_token()}"},
    )
    assert '"data":{"big": 12345678901234567890.50}' in answer.text
    assert answer.json()["items"][0]["event"] == "greeting"
    assert ask(server, "GET", f"/v1/topics?prefix={topic}")["items"][0]["retained"] is True
    form.get_by_label("Topic").fill("wild/#")
    form.get_by_role("button", name="Publish").click()
    expect(console.locator(".outcome.bad")).to_contain_text("Not done. wildcards")


def test_notifications_are_sent_shown_and_taken_back(
    console: Page, server: Server, topic: str
) -> None:
    user = topic.replace("/", "-")
    go(console, "Send")
    form = console.get_by_role("form", name="Notify")
    form.get_by_label("Names").fill(f"{user}, {user}-2")
    form.get_by_label("Title").fill(f"Hello {user}")
    form.get_by_label("Body").fill("Read me.")
    form.get_by_label("Category").fill("mention")
    form.get_by_label("Priority").select_option("high")
    form.get_by_label("Address it opens").fill("/here")
    form.get_by_label("Collapse key").fill("key")
    form.get_by_label("Seconds until it expires").fill("3600")
    form.get_by_label("Actions").fill('[{"title": "Accept", "id": "ok"}]')
    form.get_by_label("Data").fill('{"order": 42}')
    with Listener(server, user, topic):
        form.get_by_role("button", name="Notify").click()
        expect(console.get_by_text("Sent, to 2 users.")).to_be_visible()
    form.get_by_label("To", exact=True).select_option("topic")
    form.get_by_label("Topic").fill(topic)
    form.get_by_role("button", name="Notify").click()
    expect(console.get_by_text("Sent, to whoever follows.")).to_be_visible()
    go(console, "Notifications")
    sent = row(console, f"Hello {user}").filter(has_text=f"{user}, {user}-2")
    cells = sent.get_by_role("cell")
    expect(cells.nth(2)).to_have_text("live")
    expect(cells.nth(4)).to_have_text("1")
    expect(cells.nth(6)).to_have_text("0")
    token = user_token(user)
    inbox = ask(server, "GET", "/v1/inbox", credential=token)
    assert inbox["items"][0]["data"] == {
        "title": f"Hello {user}",
        "body": "Read me.",
        "url": "/here",
        "category": "mention",
        "priority": "high",
        "actions": [{"title": "Accept", "id": "ok"}],
        "data": {"order": 42},
    }
    marks = {"as": "read", "ids": [inbox["items"][0]["id"]]}
    ask(server, "POST", "/v1/inbox/mark", marks, credential=token)
    # Counts are asked for now and then, and when somebody comes.
    go(console, "Overview")
    go(console, "Notifications")
    expect(cells.nth(6)).to_have_text("1")
    sent.get_by_role("button", name=f"Hello {user}", exact=True).click()
    drawer = console.get_by_role("dialog", name=f"Hello {user}")
    expect(drawer).to_contain_text("Read me.")
    expect(drawer).to_contain_text('"order": 42')
    console.keyboard.press("Escape")
    retract = sent.get_by_role("button", name=f"Retract Hello {user}")
    retract.click()
    retract.click()
    expect(cells.nth(2)).to_have_text("retracted")
    expect(retract).to_have_count(0)
    expect(console.get_by_role("region", name="Notifications, as a table")).to_be_focused()
    assert ask(server, "GET", "/v1/inbox", credential=token)["items"] == []


def test_what_waits_for_its_time_is_shown_and_can_be_taken_back(
    console: Page, server: Server, topic: str
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    notify(server, {"topic": topic}, f"Later {topic}", publish_at=later.isoformat())
    go(console, "Notifications")
    waiting = row(console, f"Later {topic}")
    expect(waiting).to_contain_text("scheduled")
    surely(console, f"Retract Later {topic}")
    expect(waiting).to_have_count(0)


def test_a_slip_does_nothing(console: Page, server: Server, topic: str) -> None:
    notify(server, {"topic": topic}, f"Keep {topic}")
    go(console, "Notifications")
    button = row(console, f"Keep {topic}").get_by_role("button", name="Retract")
    button.click()
    expect(button).to_have_text("Sure?")
    console.keyboard.press("Escape")
    expect(button).to_have_text("Retract")
    expect(row(console, f"Keep {topic}")).to_contain_text("live")


def test_a_badge_is_explained(console: Page, server: Server, topic: str) -> None:
    user = topic.replace("/", "-")
    token = user_token(user)
    ids = [
        notify(server, {"users": [user]}, str(n), category="mention" if n < 6 else "news")
        for n in range(11)
    ]
    ask(server, "POST", "/v1/inbox/mark", {"as": "read", "ids": ids[:2]}, credential=token)
    ask(server, "POST", "/v1/inbox/mark", {"as": "archived", "ids": ids[2:3]}, credential=token)
    ask(server, "DELETE", f"/v1/notifications/{ids[3]}")
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    later = {"as": "snoozed", "ids": ids[4:5], "until": until}
    ask(server, "POST", "/v1/inbox/mark", later, credential=token)
    muted = {"muted": {"until": {"news": until}}}
    ask(server, "PUT", "/v1/preferences", muted, credential=token)
    # What was sent to everyone by other tests counts too, for somebody whom nobody knew.
    everyone = sum(
        topic["unread"]
        for topic in ask(server, "GET", f"/v1/users/{user}/badge/explain")["topics"]
        if topic["topic"] == "everyone"
    )
    go(console, "Why this badge")
    console.get_by_label("Whose badge").fill(user)
    console.get_by_role("button", name="Explain").click()
    expect(console.locator(".big-badge")).to_have_text(str(1 + everyone))
    expect(console.locator(".sum")).to_have_text(
        f"{11 + everyone} kept {MINUS} 1 expired, retracted or replaced {MINUS} 1 snoozed "
        f"{MINUS} 1 archived {MINUS} 2 read {MINUS} 5 muted = {1 + everyone} unread"
    )
    expect(console.get_by_text("it is the same number")).to_be_visible()
    expect(console.get_by_text(re.compile("category news until .*:"))).to_be_visible()
    own = row(console, f"users/{user}").get_by_role("cell")
    assert own.all_inner_texts() == [
        *("their own", "11", "1", "0", "1", "1", "2", "5", "1", "1"),
    ]
    console.reload()
    expect(console.locator(".big-badge")).to_have_text(str(1 + everyone))


def test_credentials_are_made_and_work(console: Page, server: Server, topic: str) -> None:
    go(console, "Credentials")
    console.get_by_label("User").fill("dora")
    console.get_by_label("May subscribe to").fill(topic)
    console.get_by_role("button", name="Issue a token").click()
    token = console.locator(".copyable-text").inner_text()
    assert ask(server, "GET", f"/v1/poll?topic={topic}", credential=token)["complete"]
    console.get_by_label("User").fill("no/body")
    console.get_by_role("button", name="Issue a token").click()
    expect(console.locator(".outcome.bad")).to_contain_text("cannot be a user's name")
    console.get_by_role("button", name="Make a key").click()
    expect(console.locator(".copyable-text")).to_have_count(2)
    key, line = console.locator(".copyable-text").all_inner_texts()
    assert key.startswith("rk_")
    assert re.fullmatch(r'api_key = \["rk_\w{8}:sha256:[0-9a-f]{64}"\]', line)
    console.get_by_role("button", name="Make a link").click()
    expect(console.locator(".copyable-text")).to_have_count(3)
    link = console.locator(".copyable-text").last.inner_text()
    other = console.context.new_page()
    other.goto(link)
    expect(other.get_by_role("heading", name="Overview")).to_be_visible()


def test_errors_are_shown_and_counted(console: Page, server: Server) -> None:
    for _ in range(3):
        httpx.get(f"{server.url}/v1/poll?topic=secret", headers={"Authorization": "Bearer a.b.c"})
    go(console, "Errors")
    refused = row(console, "/v1/poll").filter(has_text="unauthorized")
    expect(refused.get_by_role("cell").nth(3)).to_have_text(re.compile(r"[3-9]|\d\d"))
    expect(console.locator("#main")).not_to_contain_text("a.b.c")
    console.get_by_label("Show").select_option("logged")
    expect(refused).to_have_count(0)


def test_settings_are_shown_and_secrets_are_not(console: Page) -> None:
    go(console, "Settings")
    console.get_by_label("Find").fill("jwt_secret")
    expect(console.locator(".setting", has_text="Secret of people's tokens")).to_contain_text("***")
    assert SECRET not in console.content()
    console.get_by_label("Find").fill("")
    console.get_by_label("Changed only").check()
    expect(console.locator(".setting", has_text="console_attempts_per_min")).to_contain_text(
        "instead of 10"
    )
    expect(console.locator(".setting", has_text="data_depth_max")).to_have_count(0)
