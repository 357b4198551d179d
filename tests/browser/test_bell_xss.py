"""What others write is text: hostile notifications on every transport, in bell, panel and toast."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.shop import Shop, wait
from tests.integration.server import API_KEY, Server, ServerFactory
from tests.wire.xss import PAYLOADS

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]

TRANSPORTS: Final = ["websocket", "sse", "eventsource", "iframe", "longPoll", "shortPoll"]
ADDRESSES: Final = [
    *(
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        " javascript:alert(1)",
    ),
    *("data:text/html,<script>alert(1)</script>", "vbscript:x", "blob:https://x/y", "file:///x"),
    *("//[", "https://", "mailto:x@example.org", "/orders/7"),
]
# Any of these would mean that something of it ran.
WATCH: Final = """
  window.ran = [];
  for (const name of ["alert", "p"]) window[name] = (value) => ran.push(`${name} ${value}`);
"""
BELL: Final = (
    "<red-dot></red-dot><red-dot-toast></red-dot-toast>"
    '<script type="module" src="/scripts/start.js"></script>'
)
# One client with one transport, for both elements.
START: Final = """
  const { Reddot, TRANSPORT } = await import("SERVER/reddot.js");
  const token = async () => (await (await fetch("/token")).json()).token;
  const options = { server: "SERVER", token, inbox: true, shared: false };
  const client = new Reddot({ ...options, transports: [TRANSPORT] });
  for (const name of ["red-dot", "red-dot-toast"]) {
    document.querySelector(name).client = client;
  }
  client.subscribe("lines/#", () => {});
"""
FOUND: Final = """
(() => {
  const roots = [document], texts = [], links = [], tags = new Set();
  for (const root of roots) for (const one of root.querySelectorAll("*")) {
    tags.add(one.localName);
    if (one.shadowRoot) roots.push(one.shadowRoot);
    if (one.matches(".title, .body, .action, .chip")) texts.push(one.textContent);
    if (one.href && one.localName === "a") links.push(one.href);
    for (const { name } of one.attributes) if (/^on/.test(name)) links.push(name);
  }
  return { texts, links, tags: [...tags] };
})()
"""


def hostile(number: int, payload: str) -> dict[str, Any]:
    """A notification with the payload wherever the server lets it be."""
    address = ADDRESSES[number % len(ADDRESSES)]
    return {
        "title": f"{number} {payload}",
        "body": payload,
        "icon": payload if number % 2 else address,
        "url": address if number % 2 else payload,
        "actions": [{"title": payload or "x", "url": address}, {"title": "x", "id": payload}],
        "data": {"html": payload},
        "category": payload,
    }


def send(server: Server, user: str, payloads: Sequence[str]) -> list[str]:
    """Each as a notification, and as an event and a topic of its own; returns those that got in."""
    sent = []
    headers = {"authorization": f"Bearer {API_KEY}"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        for number, payload in enumerate(payloads):
            body = {"to": {"users": [user]}} | hostile(number, payload)
            # The server refuses some texts as a name or as an address; the rest may be shown.
            for field in (None, "category", "icon", "url", "actions"):
                if field:
                    body.pop(field)
                answer = client.post("/v1/notifications", content=json.dumps(body))
                if answer.is_success:
                    sent.append(payload)
                    break
            draft = {"topic": f"lines/{payload}", "event": payload, "data": payload}
            client.post("/v1/publish", content=json.dumps(draft))
            forged = {
                "topic": f"users/{user}",
                "event": "notification",
                "data": hostile(number, payload),
            }
            client.post("/v1/publish", content=json.dumps(forged | {"ephemeral": True}))
    return sent


def assert_harmless(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(FOUND)
    assert page.evaluate("ran") == []
    assert page.evaluate("policyViolations") == []
    assert all(link.startswith(("http://", "https://", "mailto:")) for link in found["links"])
    assert not set(found["tags"]) & {"object", "embed", "style", "form", "base", "math", "video"}
    return found


# In Firefox those where the browser reads in a way of its own: a socket, and a document.
@pytest.mark.parametrize(
    ("browser", "transport"),
    [
        *(("chromium", one) for one in TRANSPORTS),
        *(("firefox", one) for one in ("websocket", "iframe")),
    ],
    indirect=["browser"],
)
def test_nothing_runs(
    context: BrowserContext, shop: Shop, shared_server: ServerFactory, transport: str
) -> None:
    server = shop.serve(shared_server)
    user = f"user-{uuid.uuid4().hex}"
    context.add_init_script(WATCH)
    start = START.replace("SERVER", server.url).replace("TRANSPORT", transport)
    shop.scripts["start.js"] = start.encode()
    shop.body = BELL
    # A picture may come from anywhere; that a host is not there is no violation.
    shop.images = "data: http: https:"
    page = context.new_page()
    page.goto(f"{shop.url}/?user={user}")
    wait(page, "document.querySelector('red-dot').connected")
    sent = send(server, user, PAYLOADS)
    assert len(sent) == len(PAYLOADS) >= 60
    expect(page.locator(".toast")).to_have_count(3)
    assert_harmless(page)
    page.locator("button.bell").click()
    for _ in range(20):
        if page.get_by_text("You're all caught up").count():
            break
        page.locator(".list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        page.wait_for_timeout(150)
    rows = page.locator("article")
    expect(rows).to_have_count(len(sent))
    found = assert_harmless(page)
    for payload in sent:
        assert any(text.endswith(f" {payload}") for text in found["texts"]), payload
