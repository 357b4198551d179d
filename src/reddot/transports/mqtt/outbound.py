"""From a publication to a client's PUBLISH: shared bytes where they are the same, else one's own.

Clients whose subscriptions say nothing special (QoS 0, no options) share one encoder per protocol
level, and so one frame. Everybody else has an `Outbound`, an encoder of its own, which knows the
window of unacknowledged publications: when it is full the session is held at its place in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from reddot.codecs.cursor import encode_cursor
from reddot.codecs.frames import encode_time
from reddot.codecs.mqtt_encode import encode_publish, expiry_property
from reddot.codecs.mqtt_packets import LEVEL_5, Properties, split_shared
from reddot.codecs.mqtt_properties import encode_properties
from reddot.codecs.websocket import encode_binary
from reddot.core.hub import Encoder
from reddot.core.session import HELD, Session
from reddot.core.topics import matches
from reddot.counters import Counters
from reddot.inbox import Badge
from reddot.model import EVENT_DEFAULT, USERS_ROOT, Cursor, Gap, GapReason, Publication
from reddot.ports import Clock
from reddot.transports.mqtt.state import Client, Filter, Flight

TRANSPORT: Final = "mqtt"
_MATCHES_MAX: Final = 256
ALIAS_AND_LENGTH_BYTES_MAX: Final = 9
"""What a topic alias takes, and what longer lengths of a packet and of its properties may take."""


class Frames:
    """What the clients of one node share of the publications that they get.

    Attributes:
        shared: encoders of sessions without anything special, by level and whether on WebSocket.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.shared: dict[tuple[int, bool], Encoder] = {}
        for level in (4, 5):
            encode, retained = self._encode(level, False), self._encode(level, True)
            self.shared[level, False] = Encoder(TRANSPORT, encode, retained=retained)
            self.shared[level, True] = Encoder(
                TRANSPORT, _framed(encode), retained=_framed(retained)
            )

    def _encode(self, level: int, retain: bool) -> Callable[[Publication, Cursor | None], bytes]:
        def encode(publication: Publication, _cursor: Cursor | None) -> bytes:
            properties = self.properties(publication) if level == LEVEL_5 else b""
            return encode_publish(
                level, publication.topic, publication.data, retain=retain, properties=properties
            )

        return encode

    def properties(self, publication: Publication) -> bytes:
        """Those of a message that do not depend on who receives it (level 5)."""
        if publication.expires_ms is None:
            return publication.properties
        left_ms = publication.expires_ms - self._clock.wall_ms()
        return expiry_property(max(0, -(-left_ms // 1000))) + publication.properties


def _framed(
    encode: Callable[[Publication, Cursor | None], bytes],
) -> Callable[[Publication, Cursor | None], bytes]:
    return lambda publication, cursor: encode_binary(encode(publication, cursor))


class Match(NamedTuple):
    """What the subscriptions of a client say about a topic; `qos` -1: it has none for it."""

    qos: int
    retain_as_published: bool
    identifiers: bytes


_NO_MATCH: Final = Match(-1, False, b"")
_INBOX_MATCH: Final = Match(0, False, b"")


def merge(filters: list[Filter]) -> Match:
    """One copy for overlapping subscriptions: the highest QoS, all identifiers (3.3.4-2 to -4)."""
    if not filters:
        return _NO_MATCH
    identifiers = tuple(each.identifier for each in filters if each.identifier)
    return Match(
        max(each.qos for each in filters),
        any(each.retain_as_published for each in filters),
        encode_properties(Properties(subscription_ids=identifiers)) if identifiers else b"",
    )


class OutboundLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client can take, and what we are willing to have unacknowledged.

    Attributes:
        window: QoS 1 and 2 publications that may be unacknowledged.
        packet_bytes_max: larger ones are skipped as if they had been sent (3.1.2-25).
        aliases_max: topics that get an alias.
    """

    level: int
    window: int
    packet_bytes_max: int
    aliases_max: int


class Outbound:
    """The encoder of one session.

    Args:
        hold: `Subscribing.hold`.
        keep: asked to make the session durable; then it calls `flush`. None: nothing is stored.
        epoch: of the log, for cursors.

    Attributes:
        wants_ids: deliveries carry what other transports have in a frame, `id`, `offset`, `cursor`,
            `event` and `time`, as user properties.
        wants_inbox: what matches no subscription is of the user's inbox, and delivered at QoS 0.
        badge_is_retained: the next badge answers a subscription.
        is_saving: some frames wait until the session is stored.
        gaps: filters on which publications are missing, and why: told with the next delivery.
        missed_upto: QoS 0 publications up to this position were missed while it was away.
    """

    __slots__ = (
        "_aliases",
        "_client",
        "_counters",
        "_epoch",
        "_frames",
        "_hold",
        "_keep",
        "_matches",
        "_no_local",
        "_session",
        "_unsaved",
        "badge_is_retained",
        "encoder",
        "gaps",
        "is_saving",
        "limits",
        "missed_upto",
        "wants_ids",
        "wants_inbox",
    )

    def __init__(
        self,
        *,
        client: Client,
        session: Session,
        frames: Frames,
        limits: OutboundLimits,
        counters: Counters,
        epoch: int,
        hold: Callable[[Session, int], None],
        keep: Callable[[], None] | None,
    ) -> None:
        self.encoder = Encoder(
            TRANSPORT,
            self.encode,
            retained=self.encode_retained,
            encode_badge=self.encode_badge,
            own=True,
        )
        self.limits = limits
        self.wants_ids = False
        self.wants_inbox = False
        self.badge_is_retained = False
        self.missed_upto = 0
        self.gaps: dict[str, GapReason] | None = None
        self._client = client
        self._session = session
        self._frames = frames
        self._counters = counters
        self._epoch = epoch
        self._hold = hold
        self._keep = keep
        self._no_local = False
        self._matches: dict[str | tuple[str], Match] = {}
        self._aliases: dict[str, int] = {}
        self._unsaved: list[bytes] = []
        self.is_saving = False

    # What the subscriptions say

    def changed(self) -> None:
        """The client's filters are others now."""
        self._matches.clear()
        self._no_local = any(each.no_local for each in self._client.filters.values())

    def _match(self, topic: str, *, own: bool = False) -> Match:
        """What holds for a topic; `own`: for what the client has published itself."""
        key = (topic,) if own else topic
        found = self._matches.get(key)
        if found is None:
            if len(self._matches) >= _MATCHES_MAX:
                self._matches.clear()
            found = self._matches[key] = merge(
                [
                    each
                    for each in self._client.filters.values()
                    if split_shared(each.text) is None
                    and matches(each.text, topic)
                    and not (own and each.no_local)
                ]
            )
            if found.qos < 0 and self.wants_inbox and not own:
                found = self._matches[key] = _INBOX_MATCH
        return found

    # Encoding

    def encode(self, publication: Publication, cursor: Cursor | None) -> bytes:
        """One publication; nothing if it is not for this client, or not now."""
        match = self._matches.get(publication.topic)
        if match is None or self._no_local:
            own = self._no_local and publication.source == self._client.source
            match = self._match(publication.topic, own=own)
        qos = match.qos
        if qos > publication.qos:
            qos = publication.qos
        if qos <= 0:
            if qos < 0:
                return b""
            missed = 0 < publication.position <= self.missed_upto
            if missed and not self._session.backfills:
                return b""  # Nobody has asked for it: that would be a SUBSCRIBE with a cursor.
        retain = match.retain_as_published and publication.retain
        return self.deliver(publication, qos, retain, match.identifiers)

    def encode_retained(self, publication: Publication, cursor: Cursor | None) -> bytes:
        """A retained publication for a new subscription (3.3.1-8)."""
        backfills = self._session.backfills
        asked = backfills[0].filters if backfills else self._session.filters
        own = bool(publication.source) and publication.source == self._client.source
        match = merge(
            [
                each
                for text in asked
                if (each := self._client.filters.get(text)) is not None
                and matches(text, publication.topic)
                and not (own and each.no_local)
            ]
        )
        if match.qos < 0:
            return b""
        qos = min(publication.qos, match.qos)
        return self.deliver(publication, qos, True, match.identifiers)

    def encode_badge(self, badge: Badge, cursor: Cursor) -> bytes:
        """The user's badge as a value of its topic, at QoS 0: the next one makes up for a loss."""
        user = self._session.actor.user
        assert user is not None, "who has a badge is somebody"
        topic = f"{USERS_ROOT}/{user}/badge"
        match = self._match(topic)
        if match.qos < 0:
            return b""
        retain, self.badge_is_retained = self.badge_is_retained, False
        more = match.identifiers if self.limits.level == LEVEL_5 else b""
        data = msgspec.json.encode(badge)
        return encode_publish(self.limits.level, topic, data, retain=retain, properties=more)

    def has_room(self) -> bool:
        return len(self._client.flights) < self.limits.window

    def deliver(
        self, publication: Publication, qos: int, retain: bool, identifiers: bytes
    ) -> bytes:
        """The PUBLISH, or nothing: it is held back, too large, or waits to be made durable."""
        position = publication.position
        if position and self._session.state is HELD:
            return b""
        if qos and len(self._client.flights) >= self.limits.window:
            self._counters.mqtt_windows_full += 1
            self._hold(self._session, position - 1)
            return b""
        return self.give(publication, qos, retain, identifiers)

    def give(self, publication: Publication, qos: int, retain: bool, identifiers: bytes) -> bytes:
        """`deliver`, for who knows already that there is room."""
        limits, topic, properties = self.limits, publication.topic, b""
        if limits.level == LEVEL_5:
            properties = self._properties(publication, identifiers)
            if limits.aliases_max and not self._waits(qos):
                topic, alias = self._alias(topic)
                properties += alias
        packet_id = 0
        if qos:
            packet_id = self._client.send(Flight(publication.position, qos, False, retain))
        frame = encode_publish(
            limits.level,
            topic,
            publication.data,
            qos=qos,
            retain=retain,
            packet_id=packet_id,
            properties=properties,
        )
        if len(frame) > limits.packet_bytes_max:
            self._take_back(packet_id, topic)
            return b""
        if self._keep is None:
            return frame
        return self._in_turn(publication, frame, must_wait=qos == 2)

    def _waits(self, qos: int) -> bool:
        """Whether a frame may have to wait until the session is durable."""
        return self._keep is not None and (qos == 2 or self.is_saving)

    def _take_back(self, packet_id: int, topic: str) -> None:
        """What a client cannot take is not sent; neither has it heard of an alias."""
        self._counters.mqtt_too_large += 1
        self._aliases.pop(topic, None)
        if packet_id:
            self._client.landed(packet_id)

    def _in_turn(self, publication: Publication, frame: bytes, *, must_wait: bool = False) -> bytes:
        """The frame; or nothing, if it has to wait until its identifier is durable, because the
        identifier must not be given to another publication after a crash. What is behind such a
        frame in the log waits with it."""
        if not (must_wait or (self.is_saving and publication.position)):
            return frame
        assert self._keep is not None
        self._unsaved.append(frame)
        self.is_saving = True
        self._keep()
        return b""

    def again(self, publication: Publication, packet_id: int, flight: Flight) -> bytes:
        """What was sent on an earlier connection (4.4), with the same identifier."""
        level, properties = self.limits.level, b""
        if level == LEVEL_5:
            identifiers = self._match(publication.topic).identifiers
            properties = self._properties(publication, identifiers)
        return encode_publish(
            level,
            publication.topic,
            publication.data,
            qos=flight.qos,
            retain=flight.retained,
            dup=True,
            packet_id=packet_id,
            properties=properties,
        )

    def take_unsaved(self) -> bytes:
        """What waits to be made durable; nothing ends the waiting."""
        frames, self._unsaved = self._unsaved, []
        self.is_saving = bool(frames)
        return b"".join(frames)

    def _properties(self, publication: Publication, identifiers: bytes) -> bytes:
        """Those of the message, and those that only this client gets (level 5)."""
        properties = self._frames.properties(publication) + identifiers
        if self.wants_ids:
            properties += self._own_user_properties(publication)
            if self.gaps:
                properties += self._told(publication, properties)
        return properties

    def missing(self, gaps: Sequence[Gap]) -> None:
        """Note gaps for the next delivery; of a filter the last one is enough."""
        if self.wants_ids and gaps:
            self.gaps = (self.gaps or {}) | {gap.topic: gap.reason for gap in gaps}

    def _told(self, publication: Publication, properties: bytes) -> bytes:
        """The gaps as user properties, once; as many as the client's packets have room for."""
        topic, data = publication.topic, publication.data
        frame = encode_publish(LEVEL_5, topic, data, qos=1, packet_id=1, properties=properties)
        room = self.limits.packet_bytes_max - len(frame) - ALIAS_AND_LENGTH_BYTES_MAX
        told = b""
        for text, reason in list((self.gaps or {}).items()):
            pair = encode_properties(Properties(user=(("gap", f"{reason} {text}"),)))
            if len(told) + len(pair) > room:
                break
            told += pair
            assert self.gaps is not None
            del self.gaps[text]
        return told

    def _own_user_properties(self, publication: Publication) -> bytes:
        pairs = [("id", publication.id)]
        if publication.position:
            pairs.append(("offset", str(publication.offset)))
            cursor = Cursor(self._epoch, self._session.place_behind(publication.position))
            pairs.append(("cursor", encode_cursor(cursor)))
        if publication.event != EVENT_DEFAULT:
            pairs.append(("event", publication.event))
        pairs.append(("time", encode_time(publication.time_ms).decode()))
        return encode_properties(Properties(user=tuple(pairs)))

    def _alias(self, topic: str) -> tuple[str, bytes]:
        """The topic as it is sent, and the property of its alias (3.3.2.3.4), which stands for it
        from the second time on. The first topics of a connection get one."""
        alias = self._aliases.get(topic)
        if alias is not None:
            return "", encode_properties(Properties(topic_alias=alias))
        if len(self._aliases) >= self.limits.aliases_max:
            return topic, b""
        alias = self._aliases[topic] = len(self._aliases) + 1
        return topic, encode_properties(Properties(topic_alias=alias))
