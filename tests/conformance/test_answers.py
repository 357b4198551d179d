"""What answers may hold (3.4 to 3.15), rights, and authentication anew (4.12)."""

from __future__ import annotations

import httpx
import pytest

from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBREC,
    PUBREL,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingresp,
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


@normative("3.4.2-2", "3.4.2-3", "3.5.2-2", "3.5.2-3", "3.6.2-2", "3.6.2-3", "3.7.2-2", "3.7.2-3")
@normative("3.9.2-1", "3.9.2-2", "3.11.2-1", "3.11.2-2", "3.14.2-3", "3.14.2-4")
def test_no_answer_is_larger_than_the_client_takes(five: Clients, name: str) -> None:
    client = five.connect(name, maximum_packet_bytes=12)
    assert len(provoked(client)) == 6
    assert client.largest_bytes <= 12


@normative("3.1.2-29")
def test_no_reasons_for_who_wants_none(five: Clients) -> None:
    client = five.connect(request_problem_information=0)
    for packet in provoked(client):
        if not isinstance(packet, Publish | Connack | Disconnect | Pingresp):
            assert (packet.properties.reason_string, packet.properties.user) == (None, ())  # type: ignore[union-attr]


@normative(old=("3.3.5-2",))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_forbidden_publication(clients: Clients, qos: int) -> None:
    """5.0 is told; before it, it is acknowledged like any other, or the connection ends."""
    client = clients.connect()
    client.send(Publish("$SYS/x", b"x", qos, packet_id=9 if qos else 0))
    if qos:
        answer = client.receive(Ack)
        assert (answer.packet_id, answer.kind) == (9, PUBACK if qos == 1 else PUBREC)
        assert answer.reason == (0x87 if clients.level == 5 else 0)
    client.quiet()


@normative("3.1.3-8", old=("3.1.3-9",))
def test_a_client_identifier_that_is_too_long(clients: Clients) -> None:
    client = clients.open()
    client.send(Connect(level=client.level, client_id="c" * 5000))
    refused(client, 0x85 if clients.level == 5 else 2)


@normative("3.1.3-1", "3.1.3-11", "3.1.3-12", old=("3.1.3-1",))
def test_connect_with_every_field(clients: Clients, topic: str, name: str) -> None:
    reader = clients.connect()
    reader.subscribe(topic)
    will = Will(topic=topic, payload=b"will", qos=1)
    full = clients.connect(name, username="someone", password=b"\x00\xff", will=will)
    full.link.abort()
    assert reader.message().payload == b"will"


@normative(old=("3.1.2-12",))
def test_no_will_where_there_is_none(clients: Clients, topic: str) -> None:
    reader = clients.connect()
    reader.subscribe("test/#", qos=0)
    lost = clients.connect()
    lost.ping()
    lost.link.abort()
    reader.ping()
    # What other tests have retained may come; a will would come as something new.
    assert all(found.retain for found in reader.inbox)


@normative("4.8.2-5")
def test_what_a_lost_member_had_goes_to_nobody(five: Clients, topic: str, name: str) -> None:
    member, other = five.connect(), five.connect()
    member.subscribe(f"$share/{name}/{topic}")
    five.connect().publish(topic, b"x", 1)
    assert member.message(answer=False).payload == b"x"
    other.subscribe(f"$share/{name}/{topic}")
    member.disconnect()
    other.quiet()


# ---- credentials: of this server, so another broker fails these ----


def token(address: tuple[str, int, int], user: str) -> bytes:
    answer = httpx.post(f"http://{address[0]}:{address[2]}/v1/dev/token", json={"user": user})
    return str(answer.json()["token"]).encode()


@normative("3.1.4-2", "4.13.2-1")
def test_a_credential_that_is_wrong(clients: Clients) -> None:
    client = clients.open()
    client.send(Connect(level=client.level, client_id="", username="u", password=b"eyJ.x.y"))
    refused(client, *((0x86, 0x87) if clients.level == 5 else (4, 5)))


@normative("4.12.0-5", "4.12.1-1")
def test_authentication_anew(five: Clients, address: tuple[str, int, int]) -> None:
    first, second = (token(address, "renewed") for _ in range(2))
    client = five.connect(authentication_method=METHOD, authentication_data=first)
    assert client.connack.properties.authentication_method == METHOD
    fresh = properties(authentication_method=METHOD, authentication_data=second)
    client.send(Auth(0x19, fresh))
    answer = client.receive(Auth)
    assert (answer.reason, answer.properties.authentication_method) == (0, METHOD)
    client.quiet()


@normative("4.12.1-2", "4.12.0-4")
@pytest.mark.parametrize("at_connect", [True, False])
def test_authentication_that_fails(
    five: Clients, address: tuple[str, int, int], *, at_connect: bool
) -> None:
    wrong = properties(authentication_method=METHOD, authentication_data=b"eyJ.x.y")
    if at_connect:
        client = five.open()
        client.send(Connect(level=5, client_id="", properties=wrong))
        refused(client, 0x86, 0x87)
        return
    right = token(address, "renewed")
    client = five.connect(authentication_method=METHOD, authentication_data=right)
    client.send(Auth(0x19, wrong))
    client.closed(0x86, 0x87)
