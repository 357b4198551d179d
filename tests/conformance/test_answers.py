"""What answers may hold (3.4 to 3.15), rights, and authentication anew (4.12)."""

from __future__ import annotations

import httpx
import pytest

from reddot.codecs.mqtt_packets import (
    PUBCOMP,
    PUBREL,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Publish,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
)
from tests.conformance.client import Client, Closed, properties
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative
from tests.conformance.test_malformed import refused

METHOD = "reddot-token"


def provoked(client: Client) -> list[Packet]:
    """The answers to much that is wrong, and at last to a mistake that ends the connection."""
    client.send(Subscribe(1, (Subscription("a#", 1), Subscription("$share/x", 1))))
    client.send(Unsubscribe(2, ("nothing",)))
    client.send(Publish("$SYS/x", b"x", 1, packet_id=3))
    client.send(Publish("$SYS/x", b"x", 2, packet_id=4))
    client.ack(PUBREL, 77)
    client.link.send(b"\xc1\x00")
    found = []
    try:
        while True:
            found.append(client.next())
    except Closed:
        return found


@normative(
    *(f"{section}-{n}" for section in ("3.4.2", "3.5.2") for n in (2, 3)),
)
def test_no_answer_is_larger_than_the_client_takes(five: Clients) -> None:
    client = five.connect(maximum_packet_bytes=12)
    assert len(provoked(client)) == 6
    assert client.largest_bytes <= 12
