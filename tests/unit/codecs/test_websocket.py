"""WebSocket text frames as a client's own parser reads them, and the commands of clients."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from reddot.codecs import websocket as codec
from reddot.errors import ReddotError
from reddot.model import Cursor, Publication

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000]


def read(wire: bytes, step: int | None = None) -> list[Frame]:
    """The frames that the client core of the `websockets` package finds."""
    core = Protocol(CLIENT, state=OPEN, max_size=None)
    for at in range(0, len(wire), step or len(wire) or 1):
        core.receive_data(wire[at : at + (step or len(wire))])
    assert core.parser_exc is None
    frames = core.events_received()
    assert all(isinstance(frame, Frame) for frame in frames)
    return [frame for frame in frames if isinstance(frame, Frame)]


def publication(data: bytes) -> Publication:
    return Publication(topic="a", id="i", data=data, time_ms=0, offset=1)


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_of_any_length_is_read_back(size: int) -> None:
    payload = b"x" * size
    (frame,) = read(codec.encode_text(payload))
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, payload)


@pytest.mark.parametrize("size", SIZES)
def test_the_length_is_the_shortest_form(size: int) -> None:
    """RFC 6455 section 5.2: the minimal number of bytes must be used."""
    overhead = 2 if size < 126 else 4 if size < 65_536 else 10
    assert len(codec.encode_text(b"x" * size)) == size + overhead


@given(st.lists(st.integers(0, 300)), st.integers(1, 7))
def test_frames_follow_one_another(sizes: list[int], step: int) -> None:
    payloads = [bytes([65 + n % 26]) * size for n, size in enumerate(sizes)]
    wire = b"".join(map(codec.encode_text, payloads))
    assert [bytes(frame.data) for frame in read(wire, step)] == payloads


def test_publications() -> None:
    (frame,) = read(codec.encode_json(publication(b'{"n": 1}'), Cursor(7, 1)))
    assert json.loads(bytes(frame.data))["data"] == {"n": 1}
    (frame,) = read(codec.encode_raw(publication(b'"<li>hi</li>"'), Cursor(7, 1)))
    assert bytes(frame.data) == b"<li>hi</li>"
    (frame,) = read(codec.encode_raw(publication(b"[1]"), None))
    assert bytes(frame.data) == b"[1]"


def code_of(text: bytes) -> str:
    with pytest.raises(ReddotError) as caught:
        codec.decode_command(text)
    return caught.value.code


def test_commands() -> None:
    assert codec.decode_command(
        b'{"type":"subscribe","filters":["a","b/#"],"cursor":"c","ref":1}'
    ) == codec.Subscribe(filters=("a", "b/#"), cursor="c", ref=1)
    assert codec.decode_command(
        b'{"ref":"r","filters":[],"type":"unsubscribe"}'
    ) == codec.Unsubscribe(filters=(), ref="r")
    assert codec.decode_command(b'{"type":"auth","token":"t"}') == codec.Auth(token="t")
    assert codec.decode_command(b' {"type":"ping","ref":null}\n') == codec.Ping()


def test_publish_keeps_the_bytes_of_its_data() -> None:
    command = codec.decode_command(b'{"type":"publish","topic":"a","data":{"n" : 1.50},"ref":7}')
    assert isinstance(command, codec.Publish)
    assert (command.topic, bytes(command.data), command.ref) == ("a", b'{"n" : 1.50}', 7)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" ", b"nope", b"{", b'{"type":"ping"', b'{"type":"ping"}}', b"{'type':'ping'}"),
        *(b'{"type":"ping"}\0', b"\xef\xbb\xbf{}", b'{"type":"publish","topic":"a","data":NaN}'),
        *(rb'{"type":"ping","ref":"\ud800"}', b'{"type":"publish","topic":"\xff","data":1}'),
        *(b'{"type":"ping","x":[[[', b'{"type":"bogus",'),
        b'{"type":"publish","data":' + b"[" * 60_000,
        b'{"type":"bogus","x":' + b"[" * 60_000,
    ],
    ids=range(16),
)
def test_broken_json(text: bytes) -> None:
    assert code_of(text) == "json_invalid"


@pytest.mark.parametrize(
    "text",
    [
        *(b"{}", b"[]", b"1", b"null", b'"ping"', b'"type"', b'{"type":"bogus"}', b'{"type":""}'),
        *(b'{"type":"PING"}', b'{"type":1}', b'{"type":null}', b'{"type":[]}', b'{"ref":1}'),
        *(b'{"filters":["a"]}', b'{"Type":"ping"}', b'{"typ":"type"}', b'[{"type":"ping"}]'),
        *(b'{"type":"marks"}', b'{"ref":"type","filters":["type"]}', b'{"type":"ping ","ref":1}'),
    ],
)
def test_no_such_command(text: bytes) -> None:
    assert code_of(text) == "command_invalid"


@pytest.mark.parametrize(
    "text",
    [
        *(b'{"type":"ping","x":1}', b'{"type":"ping","ref":1.5}', b'{"type":"ping","ref":[]}'),
        *(b'{"type":"ping","type":"auth"}', b'{"type":"ping","ref":1' + b"0" * 5000 + b"}"),
        *(b'{"type":"ping","ref":true}', b'{"type":"subscribe"}'),
        b'{"type":"subscribe","filters":1}',
        *(b'{"type":"subscribe","filters":"a"}', b'{"type":"subscribe","filters":[1]}'),
        b'{"type":"subscribe","filters":null}',
        b'{"type":"subscribe","filters":["a"],"cursor":1}',
        *(b'{"type":"unsubscribe"}', b'{"type":"unsubscribe","filters":{}}', b'{"type":"auth"}'),
        *(b'{"type":"auth","token":null}', b'{"type":"auth","token":5}', b'{"type":"publish"}'),
        *(b'{"type":"publish","topic":"a"}', b'{"type":"publish","data":1}'),
        *(b'{"type":"publish","topic":"a","data":1,"ttl":"1"}', b'{"type":"ping","$.type":1}'),
    ],
)
def test_wrong_fields(text: bytes) -> None:
    assert code_of(text) == "field_invalid"


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        (b'{"ref":7,"type":"bogus"}', 7),
        (b'{"type":"bogus","ref":"r"}', "r"),
        (b'{"ref":7,"type":5}', 7),
        (b'{"ref":1.5}', None),
        (b'{"ref":[7]}', None),
        (b'{"ref":7', None),
        (b"[7]", None),
        (b'{"type":"ping"}', None),
        (b'{"ref":"\xff"}', None),
        (b'{"ref":' + b"[" * 60_000, None),
    ],
)
def test_the_ref_of_a_refused_command(text: bytes, ref: str | int | None) -> None:
    assert codec.decode_ref(text) == ref


@given(st.binary(max_size=60))
def test_any_bytes_are_a_command_or_are_refused(text: bytes) -> None:
    codec.decode_ref(text)
    with pytest.raises(ReddotError, match="json_invalid"):
        codec.decode_command(b"\0" + text)
    with contextlib.suppress(ReddotError):
        codec.decode_command(text)
