"""SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 sections 3.8 to 3.11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reddot.codecs.cursor import decode_cursor, encode_cursor
from reddot.codecs.mqtt_encode import encode_suback, encode_unsuback
from reddot.codecs.mqtt_packets import (
    LEVEL_5,
    MALFORMED,
    NO_PROPERTIES,
    MqttError,
    Properties,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    split_shared,
)
from reddot.core.session import State
from reddot.core.topics import check_filter
from reddot.errors import ReddotError
from reddot.model import Cursor
from reddot.transports.mqtt.badges import show_badge, wants_badge
from reddot.transports.mqtt.link import Link, Phase, wants_ids
from reddot.transports.mqtt.state import Filter

UNSPECIFIED: Final = 0x80
NO_SUBSCRIPTION: Final = 0x11
STRING_BYTES_MAX: Final = 65_535
"""Two bytes of length can say no more (1.5.4); what is longer than we allow is well-formed."""
_REFUSALS: Final = frozenset((0x80, 0x83, 0x87, 0x8F, 0x97))

RETAIN_ALWAYS: Final = 0
RETAIN_IF_NEW: Final = 1


class _Asked:
    """What a SUBSCRIBE has come to.

    Attributes:
        retained: filters that get what is retained, up to the position `retained_upto`.
    """

    def __init__(self) -> None:
        self.reasons: list[int] = []
        self.filters: list[str] = []
        self.inbox: tuple[str, ...] = ()
        self.retained: list[str] = []
        self.retained_upto = 0
        self.shares: list[tuple[tuple[str, str], Filter]] = []


def change(link: Link, packet: Subscribe | Unsubscribe) -> None:
    """Take a SUBSCRIBE or UNSUBSCRIBE; the answer comes when the session is durable."""
    if isinstance(packet, Subscribe):
        _subscribe(link, packet)
    else:
        _unsubscribe(link, packet)


def _subscribe(link: Link, packet: Subscribe) -> None:
    link.broker.subscribing.hub.flush()  # What was answered before is not for the new filters.
    asked = _Asked()
    token = next((value for name, value in packet.properties.user if name == "cursor"), None)
    inbox = _wants_inbox(link, packet)
    ids = packet.properties.subscription_ids
    for each in packet.subscriptions:
        try:
            _accept(link, each, ids[0] if ids else 0, asked)
        except MqttError as error:
            asked.reasons.append(error.reason)
        except ReddotError as error:
            link.broker.counters.reject(error.code, "mqtt", error.detail)
            asked.reasons.append(error.row.mqtt if error.row.mqtt in _REFUSALS else UNSPECIFIED)
    choose_encoder(link, wanted=inbox or wants_ids(packet.properties))
    if asked.filters and (inbox or token is not None):
        link.broker.spawn(_subscribe_reading(link, packet, asked, token, inbox=inbox))
        return
    subscribing = link.broker.subscribing
    if asked.filters:
        filters = tuple(asked.filters)
        asked.retained_upto = link.position()
        subscribing.add_filters(link.session, filters, None, retained=False, asked=filters)
    link.save(lambda: _answer(link, packet, asked, _place(link)))


def _wants_inbox(link: Link, packet: Subscribe) -> bool:
    """Whether the user's inbox is asked for besides: what other transports give unasked."""
    return ("inbox", "1") in packet.properties.user and link.session.actor.user is not None


def _accept(link: Link, each: Subscription, identifier: int, asked: _Asked) -> None:
    """Add one filter. Raises what is wrong with it."""
    client, subscribing = link.client, link.broker.subscribing
    shared = split_shared(each.filter)
    plain = shared[1] if shared else each.filter
    subscribing.authorize(link.session.actor, [plain], inbox=False)
    new = each.filter not in client.filters
    if new and len(client.filters) >= subscribing.limits.filters_max:
        raise ReddotError("too_many_filters", f"{subscribing.limits.filters_max} filters")
    made = Filter(each.filter, each.qos, each.no_local, each.retain_as_published, identifier)
    client.filters[each.filter] = made
    asked.reasons.append(each.qos)
    if shared is not None:
        asked.shares.append((shared, made))
        return
    asked.filters.append(plain)
    handling = each.retain_handling
    if handling == RETAIN_ALWAYS or (handling == RETAIN_IF_NEW and new):
        asked.retained.append(plain)


def choose_encoder(link: Link, *, wanted: bool) -> None:
    """The shared frames do while nothing special is asked for."""
    properties = link.properties
    special = (
        wanted
        or wants_badge(link, tuple(link.client.filters))
        or wants_ids(properties)
        or properties.topic_alias_maximum
        or (properties.maximum_packet_bytes or 1 << 30) < link.broker.limits.mqtt_packet_bytes_max
        or any(
            each.qos or each.no_local or each.retain_as_published or each.identifier
            for each in link.client.filters.values()
        )
    )
    if special or link.outbound is not None:
        link.use_outbound()
        outbound = link.make_outbound()
        outbound.wants_ids = outbound.wants_ids or wanted
        outbound.changed()


def _answer(
    link: Link, packet: Subscribe, asked: _Asked, properties: Properties = NO_PROPERTIES
) -> None:
    """SUBACK, and behind it what is retained."""
    link.write(_suback(link, packet.packet_id, asked.reasons, properties))
    broker = link.broker
    if wants_badge(link, asked.filters) or asked.inbox:
        broker.spawn(show_badge(link))
    if asked.retained and broker.store.retained_count:
        owed = tuple(text for text in asked.retained if text in link.client.filters)
        broker.subscribing.owe_retained(link.session, owed, asked.retained_upto)
        link.client.dirty = True
    for frame in broker.server_topics.retained(link.level, asked.filters):
        link.write(frame)
    for shared, made in asked.shares:
        broker.shares.join(link, shared, made, None)


def _place(link: Link) -> Properties:
    """Where a subscription begins, for a client that asked to be told places."""
    if link.outbound is None or not link.outbound.wants_ids:
        return NO_PROPERTIES
    live = link.session.state is State.LIVE
    place = link.position() if live else link.session.place()
    here = Cursor(link.broker.subscribing.hub.epoch, place)
    return Properties(user=(("cursor", encode_cursor(here)),))


def _suback(link: Link, packet_id: int, reasons: Sequence[int], properties: Properties) -> bytes:
    """SUBACK, with its properties if the client takes them (3.1.2-29, 3.9.2-1 and -2)."""
    plain = encode_suback(link.level, Suback(packet_id, tuple(reasons)))
    asked = link.properties
    if properties is NO_PROPERTIES or asked.request_problem_information == 0:
        return plain
    full = encode_suback(link.level, Suback(packet_id, tuple(reasons), properties))
    return full if len(full) <= (asked.maximum_packet_bytes or len(full)) else plain


async def _subscribe_reading(
    link: Link, packet: Subscribe, asked: _Asked, token: str | None, *, inbox: bool
) -> None:
    """SUBSCRIBE that has to be looked up: with the inbox, with a cursor, or both."""
    broker = link.broker
    if inbox and not await _add_inbox(link, asked):
        return
    filters = tuple(dict.fromkeys((*asked.filters, *asked.inbox)))
    cursor, told = (None, ()) if token is None else await _resume(link, filters, token)
    if link.phase is not Phase.OPEN:
        return
    properties = NO_PROPERTIES
    if told:
        properties = Properties(user=tuple(told), reason_string="publications are missing")
        broker.counters.gaps += len(told)
    if token is not None:
        asked.retained.clear()

    def answer() -> None:
        broker.subscribing.hub.flush()
        asked.retained_upto = link.position()
        known = properties if token is not None else _place(link)
        _answer(link, packet, asked, known)
        kept = tuple(t for t in filters if t in link.client.filters or t in asked.inbox)
        broker.subscribing.add_filters(
            link.session,
            kept,
            cursor,
            retained=False,
            asked=tuple(t for t in kept if t in link.client.filters),
        )
        link.client.dirty = True

    link.save(answer)


async def _add_inbox(link: Link, asked: _Asked) -> bool:
    """For as long as this connection lasts, and with the topics that the user will follow; whether
    the connection goes on."""
    session, dots = link.session, link.broker.subscribing.dots
    user = session.actor.user
    assert user is not None, "who has an inbox is somebody"
    try:
        await dots.boxes.prepare(user, session.actor.since_ms)
    except ReddotError as error:
        link.broker.counters.reject(error.code)
        link.fail(error.row.mqtt, "the inbox cannot be read")
        return False
    if link.phase is not Phase.OPEN or link.outbound is None:
        return False
    session.inbox = link.outbound.wants_inbox = True
    link.outbound.changed()
    asked.inbox = dots.filters(session.actor)
    return True


async def _resume(
    link: Link, filters: Sequence[str], token: str
) -> tuple[Cursor | None, Sequence[tuple[str, str]]]:
    """From where what was missed comes, and what is to be said of what is gone."""
    broker = link.broker
    hub = broker.subscribing.hub
    told: Sequence[tuple[str, str]] = ()
    cursor: Cursor | None = None
    try:
        cursor = decode_cursor(token)
        if cursor.epoch != hub.epoch or cursor.position > broker.store.head:
            told, cursor = [("gap", f"epoch {text}") for text in filters], None
        elif cursor.position < hub.position:
            page = await broker.store.read(
                filters, after=cursor.position, upto=hub.position, limit=1
            )
            told = [("gap", f"{gap.reason} {gap.topic}") for gap in page.gaps]
    except ReddotError as error:
        broker.counters.reject(error.code, "mqtt", error.detail)
        told = [("gap", f"{error.code} {text}") for text in filters]
    return cursor, told


def _unsubscribe(link: Link, packet: Unsubscribe) -> None:
    """What is in flight is finished all the same (3.10.4-3)."""
    client, reasons, plain = link.client, [], []
    for text in packet.filters:
        if text not in client.filters:
            _check_formed(text, shared=link.level == LEVEL_5)
    link.broker.subscribing.hub.flush()  # What was published before is for the old filters.
    for text in packet.filters:
        found = client.filters.pop(text, None)
        reasons.append(NO_SUBSCRIPTION if found is None else 0)
        if found is None:
            continue
        if split_shared(text) is not None:
            link.broker.shares.leave(link, text)
        else:
            plain.append(text)
    if plain:
        link.broker.subscribing.drop_filters(link.session, tuple(plain))
    if link.outbound is not None:
        link.outbound.changed()
    answer = Unsuback(packet.packet_id, tuple(reasons))
    link.save(lambda: link.write(encode_unsuback(link.level, answer)))


def _check_formed(text: str, *, shared: bool) -> None:
    """A filter that breaks 4.7.1 or 4.8.2 ends the connection (4.13.1-1; 3.1.1: MQTT-4.8.0-1). 0x8F
    would say that it is "correctly formed" (3.11.3), 0x11 that it might have been there.

    Args:
        shared: whether `$share/` means something.

    Raises:
        MqttError: 0x81, "does not conform to this specification" (3.14.2.1).
    """
    try:
        found = split_shared(text) if shared else None
        plain = found[1] if found else text
        check_filter(plain, bytes_max=STRING_BYTES_MAX, levels_max=STRING_BYTES_MAX + 1)
    except (MqttError, ReddotError) as error:
        raise MqttError(MALFORMED, error.detail) from error
