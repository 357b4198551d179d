"""Pages of tests that push, and what they are asked."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import httpx
from playwright.sync_api import Page

from reddot.couriers.vapid import VapidKey
from tests.integration.server import API_KEY, Server
from tests.integration.tokens import user_token

SOON_S: Final = 15.0
KEYED: Final = {"authorization": f"Bearer {API_KEY}"}
VAPID_KEY: Final = VapidKey.make()


START: Final = """
async ([token, live]) => {
  const { Client, Reddot } = await import("/reddot.js");
  const options = { token: () => token, shared: false };
  const client = live ? new Reddot(options) : new Client({ ...options, inbox: false });
  const { Push } = live ? {} : await import("/reddot-push.js");
  Object.assign(window, { client, push: Push && new Push(client), clicks: [], errors: [] });
  client.on("push", (click) => clicks.push(click));
  client.on("error", (error) => errors.push(String(error)));
}
"""
# As the documentation has it: nothing is imported but the client.
NAMED: Final = """
async (token) => {
  const { Reddot } = await import("/reddot.js");
  const client = new Reddot({ token: () => token, inbox: false });
  const names = () => performance.getEntriesByType("resource").map(({ name }) => name);
  const loaded = () => names().filter((name) => name.includes("push"));
  Object.assign(window, { client, loaded, errors: [] });
  client.on("error", (error) => errors.push(String(error)));
}
"""
SHOWN: Final = """
async () => {
  const registration = await navigator.serviceWorker.getRegistration("/");
  const shown = await registration.getNotifications();
  return shown.map(({ title, body, tag, data }) => ({ title, body, tag, data }));
}
"""


# What the service worker leaves for the next page: nobody can click a notification of Firefox.
CLICKED: Final = """
async ([id, user]) => {
  const cache = await caches.open("reddot-push");
  await cache.put(`/reddot-push/read/${encodeURIComponent(id)}`, new Response(user));
}
"""

# What the server says and keeps of subscriptions, in the page: Firefox tells nobody what it posts.
PUSH_API: Final = """
const ask = fetch;
globalThis.fetch = async (url, init) => {
  const path = new URL(url, location.href).pathname;
  if (!path.startsWith("/v1/push/")) return ask(url, init);
  if (!init.headers.authorization?.startsWith("Bearer ")) return new Response("", { status: 401 });
  if (path.endsWith("/key")) return Response.json({ key: localStorage["test key"] });
  const kept = JSON.parse(localStorage["test subscriptions"] ?? "{}");
  if (path.endsWith("/clicks")) return new Response(null, { status: 204 });
  const body = JSON.parse(init.body);
  if (init.method === "DELETE") delete kept[body.endpoint];
  else kept[body.endpoint] = body;
  localStorage["test subscriptions"] = JSON.stringify(kept);
  return new Response(null, { status: 204 });
};
"""


class PushApi:
    """What the server says and keeps of the browser's subscriptions."""

    def __init__(self) -> None:
        self.key = VAPID_KEY.public
        self.page: Page | None = None

    def change_key(self) -> None:
        assert self.page is not None
        self.key = VapidKey.make().public
        self.page.evaluate("(key) => localStorage['test key'] = key", self.key)

    @property
    def subscriptions(self) -> dict[str, dict[str, Any]]:
        assert self.page is not None
        kept: str = self.page.evaluate("localStorage['test subscriptions'] ?? '{}'")
        return dict(json.loads(kept))

    @property
    def only(self) -> dict[str, Any]:
        (subscription,) = self.subscriptions.values()
        return subscription


def start(page: Page, server: Server, user: str, api: PushApi, *, live: bool = False) -> None:
    page.add_init_script(PUSH_API)
    page.goto(f"{server.url}/livez")
    api.page = page
    page.evaluate("(key) => localStorage['test key'] = key", api.key)
    load(page, server, user, live=live)


def load(page: Page, server: Server, user: str, *, live: bool = False) -> None:
    page.goto(f"{server.url}/livez")
    page.evaluate(START, [user_token(user), live])


def wait(page: Page, condition: str) -> None:
    until = time.monotonic() + SOON_S
    while not page.evaluate(condition):
        assert time.monotonic() < until, f"{condition} is not true: {page.evaluate('errors')}"
        page.wait_for_timeout(20)


def wait_shown(page: Page, count: int) -> list[dict[str, Any]]:
    until = time.monotonic() + SOON_S
    while len(shown := list[dict[str, Any]](page.evaluate(SHOWN))) != count:
        assert time.monotonic() < until, shown
        page.wait_for_timeout(20)
    return shown


def notify(server: Server, user: str, title: str) -> str:
    body = {"to": {"users": [user]}, "title": title}
    answer = httpx.post(f"{server.url}/v1/notifications", json=body, headers=KEYED)
    return str(answer.raise_for_status().json()["id"])


def unread(server: Server, user: str) -> int:
    headers = {"authorization": f"Bearer {user_token(user)}"}
    return int(httpx.get(f"{server.url}/v1/badge", headers=headers).json()["unread"])
