"""Everything that the codec refuses, on a live server: the reason is said, the connection ends."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import Connack
from tests.conformance.client import Client, Closed
from tests.conformance.conftest import Clients
from tests.conformance.malformed import CONNECTS_5, CONNECTS_311, PACKETS_5, PACKETS_311
from tests.conformance.normative import normative


def refused(client: Client, *reasons: int) -> None:
    """The connection ends, with a CONNACK before that or without; any refusal if none is given."""
    try:
        answer = client.next()
    except Closed:
        return
    assert isinstance(answer, Connack)
    assert answer.reason in reasons if reasons else answer.reason > 0
    assert not answer.session_present
    client.closed()


@normative("4.13.1-1", "3.14.1-1", "3.14.2-2", "3.14.4-1", "3.14.4-2", "4.7.0-1")
@pytest.mark.parametrize("mistake", PACKETS_5)
def test_a_mistake_ends_the_connection_and_is_named(five: Clients, mistake: str) -> None:
    client = five.connect()
    data, reason = PACKETS_5[mistake]
    client.link.send(data)
    client.closed(reason)


@normative(old=("4.8.0-1", "3.14.1-1"))
@pytest.mark.parametrize("mistake", PACKETS_311)
def test_a_mistake_ends_the_connection_of_3_1_1(four: Clients, mistake: str) -> None:
    client = four.connect()
    client.link.send(PACKETS_311[mistake])
    client.closed()


@normative("3.1.4-1", "3.14.0-1", "4.13.2-1")
@pytest.mark.parametrize("mistake", CONNECTS_5)
def test_a_mistake_in_connect(five: Clients, mistake: str) -> None:
    client = five.open()
    data, reason = CONNECTS_5[mistake]
    client.link.send(data)
    refused(client, reason)


@normative(old=("3.1.4-1", "3.2.2-6", "3.1.2-11"))
@pytest.mark.parametrize("mistake", CONNECTS_311)
def test_a_mistake_in_connect_of_3_1_1(four: Clients, mistake: str) -> None:
    client = four.open()
    client.link.send(CONNECTS_311[mistake])
    refused(client)
