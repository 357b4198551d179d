"""Webhooks as Standard Webhooks wants them: its vector, its library, keys being replaced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from reddot.couriers.webhook import WebhookCourier
from reddot.delivery import Message, Outcome, Parcel, Verdict
from reddot.net.outbound import Guard, Outbound
from reddot.system import SystemClock
from tests.contract.standin import Reply, Seen, StandIn

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def deliver(
    keys: list[str], url: str | None, address: object, status: int = 204
) -> tuple[Outcome, Seen]:
    async def scenario() -> tuple[Outcome, Seen]:
        async with StandIn(Reply(status)) as receiver:
            courier = WebhookCourier(
                outbound=Outbound(Guard(["127.0.0.1"])),
                keys=keys,
                url=receiver.url + url if url else None,
                clock=SystemClock(),
            )
            whole = f"{receiver.url}{address}" if url is None else address
            message = Message(
                id="n1", title="T", body='b"\u2028磁', time_ms=1_767_225_600_007, data=b'{"a":1}'
            )
            outcome = await courier.send(
                Parcel(id="d1", user="42", address=courier.check(whole), message=message, unread=3)
            )
            await courier.aclose()
        (seen,) = receiver.seen
        return outcome, seen

    return asyncio.run(scenario())


def test_the_vector_of_the_standard() -> None:
    """From the specification's own test data."""
    signed = Webhook(OLD).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        '{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("key", [OLD, NEW])
def test_a_receiver_with_either_key_verifies(key: str) -> None:
    outcome, seen = deliver([NEW, OLD], None, "/hook?a=b")
    assert outcome.verdict is Verdict.SENT
    assert (seen.method, seen.target) == ("POST", "/hook?a=b")
    assert len(seen.headers["webhook-signature"].split(" ")) == 2
    got: Any = Webhook(key).verify(seen.body, seen.headers)
    assert got == {
        "type": "notification",
        "id": "d1",
        "timestamp": "2026-01-01T00:00:00.007Z",
        "data": {
            "user": "42",
            "notification": "n1",
            "title": "T",
            "body": 'b"\u2028磁',
            "url": "",
            "icon": "",
            "category": "",
            "priority": "normal",
            "collapse_key": None,
            "actions": [],
            "data": {"a": 1},
            "count": 1,
            "unread": 3,
        },
    }
    assert seen.headers["webhook-id"] == "d1"
    assert seen.headers["content-type"] == "application/json"


def test_a_receiver_with_another_key_does_not() -> None:
    _, seen = deliver([OLD], None, "/hook")
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(NEW).verify(seen.body, seen.headers)


def test_with_one_url_for_all_the_address_is_handed_on() -> None:
    _, seen = deliver([OLD], "/gateway", {"mobile": "+491", "name": "é"})
    data = msgspec.json.decode(seen.body)["data"]
    assert data["address"] == {"mobile": "+491", "name": "é"}
    assert seen.target == "/gateway"


@pytest.mark.parametrize(("url", "blame"), [(None, False), ("/gateway", True)])
def test_only_an_address_of_the_operators_can_be_blamed(url: str | None, blame: bool) -> None:
    outcome, _ = deliver([OLD], url, "/hook", 500)
    assert (outcome.verdict, outcome.blame) == (Verdict.RETRY, blame)
