"""Web Push: the standard's own example, the request's head, what is cut, what answers mean."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from reddot.couriers.vapid import Vapid, VapidKey, decode
from reddot.couriers.web_push import (
    PAYLOAD_BYTES_MAX,
    PAYLOAD_BYTES_SMALL,
    Keys,
    Subscription,
    WebPush,
    fitting,
    payload,
    seal,
    topic,
)
from reddot.delivery import Message, Outcome, Parcel, Verdict
from reddot.net.outbound import Guard, Outbound
from reddot.testing import FakeClock
from tests.contract.couriers import BROWSER
from tests.contract.standin import Reply, Seen, StandIn
from tests.unit.couriers.test_vapid import claims

# ---- RFC 8291 ----


def test_the_example_of_the_standard() -> None:
    """Appendix A of RFC 8291 with all of its intermediate choices gives its very bytes."""
    subscription = Subscription(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        Keys(
            p256dh="BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
            "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            auth="BTBZMqHH6r4Tts7J_aSIgg",
        ),
    )
    number = int.from_bytes(decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", 32))
    body = seal(
        b"When I grow up, I want to be a watermelon",
        subscription,
        private=ec.derive_private_key(number, ec.SECP256R1()),
        salt=decode("DGv6ra1nlYgDCS1FRnbzlw", 16),
    )
    wanted = (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert body == decode(wanted, 144)


def test_two_messages_share_neither_key_nor_salt() -> None:
    subscription = msgspec.convert(BROWSER.subscription("https://a.example"), Subscription)
    first, second = seal(b"same", subscription), seal(b"same", subscription)
    assert first[:16] != second[:16]
    assert first[21:86] != second[21:86]


# ---- the request ----


def push(
    reply: Reply, *, clock: FakeClock | None = None, ttl_s: int = 60, **fields: Any
) -> tuple[Outcome, list[Seen]]:
    """One message through a push service of this machine."""

    async def scenario() -> tuple[Outcome, list[Seen]]:
        when = clock or FakeClock()
        async with StandIn(reply) as service:
            vapid = Vapid(VapidKey.make(), subject="mailto:ops@example.com", clock=when)
            courier = WebPush(outbound=Outbound(Guard(["127.0.0.1"])), vapid=vapid, clock=when)
            address = courier.check(BROWSER.subscription(service.url))
            message = Message(**({"id": "n1", "title": "Hello"} | fields))
            outcome = await courier.send(
                Parcel(id="d1", user="42", address=address, message=message, ttl_s=ttl_s, unread=3)
            )
            await courier.aclose()
        return outcome, service.seen

    return asyncio.run(scenario())


def test_the_head_of_a_request() -> None:
    clock = FakeClock()
    outcome, (seen,) = push(
        Reply(201), clock=clock, ttl_s=99_999_999, priority="urgent", collapse_key="mail"
    )
    assert outcome == Outcome(verdict=Verdict.SENT, reason="http_201")
    assert (seen.method, seen.target) == ("POST", "/push/abc-SECRET-endpoint")
    headers = seen.headers
    assert headers["ttl"] == "2419200"
    assert headers["urgency"] == "high"
    assert headers["topic"] == "mail"
    assert headers["content-encoding"] == "aes128gcm"
    told = claims(headers["authorization"])
    assert told["aud"] == f"http://{headers['host']}"
    assert 0 < int(str(told["exp"])) - clock.wall_ms() / 1000 <= 86_400


@pytest.mark.parametrize(
    ("priority", "urgency"),
    [("low", "low"), ("normal", "normal"), ("high", "high"), ("urgent", "high")],
)
def test_priority_is_urgency(priority: str, urgency: str) -> None:
    _, (seen,) = push(Reply(201), priority=priority)
    assert seen.headers["urgency"] == urgency
    assert "topic" not in seen.headers


@pytest.mark.parametrize("key", ["a" * 33, "a/b", "磁盘", "", "a b", "a\r\nb"])
def test_a_topic_is_short_base64url_whatever_the_key(key: str) -> None:
    assert len(topic(key)) == 32
    assert topic(key).replace("-", "").replace("_", "").isalnum()
    assert topic(key) == topic(key) != topic(key + "x")


def test_what_the_service_worker_gets() -> None:
    _, (seen,) = push(
        Reply(201),
        body="Body",
        url="/inbox/1",
        icon="/i.png",
        category="mail",
        actions=b'[{"action":"read","title":"Read"}]',
        data=b'{"a":[1,2]}',
        collapse_key="k",
        count=2,
        time_ms=5,
    )
    assert BROWSER.read(seen.body) == {
        "id": "n1",
        "delivery": "d1",
        "title": "Hello",
        "body": "Body",
        "url": "/inbox/1",
        "icon": "/i.png",
        "category": "mail",
        "priority": "normal",
        "tag": "k",
        "time_ms": 5,
        "unread": 3,
        "count": 2,
        "actions": [{"action": "read", "title": "Read"}],
        "data": {"a": [1, 2]},
    }


# ---- answers ----


def test_too_large_is_tried_once_more_and_smaller() -> None:
    outcome, seen = push(Reply(413), body="x" * 9000)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "http_413")
    assert [len(one.body) for one in seen] == [4096, PAYLOAD_BYTES_SMALL + 103]
    assert [BROWSER.read(one.body)["delivery"] for one in seen] == ["d1", "d1"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_liked_has_a_reason_of_its_own(status: int) -> None:
    outcome, _ = push(Reply(status, b"invalid JWT provided"))
    assert outcome.verdict is Verdict.FAILED
    assert (outcome.reason, outcome.detail) == ("vapid_refused", "invalid JWT provided")
    assert not outcome.blame


def test_only_push_services_of_browsers_can_be_blamed() -> None:
    """Else anybody could stop everybody's pushes with a subscription that answers 500."""
    outcome, _ = push(Reply(503))
    assert (outcome.verdict, outcome.blame) == (Verdict.RETRY, False)
    vapid = Vapid(VapidKey.make(), subject="mailto:a@b.example", clock=FakeClock())
    courier = WebPush(outbound=Outbound(Guard()), vapid=vapid, clock=FakeClock())
    known = ["fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com"]
    assert all(map(courier._is_service, [*known, "wns2-par02p.notify.windows.com"]))
    assert not any(map(courier._is_service, ["evilfcm.googleapis.com.example", "example.com"]))
    assert not courier._is_service("notfcm.googleapis.com")


# ---- cutting ----


def a_parcel(**fields: Any) -> Parcel:
    return Parcel(id="d1", user="42", address=b"{}", message=Message(**({"id": "n1"} | fields)))


def test_at_the_limit_nothing_is_cut_and_one_byte_further_the_body_is() -> None:
    room = PAYLOAD_BYTES_MAX - len(payload(a_parcel(title="t"), PAYLOAD_BYTES_MAX))
    whole = payload(a_parcel(title="t", body="x" * room), PAYLOAD_BYTES_MAX)
    assert len(whole) == PAYLOAD_BYTES_MAX
    assert msgspec.json.decode(whole)["body"] == "x" * room
    more = payload(a_parcel(title="t", body="x" * (room + 1)), PAYLOAD_BYTES_MAX)
    assert len(more) <= PAYLOAD_BYTES_MAX
    assert msgspec.json.decode(more)["body"] == "x" * (room - 3) + "…"


def test_data_goes_before_actions_and_the_title_last() -> None:
    data = msgspec.json.encode("d" * 3000)
    actions = msgspec.json.encode([{"action": "a", "title": "t" * 3000}])

    def left(**fields: Any) -> dict[str, Any]:
        found = payload(a_parcel(**({"title": "Title", "body": "Body"} | fields)), 3993)
        assert len(found) <= 3993
        decoded: dict[str, Any] = msgspec.json.decode(found)
        return decoded

    assert {"data", "actions"} <= left(data=data).keys()
    both = left(data=data, actions=actions)
    assert "data" not in both
    assert both["actions"][0]["action"] == "a"
    assert both["body"] == "Body"
    alone = left(data=data, actions=msgspec.json.encode(["x" * 4000]))
    assert not {"data", "actions"} & alone.keys()
    assert left(title="t" * 9000)["title"].endswith("t…")


@given(
    title=st.text(max_size=300),
    body=st.text(max_size=3000),
    url=st.text(max_size=3000),
    limit=st.integers(100, 4000),
)
def test_whatever_is_cut_is_json_of_at_most_so_many_bytes(
    title: str, body: str, url: str, limit: int
) -> None:
    found = payload(a_parcel(title=title, body=body, url=url), limit)
    assert len(found) <= limit
    decoded = msgspec.json.decode(found)
    assert decoded["id"] == "n1"
    assert body.startswith(decoded["body"].removesuffix("…").rstrip())


@given(st.text(), st.integers(0, 50))
def test_a_text_that_fits_stays_and_another_is_its_beginning(text: str, room: int) -> None:
    found = fitting(text, room)
    assert len(msgspec.json.encode(found)) - 2 <= room
    if len(msgspec.json.encode(text)) - 2 <= room:
        assert found == text
