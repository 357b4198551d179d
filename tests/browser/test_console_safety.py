"""The console under attack, and for everybody: other sites, hostile texts, keyboards, widths."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from tests.browser.axe import violations
from tests.browser.consoles import Listener, ask, console, go, notify, row, server, sign_in
from tests.integration.server import API_KEY, Server
from tests.wire.xss import PAYLOADS

__all__ = ["console", "server"]


pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]

ATTACK: Final = """
<!doctype html><meta charset=utf-8><title>evil</title>
<form method=post enctype=text/plain target=sink action="SERVER/v1/publish">
  <input name='{"topic":"TOPIC","data":"' value='"}'></form>
<form method=post target=sink action="SERVER/v1/users/anna/disconnect"></form>
<iframe name=sink></iframe><iframe id=frame src="SERVER/console"></iframe>
"""
FETCHES: Final = """async ([server, topic]) => {
  const own = { "Reddot-Console": "1" };
  const body = JSON.stringify({ topic, data: 1 });
  const attempts = [
    ["/v1/publish", { method: "POST", mode: "no-cors", body }],
    ["/v1/publish", { method: "POST", body, headers: own }],
    ["/v1/console/session", { method: "DELETE" }],
    ["/v1/console/session", { method: "POST", mode: "no-cors", body: "{}" }],
    ["/v1/stats", { headers: own }],
  ];
  const results = [];
  for (const [path, options] of attempts) {
    try {
      results.push((await fetch(server + path, { credentials: "include", ...options })).status);
    } catch {
      results.push("blocked");
    }
  }
  return results;
}"""


@contextmanager
def serving(html: str) -> Iterator[str]:
    """A page of another site than 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://localhost:{site.server_port}/"
        site.shutdown()


def sections(page: Page) -> list[str]:
    """All that there are, so that a new one is under these tests too."""
    names = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert len(names) >= 9
    return names


@pytest.fixture
def harassed(browser: Browser) -> Iterator[BrowserContext]:
    """A profile in which policies may be broken: that they hold is what is shown."""
    context = browser.new_context()
    yield context
    context.close()


def test_no_other_site_does_anything_with_the_session(
    harassed: BrowserContext, server: Server, topic: str
) -> None:
    """A page of another site, in the browser that is signed in: form, fetch, frame."""
    console = sign_in(harassed, server)
    with (
        Listener(server, "anna", topic) as stream,
        serving(ATTACK.replace("SERVER", server.url).replace("TOPIC", topic)) as address,
    ):
        evil = harassed.new_page()
        evil.goto(address)
        evil.evaluate("for (const form of document.forms) form.submit()")
        results = evil.evaluate(FETCHES, [server.url, topic])
        assert set(results) <= {0, "blocked"}, results  # 0: sent, and the answer is not shown.
        evil.wait_for_timeout(500)
        # `frame-ancestors`: what is in the frame is not the console.
        assert evil.locator("#frame").content_frame.locator("#door").count() == 0
        evil.close()
        assert ask(server, "GET", f"/v1/topics?prefix={topic}")["items"] == []
        assert ask(server, "GET", f"/v1/sessions?topic={topic}")["count"] == 1
        assert stream.is_open()
    console.reload()
    expect(console.get_by_role("heading", name="Overview")).to_be_visible()


# ---- hostile texts ----


def plant(server: Server, topic: str) -> str:
    """Every payload wherever the console shows a text; returns a user who has got all of it."""
    user = topic
    for number, payload in enumerate(PAYLOADS):
        body = {
            "to": {"users": [user]},
            "title": payload.replace("\n", " ") or "-",
            "body": payload,
            "category": payload,
            "data": payload,
            "url": "javascript:alert(1)",
        }
        headers = {"Authorization": f"Bearer {API_KEY}"}
        publication = {"topic": f"{topic}/{payload}", "data": payload, "event": payload}
        with httpx.Client(base_url=server.url, headers=headers) as client:
            if client.post("/v1/notifications", json=body).is_error:
                # Some are no category, some no title: then what is left of them.
                harmless = body | {"category": f"c{number % 50}", "title": f"{number} {payload}"}
                client.post("/v1/notifications", json=harmless)
            if client.post("/v1/publish", json=publication).is_error:
                client.post("/v1/publish", json={"topic": topic, "data": payload})
            client.post("/v1/publish", json={"topic": f"{topic}/#{payload}", "data": 1})
            client.get(f"/v1/users/{quote(payload, safe='')}/badge/explain")
            client.get(f"/v1/topics/{quote(payload, safe='')}/history")
    return user


def hostile_users(server: Server, topic: str) -> Iterator[Listener]:
    for payload in PAYLOADS:
        if not set("/+#") & set(payload) and payload.isprintable():
            yield Listener(server, payload, topic)


def test_hostile_texts_are_only_texts(console: Page, server: Server, topic: str) -> None:
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    console.on("dialog", note)
    user = plant(server, topic)
    streams = list(hostile_users(server, topic))
    assert len(streams) > 20
    for section in sections(console):
        go(console, section)
        console.wait_for_timeout(300)
        check_clean(console)
    go(console, "Sessions")
    console.get_by_label("Hears the topic").fill(topic)
    expect(row(console, "<img src=x onerror=alert(1)>")).to_be_visible()
    go(console, "Topics")
    console.get_by_label("Begins with").fill(topic)
    expect(row(console, f"{topic}/<img src=x onerror=alert(1)>")).to_be_visible()
    console.get_by_role("button", name=topic, exact=True).click()
    expect(console.get_by_role("dialog").get_by_role("listitem").first).to_be_visible()
    check_clean(console)
    console.keyboard.press("Escape")
    go(console, "Notifications")
    for _ in range(3):
        console.locator("tbody .link").first.click()
        check_clean(console)
        console.keyboard.press("Escape")
        console.get_by_role("button", name="Older").click()
        console.wait_for_timeout(200)
    go(console, "Why this badge")
    for name in (user, "<img src=x onerror=alert(1)>"):
        console.get_by_label("Whose badge").fill(name)
        console.get_by_role("button", name="Explain").click()
        expect(console.locator(".verdict-badge")).to_contain_text(name)
        check_clean(console)
    assert dialogs == []
    for stream in streams:
        stream.close()


def check_clean(page: Page) -> None:
    """Nothing came to be that the console does not make; and see `context` for the policy."""
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    foreign = (
        "img, iframe, object, embed, video, math, base, marquee, template, style, meta[http-equiv]"
    )
    assert page.evaluate(f"document.querySelectorAll('{foreign}').length") == 0
    links = page.evaluate("[...document.links].map((a) => a.getAttribute('href'))")
    assert all(link.startswith("#") for link in links), links


def test_markup_cannot_even_be_set(harassed: BrowserContext, server: Server) -> None:
    """The page asks for Trusted Types and makes none."""
    console = sign_in(harassed, server)
    try_it = """() => {
      try { document.body.innerHTML = "<img src=x onerror=alert(1)>"; return "set" }
      catch (error) { return error.name }
    }"""
    assert console.evaluate(try_it) == "TypeError"


# ---- for everybody ----


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    context: BrowserContext, console: Page, server: Server, scheme: str
) -> None:
    console.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    notify(server, {"users": ["axel"]}, "Hello axel")
    ask(server, "POST", "/v1/publish", {"topic": "axe", "data": {"n": 1}})
    httpx.get(f"{server.url}/v1/stats")
    with Listener(server, "axel", "axe"):
        for section in sections(console):
            go(console, section)
            if section == "Why this badge":
                console.get_by_label("Whose badge").fill("axel")
                console.get_by_role("button", name="Explain").click()
                expect(console.locator(".verdict")).to_be_visible()
            if section == "Credentials":
                console.get_by_role("button", name="Make a key").click()
            console.wait_for_timeout(250)
            assert violations(console) == [], section
            if section == "Topics":
                console.get_by_role("button", name="axe", exact=True).click()
                expect(console.get_by_role("dialog").get_by_role("listitem").first).to_be_visible()
                assert violations(console) == [], "drawer"
                console.keyboard.press("Escape")
    console.get_by_role("button", name="Sign out").click()
    expect(console.get_by_role("heading", name="Sign in")).to_be_visible()
    assert violations(console) == [], "door"


def test_no_width_scrolls_sideways(console: Page) -> None:
    for section in sections(console):
        go(console, section)
        for width in (320, 390, 768, 1100, 1600):
            console.set_viewport_size({"width": width, "height": 800})
            fits = console.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert fits, f"{section} at {width}"


def test_sections_are_reached_by_keyboard_and_told(console: Page) -> None:
    console.evaluate("document.activeElement.blur()")
    console.keyboard.press("Tab")
    expect(console.get_by_role("link", name="Skip to the page")).to_be_focused()
    for name in sections(console)[:2]:
        console.keyboard.press("Tab")
        expect(console.get_by_role("link", name=name)).to_be_focused()
    console.keyboard.press("Enter")
    heading = console.get_by_role("heading", name="Sessions", level=1)
    expect(heading).to_be_focused()
    expect(console).to_have_title("Sessions · Reddot console")
    expect(console.get_by_role("link", name="Sessions")).to_have_attribute("aria-current", "page")
    console.get_by_role("link", name="Skip to the page").focus()
    console.keyboard.press("Enter")
    expect(console.locator("#main")).to_be_focused()
    expect(heading).to_be_visible()
    console.evaluate("history.back()")  # Firefox's driver waits for a load that does not come.
    expect(console.get_by_role("heading", name="Overview")).to_be_focused()
