"""CONNECT: who it is, whose session it goes on with, and CONNACK (MQTT 5.0 sections 3.1 and 3.2).

The order is that of section 3.1.4: authenticate, take over, clean start, answer, go on. Everything
that has to be waited for comes before the answer, so that from there on nothing can come between:
a session that outlives its connection, and the will in it, are durable when they are promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from reddot.codecs.mqtt_encode import encode_ack, encode_connack
from reddot.codecs.mqtt_packets import (
    LEVEL_5,
    PACKET_TOO_LARGE,
    PUBREL,
    Ack,
    Connack,
    Connect,
    MqttError,
    Properties,
    split_shared,
)
from reddot.core.session import Session
from reddot.errors import ReddotError
from reddot.model import Actor, Cursor, Publication
from reddot.transports.mqtt.authentication import METHOD, owner_of
from reddot.transports.mqtt.badges import show_badge, wants_badge
from reddot.transports.mqtt.link import GRACE, Link, Phase
from reddot.transports.mqtt.state import Client, stored_will
from reddot.transports.mqtt.subscriptions import choose_encoder

ID_INVALID: Final = 0x85
BAD_METHOD: Final = 0x8C
ASSIGNED_BYTES: Final = 32
"""A client id that we make takes no more."""
FOREVER: Final = float("inf")
SILENCE_S_MAX: Final = 86_400.0
"""How often a client that promised nothing is looked at."""


async def open_session(link: Link, connect: Connect) -> None:
    """Answer CONNECT. Returns with the link open, or closed by somebody else meanwhile.

    Raises:
        MqttError, ReddotError: it is refused.
    """
    broker = link.broker
    _check(link, connect)
    actor = await broker.authentication.actor(connect, link.known)
    name = connect.client_id or broker.entropy.secret()
    key = owner_of(actor), name
    async with broker.clients.alone(key):
        if link.is_closed():
            return
        client, present = await _client(link, connect, key, actor)
        sent = await _sent(link, client) if present else {}
        if link.is_closed():
            _give_back(link, client)
            return
        session = _session(link, connect, client, actor)
        if client.expiry_s:
            await _store(link, client)
            if link.is_closed():
                _give_back(link, client)
                return
        _attach(link, client, session)
        link.write(_answer(link, connect, client, present))
        _send_again(link, client, sent)
        _go_on(link, client, present)


def _check(link: Link, connect: Connect) -> None:
    limits, method = link.broker.limits, connect.properties.authentication_method
    if method is not None and method != METHOD:
        raise MqttError(BAD_METHOD, f"the authentication method is {METHOD}")
    least = _answer_bytes(link, connect)
    if (connect.properties.maximum_packet_bytes or least) < least:
        raise MqttError(PACKET_TOO_LARGE, f"CONNACK needs {least} bytes")
    if len(connect.client_id.encode()) > limits.mqtt_client_id_bytes_max:
        raise MqttError(ID_INVALID, f"{limits.mqtt_client_id_bytes_max} bytes of client id")
    if not connect.client_id and connect.level != LEVEL_5 and not connect.clean_start:
        raise MqttError(ID_INVALID, "a session that lasts needs a client id")


def _answer_bytes(link: Link, connect: Connect) -> int:
    """What CONNACK takes at most that says only what must be said: see `_offer`."""
    limits, asked = link.broker.limits, connect.properties
    expiry = (asked.session_expiry_s or 0) > limits.mqtt_session_expiry_s_max
    silence = connect.keep_alive_s > limits.mqtt_keep_alive_s_max
    method = asked.authentication_method
    texts = 0 if connect.client_id else 3 + ASSIGNED_BYTES
    texts += 0 if method is None else 3 + len(method)
    return 8 + 5 * expiry + 3 * silence + texts


# ---- the session ----


async def _client(
    link: Link, connect: Connect, key: tuple[str, str], actor: Actor
) -> tuple[Client, bool]:
    """The client, and whether it goes on with a session."""
    broker = link.broker
    epoch = broker.subscribing.hub.epoch
    if connect.will is not None:
        # May it, today? A will that could never be published is refused at once.
        will = stored_will(connect.will, broker.limits.mqtt_will_delay_s_max)
        broker.clients.will_draft(actor, will, "")
    old = broker.clients.take_over(key, broker.limits.mqtt_takeovers_per_min)
    if old is None:
        old = await broker.clients.load(key)
    if old is not None:
        _end_will(link, connect, old)
        goes_on = old.expiry_s and not connect.clean_start and old.epoch == epoch
        if goes_on and await _has_backlog(link, old):
            return old, True
        broker.clients.end(old)
    client = Client(*key, actor, epoch)
    client.position = broker.subscribing.hub.position
    return client, False


def _end_will(link: Link, connect: Connect, old: Client) -> None:
    """The will of the connection before: a session that goes on in time takes it back (3.1.3-9)."""
    will, old.will = old.will, None
    if will is None:
        return
    attached = not old.detached_ms
    if (attached and not will.delay_s) or not old.expiry_s or connect.clean_start:
        link.broker.clients.publish_will(old, will)


async def _has_backlog(link: Link, old: Client) -> bool:
    """Whether anything of what it missed is left; with nothing, going on would be a lie."""
    broker = link.broker
    filters = [each for each in old.filters if split_shared(each) is None]
    head = broker.store.head
    if old.position > head:
        return False
    if not filters or old.position == head:
        return True
    page = await broker.store.read(filters, after=old.position, upto=head, limit=1)
    if page.gaps and not page.publications and page.upto >= head:
        broker.counters.mqtt_backlogs_lost += 1
        return False
    return True


async def _sent(link: Link, client: Client) -> Mapping[int, Publication]:
    """The publications that are in flight, by position. Those that are gone are no more in it."""
    found: dict[int, Publication] = {}
    for packet_id, flight in list(client.flights.items()):
        if flight.released:
            continue
        position = flight.position
        publication = await link.broker.store.at(position)
        if publication is not None:
            found[position] = publication
        else:
            link.broker.counters.mqtt_backlogs_lost += 1
            client.landed(packet_id)
    return found


def _give_back(link: Link, client: Client) -> None:
    """The connection went while its session was fetched: the session waits for the next one."""
    if client.expiry_s:
        client.detached_ms = client.detached_ms or link.broker.clock.wall_ms()
        link.broker.clients.save(client)


def _session(link: Link, connect: Connect, client: Client, actor: Actor) -> Session:
    """What CONNECT says of the client's session, and its end of the log.

    Raises:
        ReddotError: `too_many_sessions` or `rate_limited`, with the session kept.
    """
    broker = link.broker
    _authorize_again(link, client, actor)
    expiry_s = _expiry_s(link, connect)
    if expiry_s:
        _check_stored(link, client, actor)
    filters = tuple(sorted(t for t in client.filters if split_shared(t) is None))
    try:
        session = broker.subscribing.create(
            actor=actor,
            filters=filters,
            asked=filters,
            encoder=broker.frames.shared[max(link.level, 4), link.websocket],
            heartbeat_s=SILENCE_S_MAX,
        )
    except ReddotError:
        _give_back(link, client)
        raise
    _keep_alive(link, connect, session)
    session.age_at = FOREVER  # A will would be published for everybody who is asked to go.
    client.actor, client.detached_ms = actor, 0
    client.expiry_s = expiry_s
    if connect.will is not None:
        client.will = stored_will(connect.will, broker.limits.mqtt_will_delay_s_max)
    return session


def _check_stored(link: Link, client: Client, actor: Actor) -> None:
    """Whether one more session may be kept, for its user and for all."""
    stored, limits = link.broker.clients.stored, link.broker.limits
    if client.key in stored:
        return
    if len(stored) >= limits.mqtt_stored_sessions_max:
        raise ReddotError("too_many_sessions", "too many sessions are kept")
    most = limits.mqtt_stored_sessions_per_user_max
    if actor.user is not None and stored.of(client.owner) >= most:
        raise ReddotError("too_many_sessions", f"{most} sessions of a user are kept")


async def _store(link: Link, client: Client) -> None:
    """Make a session durable that the answer promises. Raises as `_session`."""
    broker = link.broker
    try:
        await broker.clients.store(client)
        broker.subscribing.check_room(client.actor)
    except ReddotError:
        client.will = None  # Of a connection that was refused.
        _give_back(link, client)
        raise


def _attach(link: Link, client: Client, session: Session) -> None:
    client.attachment = link
    link.broker.clients.attached[client.key] = client
    link.client, link.session = client, session
    session.attach(link)
    if link.websocket:
        session.write = link.peer.transport.write  # Shared frames are in theirs already.
    link.forget_pending(link)
    link.phase = Phase.OPEN


def _authorize_again(link: Link, client: Client, actor: Actor) -> None:
    """Rights may have been taken away while the client was gone (CVE-2021-34434)."""
    for text in list(client.filters):
        shared = split_shared(text)
        try:
            link.broker.subscribing.authorize(actor, [shared[1] if shared else text], inbox=False)
        except ReddotError as error:
            link.broker.counters.reject(error.code, "mqtt", error.detail)
            del client.filters[text]


def _expiry_s(link: Link, connect: Connect) -> int:
    most = link.broker.limits.mqtt_session_expiry_s_max
    if link.level == LEVEL_5:
        return min(connect.properties.session_expiry_s or 0, most)
    return 0 if connect.clean_start else most


def _keep_alive(link: Link, connect: Connect, session: Session) -> None:
    """What the client promised, or what it is told to (3.1.2-21). 0 promises nothing."""
    promised = connect.keep_alive_s
    most = link.broker.limits.mqtt_keep_alive_s_max
    link.keep_alive_s = min(promised, most) if link.level == LEVEL_5 else promised
    if link.keep_alive_s:
        session.heartbeat_s = GRACE * link.keep_alive_s


# ---- the answer ----


def _answer(link: Link, connect: Connect, client: Client, present: bool) -> bytes:
    """CONNACK; without what a client can do without, if it takes only small packets (3.1.2-24)."""
    if link.level != LEVEL_5:
        return encode_connack(link.level, Connack(session_present=present))
    properties = _offer(link, connect, client)
    answer = encode_connack(LEVEL_5, Connack(session_present=present, properties=properties))
    if len(answer) > (connect.properties.maximum_packet_bytes or len(answer)):
        properties = msgspec.structs.replace(
            properties, maximum_packet_bytes=None, topic_alias_maximum=None
        )
        answer = encode_connack(LEVEL_5, Connack(session_present=present, properties=properties))
    return answer


def _offer(link: Link, connect: Connect, client: Client) -> Properties:
    limits = link.broker.limits
    asked = connect.properties.session_expiry_s or 0
    return Properties(
        session_expiry_s=client.expiry_s if client.expiry_s != asked else None,
        receive_maximum=limits.mqtt_receive_max,
        maximum_packet_bytes=limits.mqtt_packet_bytes_max,
        topic_alias_maximum=limits.mqtt_topic_alias_max or None,
        assigned_client_id=None if connect.client_id else client.name,
        server_keep_alive_s=(
            link.keep_alive_s if link.keep_alive_s != connect.keep_alive_s else None
        ),
        authentication_method=connect.properties.authentication_method,
    )


def _send_again(link: Link, client: Client, sent: Mapping[int, Publication]) -> None:
    """What is in flight, in its order and with its identifiers (4.4.0-1, 4.6.0-1)."""
    if not client.flights:
        return
    outbound = link.make_outbound()
    for packet_id, flight in client.flights.items():
        if flight.released:
            link.write(encode_ack(link.level, Ack(PUBREL, packet_id)))
        else:
            link.write(outbound.again(sent[flight.position], packet_id, flight))


def _owe(link: Link, client: Client) -> None:
    """What the connection before has not seen the end of, on filters that are still there."""
    for each in client.owed:
        filters = tuple(text for text in each.filters if text in client.filters)
        if filters:
            link.session.owe(
                filters, retained=each.retained, position=each.position, upto=each.upto
            )
    client.owed = ()


def _go_on(link: Link, client: Client, present: bool) -> None:
    """Start the session where the client's log ends; what was missed at QoS 0 stays missed."""
    subscribing = link.broker.subscribing
    hub = subscribing.hub
    position = hub.position
    if present and any(each.qos or split_shared(each.text) for each in client.filters.values()):
        position = client.position
    choose_encoder(link, wanted=False)
    if link.outbound is not None:
        link.outbound.missed_upto = hub.position
    client.epoch = hub.epoch
    _owe(link, client)
    subscribing.start(link.session, Cursor(hub.epoch, position))
    if wants_badge(link, tuple(client.filters)):
        link.broker.spawn(show_badge(link))
    for each in client.filters.values():
        if (shared := split_shared(each.text)) is not None:
            link.broker.shares.join(link, shared, each, client.shares.get(each.text))
