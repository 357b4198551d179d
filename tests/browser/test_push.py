"""Web Push in real browsers: through the real service worker to a notification, and back to "read".

Firefox subscribes with a push service of ours, and decrypts by itself what the courier has sent.
Debian's Chromium has no push service; what it takes for a push comes over the DevTools protocol.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Playwright, Worker

from reddot.couriers.vapid import Vapid
from reddot.couriers.web_push import WebPush
from reddot.delivery import Message, Parcel, Verdict
from reddot.net.outbound import Guard, Outbound
from reddot.system import SystemClock
from tests.browser.conftest import ENGINES, PATHS
from tests.browser.push_pages import (
    CLICKED,
    KEYED,
    NAMED,
    SHOWN,
    SOON_S,
    VAPID_KEY,
    PushApi,
    load,
    notify,
    start,
    unread,
    wait,
    wait_shown,
)
from tests.browser.push_service import OK, PushService, push_service
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def server(shared_server: ServerFactory) -> Server:
    return shared_server(jwt_secret=SECRET, api_key=API_KEY)


@pytest.fixture
def api() -> PushApi:
    return PushApi()


# ---- Firefox: end to end ----


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    with push_service() as running:
        yield running


@pytest.fixture(scope="module")
def firefox(playwright: Playwright, service: PushService) -> Iterator[Browser]:
    """Its push service is ours, nobody is asked, and the desktop has no part in it."""
    if "firefox" not in ENGINES or not PATHS["firefox"].exists():
        pytest.skip(f"no {PATHS['firefox']}")
    launched = playwright.firefox.launch(
        executable_path=PATHS["firefox"],
        channel="moz-firefox",
        firefox_user_prefs={
            "alerts.useSystemBackend": False,
            "dom.push.connection.enabled": True,
            "dom.push.serverURL": service.url,
            "dom.push.testing.allowInsecureServerURL": True,
            "dom.webnotifications.requireuserinteraction": False,
            "permissions.default.desktop-notification": 1,
        },
    )
    yield launched
    launched.close()


UNREGISTER: Final = """
async () => {
  for (const one of await navigator.serviceWorker.getRegistrations()) await one.unregister();
}
"""


@pytest.fixture
def fox(firefox: Browser) -> Iterator[Page]:
    context = firefox.new_context()
    page = context.new_page()
    yield page
    page.evaluate(UNREGISTER)
    context.close()


FIRST: Final = Message(id="n1", title="Grüß Gott", body="赌博?", collapse_key="k")


def send(subscription: dict[str, Any], message: Message, unread: int = 0) -> Verdict:
    """By the courier itself; not in this thread, where the browser's loop runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _send(subscription, message, unread)).result()


async def _send(subscription: dict[str, Any], message: Message, unread: int) -> Verdict:
    clock = SystemClock()
    courier = WebPush(
        outbound=Outbound(Guard(["127.0.0.0/8"]), timeout_s=5, answer_bytes_max=4096),
        vapid=Vapid(VAPID_KEY, subject="mailto:ops@example.com", clock=clock),
        clock=clock,
    )
    parcel = Parcel(
        id=f"d-{message.id}",
        user="42",
        address=courier.check(subscription),
        message=message,
        unread=unread,
    )
    try:
        return (await courier.send(parcel)).verdict
    finally:
        await courier.aclose()


def test_from_a_subscription_to_a_notification(
    fox: Page, server: Server, service: PushService, api: PushApi, topic: str
) -> None:
    start(fox, server, topic, api)
    assert fox.evaluate("push.state()") == "off"
    fox.evaluate("push.enable()")
    fox.evaluate("push.enable()")
    assert fox.evaluate("push.state()") == "on"
    (channel,) = service.channels.values()
    assert channel.key == api.key
    before = len(service.acks)
    assert send(api.only, FIRST) is Verdict.SENT
    (shown,) = wait_shown(fox, 1)
    assert (shown["title"], shown["body"], shown["tag"]) == ("Grüß Gott", "赌博?", "k")
    assert shown["data"]["id"] == "n1"
    assert list(service.acks.values())[before:] == [OK]
    # The successor takes its place.
    send(api.only, Message(id="n2", title="Servus", collapse_key="k"))
    wait_until_shown(fox, "Servus")
    assert len(wait_shown(fox, 1)) == 1


def wait_until_shown(page: Page, title: str) -> None:
    until = time.monotonic() + SOON_S
    while title not in [one["title"] for one in page.evaluate(SHOWN)]:
        assert time.monotonic() < until, page.evaluate(SHOWN)
        page.wait_for_timeout(20)


def test_disabled_there_is_nobody_to_send_to(
    fox: Page, server: Server, service: PushService, api: PushApi, topic: str
) -> None:
    start(fox, server, topic, api)
    fox.evaluate("push.enable()")
    subscription = api.only
    send(subscription, FIRST)
    wait_shown(fox, 1)
    fox.evaluate("push.disable()")
    assert fox.evaluate("push.state()") == "off"
    assert not api.subscriptions
    wait_shown(fox, 0)
    until = time.monotonic() + SOON_S
    while send(subscription, FIRST) is not Verdict.GONE:
        assert time.monotonic() < until
        time.sleep(0.05)
    fox.evaluate("push.disable()")


def test_a_new_key_of_the_server_is_a_new_subscription(
    fox: Page, server: Server, service: PushService, api: PushApi, topic: str
) -> None:
    start(fox, server, topic, api)
    fox.evaluate("push.enable()")
    old = api.only["endpoint"]
    api.change_key()
    day = """localStorage["reddot push"] = JSON.stringify(
        { ...JSON.parse(localStorage["reddot push"]), at: Date.now() - 86_400_000 })"""
    fox.evaluate(day)
    load(fox, server, topic)
    wait(fox, f"JSON.parse(localStorage['reddot push']).endpoint !== {json.dumps(old)}")
    new = fox.evaluate("JSON.parse(localStorage['reddot push']).endpoint")
    assert new in api.subscriptions
    assert service.channels[new.rpartition("/")[2]].key == api.key


def test_what_cannot_be_decrypted_is_not_shown(
    fox: Page, server: Server, service: PushService, api: PushApi, topic: str
) -> None:
    start(fox, server, topic, api)
    fox.evaluate("push.enable()")
    before = len(service.acks)
    forged = api.only | {"keys": {**api.only["keys"], "auth": "A" * 22}}
    assert send(forged, FIRST) is Verdict.SENT
    until = time.monotonic() + SOON_S
    while len(service.acks) == before:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert list(service.acks.values())[-1] != OK
    assert fox.evaluate(SHOWN) == []


def test_what_is_read_elsewhere_is_taken_away(
    fox: Page, server: Server, api: PushApi, topic: str
) -> None:
    start(fox, server, topic, api, live=True)
    fox.evaluate("client.enablePush()")
    first, second = notify(server, topic, "first"), notify(server, topic, "second")
    wait(fox, "client.inbox.badge?.unread === 2")
    now = int(time.time() * 1000)
    fox.evaluate("client.close()")
    for id, title in ((first, "first"), (second, "second")):
        send(api.only, Message(id=id, title=title, time_ms=now), unread=2)
    wait_shown(fox, 2)
    load(fox, server, topic, live=True)
    mark = {"ids": [first], "as": "read"}
    headers = {"authorization": f"Bearer {user_token(topic)}"}
    httpx.post(f"{server.url}/v1/inbox/mark", json=mark, headers=headers).raise_for_status()
    assert [one["title"] for one in wait_shown(fox, 1)] == ["second"]
    httpx.post(f"{server.url}/v1/inbox/mark", json=mark | {"ids": [second]}, headers=headers)
    wait_shown(fox, 0)


def test_somebody_else_does_not_see_what_is_for_the_one_before(
    fox: Page, server: Server, api: PushApi, topic: str
) -> None:
    start(fox, server, topic, api)
    fox.evaluate("push.enable()")
    send(api.only, FIRST)
    wait_shown(fox, 1)
    load(fox, server, topic + "-other")
    wait(fox, "!localStorage['reddot push']")
    wait_shown(fox, 0)
    assert fox.evaluate("push.state()") == "off"
    until = time.monotonic() + SOON_S
    while send(api.only, FIRST) is not Verdict.GONE:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_from_a_notification_of_the_server_to_one_of_the_browser(
    fox: Page, shared_server: ServerFactory, topic: str
) -> None:
    """Rules, queue, courier and API are the server's; only the push service is the test's."""
    server = shared_server(
        jwt_secret=SECRET,
        api_key=API_KEY,
        couriers='{"web_push":{"type":"web_push","subject":"mailto:ops@example.com"}}',
        deliveries='[{"couriers":[{"courier":"web_push"}]}]',
        outbound_allowed="127.0.0.0/8",
    )
    fox.goto(f"{server.url}/livez")
    fox.evaluate(NAMED, user_token(topic))
    assert fox.evaluate("loaded()") == [], "who does not want it does not load it"
    fox.evaluate("client.enablePush()")
    script = fox.evaluate("loaded().find((name) => name.includes('reddot-push.js'))")
    assert "reddot-push.js?v=sha384-" in script
    id = notify(server, topic, "You have mail")
    (shown,) = wait_shown(fox, 1)
    assert (shown["title"], shown["data"]["id"]) == ("You have mail", id)
    address = f"{server.url}/v1/notifications/{id}/deliveries"
    (delivery,) = httpx.get(address, headers=KEYED).json()["items"]
    assert (delivery["state"], delivery["clicked"]) == ("sent", None)
    fox.evaluate(CLICKED, [id, topic])
    fox.goto(f"{server.url}/livez")
    fox.evaluate(NAMED, user_token(topic))
    until = time.monotonic() + SOON_S
    while not httpx.get(address, headers=KEYED).json()["items"][0]["clicked"]:
        assert time.monotonic() < until, fox.evaluate("errors")
        time.sleep(0.05)
    assert unread(server, topic) == 0
    fox.evaluate("client.disablePush()")
    assert fox.evaluate("client.pushState()") == "off"
    fox.evaluate("client.enablePush()")
    assert fox.evaluate("client.pushState()") == "on"


# ---- Chromium: the worker's events ----


@pytest.fixture(scope="module")
def chrome(playwright: Playwright) -> Iterator[Browser]:
    if "chromium" not in ENGINES or not PATHS["chromium"].exists():
        pytest.skip(f"no {PATHS['chromium']}")
    launched = playwright.chromium.launch(executable_path=PATHS["chromium"], chromium_sandbox=False)
    yield launched
    launched.close()


class Chrome:
    """A page whose service worker can be handed pushes and clicks."""

    def __init__(self, context: BrowserContext, server: Server, user: str, api: PushApi) -> None:
        context.grant_permissions(["notifications"], origin=server.url)
        self.server, self.user, self.page = server, user, context.new_page()
        # Nobody to subscribe with: the real worker, and a subscription that leads nowhere.
        self.page.add_init_script(NO_SERVICE)
        start(self.page, server, user, api)
        with context.expect_event("serviceworker") as found:
            self.page.evaluate("push.enable()")
        self.worker: Worker = found.value
        self.page.wait_for_function(
            "async () => (await navigator.serviceWorker.ready).active.state === 'activated'"
        )
        self._devtools: CDPSession = context.new_cdp_session(self.page)
        registrations: list[dict[str, Any]] = []
        self._devtools.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: registrations.extend(event["registrations"]),
        )
        self._devtools.send("ServiceWorker.enable")
        until = time.monotonic() + SOON_S
        while not registrations:
            assert time.monotonic() < until
            self.page.wait_for_timeout(10)
        self._id = registrations[0]["registrationId"]
        self.worker.evaluate(SPIES)

    def push(self, message: object, *, shown: bool = True) -> None:
        """Hand the worker a push, and wait until it has shown it.

        Whoever asks Chromium for its notifications while it shows one takes that one away.
        """
        data = message if isinstance(message, str) else json.dumps(message)
        wanted = self.worker.evaluate("handled") + shown
        self._devtools.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": self.server.url, "registrationId": self._id, "data": data},
        )
        until = time.monotonic() + SOON_S
        while self.worker.evaluate("handled") < wanted:
            assert time.monotonic() < until
            self.page.wait_for_timeout(20)
        self.page.wait_for_timeout(100)

    def click(self, action: str = "") -> None:
        """A click on the notification that is shown last, as the browser reports it."""
        self.worker.evaluate(CLICK, action)


NO_SERVICE: Final = """
PushManager.prototype.subscribe = async function (options) {
  const keys = { p256dh: "x", auth: "y" };
  const made = { endpoint: "https://push.test/1", options, unsubscribe: async () => true };
  made.toJSON = () => ({ endpoint: made.endpoint, keys });
  PushManager.prototype.getSubscription = async () => made;
  return made;
};
"""
# A tab cannot be opened, or focused, without somebody who clicks.
SPIES: Final = """
Object.assign(self, { badges: [], opened: [], handled: 0 });
const { showNotification } = ServiceWorkerRegistration.prototype;
ServiceWorkerRegistration.prototype.showNotification = async function (...what) {
  await showNotification.apply(this, what);
  handled += 1;
};
WorkerNavigator.prototype.setAppBadge = async (unread) => void badges.push(unread);
Clients.prototype.openWindow = async (url) => void opened.push(url);
WindowClient.prototype.focus = async function () { opened.push(`focus ${this.url}`); };
0;
"""
MORE: Final = """
async () => {
  const [{ actions, icon, requireInteraction, renotify }] = await registration.getNotifications();
  return { actions: actions.map(({ title }) => title), icon, requireInteraction, renotify };
}
"""
CLICK: Final = """
async (action) => {
  const notification = (await registration.getNotifications()).at(-1);
  dispatchEvent(new NotificationEvent("notificationclick", { notification, action }));
}
"""


@pytest.fixture
def chromium(chrome: Browser, server: Server, api: PushApi, topic: str) -> Iterator[Chrome]:
    context = chrome.new_context()
    yield Chrome(context, server, topic, api)
    context.close()


def test_a_push_is_shown_once_with_all_it_has(chromium: Chrome) -> None:
    message = {
        "id": "n1",
        "title": "Ann mentioned you",
        "body": "in Kitchen",
        "url": "/rooms/7",
        "icon": "javascript:alert(1)",
        "tag": "rooms/7",
        "priority": "urgent",
        "unread": 3,
        "actions": [{"title": "Reply", "url": "/rooms/7#r"}, {"title": "Later", "id": "later"}],
    }
    chromium.push(message)
    (shown,) = wait_shown(chromium.page, 1)
    assert (shown["title"], shown["body"], shown["tag"]) == (
        "Ann mentioned you",
        "in Kitchen",
        "rooms/7",
    )
    more = chromium.worker.evaluate(MORE)
    assert more == {
        "actions": ["Reply", "Later"],
        "icon": "",
        "requireInteraction": True,
        "renotify": True,
    }
    assert chromium.worker.evaluate("badges") == [3]
    # A courier that is not sure sends again; nobody is alarmed again.
    chromium.push(message)
    assert len(wait_shown(chromium.page, 1)) == 1
    silent = "registration.getNotifications().then(([{ silent }]) => silent)"
    assert chromium.worker.evaluate(silent) is True


@pytest.mark.parametrize("message", ["", "no JSON", "null", "[]", '{"title":5,"actions":7}'])
def test_a_push_that_makes_no_sense_is_shown_as_something(chromium: Chrome, message: str) -> None:
    chromium.push(message)
    (shown,) = wait_shown(chromium.page, 1)
    assert shown["title"]


def test_what_is_stale_goes_when_a_push_says_so(chromium: Chrome) -> None:
    chromium.push({"id": "n1", "title": "one", "unread": 1})
    chromium.push({"id": "n2", "title": "two", "unread": 2})
    wait_shown(chromium.page, 2)
    chromium.push({"id": "n3", "title": "three", "unread": 1})
    assert [one["title"] for one in wait_shown(chromium.page, 1)] == ["three"]


@pytest.mark.parametrize(
    ("url", "actions", "action", "opened"),
    [
        ("/rooms/7?x=1", [], "", "{server}/rooms/7?x=1"),
        ("https://elsewhere.test/a", [], "", "https://elsewhere.test/a"),
        ("javascript:alert(1)", [], "", "focus {server}/livez"),
        ("/livez", [], "", "focus {server}/livez"),
        ("", [], "", "focus {server}/livez"),
        ("/a", [{"title": "b", "url": "/b"}], "0", "{server}/b"),
        ("/a", [{"title": "b", "id": "later"}], "0", "focus {server}/livez"),
        ("/a", [], "9", "{server}/a"),
    ],
)
def test_a_click_opens_what_it_should_and_marks_as_read(
    chromium: Chrome, url: str, actions: list[dict[str, str]], action: str, opened: str
) -> None:
    id = notify(chromium.server, chromium.user, "hello")
    assert unread(chromium.server, chromium.user) == 1
    chromium.push({"id": id, "title": "hello", "url": url, "actions": actions, "data": {"a": 1}})
    wait_shown(chromium.page, 1)
    chromium.click(action)
    wait(chromium.page, "clicks.length === 1")
    assert chromium.worker.evaluate("opened") == [opened.format(server=chromium.server.url)]
    wait_shown(chromium.page, 0)
    name = actions[int(action)].get("id") if actions else None
    said = {"id": id, "data": {"a": 1}} | ({"action": name} if name else {})
    assert {k: v for k, v in chromium.page.evaluate("clicks")[0].items() if v} == said
    until = time.monotonic() + SOON_S
    while unread(chromium.server, chromium.user):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_click_without_a_page_is_marked_by_the_next_one(chromium: Chrome, topic: str) -> None:
    id = notify(chromium.server, topic, "hello")
    chromium.push({"id": id, "title": "hello"})
    wait_shown(chromium.page, 1)
    chromium.page.evaluate("push.stop(); client.close()")
    chromium.click()
    wait_shown(chromium.page, 0)
    assert unread(chromium.server, topic) == 1
    # Not by somebody else's: that one is not even asked.
    pending = "caches.open('reddot-push').then((c) => c.keys()).then((all) => all.length)"
    assert chromium.page.evaluate(pending) == 2
    load(chromium.page, chromium.server, topic)
    wait(chromium.page, f"{pending}.then((left) => left === 1)")
    assert unread(chromium.server, topic) == 0


def test_a_page_that_is_looked_at_shows_it_itself(
    chromium: Chrome, server: Server, topic: str
) -> None:
    load(chromium.page, server, topic, live=True)
    wait(chromium.page, "client.state === 'live'")
    chromium.page.bring_to_front()
    chromium.push({"id": "n1", "title": "hello", "unread": 1}, shown=False)
    chromium.push({"id": "n2", "title": "hello", "unread": 2}, shown=False)
    until = time.monotonic() + SOON_S
    while chromium.worker.evaluate("badges") != [1, 2]:
        assert time.monotonic() < until
        chromium.page.wait_for_timeout(20)
    chromium.page.wait_for_timeout(700)
    assert chromium.worker.evaluate("handled") == 0
