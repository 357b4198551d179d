"""What a client publishes: PUBLISH and PUBREL (MQTT 5.0 sections 3.3, 3.6 and 4.3).

An acknowledgement says that the publication is durable. The identifier of a QoS 2 publication is
stored in the same transaction, so that no crash makes it published twice or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from reddot.codecs.mqtt_packets import (
    ALIAS_INVALID,
    LEVEL_5,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBREC,
    QUOTA_EXCEEDED,
    Ack,
    MqttError,
    Publish,
)
from reddot.core.access import is_reserved
from reddot.errors import ReddotError
from reddot.model import Appended, Draft
from reddot.transports.mqtt.clients import TTL_S_MIN, is_json
from reddot.transports.mqtt.link import OPEN, PUBLISHING, STORING, Link, Phase
from reddot.transports.mqtt.state import TTL_S_MAX

ID_NOT_FOUND: Final = 0x92
RECEIVE_MAXIMUM_EXCEEDED: Final = 0x93
_REFUSALS: Final = frozenset((0x80, 0x83, 0x87, 0x90, 0x97, 0x99))
"""The reason codes of errors that PUBACK and PUBREC may carry."""


def publish(link: Link, packet: Publish) -> None:
    """Take a PUBLISH.

    Raises:
        MqttError, ReddotError: the connection cannot go on.
    """
    if packet.properties.topic_alias is not None:
        packet = _with_topic(link, packet, packet.properties.topic_alias)
    if packet.qos == 2 and packet.packet_id in link.client.inbound:
        link.count_packet()
        if link.client.inbound[packet.packet_id]:
            link.acknowledge(PUBREC, packet.packet_id)
        return
    if not packet.qos:
        link.count_packet()
    elif link.unanswered + len(link.client.inbound) >= link.broker.limits.mqtt_receive_max:
        _too_many(link)
    try:
        draft = _draft(link, packet)
    except ReddotError as error:
        link.count_packet()
        _refuse(link, packet.qos, packet.packet_id, error)
        return
    if packet.qos == 1:
        link.unanswered += 1
        link.broker.publishing.publish((draft,), partial(_published, link, packet.packet_id))
    elif packet.qos:
        _publish_once(link, packet, draft)
    elif link.storing or not draft.ephemeral:
        _publish_in_turn(link, draft)
    else:
        link.broker.publishing.publish((draft,), _nobody_waits)


def _with_topic(link: Link, packet: Publish, alias: int) -> Publish:
    """Put the topic in the place of its alias (3.3.2.3.4)."""
    if alias > link.broker.limits.mqtt_topic_alias_max:
        raise MqttError(ALIAS_INVALID, "the topic alias is above the maximum")
    aliases = link.aliases
    if aliases is None:
        aliases = link.aliases = {}
    if packet.topic:
        aliases[alias] = packet.topic
        return packet
    if alias not in aliases:
        raise MqttError(PROTOCOL_ERROR, "the topic alias is not known")
    return Publish(
        aliases[alias],
        packet.payload,
        packet.qos,
        packet.retain,
        packet.dup,
        packet.packet_id,
        packet.properties,
        packet.forward,
    )


def _too_many(link: Link) -> None:
    """Flow control: 5.0 has a quota (3.3.4-9), the others are not read from for a while. What waits
    for their PUBREL is bounded too, but no quota was ever agreed, so by more."""
    limits, inbound = link.broker.limits, len(link.client.inbound)
    most = limits.mqtt_receive_max
    if link.level == LEVEL_5:
        raise MqttError(RECEIVE_MAXIMUM_EXCEEDED, f"{most} publications wait for an answer")
    if inbound >= limits.mqtt_unreleased_max:
        raise MqttError(RECEIVE_MAXIMUM_EXCEEDED, f"{inbound} publications wait for PUBREL")
    if link.unanswered >= most:
        link.stop_reading(PUBLISHING)


def _draft(link: Link, packet: Publish) -> Draft:
    broker, topic, properties = link.broker, packet.topic, packet.properties
    publishing = broker.publishing
    if topic[0] == "$" and is_reserved(topic):
        raise ReddotError("forbidden", "the topic belongs to the server")
    actor = link.session.actor
    rule = publishing.permit(actor, topic)
    expiry_s = properties.message_expiry_s
    return publishing.draft(
        actor,
        topic=topic,
        data=packet.payload,
        rule=rule,
        id=_key(properties.user) if properties.user else None,
        ephemeral=rule.is_ephemeral(packet.qos, packet.retain),
        ttl_s=None if expiry_s is None else min(max(expiry_s, TTL_S_MIN), TTL_S_MAX),
        retain=packet.retain,
        binary=not is_json(
            packet.payload,
            retain=packet.retain,
            bytes_max=publishing.limits.data_bytes_max,
            depth_max=broker.data_depth_max,
        ),
        qos=packet.qos,
        properties=packet.forward,
        source=link.client.source,
    )


def _key(pairs: Sequence[tuple[str, str]]) -> str | None:
    """The publisher's own id, which makes it the same publication when it comes again."""
    return next((value for name, value in pairs if name == "id"), None)


def _published(link: Link, packet_id: int, result: Sequence[Appended] | ReddotError) -> None:
    """A QoS 1 publication is durable, or refused."""
    link.unanswered -= 1
    if link.reading_stops and link.unanswered < link.broker.limits.mqtt_receive_max:
        link.go_on_reading(PUBLISHING)
    if link.phase is not OPEN:
        return
    if isinstance(result, ReddotError):
        _refuse(link, 1, packet_id, result)
    else:
        link.acknowledge(PUBACK, packet_id)


def _nobody_waits(_result: Sequence[Appended] | ReddotError) -> None:
    """An ephemeral publication at QoS 0 has no answer, and cannot fail."""


def _publish_in_turn(link: Link, draft: Draft) -> None:
    """QoS 0 that is stored, because it is retained or a rule says so, and what comes behind it
    while it is: it must not be overtaken (4.6.0-5)."""
    most = link.broker.limits.mqtt_receive_max
    link.storing += 1
    if link.storing >= most:
        link.stop_reading(STORING)

    def done(result: Sequence[Appended] | ReddotError) -> None:
        link.storing -= 1
        if link.storing < most:
            link.go_on_reading(STORING)
        if isinstance(result, ReddotError) and link.phase is Phase.OPEN:
            _refuse(link, 0, 0, result)

    link.broker.publishing.publish((draft,), done, in_turn=True)


def _publish_once(link: Link, packet: Publish, draft: Draft) -> None:
    """QoS 2: the publication and its identifier, or neither."""
    client, packet_id = link.client, packet.packet_id
    client.received(packet_id, durable=False)

    def done(result: Sequence[Appended] | ReddotError) -> None:
        if isinstance(result, ReddotError):
            client.released(packet_id)
            if link.phase is Phase.OPEN:
                _refuse(link, 2, packet_id, result)
            return
        client.received(packet_id, durable=True)
        if link.phase is Phase.OPEN:
            link.acknowledge(PUBREC, packet_id)

    lasting = client.expiry_s and not draft.ephemeral
    rows = (link.broker.clients.row(client),) if lasting else ()
    link.broker.publishing.publish((draft,), done, rows)


def release(link: Link, ack: Ack) -> None:
    """PUBREL: the identifier is free again (4.3.3), which has to be durable before it is reused."""
    client, packet_id = link.client, ack.packet_id
    if not client.released(packet_id):
        link.count_packet()
        if link.level == LEVEL_5:
            link.refuse(PUBCOMP, packet_id, ID_NOT_FOUND)
        else:
            link.acknowledge(PUBCOMP, packet_id)
    else:
        link.save(lambda: link.acknowledge(PUBCOMP, packet_id))


def _refuse(link: Link, qos: int, packet_id: int, error: ReddotError) -> None:
    """5.0 has an answer. Before it, what cannot be right is acknowledged and dropped, so that it is
    not sent for ever; what may be right later ends the connection, so that it is sent again."""
    link.broker.counters.reject(error.code, "mqtt", error.detail)
    if error.row.retry and qos:
        link.fail(error.row.mqtt, error.detail)
        return
    if not qos:
        return
    kind = PUBACK if qos == 1 else PUBREC
    if link.level == LEVEL_5:
        reason = error.row.mqtt if error.row.mqtt in _REFUSALS else QUOTA_EXCEEDED
        link.refuse(kind, packet_id, reason, error.detail)
        return
    if qos == 2:
        link.client.received(packet_id, durable=True)  # Its PUBREL will come.
    link.acknowledge(kind, packet_id)
