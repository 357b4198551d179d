"""MQTT 5.0 over WebSocket for the command line: frames in, publications out, by paho-mqtt.

Beside `tail`, which attaches again. Knows the wire and nothing of the server's code. paho runs in a
thread of its own and hands over one frame at a time: a slow reader slows the socket, not memory.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import httpx
import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from reddot.tail_frames import Frame, GapNote, Interrupted, Refused

PATH: Final = "/mqtt"
KEEP_ALIVE_S: Final = 15
CONNECT_TIMEOUT_S: Final = 10.0
PUBLISH_TIMEOUT_S: Final = 30.0
# Bad user name or password, not authorized, filter invalid, and the like: the same again.
REFUSED: Final = frozenset((0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8F, 0x90, 0x9D))

Put = Callable[[Frame | Exception], None]


def _user(properties: Properties | None) -> dict[str, str]:
    return dict(getattr(properties, "UserProperty", ()))


def _gap(said: str) -> GapNote:
    reason, _, topic = said.partition(" ")
    return GapNote(topic, reason)


def _error_of(code: ReasonCode) -> Refused | Interrupted:
    said = f"MQTT 0x{code.value:02X}: {code.getName()}"
    if code.value not in REFUSED:
        return Interrupted(said)
    return Refused(401 if code.value in (0x86, 0x87, 0x8C) else 400, said)


def frame_of_message(message: MQTTMessage) -> Frame:
    """The frame that another transport would have carried; what is not JSON comes as base64."""
    said = _user(message.properties)
    data = message.payload
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        data = msgspec.json.encode({"base64": base64.b64encode(data).decode()})
    return Frame(
        type="publication",
        cursor=said.get("cursor"),
        topic=message.topic,
        id=said.get("id", ""),
        offset=int(said.get("offset", 0)),
        event=said.get("event", "message"),
        time=said.get("time", ""),
        data=msgspec.Raw(data),
    )


def _client(url: str, token: str | None) -> tuple[Client, str, int]:
    address = httpx.URL(url)
    client = Client(
        CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, transport="websockets"
    )
    client.ws_set_options(path=address.path.rstrip("/") + PATH)
    client.connect_timeout = CONNECT_TIMEOUT_S
    if token is not None:
        client.username_pw_set("", token)  # The token says who it is.
    if address.scheme == "https":
        client.tls_set()
    return client, address.host, address.port or (443 if address.scheme == "https" else 80)


def _connect(client: Client, host: str, port: int) -> None:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("reddot", "1")]
    try:
        client.connect(host, port, KEEP_ALIVE_S, clean_start=True, properties=properties)
    except (OSError, ValueError) as error:
        raise Interrupted(str(error) or type(error).__name__) from None


def _listen(client: Client, filters: tuple[str, ...], cursor: str | None, put: Put) -> None:
    """Set what happens when paho's thread hears something."""

    def connected(
        _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if code.is_failure:
            put(_error_of(code))
            return
        properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
        if cursor is not None:
            properties.UserProperty = [("cursor", cursor)]
        wanted = [(text, SubscribeOptions(qos=1)) for text in filters]
        client.subscribe(wanted, properties=properties)

    def subscribed(
        _client: Client, _data: Any, _mid: int, codes: list[ReasonCode], properties: Properties
    ) -> None:
        if failed := [code for code in codes if code.is_failure]:
            put(_error_of(failed[0]))
            return
        said = getattr(properties, "UserProperty", ())
        gaps = tuple(_gap(value) for name, value in said if name == "gap")
        # With gaps or without: a resume is told its cursor by what comes.
        here = None if cursor is not None else _user(properties).get("cursor")
        put(Frame(type="sync", cursor=here, complete=not gaps, gaps=gaps))

    def disconnected(
        _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        put(_error_of(code) if code.value in REFUSED else Interrupted("connection lost"))

    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_disconnect = disconnected
    client.on_message = lambda _client, _data, message: put(frame_of_message(message))


async def attach_mqtt(
    url: str, filters: tuple[str, ...], token: str | None, cursor: str | None
) -> AsyncGenerator[Frame, None]:
    """The frames of one connection. Ends with `Refused` or `Interrupted`, nothing else."""
    loop = asyncio.get_running_loop()
    frames: asyncio.Queue[Frame | Exception] = asyncio.Queue(1)
    ended = threading.Event()

    def put(item: Frame | Exception) -> None:
        """In paho's thread: wait until the reader has room."""
        if not ended.is_set():
            asyncio.run_coroutine_threadsafe(frames.put(item), loop).result()

    client, host, port = _client(url, token)
    _listen(client, filters, cursor, put)
    try:
        await asyncio.to_thread(_connect, client, host, port)
        client.loop_start()
        while True:
            item = await frames.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        ended.set()
        await _end(client, frames)


async def _end(client: Client, frames: asyncio.Queue[Frame | Exception]) -> None:
    """Stop paho's thread, which may be waiting for room."""
    client.disconnect()
    stopping = asyncio.create_task(asyncio.to_thread(client.loop_stop))
    while not stopping.done():
        while not frames.empty():
            frames.get_nowait()
        await asyncio.wait({stopping}, timeout=0.02)


def publish_mqtt(
    url: str,
    topic: str,
    data: bytes,
    *,
    token: str | None,
    id: str | None = None,
    ephemeral: bool = False,
    ttl_s: float | None = None,
    retain: bool = False,
) -> None:
    """Publish once; returns when the server has it, on disk unless it is ephemeral.

    Raises:
        Refused: the server will not have it.
        Interrupted: it cannot be reached, or went before it answered.
    """
    client, host, port = _client(url, token)
    answer: list[ReasonCode] = []
    done = threading.Event()

    def heard(code: ReasonCode) -> None:
        answer.append(code)
        done.set()

    def connected(
        _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if code.is_failure:
            heard(code)
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if id is not None:
            properties.UserProperty = [("id", id)]
        if ttl_s is not None:
            properties.MessageExpiryInterval = max(1, round(ttl_s))
        client.publish(topic, data, 0 if ephemeral else 1, retain, properties)

    client.on_connect = connected
    client.on_publish = lambda _client, _data, _mid, code, _properties: heard(code)
    client.on_disconnect = lambda _client, _data, _flags, code, _properties: heard(code)
    _connect(client, host, port)
    client.loop_start()
    try:
        if not done.wait(PUBLISH_TIMEOUT_S):
            raise Interrupted("no answer")
        if answer[0].is_failure or (answer[0].value and answer[0].value != 0x10):
            raise _error_of(answer[0])
    finally:
        client.disconnect()
        client.loop_stop()
