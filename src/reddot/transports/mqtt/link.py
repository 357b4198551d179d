"""What the parts of a connection share: its state, its writing, its ends. Sections: MQTT 5.0.

`connection` takes packets, `opening` the first one, `inbound` what the client publishes and
`subscriptions` what it asks for; all of them work on a `Link`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final

from reddot.codecs.mqtt_decode import Decoder
from reddot.codecs.mqtt_encode import encode_ack, encode_connack, encode_disconnect, short_ack
from reddot.codecs.mqtt_packets import (
    CONNACK_REASONS,
    DISCONNECT_BY_SERVER,
    LEVEL_5,
    MALFORMED,
    NO_PROPERTIES,
    PROTOCOL_ERROR,
    Ack,
    Connack,
    Disconnect,
    Properties,
)
from reddot.core.session import ReconnectReason, Session, State
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Actor, Cursor, Gap
from reddot.net.tcp import BytePeer
from reddot.transports.mqtt.broker import Broker
from reddot.transports.mqtt.outbound import Outbound, OutboundLimits
from reddot.transports.mqtt.shares import Member
from reddot.transports.mqtt.state import Client, Owed

SUCCESS: Final = 0x00
UNSPECIFIED: Final = 0x80
SERVER_BUSY: Final = 0x89
"""What the codes stand for that are none of CONNACK or DISCONNECT: they are all ours."""
SHUTTING_DOWN: Final = 0x8B
KEEP_ALIVE_TIMEOUT: Final = 0x8D
TAKEN_OVER: Final = 0x8E

_CONNACK_WORDS: Final = {0x96: 0x9F}
"""Message rate too high is connection rate exceeded, for who is not connected yet."""

RECEIVE_MAX_DEFAULT: Final = 65_535
GRACE: Final = 1.5
"""How many times its keep-alive a client may be silent (3.1.2-22)."""


def wants_ids(properties: Properties) -> bool:
    """Whether deliveries are to carry their id, offset and cursor."""
    return ("reddot", "1") in properties.user


OPENING: Final = 1
WRITING: Final = 2
PUBLISHING: Final = 4
STORING: Final = 8
HOLDING: Final = 16
"""Why a client is not read from: it is being let in, does not read, publishes too fast, or changes
its filters behind publications that are being stored."""


class Phase(Enum):
    """CONNECTING waits for CONNECT, OPENING for what it depends on, OPEN is past CONNACK."""

    CONNECTING = 1
    OPENING = 2
    OPEN = 3
    CLOSED = 4


CONNECTING: Final = Phase.CONNECTING
OPEN: Final = Phase.OPEN
"""By their own names, for what is asked per packet: Python 3.11 takes longer for a member."""


class Link(Member):
    """One client's connection: its peer's listener, its session's sink, its client's attachment.

    Attributes:
        write: writes encoded packets; on WebSocket it puts them into a frame.
        client, session, outbound: from CONNACK on; `outbound` only for sessions of QoS 1 and 2 or
            with options.
        reading_stops: why the client is not read from, if it is not.
        storing: QoS 0 publications of the client that are being stored, or wait behind such.
        unanswered: QoS 1 publications of the client that are not acknowledged yet.
        properties: those of CONNECT.
        known: whom the upgrade of its WebSocket has named.
        answers: acknowledgements that this loop turn has made.
        stash: what came while nothing is looked at, because CONNECT or a change of filters waits;
            None: what comes is looked at.
        heard_at: when the client last sent something, monotonic seconds.
    """

    __slots__ = (
        "_counted_at",
        "_packets",
        "_saving",
        "aliases",
        "answers",
        "broker",
        "client",
        "decoder",
        "forget_pending",
        "heard_at",
        "keep_alive_s",
        "known",
        "outbound",
        "peer",
        "phase",
        "properties",
        "reading_stops",
        "session",
        "stash",
        "storing",
        "unanswered",
        "websocket",
        "write",
    )

    client: Client
    session: Session

    def __init__(
        self,
        broker: Broker,
        peer: BytePeer,
        *,
        websocket: bool,
        forget_pending: Callable[[Link], None],
    ) -> None:
        self.broker = broker
        self.peer = peer
        self.websocket = websocket
        self.write: Callable[[bytes], object] = peer.send if websocket else peer.transport.write
        self.forget_pending = forget_pending
        self.decoder = Decoder(limits=broker.decoder_limits, topics=broker.topics)
        self.phase = Phase.CONNECTING
        self.outbound: Outbound | None = None
        self.aliases: dict[int, str] | None = None
        self.keep_alive_s = 0
        self.known: Actor | None = None
        self.unanswered = 0
        self.storing = 0
        self.properties = NO_PROPERTIES
        self.stash: list[bytes] | None = None
        self._saving = False
        self.reading_stops = 0
        self.answers: list[bytes] | None = None
        self._packets = 0.0
        self.heard_at = self._counted_at = broker.clock.monotonic()

    def is_closed(self) -> bool:
        """To be asked after every wait."""
        return self.phase is Phase.CLOSED

    @property
    def level(self) -> int:
        return self.decoder.level

    def is_storing(self) -> bool:
        """Whether something that the client has published is being stored."""
        return bool(self.unanswered or self.storing) or not all(self.client.inbound.values())

    # Reading and writing

    def stop_reading(self, why: int) -> None:
        """A client that does not read, or whose publications wait, is not read from either."""
        if not self.reading_stops and not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()
        self.reading_stops |= why

    def go_on_reading(self, why: int) -> None:
        if self.reading_stops & why:
            self.reading_stops &= ~why
            if not self.reading_stops and not self.peer.transport.is_closing():
                self.peer.transport.resume_reading()

    def count_packet(self) -> None:
        """A bucket that leaks `mqtt_packets_per_s` a second and holds as much, for packets that
        need no answer of ours before the next one.

        Raises:
            ReddotError: `rate_limited`.
        """
        most = self.broker.limits.mqtt_packets_per_s
        leaked = (self.heard_at - self._counted_at) * most
        self._counted_at = self.heard_at
        self._packets = self._packets - leaked + 1 if leaked < self._packets else 1.0
        if self._packets > most:
            raise ReddotError("rate_limited", f"{most} packets per second are allowed")

    def acknowledge(self, kind: int, packet_id: int) -> None:
        """Say yes; with all other answers of this loop turn, because each write costs a system
        call."""
        answers = self.answers
        if answers is None:
            answers = self.answers = []
            answering = self.broker.answering
            if not answering:
                asyncio.get_running_loop().call_soon(self.broker.write_answers)
            answering.append(self)
        answers.append(short_ack(kind, packet_id))

    def write_answers(self) -> None:
        """Before anything that has to stand behind them."""
        answers, self.answers = self.answers, None
        if answers and self.phase is OPEN:
            self.write(b"".join(answers))

    def refuse(self, kind: int, packet_id: int, reason: int, detail: str = "") -> None:
        """An answer that says why not."""
        self.write_answers()
        properties = NO_PROPERTIES
        if detail and self.properties.request_problem_information != 0:
            properties = Properties(reason_string=detail)
        packet = encode_ack(self.level, Ack(kind, packet_id, reason, properties))
        limit = self.properties.maximum_packet_bytes
        if limit is not None and len(packet) > limit:
            packet = encode_ack(self.level, Ack(kind, packet_id, reason))
        self.write(packet)

    def make_outbound(self) -> Outbound:
        """The session's own encoder, from the first subscription on that needs one."""
        outbound = self.outbound
        if outbound is None:
            broker, client, properties = self.broker, self.client, self.properties
            packet_max = broker.limits.mqtt_packet_bytes_max
            window = properties.receive_maximum or RECEIVE_MAX_DEFAULT
            aliases = properties.topic_alias_maximum or 0
            outbound = self.outbound = Outbound(
                client=client,
                session=self.session,
                frames=broker.frames,
                limits=OutboundLimits(
                    level=self.level,
                    window=min(window, broker.limits.mqtt_inflight_max),
                    packet_bytes_max=properties.maximum_packet_bytes or 2 * packet_max,
                    aliases_max=min(aliases, broker.limits.mqtt_topic_alias_max),
                ),
                counters=broker.counters,
                epoch=broker.subscribing.hub.epoch,
                hold=broker.subscribing.hold,
                keep=self.keep_unsaved if client.expiry_s else None,
            )
            outbound.wants_ids = wants_ids(properties)
        return outbound

    def use_outbound(self) -> None:
        """Let the session deliver through its own encoder; while it is not in the hub."""
        outbound = self.make_outbound()
        self.session.encoder = outbound.encoder
        self.session.write = self.write

    def put(self, data: bytes) -> None:
        """Write what the session's own encoder made."""
        if data:
            self.write(data)

    # Making durable

    def keep_unsaved(self) -> None:
        """Publications wait for the session to be stored: when this loop turn has ended, so that
        it is stored once for all of them, with a place that everybody has been served up to."""
        if not self._saving:
            self._saving = True
            asyncio.get_running_loop().call_soon(self._save_unsaved)

    def _save_unsaved(self) -> None:
        """Store the session, write what waited for it, and again as long as something waits."""
        outbound = self.outbound
        assert outbound is not None
        frames = outbound.take_unsaved() if self.phase is Phase.OPEN else b""
        if not frames:
            self._saving = False
            return

        def done() -> None:
            self.write(frames)
            self._save_unsaved()

        self.save(done)

    def save(self, done: Callable[[], object]) -> None:
        """Store the session, then go on, if the connection is still there. Without a session that
        outlives its connection there is nothing to store."""
        if not self.client.expiry_s:
            done()
            return

        def stored(error: ReddotError | None) -> None:
            if self.phase is not Phase.OPEN:
                return
            if error is None:
                done()
            else:
                self.broker.counters.reject(error.code, "mqtt", error.detail)
                self.fail(error.row.mqtt, "the session cannot be stored")

        self.broker.clients.save(self.client, stored)

    # The session's sink

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        """MQTT has no word for it; gaps are told with the next delivery, to who wants them."""
        if gaps:
            self.broker.counters.mqtt_backlogs_lost += 1
            self._missing(gaps)

    def gap(self, gap: Gap) -> None:
        self.broker.counters.mqtt_backlogs_lost += 1
        self._missing((gap,))

    def _missing(self, gaps: Sequence[Gap]) -> None:
        if self.outbound is not None:
            self.outbound.missing(gaps)

    def heartbeat(self, cursor: Cursor) -> None:
        """The timer asks; the client has to speak, not we."""
        if not self.keep_alive_s:
            return
        left_s = self.heard_at + GRACE * self.keep_alive_s - self.broker.clock.monotonic()
        if left_s <= 0:
            self.fail(KEEP_ALIVE_TIMEOUT, "silent for too long")
        else:
            self.session.heartbeat_s = left_s

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        """Who is to come back is told when; other reasons are those of the `close` that follows."""
        if reason == "drain":
            self.end(SHUTTING_DOWN, user=(("retry_ms", str(retry_ms)),))

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        """The core ends the session."""
        reason = SHUTTING_DOWN if error is None else error.row.mqtt
        if abort:
            self.leave()
            self.peer.transport.abort()
        else:
            self.end(reason, "" if error is None else error.detail)

    # The client's attachment

    def position(self) -> int:
        session = self.session
        live = session.state is State.LIVE
        return self.broker.subscribing.hub.position if live else session.position

    def owed(self) -> tuple[Owed, ...]:
        """What is of the user's inbox ends with the connection."""
        known, found = self.client.filters, []
        for each in self.session.backfills or ():
            filters = tuple(text for text in each.filters if text in known)
            if filters and each.position < each.upto:
                found.append(Owed(filters, each.position, each.upto, each.retained))
        return tuple(found)

    def shares(self) -> Mapping[str, int]:
        return self.broker.shares.positions(self.client)

    def take_over(self) -> None:
        self.end(TAKEN_OVER, "the client has connected again", detach=False)

    # Ends

    def fail(self, reason: int, detail: str) -> None:
        """End the connection for a reason; say it if the protocol has a way to (4.13)."""
        if self.phase is Phase.OPEN:
            self.end(reason, detail)
        elif self.phase is not Phase.CLOSED:
            if self._may_answer(reason):
                properties = Properties(reason_string=detail) if detail else NO_PROPERTIES
                known = _CONNACK_WORDS.get(reason, reason)
                known = known if known in CONNACK_REASONS else SERVER_BUSY
                answer = encode_connack(self.level, Connack(reason=known, properties=properties))
                limit = self.properties.maximum_packet_bytes or len(answer)
                if len(answer) > limit:
                    answer = encode_connack(self.level, Connack(reason=known))
                if len(answer) <= limit:
                    self.write(answer)
            self.leave()
            self.peer.end()

    def _may_answer(self, reason: int) -> bool:
        """Whether a refused CONNECT is answered: a client that has not said its version cannot be,
        and before 5.0 one whose packet is malformed must not be (3.1.1: MQTT-3.1.4-1)."""
        level = self.decoder.level
        return level == LEVEL_5 or (level != 0 and reason not in (MALFORMED, PROTOCOL_ERROR))

    def end(
        self,
        reason: int,
        detail: str = "",
        *,
        user: tuple[tuple[str, str], ...] = (),
        detach: bool = True,
    ) -> None:
        """DISCONNECT, and close so that it is read."""
        if self.phase is Phase.CLOSED:
            return
        self.write_answers()
        if self.level == LEVEL_5:
            reason = reason if reason in DISCONNECT_BY_SERVER else SERVER_BUSY
            properties = NO_PROPERTIES
            if detail or user:
                properties = Properties(reason_string=detail or None, user=user)
            packet = encode_disconnect(self.level, Disconnect(reason, properties))
            limit = self.properties.maximum_packet_bytes
            if limit is not None and len(packet) > limit:
                packet = encode_disconnect(self.level, Disconnect(reason))
            self.write(packet)
        self.leave(detach=detach)
        self.peer.end()

    def leave(self, *, detach: bool = True) -> None:
        """Forget the session, whoever has ended it."""
        phase, self.phase = self.phase, Phase.CLOSED
        self.forget_pending(self)
        self.stash = None
        if phase is not Phase.OPEN:
            return
        client = self.client
        client.see()
        self.broker.subscribing.forget(self.session)
        self.broker.shares.leave(self)
        if detach and client.attachment is self:
            self.broker.clients.detach(client)
