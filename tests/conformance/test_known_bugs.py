"""Bugs that other brokers have had: which case is about each, and the cases of three."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from reddot.codecs.mqtt_packets import Auth, Publish, Will
from tests.conformance.client import properties
from tests.conformance.conftest import Clients
from tests.conformance.test_answers import REAUTHENTICATE, by_method
from tests.integration.server import API_KEY
from tests.integration.tokens import user_token

TAKEN_OVER = 0x8E
CASES: Final = {
    "the will is fired by the old connection after a takeover": (
        "test_the_old_connections_end_fires_no_will"
    ),
    "takeover before authentication": "test_takeover_before_authentication",
    "an identifier is used again while it is in flight": (
        "test_identifiers_in_flight_are_unused_ones"
    ),
    "identifiers of QoS 2 survive a clean start": "test_a_clean_start_forgets_identifiers",
    "what was in flight is lost or in another order": "test_what_was_never_read_comes_in_order_too",
    "nothing comes any more after many connections": (
        "test_a_quota_comes_back_after_many_connections"
    ),
    "retained again with Retain Handling 1": "test_retain_handling_1_sends_to_a_new_subscription",
    "a leading + matches $SYS": "test_wildcards_do_not_reach_topics_of_the_server",
    "a/# does not match a": "test_a_hash_matches_its_parent",
    "the expiry is not reduced": "test_the_expiry_is_what_is_left",
    "the expiry ends an exchange of QoS 2": "test_expiry_does_not_end_an_exchange",
    "an expired message blocks those behind it": (
        "test_what_has_expired_blocks_nothing_at_any_quality"
    ),
    "subscription identifiers are lost": "test_identifiers_of_retained_missed_and_again",
    "a shared subscription sends to who is away": "test_a_member_that_is_away_is_skipped",
    "the reason is lost to a reset": "test_the_reason_is_not_lost_to_a_reset",
    "rights that are taken away leave the subscription": (
        "test_rights_taken_away_leave_the_subscription"
    ),
    "an ill-formed client identifier is accepted": "test_ill_formed_client_identifiers",
    "a frame is taken for a packet": "test_packets_and_frames_need_not_agree",
}


def test_each_has_a_case() -> None:
    files = Path(__file__).parent.glob("test_*.py")
    cases = set(re.findall(r"^def (test_\w+)", "\n".join(f.read_text() for f in files), re.M))
    assert set(CASES.values()) <= cases


def test_the_old_connections_end_fires_no_will(five: Clients, topic: str) -> None:
    """The old connection's end, which is noticed late, is not the new one's."""
    watcher, sender = five.connect(), five.connect()
    watcher.subscribe(topic)
    old = five.keep("a", will=_will(topic, b"old", will_delay_s=60))
    new = five.back("a", will=_will(topic, b"new", will_delay_s=60))
    old.closed(TAKEN_OVER)
    old.link.abort()
    new.quiet()
    newer = five.back("a", will=_will(topic, b"newer"))
    new.closed(TAKEN_OVER)
    sender.publish(topic, b"fence")
    watcher.message(topic, b"fence", 1)
    newer.drop()
    watcher.message(topic, b"newer")
    five.back("a")


def _will(topic: str, payload: bytes, **fields: Any) -> Will:
    return Will(topic=topic, payload=payload, properties=properties(**fields))


def test_takeover_before_authentication(secured: Clients, topic: str) -> None:
    """Who is not let in disturbs nobody, and nobody gets at another user's session."""
    token = user_token("ann", subscribe=[topic]).encode()
    mine = secured.keep("a", username="ann", password=token)
    mine.subscribe(topic)
    for username, password in (("ann", b"wrong"), ("ann", None), ("bob", token)):
        client = secured.open()
        asked = secured.asks("a", username=username, password=password)
        assert client.connect(asked).reason >= 0x80
        client.closed()
    secured.keep("a", username="bob", password=user_token("bob").encode())
    secured.connect("s", password=API_KEY.encode()).publish(topic, b"1")
    mine.message(topic, b"1", 1)


def test_rights_taken_away_leave_the_subscription(secured: Clients, topic: str) -> None:
    """By a token with fewer rights, at a reconnect and at authentication anew."""
    server = secured.connect("s", password=API_KEY.encode())
    full = user_token("ann", subscribe=[f"{topic}/#"])
    less = user_token("ann", subscribe=[f"{topic}/b"])
    client = secured.keep("a", username="ann", password=full.encode())
    client.subscribe(f"{topic}/a", f"{topic}/b")
    client.disconnect()
    client = secured.back("a", username="ann", password=less.encode())
    for name in "ab":
        server.publish(f"{topic}/{name}", b"1")
    client.message(f"{topic}/b", b"1", 1)
    client.quiet()
    client.disconnect()
    other = secured.connect("b", **by_method(full))
    other.subscribe(f"{topic}/a")
    other.send(Auth(REAUTHENTICATE, properties(**by_method(less))))
    server.publish(f"{topic}/a", b"2")
    while (packet := other.next_or_end()) is not None:
        assert not isinstance(packet, Publish)
        if isinstance(packet, Auth):
            other.quiet()
            break
