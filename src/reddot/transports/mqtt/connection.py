"""One MQTT connection: the packets that come, in order, and what acknowledgements do. MQTT 5.0."""

from __future__ import annotations

import msgspec
import structlog

from reddot.codecs.mqtt_encode import PINGRESP_BYTES, encode_auth
from reddot.codecs.mqtt_packets import (
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Auth,
    Connect,
    Disconnect,
    MqttError,
    Packet,
    Pingreq,
    Properties,
    Publish,
    Subscribe,
    Unsubscribe,
)
from reddot.core.session import HELD
from reddot.errors import ReddotError
from reddot.transports.mqtt import inbound, opening, subscriptions
from reddot.transports.mqtt.authentication import METHOD
from reddot.transports.mqtt.link import (
    CONNECTING,
    HOLDING,
    OPEN,
    OPENING,
    SUCCESS,
    UNSPECIFIED,
    WRITING,
    Link,
    Phase,
)

_log = structlog.get_logger("reddot.mqtt")

REAUTHENTICATE = 0x19
ID_NOT_FOUND = 0x92


class Connection(Link):
    """The listener of a peer."""

    __slots__ = ()

    def message(self, data: bytes) -> None:
        """The next bytes."""
        broker, phase = self.broker, self.phase
        broker.transport.bytes_in += len(data)
        if self.stash is not None:
            self.stash.append(data)
        elif phase is OPEN or phase is CONNECTING:
            self.heard_at = broker.clock.monotonic()
            self._take(data)

    def pause_writing(self) -> None:
        self.stop_reading(WRITING)
        if self.phase is Phase.OPEN:
            self.session.pause_writing()

    def resume_writing(self) -> None:
        self.go_on_reading(WRITING)
        if self.phase is Phase.OPEN:
            self.session.resume_writing()

    def lost(self) -> None:
        """The socket is gone."""
        self.leave()

    # Packets

    def _take(self, data: bytes) -> None:
        """Take the packets that have come. What comes often is taken without a further call."""
        decoder = self.decoder
        try:
            if not ((packet_id := decoder.sole_puback(data)) and self._landed(packet_id)):
                decoder.feed(data)
                for packet in decoder.packets():
                    self.broker.transport.requests += 1
                    if isinstance(packet, Publish):
                        inbound.publish(self, packet)
                    elif isinstance(packet, Ack):
                        self._acknowledged(packet)
                    else:
                        self._take_other(packet)
                        if self.stash is not None:
                            break  # What follows waits for an answer.
                    if self.phase is not OPEN:
                        break
        except Exception as error:  # noqa: BLE001 - the boundary, for the client's mistakes and ours
            self._fail_for(error)
        if self.phase is OPEN and self.session.state is HELD:
            self._release()

    def _fail_for(self, error: Exception) -> None:
        if isinstance(error, MqttError):
            self.broker.counters.reject("mqtt_invalid", "mqtt", error.detail)
            self.fail(error.reason, error.detail)
        elif isinstance(error, ReddotError):
            self.broker.counters.reject(error.code, "mqtt", error.detail)
            self.fail(error.row.mqtt, error.detail)
        else:
            _log.error("mqtt_packet_failed", exc_info=error)
            self.fail(UNSPECIFIED, "the server made a mistake")

    def _take_other(self, packet: Packet) -> None:
        if isinstance(packet, Connect):
            self._begin(packet)
            return
        self.count_packet()
        if isinstance(packet, Pingreq):
            self.write(PINGRESP_BYTES)
        elif isinstance(packet, Subscribe | Unsubscribe):
            if self.is_storing():
                self._hold(packet)
            else:
                subscriptions.change(self, packet)
        elif isinstance(packet, Disconnect):
            self._disconnect(packet)
        elif isinstance(packet, Auth):
            self._authenticate(packet)
        else:
            raise MqttError(PROTOCOL_ERROR, "this packet is the server's")

    def _begin(self, connect: Connect) -> None:
        """CONNECT. Nothing behind it is looked at before it is answered."""
        self.properties = connect.properties
        self.phase = Phase.OPENING
        self._stop(OPENING)
        self.broker.spawn(self._open(connect))

    async def _open(self, connect: Connect) -> None:
        try:
            await opening.open_session(self, connect)
        except Exception as error:  # noqa: BLE001 - the boundary, for the client's mistakes and ours
            self._fail_for(error)
        self._go_on(OPENING)

    def _stop(self, why: int) -> None:
        """Look at nothing more. What the socket has read already is kept."""
        self.stash = []
        self.stop_reading(why)

    def _go_on(self, why: int) -> None:
        stash, self.stash = self.stash, None
        self.go_on_reading(why)
        if self.phase is OPEN:
            self._take(b"")
            for data in stash or ():
                self.message(data)

    def _hold(self, packet: Subscribe | Unsubscribe) -> None:
        """Let a change of filters wait for what the client has published before it: that is not
        news to filters that come later, is retained for them, and is for those that go."""

        def done(_result: object) -> None:
            if self.phase is OPEN:
                self.write_answers()
                try:
                    subscriptions.change(self, packet)
                except Exception as error:  # noqa: BLE001 - as in `_take`
                    self._fail_for(error)
            self._go_on(HOLDING)

        self._stop(HOLDING)
        self.broker.publishing.publish((), done, in_turn=True)

    def _disconnect(self, packet: Disconnect) -> None:
        """The client goes (3.14.4)."""
        client, expiry_s = self.client, packet.properties.session_expiry_s
        if expiry_s is not None:
            if expiry_s and not client.expiry_s:
                raise MqttError(PROTOCOL_ERROR, "a session expiry that was 0 stays 0")
            client.expiry_s = min(expiry_s, self.broker.limits.mqtt_session_expiry_s_max)
        if packet.reason == SUCCESS:
            client.will = None
        self.leave()
        self.peer.end()

    # Acknowledgements of what we sent (4.3, 4.4)

    def _landed(self, packet_id: int) -> bool:
        """Take the only PUBACK of a read, if it is the one that is waited for."""
        client = self.client
        flight = client.flights.get(packet_id)
        if flight is None or flight.qos != 1:
            return False
        self.broker.transport.requests += 1
        client.landed(packet_id)
        self.broker.shares.room(self)
        return True

    def _acknowledged(self, ack: Ack) -> None:
        kind, packet_id = ack.kind, ack.packet_id
        if kind == PUBREL:
            inbound.release(self, ack)
            return
        client = self.client
        flight = client.flights.get(packet_id)
        if flight is not None and (kind == PUBACK) != (flight.qos == 1):
            raise MqttError(PROTOCOL_ERROR, "an acknowledgement of another quality of service")
        if flight is not None and kind == PUBCOMP and not flight.released:
            # "Inconsistent with the state" (1.2): it answers a PUBREL that was not sent (4.3.3).
            raise MqttError(PROTOCOL_ERROR, "PUBCOMP in place of PUBREC")
        if kind == PUBREC:
            self._received(ack)
        elif flight is not None:
            client.landed(packet_id)
            self.broker.shares.room(self)
        else:
            self.count_packet()

    def _received(self, ack: Ack) -> None:
        """PUBREC: from now on only PUBREL is sent, also after a crash (4.3.3-6)."""
        client, packet_id = self.client, ack.packet_id
        flight = client.flights.get(packet_id)
        if ack.reason >= UNSPECIFIED:
            client.landed(packet_id)
            self.broker.shares.room(self)
        elif flight is None:
            self.count_packet()
            self.refuse(PUBREL, packet_id, ID_NOT_FOUND)
        else:
            client.sent(packet_id, msgspec.structs.replace(flight, released=True))
            self.save(lambda: self.acknowledge(PUBREL, packet_id))

    def _release(self) -> None:
        """Go on if there is room, once for all acknowledgements that came together."""
        if self.outbound is not None and self.outbound.has_room():
            self.broker.subscribing.release(self.session)

    # Authentication anew (4.12)

    def _authenticate(self, auth: Auth) -> None:
        properties, method = auth.properties, self.properties.authentication_method
        if method is None or properties.authentication_method != method:
            raise MqttError(PROTOCOL_ERROR, "not the authentication method of CONNECT")
        if auth.reason != REAUTHENTICATE:
            raise MqttError(PROTOCOL_ERROR, "nothing is to be continued")
        self.broker.spawn(self._reauthenticate(properties.authentication_data or b""))

    async def _reauthenticate(self, data: bytes) -> None:
        try:
            actor = await self.broker.authentication.verify(data.decode("latin-1"))
            if self.phase is not Phase.OPEN:
                return
            if actor.user != self.session.actor.user:
                raise ReddotError("unauthorized", "the token is of another user")
            self.broker.subscribing.reauthorize(self.session, actor)
        except ReddotError as error:
            self.broker.counters.reject(error.code, "mqtt", error.detail)
            self.fail(error.row.mqtt, error.detail)
        else:
            self.client.actor = actor
            answer = Properties(authentication_method=METHOD)
            self.write(encode_auth(Auth(SUCCESS, answer)))
