"""Shared subscriptions: `$share/name/filter`, whose publications go to one member each (MQTT 5.0
section 4.8.2). They are shared on this node, in turn, among the members that can take one.

A shared subscription is a session of the core like any other: when no member can take more it is
held at its place in the log. Its encoder is the turn-taking; what it writes goes to the member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reddot.core.hub import Encoder
from reddot.core.session import ReconnectReason, Session, State
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import ANONYMOUS, Cursor, Gap, Publication
from reddot.transports.mqtt.outbound import TRANSPORT, Outbound, merge
from reddot.transports.mqtt.state import NO_SHARES, Client, Filter

QUIET_S = 86_400.0


class Member:
    """What a shared subscription needs of a connection: `transports.mqtt.link.Link`."""

    __slots__ = ()

    client: Client
    session: Session

    def make_outbound(self) -> Outbound:
        raise NotImplementedError

    def put(self, data: bytes) -> None:
        raise NotImplementedError

    def end(self, reason: int, detail: str = "", *, detach: bool = True) -> None:
        raise NotImplementedError


class Share:
    """One name and filter. The sink of its session."""

    def __init__(self, text: str, counters: Counters, hold: Callable[[Session, int], None]) -> None:
        self.text = text
        self.encoder = Encoder(TRANSPORT, self.encode)
        self.members: dict[Member, Filter] = {}
        self.session: Session
        self._counters = counters
        self._hold = hold

    def encode(self, publication: Publication, cursor: Cursor | None) -> bytes:
        """Give the publication to the next member that can take it."""
        if publication.position and self.session.state is State.HELD:
            return b""
        if publication.position and not publication.qos and self.session.state is not State.LIVE:
            return b""  # QoS 0 is not kept for anybody.
        wanted = False
        for member, asked in list(self.members.items()):
            qos = min(publication.qos, asked.qos)
            wanted = wanted or bool(qos)
            outbound = member.make_outbound()
            if member.session.state is State.PAUSED or (qos and not outbound.has_room()):
                continue
            match = merge([asked])
            retain = asked.retain_as_published and publication.retain
            data = outbound.give(publication, qos, retain, match.identifiers)
            del self.members[member]  # To the end of the queue.
            self.members[member] = asked
            member.put(data)
            return b""
        if wanted and publication.position:
            self._hold(self.session, publication.position - 1)
        else:
            self._counters.mqtt_shared_dropped += 1
        return b""

    # Sink: nothing is written to a shared subscription itself.

    def write(self, data: bytes) -> None:
        """Members are written to one by one."""

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        self._counters.mqtt_backlogs_lost += bool(gaps)

    def gap(self, gap: Gap) -> None:
        self._counters.mqtt_backlogs_lost += 1

    def heartbeat(self, cursor: Cursor) -> None:
        """Nobody waits for one."""

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        """Its members are told themselves."""

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        """The log cannot be read: its members have to begin anew. Other ends they are told."""
        if error is not None:
            for member in list(self.members):
                member.end(error.row.mqtt, "a shared subscription cannot go on")


class Shares:
    """All shared subscriptions of this node that have a member here."""

    def __init__(self, subscribing: Subscribing, counters: Counters) -> None:
        self._subscribing = subscribing
        self._counters = counters
        self._shares: dict[str, Share] = {}
        self._left: dict[str, int] = {}

    def join(
        self, member: Member, shared: tuple[str, str], asked: Filter, position: int | None
    ) -> None:
        """Make a connection a member. `position`: where the others were when it left, if it did."""
        share = self._shares.get(asked.text)
        if share is not None:
            share.members[member] = asked
            self._subscribing.release(share.session)
            return
        share = Share(asked.text, self._counters, self._subscribing.hold)
        try:
            share.session = self._subscribing.create(
                actor=ANONYMOUS, filters=(shared[1],), encoder=share.encoder, heartbeat_s=QUIET_S
            )
        except ReddotError as error:
            self._counters.reject(error.code, "mqtt", error.detail)
            return
        share.session.age_at = float("inf")
        share.session.attach(share)
        share.members[member] = asked
        self._shares[asked.text] = share
        hub = self._subscribing.hub
        start = hub.position
        if position is not None:
            start = max(position, self._left.pop(asked.text, 0))
        self._subscribing.start(share.session, Cursor(hub.epoch, start))

    def leave(self, member: Member, text: str | None = None) -> None:
        """Take a connection out of one shared subscription, or of all."""
        if not self._shares:
            return
        for share in [s for s in self._shares.values() if member in s.members]:
            if text is None or share.text == text:
                del share.members[member]
                if not share.members:
                    self._end(share, keep=member.client.expiry_s > 0)

    def _end(self, share: Share, *, keep: bool) -> None:
        position = self._position(share)
        self._subscribing.forget(share.session)
        del self._shares[share.text]
        if keep:
            self._left[share.text] = position

    def room(self, member: Member) -> None:
        """A member can take more."""
        if not self._shares:
            return
        for text in member.client.filters:
            share = self._shares.get(text)
            if share is not None and member in share.members:
                self._subscribing.release(share.session)

    def positions(self, client: Client) -> Mapping[str, int]:
        """The places of the shared subscriptions of a client."""
        if not self._shares:
            return NO_SHARES
        shares = (self._shares.get(text) for text in client.filters)
        return {share.text: self._position(share) for share in shares if share is not None}

    def _position(self, share: Share) -> int:
        live = share.session.state is State.LIVE
        return self._subscribing.hub.position if live else share.session.position
