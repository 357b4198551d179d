"""A real server with a webhook: one request lights the dot and reaches who has not looked.

The provider is a real HTTP server. It fails at first; a `kill -9` comes in between.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.integration.server import API_KEY, SECRET, ServerFactory
from tests.integration.tokens import user_token

PEOPLE = 40
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WAIT_S = 40


class Provider(ThreadingHTTPServer):
    """Attributes:
    broken: it answers 503.
    speaks: until then it answers nothing.
    heard: ids of all requests, in order; accepted: user by id.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.broken = True
        self.speaks = threading.Event()
        self.speaks.set()
        self.heard: list[str] = []
        self.accepted: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Hook(BaseHTTPRequestHandler):
    server: Provider

    def handle(self) -> None:
        with suppress(ConnectionError):  # Who asked was killed meanwhile.
            super().handle()

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        id = self.headers["webhook-id"]
        self.server.heard.append(id)
        self.server.speaks.wait(WAIT_S)
        if not self.server.broken:
            self.server.accepted[id] = body["data"]["user"]
        self.send_response(503 if self.server.broken else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is to be said."""


def _until(condition: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_who_has_not_looked_gets_a_webhook_whatever_happens(server_factory: ServerFactory) -> None:
    provider = Provider()
    hook = {"type": "webhook", "keys": [KEY], "url": provider.url}
    server = server_factory(
        api_key=API_KEY,
        jwt_secret=SECRET,
        couriers=json.dumps({"hook": hook}),
        deliveries=json.dumps([{"couriers": [{"courier": "hook", "after": 1}]}]),
        outbound_allowed="127.0.0.1",
        delivery_backoff_s=0.2,
        delivery_backoff_s_max=1,
        delivery_attempts_max=100,
        delivery_lease_s=2,
        breaker_open_s=0.3,
    )
    users = [f"u{n}" for n in range(PEOPLE)]
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {API_KEY}"}) as api:
        for user in users:
            api.put(f"/v1/users/{user}/addresses/hook", json=user).raise_for_status()
        wanted = {"to": {"users": users}, "title": "Hello"}
        id = api.post("/v1/notifications", json=wanted).raise_for_status().json()["id"]
        mine = {"Authorization": f"Bearer {user_token(users[0])}"}
        mark = {"ids": [id], "as": "seen"}
        httpx.post(f"{server.url}/v1/inbox/mark", json=mark, headers=mine).raise_for_status()
        _until(lambda: provider.heard)
        server.kill9()
        server.start()
        provider.broken = False
        _until(lambda: len(set(provider.accepted.values())) == PEOPLE - 1)
        found: dict[str, str] = {}

        def settled() -> bool:
            page = api.get(f"/v1/notifications/{id}/deliveries?limit=500").json()["items"]
            found.update({one["user"]: one["state"] for one in page})
            return set(found.values()) == {"sent", "skipped"}

        _until(settled)
    assert found == dict.fromkeys(users, "sent") | {users[0]: "skipped"}
    assert len(provider.accepted) == PEOPLE - 1
    assert users[0] not in provider.accepted.values()
    assert server.stop() == 0
    provider.shutdown()
    provider.server_close()


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_what_the_provider_may_have_is_a_dead_letter_until_somebody_decides(
    server_factory: ServerFactory,
) -> None:
    provider = Provider()
    provider.broken = False
    provider.speaks.clear()
    hook = {"type": "webhook", "keys": [KEY], "url": provider.url, "unknown_outcome": "dead"}
    server = server_factory(
        api_key=API_KEY,
        jwt_secret=SECRET,
        couriers=json.dumps({"hook": hook}),
        deliveries=json.dumps([{"couriers": [{"courier": "hook"}]}]),
        outbound_allowed="127.0.0.1",
        delivery_lease_s=16,  # An attempt has half of it, and couriers come last on a busy machine.
    )
    users = ["u1", "u2", "u3"]
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {API_KEY}"}) as api:
        for user in users:
            api.put(f"/v1/users/{user}/addresses/hook", json=user).raise_for_status()
        wanted = {"to": {"users": users}, "title": "Hello"}
        api.post("/v1/notifications", json=wanted).raise_for_status()
        _until(lambda: len(provider.heard) == len(users))
        server.kill9()
        provider.speaks.set()
        server.start()

        def dead() -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = api.get("/v1/deliveries?state=dead").json()["items"]
            return items

        _until(lambda: len(dead()) == len(users))
        assert {(one["user"], one["reason"]) for one in dead()} == {
            (user, "unknown_outcome") for user in users
        }
        counted = server.metric(
            "reddot_deliveries_total", courier="hook", state="dead", reason="unknown_outcome"
        )
        assert counted == len(users)
        assert len(provider.heard) == len(users)
        wanted = {"reason": "unknown_outcome"}
        assert api.post("/v1/deliveries/retry", json=wanted).json()["retried"] == len(users)
        _until(lambda: len(provider.heard) == 2 * len(users))
    assert set(Counter(provider.heard).values()) == {2}
    assert server.stop() == 0
    provider.shutdown()
    provider.server_close()
