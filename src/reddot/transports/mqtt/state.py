"""What a client's session consists of (MQTT 5.0 section 4.1), in memory and as a stored row.

A session is its filters, a place in the log and the exceptions to it: what was sent and is not
acknowledged, and which inbound identifiers are in use. It is never a copy of a queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, cast

import msgspec

from reddot.codecs.mqtt_packets import Will
from reddot.model import ATTACHED_MS, Actor, ClientRow

PACKET_ID_MAX: Final = 65_535
TTL_S_MAX: Final = 366 * 86_400
NO_SHARES: Final[Mapping[str, int]] = {}
NO_FLIGHTS: Final[dict[int, Flight]] = {}
"""Of clients without any, who share it; nothing is ever put in."""
NO_INBOUND: Final[Mapping[int, bool]] = {}


class Filter(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One subscription. `text` is as it was sent, `$share/…` included; `identifier` 0: none."""

    text: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int = 0


class Flight(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A publication that was sent and is not acknowledged: where it is in the log, at which QoS.

    Attributes:
        released: QoS 2, the client has it, and PUBREL waits for its PUBCOMP.
        retained: it was sent as a retained one.
    """

    position: int
    qos: int
    released: bool = False
    retained: bool = False


class Owed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What filters are to get before the session goes on: what was published on them with
    `position` < its position <= `upto`, or of that what is retained. Never what it is."""

    filters: tuple[str, ...]
    position: int
    upto: int
    retained: bool = False


class StoredWill(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A will (section 3.1.2.5) as it is kept: with its rights to be asked for again."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None
    forward: bytes
    delay_s: int


def stored_will(will: Will, delay_s_max: int) -> StoredWill:
    properties = will.properties
    return StoredWill(
        will.topic,
        will.payload,
        will.qos,
        will.retain,
        properties.message_expiry_s,
        will.forward,
        min(properties.will_delay_s or 0, delay_s_max),
    )


class ClientState(msgspec.Struct, frozen=True, array_like=True):
    """A stored session.

    Attributes:
        detached_ms: when its connection ended; 0 while it is attached.
        shares: the places in the log of the shared subscriptions it is a member of.
        owed: what some filters have to get besides what comes after `position`.
    """

    epoch: int
    position: int
    expiry_s: int
    filters: tuple[Filter, ...]
    flights: tuple[tuple[int, Flight], ...]
    inbound: tuple[int, ...]
    last_id: int
    will: StoredWill | None
    actor: Actor
    detached_ms: int
    shares: Mapping[str, int] = {}
    owed: tuple[Owed, ...] = ()


encode_state: Final = msgspec.msgpack.Encoder().encode
decode_state: Final = msgspec.msgpack.Decoder(ClientState).decode


class Attachment(Protocol):
    """The connection of a client."""

    def position(self) -> int:
        """Everything on its filters up to here was sent, is in flight, or is `owed`."""
        ...

    def owed(self) -> tuple[Owed, ...]:
        """What is to come before anything behind its position."""
        ...

    def shares(self) -> Mapping[str, int]:
        """The places of its shared subscriptions."""
        ...

    def take_over(self) -> None:
        """Another connection has come for the same client: end."""
        ...


class Client:
    """A client that is attached, or was a moment ago.

    Attributes:
        owner: whose it is; names are unique per owner.
        expiry_s: how long its session outlives its connection; 0: not at all.
        filters: by their text.
        flights: by packet identifier, in the order in which they were sent.
        inbound: packet identifiers of QoS 2 publications that wait for PUBREL; whether durable.
        dirty: something has changed that is stored when there is time.
    """

    __slots__ = (
        "actor",
        "attachment",
        "detached_ms",
        "dirty",
        "epoch",
        "expiry_s",
        "filters",
        "flights",
        "inbound",
        "last_id",
        "name",
        "owed",
        "owner",
        "position",
        "shares",
        "stored",
        "will",
    )

    def __init__(self, owner: str, name: str, actor: Actor, epoch: int) -> None:
        self.owner = owner
        self.name = name
        self.actor = actor
        self.epoch = epoch
        self.expiry_s = 0
        self.position = 0
        self.owed: tuple[Owed, ...] = ()
        self.filters: dict[str, Filter] = {}
        self.flights = NO_FLIGHTS
        self.inbound: Mapping[int, bool] = NO_INBOUND
        self.last_id = 0
        self.will: StoredWill | None = None
        self.detached_ms = 0
        self.shares: Mapping[str, int] = NO_SHARES
        self.attachment: Attachment | None = None
        self.dirty = False
        self.stored = False

    @property
    def key(self) -> tuple[str, str]:
        return self.owner, self.name

    @property
    def source(self) -> str:
        """Its name as a publisher, for No Local. An owner has no NUL, so this is unambiguous."""
        return f"{self.owner}\0{self.name}"

    # An idle client has no dicts of its own.

    def send(self, flight: Flight) -> int:
        """Note what is in flight from now on, and give it an unused identifier (2.2.1). The window
        is far smaller than their number."""
        flights, number = self.flights, self.last_id % PACKET_ID_MAX + 1
        if flights is NO_FLIGHTS:
            flights = self.flights = {}
        while number in flights:
            number = number % PACKET_ID_MAX + 1
        self.last_id = number
        flights[number] = flight
        self.dirty = True
        return number

    def sent(self, packet_id: int, flight: Flight) -> None:
        """What is in flight has come further."""
        self.flights[packet_id] = flight
        self.dirty = True

    def landed(self, packet_id: int) -> None:
        """It is no more in flight."""
        self.flights.pop(packet_id, None)
        self.dirty = True

    def received(self, packet_id: int, *, durable: bool) -> None:
        """Note an identifier whose PUBREL will come."""
        if self.inbound is NO_INBOUND:
            self.inbound = {}
        cast("dict[int, bool]", self.inbound)[packet_id] = durable
        self.dirty = True

    def released(self, packet_id: int) -> bool:
        """An identifier is free again. Returns: whether it was in use."""
        self.dirty = True
        return cast("dict[int, bool]", self.inbound).pop(packet_id, None) is not None

    def see(self) -> None:
        """Note how far its connection has come."""
        attachment = self.attachment
        if attachment is not None:
            self.position, self.owed = attachment.position(), attachment.owed()
            self.shares = attachment.shares()

    def row(self) -> ClientRow:
        """What is stored now."""
        self.see()
        state = ClientState(
            epoch=self.epoch,
            position=self.position,
            expiry_s=self.expiry_s,
            filters=tuple(self.filters.values()),
            flights=tuple(self.flights.items()),
            inbound=tuple(self.inbound),
            last_id=self.last_id,
            will=self.will,
            actor=self.actor,
            detached_ms=self.detached_ms,
            shares=self.shares,
            owed=self.owed,
        )
        return ClientRow(
            owner=self.owner,
            client=self.name,
            state=encode_state(state),
            wake_ms=wake_ms(state) if self.detached_ms else ATTACHED_MS,
        )

    def gone_row(self) -> ClientRow:
        """What is stored when the session has ended."""
        return ClientRow(owner=self.owner, client=self.name, state=None, wake_ms=0)


def client_of(row: ClientRow) -> Client:
    """The client of a stored row, detached."""
    assert row.state is not None
    state = decode_state(row.state)
    client = Client(row.owner, row.client, state.actor, state.epoch)
    client.expiry_s = state.expiry_s
    client.position = state.position
    client.filters = {each.text: each for each in state.filters}
    client.flights = dict(state.flights)
    client.inbound = dict.fromkeys(state.inbound, True)
    client.last_id = state.last_id
    client.will = state.will
    client.detached_ms = state.detached_ms
    client.shares = dict(state.shares)
    client.owed = state.owed
    client.stored = True
    return client


def expires_ms(state: ClientState) -> int:
    """When a detached session ends."""
    return state.detached_ms + state.expiry_s * 1000


def wake_ms(state: ClientState) -> int:
    """When somebody has to look at a detached session: its will is due, or it ends."""
    due = expires_ms(state)
    if state.will is not None:
        due = min(due, state.detached_ms + state.will.delay_s * 1000)
    return due
