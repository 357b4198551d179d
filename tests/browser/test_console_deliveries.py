"""What the console shows of campaigns and deliveries; the provider is a real HTTP server."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.axe import violations
from tests.browser.consoles import ask, go, notify, row, sign_in, surely
from tests.browser.test_console_safety import check_clean
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]

KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOSTILE: Final = "<img src=x onerror=alert(1)>"
PLANS: Final = [
    {"categories": ["slow"], "couriers": [{"courier": "hook"}], "per_second": 2},
    {"categories": ["read"], "couriers": [{"courier": "hook"}], "keywords": ["prize"]},
    {"categories": ["wait"], "couriers": [{"courier": "hook", "after": "1h"}]},
    {"couriers": [{"courier": "hook", "after": 1}]},
]


class Provider(ThreadingHTTPServer):
    """Attributes:
    refused: whom it answers 400, with words of its own; accepted: whom it has reached, in order;
    accepted_max: whoever comes after so many waits until `open` is set; waits: somebody does.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.refused: set[str] = set()
        self.accepted: list[str] = []
        self.accepted_max = 0
        self.waits = threading.Event()
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Hook(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        user = body["data"]["user"]
        if len(self.server.accepted) >= self.server.accepted_max:
            self.server.waits.set()
            self.server.open.wait(60)
        said = f"no such number {HOSTILE}".encode() if user in self.server.refused else b""
        if not said:
            self.server.accepted.append(user)
        self.send_response(400 if said else 200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is to be said."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running
        running.shutdown()


@pytest.fixture
def busy(provider: Provider) -> Iterator[threading.Event]:
    """The provider takes three more, and goes on when this event is set: no page is too late."""
    provider.accepted_max = len(provider.accepted) + 3
    provider.waits.clear()
    provider.open.clear()
    yield provider.open
    provider.open.set()


@pytest.fixture
def server(shared_server: ServerFactory, provider: Provider) -> Server:
    hook = {
        "type": "webhook",
        "keys": [KEY],
        "url": f"http://127.0.0.1:{provider.server_address[1]}/",
    }
    return shared_server(
        jwt_secret=SECRET,
        api_key=API_KEY,
        console_attempts_per_min=1000,
        couriers=json.dumps({"hook": hook}),
        deliveries=json.dumps(PLANS),
        outbound_allowed="127.0.0.1",
        delivery_concurrency_max=1,  # So that a paused campaign has one in hand at most.
    )


@pytest.fixture
def console(context: BrowserContext, server: Server) -> Page:
    return sign_in(context, server)


def people(server: Server, group: str, count: int) -> list[str]:
    """Somebody the courier finds, and segments too: `group = '…'`."""
    users = [f"{group}-{number}" for number in range(count)]
    for user in users:
        ask(server, "PUT", f"/v1/users/{user}/addresses/hook", user)
        ask(server, "PUT", f"/v1/users/{user}/attributes", {"group": group})
    return users


@pytest.fixture
def group(topic: str) -> str:
    return topic.replace("/", "-")


def test_a_campaign_is_counted_watched_paused_and_ended(
    console: Page, server: Server, provider: Provider, group: str, busy: threading.Event
) -> None:
    users = people(server, group, 12)
    go(console, "Campaigns")
    console.get_by_role("button", name="New campaign").click()
    form = console.get_by_role("form", name="New campaign")
    expect(form.get_by_label("To", exact=True)).to_be_focused()
    form.get_by_label("Whom").fill(f"group = '{group}")
    form.get_by_label("Title").fill(f"Sale {group}")
    form.get_by_label("Category").fill("slow")
    form.get_by_role("button", name="Count and check").click()
    expect(console.locator(".outcome.bad")).to_contain_text("Not done.")
    form.get_by_label("Whom").fill(f"group = '{group}'")
    expect(console.locator(".outcome")).to_be_hidden()
    form.get_by_role("button", name="Count and check").click()
    checked = console.locator(".outcome.good")
    expect(checked).to_contain_text("To 12 people, as of now; starts at once.")
    expect(checked).to_contain_text("Inboxes, then hook at once.")
    expect(console.get_by_role("button", name="Begin")).to_be_focused()
    assert not any(one["title"] == f"Sale {group}" for one in campaigns(server))
    console.keyboard.press("Enter")
    expect(console.get_by_role("heading", name=f"Sale {group}")).to_be_visible()
    bar = console.get_by_role("img", name="Progress: 3 of 12")
    expect(bar).to_be_visible(timeout=30_000)
    wait_for(console, provider.waits.is_set)
    console.get_by_role("button", name=f"Pause Sale {group}").click()
    state = console.get_by_role("region", name="Campaign", exact=True).locator(".state")
    expect(state).to_have_text("paused")
    busy.set()
    wait_for(console, lambda: len(reached(provider, users)) == 4)  # What was in hand ends well.
    console.wait_for_timeout(1500)
    assert len(reached(provider, users)) == 4
    wait_for(console, lambda: [one["seen"] for one in samples(server, group)][:1] == [0])
    ask(server, "POST", "/v1/inbox/mark", mark(server, users[0]), credential=user_token(users[0]))
    go(console, "Campaigns")
    listed = row(console, f"Sale {group}")
    expect(listed).to_contain_text("paused")
    expect(listed).to_contain_text("4 of 12")
    listed.get_by_role("button", name="Resume").click()
    expect(listed).to_contain_text("done", timeout=20_000)
    listed.get_by_role("link", name=f"Sale {group}").click()
    deliveries = console.get_by_role("img", name=re.compile("^Deliveries, from"))
    expect(deliveries).to_have_attribute("aria-label", re.compile("In all 12, Sent 12,"))
    assert deliveries.locator("path.is-sent").last.get_attribute("d")
    inboxes = console.get_by_role("img", name=re.compile("^In inboxes, from"))
    expect(inboxes).to_have_attribute("aria-label", re.compile("Seen 1, Read 1$"))
    # This page has just been opened: what was before, the server has written down.
    wait_for(console, lambda: [one["seen"] for one in samples(server, group)][-1:] == [1])
    console.reload()
    expect(inboxes).to_have_attribute("aria-label", re.compile("Seen 1, Read 1$"))
    heights = re.findall(r" ([\d.]+)", inboxes.locator("path.is-seen").get_attribute("d") or "")
    assert heights[0] == "148.0" and heights[-1] == "6.0" and len(heights) > 2
    expect(row(console, "hook").get_by_role("cell").nth(1)).to_have_text("12")
    expect(console.get_by_role("button", name="Cancel")).to_have_count(0)
    console.get_by_role("link", name="Person by person").click()
    expect(row(console, users[5])).to_contain_text("Sent")
    assert sorted(reached(provider, users)) == sorted(users)


def reached(provider: Provider, users: list[str]) -> list[str]:
    return [user for user in provider.accepted if user in users]


def samples(server: Server, group: str) -> list[dict[str, Any]]:
    (one,) = [one for one in campaigns(server) if one["title"] == f"Sale {group}"]
    found: list[dict[str, Any]] = ask(server, "GET", f"/v1/campaigns/{one['id']}/counts")["samples"]
    return found


def campaigns(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(server, "GET", "/v1/campaigns")["items"]
    return found


def mark(server: Server, user: str) -> dict[str, object]:
    """Reads the newest notification of somebody."""
    inbox = ask(server, "GET", "/v1/inbox", credential=user_token(user))
    return {"as": "read", "ids": [inbox["items"][0]["id"]]}


def test_a_campaign_that_waits_for_its_time_is_cancelled_by_two_presses(
    console: Page, server: Server, group: str
) -> None:
    go(console, "Campaigns")
    console.get_by_role("button", name="New campaign").click()
    form = console.get_by_role("form", name="New campaign")
    form.get_by_label("To", exact=True).select_option("users")
    form.get_by_label("Names").fill(f"{group}-0, {group}-1")
    form.get_by_label("Title").fill(f"Later {group}")
    form.get_by_label("Category").fill("wait")
    later = datetime.now() + timedelta(days=30)  # noqa: DTZ005 - by the clock of the browser.
    form.get_by_label("Start").fill(later.strftime("%Y-%m-%dT09:00"))
    form.get_by_role("button", name="Count and check").click()
    checked = console.locator(".outcome.good")
    expect(checked).to_contain_text(f"To 2 people, by name; starts {later.day} ")
    expect(checked).to_contain_text("hook after")
    console.get_by_role("button", name="Begin").click()
    region = console.get_by_role("region", name="Campaign", exact=True)
    expect(region.locator(".state")).to_have_text("scheduled")
    expect(region).to_contain_text("It has not gone out yet.")
    console.get_by_role("link", name="All campaigns").click()
    surely(console, f"Cancel Later {group}")
    expect(row(console, f"Later {group}")).to_contain_text("cancelled")
    expect(row(console, f"Later {group}").get_by_role("button")).to_have_count(0)


def test_every_audience_is_counted_before_anything_is_sent(
    console: Page, server: Server, group: str
) -> None:
    for user in people(server, group, 3)[:2]:
        ask(server, "PUT", f"/v1/users/{user}/follows/{group}/news")
    known = ask(server, "POST", "/v1/audiences/count", {"everyone": True})["count"]
    assert known >= 3
    go(console, "Campaigns")
    console.get_by_role("button", name="New campaign").click()
    form = console.get_by_role("form", name="New campaign")
    form.get_by_label("Title").fill(f"Counted {group}")
    form.get_by_label("To", exact=True).select_option("topic")
    form.get_by_label("Topic").fill(f"{group}/news")
    form.get_by_role("button", name="Count and check").click()
    checked = console.locator(".outcome.good")
    expect(checked).to_contain_text(
        f"To whoever follows {group}/news when it starts, 2 people as of now; starts at once."
    )
    form.get_by_label("To", exact=True).select_option("everyone")
    form.get_by_role("button", name="Count and check").click()
    expect(checked).to_contain_text(f"To everyone, {known} people known as of now")
    assert not any(one["title"] == f"Counted {group}" for one in campaigns(server))


def test_held_texts_are_approved_and_rejected(
    console: Page, server: Server, provider: Provider, group: str
) -> None:
    users = people(server, group, 3)
    notify(server, {"users": users}, f"A prize for {group}", category="read", body="Come now.")
    notify(server, {"users": users[:1]}, f"Prize! {HOSTILE} {group}", category="read")
    go(console, "Review")
    good = console.get_by_role("listitem").filter(has_text=f"A prize for {group}")
    bad = console.get_by_role("listitem").filter(has_text=f"Prize! {HOSTILE} {group}")
    expect(good).to_contain_text("Held for 3 people by hook", timeout=15_000)
    expect(good.locator("mark").first).to_have_text("prize")
    expect(bad).to_be_visible()
    check_clean(console)
    assert not set(users) & set(provider.accepted)
    surely(console, f"Approve A prize for {group}")
    expect(good).to_have_count(0)
    surely(console, f"Reject Prize! {HOSTILE} {group}")
    expect(bad).to_have_count(0)
    expect(console.locator("#toast")).to_have_text("Rejected: it never goes out.")
    wait_for(console, lambda: set(users) <= set(provider.accepted))
    assert sorted(provider.accepted.count(user) for user in users) == [1, 1, 1]


def wait_for(page: Page, condition: Any) -> None:
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not happen in time")


def test_a_dead_letter_is_inspected_and_sent_again(
    console: Page, server: Server, provider: Provider, group: str
) -> None:
    (user,) = people(server, group, 1)
    provider.refused.add(user)
    notify(server, {"users": [user]}, f"Call {group} {HOSTILE}", body="Please.")
    go(console, "Dead letters")
    dead = row(console, user)
    expect(dead).to_contain_text("The provider answered 400.", timeout=15_000)
    expect(dead).to_contain_text(f"no such number {HOSTILE}")
    console.get_by_label("Person").fill(user)
    expect(console.get_by_text("1 dead letter", exact=True)).to_be_visible()
    opener = dead.get_by_role("button", name=f"Inspect {user}")
    opener.click()
    drawer = console.get_by_role("dialog", name=f"Call {group}")
    expect(drawer).to_contain_text("Please.")
    expect(drawer.get_by_label("Address now")).to_contain_text(user)
    check_clean(console)
    console.keyboard.press("Escape")
    expect(opener).to_be_focused()
    provider.refused.discard(user)
    dead.get_by_role("button", name=f"Send again to {user}").click()
    expect(console.get_by_text("There are no dead letters.")).to_be_visible()
    wait_for(console, lambda: user in provider.accepted)
    assert provider.accepted.count(user) == 1


def test_what_failed_of_a_campaign_is_sent_again_by_two_presses(
    console: Page, server: Server, provider: Provider, group: str
) -> None:
    users = people(server, group, 60)
    (other,) = people(server, f"{group}-other", 1)
    provider.refused |= {*users, other}
    notify(server, {"users": [other]}, f"Alone {group}")
    wanted = {"to": {"segment": f"group = '{group}'"}, "title": f"Sale {group}", "id": group}
    ask(server, "POST", "/v1/campaigns", wanted)
    wait_for(console, lambda: dead_of(server, group) == 60)
    wait_for(console, lambda: ask(server, "GET", f"/v1/deliveries?user={other}")["items"])
    console.evaluate("address => { location.hash = address }", f"#campaigns?id={group}")
    expect(console.get_by_text("60 deliveries have failed.")).to_be_visible()
    console.get_by_role("link", name="See why, or send them again").click()
    expect(console.get_by_label("Campaign's id")).to_have_value(group)
    expect(console.get_by_text("50 dead letters on this page")).to_be_visible()
    expect(row(console, other)).to_have_count(0)
    console.get_by_label("Reason").fill("timeout")
    expect(console.get_by_text("There are no dead letters.")).to_be_visible()
    console.get_by_label("Reason").fill("http_400")
    console.get_by_label("Courier").fill("hook")
    expect(console.get_by_text("50 dead letters on this page")).to_be_visible()
    provider.refused -= {*users, other}
    surely(console, "Send all that match again")
    expect(console.locator("#toast")).to_have_text("Sent again: 60.")
    wait_for(console, lambda: set(users) <= set(provider.accepted))
    assert [provider.accepted.count(user) for user in users] == [1] * 60
    assert other not in provider.accepted


def dead_of(server: Server, campaign: str) -> int:
    found = ask(server, "GET", f"/v1/deliveries?campaign={campaign}&limit=500")
    return len(found["items"])


def test_held_texts_are_decided_together(
    console: Page, server: Server, provider: Provider, group: str
) -> None:
    (user,) = people(server, group, 1)
    for number in range(3):
        notify(server, {"users": [user]}, f"Prize {number} for {group}", category="read")
    go(console, "Review")
    held = console.get_by_role("listitem").filter(has_text=group)
    expect(held).to_have_count(3, timeout=15_000)
    surely(console, "Reject all of these")
    expect(held).to_have_count(0)
    expect(console.locator("#toast")).to_contain_text("Rejected: ")
    console.wait_for_timeout(1500)
    assert user not in provider.accepted


def test_a_journey_says_who_got_it_and_why_not(
    console: Page, server: Server, provider: Provider, group: str
) -> None:
    users = people(server, group, 3)
    provider.refused.add(users[1])
    id_ = notify(server, {"users": users}, f"Trip {group}")
    seen = {"as": "seen", "ids": [id_]}
    ask(server, "POST", "/v1/inbox/mark", seen, credential=user_token(users[2]))
    go(console, "Notifications")
    console.get_by_role("button", name=f"Trip {group}").first.click()
    console.get_by_role("link", name="Who got it, and who did not").click()
    expect(console.get_by_role("heading", name="Journey", level=1)).to_be_focused()
    expect(console.get_by_role("dialog")).to_have_count(0)
    told = {
        users[0]: ["Sent", "Nothing spoke against it."],
        users[1]: ["Failed", "The provider answered 400."],
        users[2]: ["Not sent", "They had seen it already."],
    }
    for user, words in told.items():
        for word in words:
            expect(row(console, user)).to_contain_text(word, timeout=15_000)
    expect(console.locator("#main")).to_contain_text("seen by 1")
    form = console.get_by_role("form", name="Journey")
    form.get_by_label("Person").fill(users[2])
    console.keyboard.press("Enter")
    expect(row(console, users[0])).to_have_count(0)
    expect(row(console, users[2])).to_be_visible()
    console.reload()
    expect(row(console, users[2])).to_contain_text("Not sent")
    later = notify(server, {"users": users[:1]}, f"Wait {group}", category="wait")
    console.get_by_label("Notification's id").fill(later)
    console.get_by_label("Person", exact=True).fill("")
    console.keyboard.press("Enter")
    expect(row(console, users[0])).to_contain_text("They are given time to look first.")
    expect(row(console, users[0])).to_contain_text("in 59 min")
    provider.refused.discard(users[1])


def test_an_id_that_nobody_knows_says_so(console: Page) -> None:
    for address, said in (("journey", "no such notification"), ("campaigns", "no such campaign")):
        console.evaluate("address => { location.hash = address }", f"#{address}?id=none%3C")
        expect(console.get_by_role("alert").first).to_contain_text(said)
        expect(console.get_by_role("alert").first.get_by_role("button")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_filled_pages_are_for_everybody(
    console: Page, server: Server, provider: Provider, group: str, scheme: str
) -> None:
    """Axe, all widths, and nothing but text, where there is something to be seen."""
    console.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    users = people(server, group, 3)
    provider.refused.add(users[0])
    long = f"{HOSTILE} {'Unbreakable' * 20}"
    wanted = {"to": {"segment": f"group = '{group}'"}, "title": long, "category": "news"}
    id_ = ask(server, "POST", "/v1/campaigns", wanted | {"id": group})["id"]
    held = notify(server, {"users": users}, f"prize {long}", category="read")
    wait_for(console, lambda: ask(server, "GET", f"/v1/deliveries?user={users[0]}")["items"])
    for address, wait in (
        ("campaigns", f"text={group}"),
        (f"campaigns?id={id_}", "role=img >> nth=1"),
        ("review", "mark"),
        ("dead", f"text={users[0]}"),
        (f"journey?id={held}", f"text={users[1]}"),
    ):
        console.evaluate("address => { location.hash = address }", f"#{address}")
        expect(console.locator("#main").locator(wait).first).to_be_visible(timeout=15_000)
        assert violations(console) == [], address
        check_clean(console)
        for width in (320, 390, 768, 1100, 1600):
            console.set_viewport_size({"width": width, "height": 800})
            fits = console.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert fits, f"{address} at {width}"
    ask(server, "POST", f"/v1/notifications/{held}/review", {"approve": False})
    provider.refused.discard(users[0])


def test_a_long_campaign_is_plotted_in_few_points(console: Page) -> None:
    """Three months, something sent each minute, and some of it held for an hour."""
    found = console.evaluate(
        """async () => {
          const { curves } = await import("/console/progress.js");
          const minutes = Array.from({ length: 130_000 }, (_, i) => (
            { time: new Date(i * 60_000).toISOString(), state: "sent", count: 2 }));
          minutes.push({ time: new Date(60_000).toISOString(), state: "held", count: 9 });
          minutes.push({ time: new Date(36e5).toISOString(), state: "held", count: -9 });
          const { sent, held, dead } = curves(minutes, 130_000 * 60_000);
          return [sent.length, sent.at(-1), held.at(-1)[1], dead.every(([, n]) => n === 0)];
        }"""
    )
    assert found == [pytest.approx(600, abs=4), [130_000 * 60_000, 260_000], 0, True]
