"""Server-sent events: strict readers get exactly what was published, whatever it holds."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from httpx_sse import ServerSentEvent
from httpx_sse._decoders import SSEDecoder, SSELineDecoder
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs import sse
from reddot.codecs.cursor import encode_cursor
from reddot.core.publishing import EVENTS_RESERVED
from reddot.model import Cursor, Gap, Publication
from reddot.testing import SeededEntropy
from tests.wire.eventstream import Event, EventStream, read_events

CURSOR = Cursor(7, 10_000)
TOKEN = encode_cursor(CURSOR)

# Every line end, alone and doubled, at the start, in the middle, at the end; field look-alikes.
TEXTS = [
    *("", " ", "  two leading", "a", "a\nb", "a\rb", "a\r\nb", "a\n\nb", "a\r\rb", "a\r\n\r\nb"),
    *("\n", "\r", "\r\n", "\n\n", "\r\r", "\n\r", "a\n", "a\r", "a\r\n", "\na", "\ra", "\r\na"),
    *("a\u2028b", "a\u2029b", "a\u0085b", "a\vb\fc", "\ufeffbom", "a\0b", "é\U0001f600", "\x7f"),
    *("data: x", "id: 1", "a\nid: 1", "a\r\rid: 1\r\r", "event: sync", "\n\nevent: sync\ndata: {}"),
    *("retry: 0", "a\nretry: 0", ": comment", "a\n: comment", ":", "data", "data:", "id", "id:\0"),
    *("<li>hi</li>", '{"a": "b"}', "</script>", "\\n", "\\r\\n", "&#10;"),
]


def publication(data: bytes, event: str = "message", *, offset: int = 17) -> Publication:
    return Publication(
        topic="news/é", id="i-1", data=data, time_ms=1_767_225_600_123, event=event, offset=offset
    )


def with_httpx_sse(stream: bytes) -> list[ServerSentEvent]:
    """A second opinion. Its decoder also reports events without data, which we never send."""
    lines = SSELineDecoder()
    text = stream.decode()
    events = SSEDecoder()
    found = [*lines.decode(text), *lines.flush()]
    return [event for line in found if (event := events.decode(line)) is not None]


def normalized(text: str) -> str:
    """The line ends of a stream are not told apart by its readers (WHATWG HTML 9.2.6)."""
    return re.sub("\r\n|\r", "\n", text)


def check_raw(text: str, event: str = "message") -> None:
    data = json.dumps(text, ensure_ascii=False).encode()
    stream = sse.encode_raw(publication(data, event), CURSOR)
    assert read_events(stream) == [Event(event, normalized(text), TOKEN)]
    (other,) = with_httpx_sse(stream)
    assert (other.event, other.data, other.id) == (event, normalized(text), TOKEN)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_raw_text_arrives(text: str) -> None:
    check_raw(text)


@given(st.lists(st.sampled_from(["\r", "\n", "\r\n", "a", " ", ":", "data: ", "id: 1", "\u2028"])))
def test_raw_text_of_line_ends_arrives(parts: list[str]) -> None:
    check_raw("".join(parts))


@given(
    st.text(st.characters(codec="utf-8")),
    st.text(st.characters(codec="utf-8"), min_size=1).filter(str.isprintable),
)
def test_any_raw_text_arrives_under_any_event_name(text: str, event: str) -> None:
    check_raw(text, event)


@pytest.mark.parametrize("event", [" x", "  x", "x ", ":", ": x", "a:b", "data", "id", "é"])
def test_odd_event_names_arrive(event: str) -> None:
    check_raw("x", event)


@pytest.mark.parametrize(
    "data",
    [b"1", b'{"a":1}', b'{\n "a": [\r\n1,\r2]\n}\n', b' "quoted"', b"null", b"[]", b"-0.0", b"1E5"],
)
def test_raw_values_arrive(data: bytes) -> None:
    (event,) = read_events(sse.encode_raw(publication(data), CURSOR))
    value = json.loads(data)
    assert event.data == value if isinstance(value, str) else json.loads(event.data) == value


def test_binary_data_arrives_as_base64() -> None:
    binary = msgspec.structs.replace(publication(b"\x00\r\n\xff"), binary=True)
    (event,) = read_events(sse.encode_raw(binary, CURSOR))
    assert json.loads(event.data) == {"base64": "AA0K/w=="}


@given(st.text(st.characters(codec="utf-8")), st.booleans(), st.sampled_from([None, 1]))
def test_json_frames_arrive(text: str, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps({"t": [text]}, ensure_ascii=ascii_only, indent=indent).encode()
    stream = sse.encode_json(publication(data, "greeting"), CURSOR)
    (event,) = read_events(stream)
    assert (event.type, event.last_event_id) == ("publication", TOKEN)
    assert json.loads(event.data) == {
        "type": "publication",
        "cursor": TOKEN,
        "topic": "news/é",
        "id": "i-1",
        "offset": 17,
        "event": "greeting",
        "time": "2026-01-01T00:00:00.123Z",
        "data": {"t": [text]},
    }
    assert [e.data for e in with_httpx_sse(stream)] == [event.data]


@given(st.binary(min_size=1, max_size=8).map(len), st.lists(st.sampled_from(TEXTS), max_size=5))
def test_any_cut_of_the_stream_reads_the_same(step: int, texts: list[str]) -> None:
    stream = b"".join(sse.encode_raw(publication(json.dumps(t).encode()), CURSOR) for t in texts)
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert read_events(pieces) == read_events(stream)
    assert [event.data for event in read_events(stream)] == list(map(normalized, texts))


def test_an_ephemeral_publication_leaves_the_last_event_id_alone() -> None:
    stream = sse.encode_json(publication(b"1"), CURSOR)
    stream += sse.encode_json(publication(b"2", offset=0), None)
    durable, ephemeral = read_events(stream)
    assert ephemeral.last_event_id == durable.last_event_id == TOKEN
    assert json.loads(ephemeral.data).keys().isdisjoint(("cursor", "offset"))


def test_control_frames() -> None:
    stream = sse.encode_sync(CURSOR, [Gap("a/#", "epoch")], "s-1", 500)
    stream += sse.encode_heartbeat(CURSOR) + sse.encode_gap(Gap("b", "trimmed"))
    sync, heartbeat, gap = read_events(stream)
    assert json.loads(sync.data) == {
        "type": "sync",
        "cursor": TOKEN,
        "complete": False,
        "gaps": [{"topic": "a/#", "reason": "epoch"}],
        "session": "s-1",
        "spread_ms": 500,
    }
    assert sync.last_event_id == TOKEN
    assert heartbeat == Event("heartbeat", "{}", TOKEN)
    assert json.loads(gap.data) == {"type": "gap", "topic": "b", "reason": "trimmed"}


def test_reconnect_tells_a_plain_eventsource_how_long_to_wait() -> None:
    reader = EventStream()
    (event,) = reader.feed(sse.encode_reconnect(2300, "age"))
    assert reader.retry_ms == 2300
    assert event.type == "reconnect"
    assert json.loads(event.data) == {"type": "reconnect", "retry_ms": 2300, "reason": "age"}
    list(reader.feed(sse.encode_reconnect(3, "drain")))
    assert reader.retry_ms == sse.RETRY_MS_MIN, (
        "it would ask 300 times a second until it is answered"
    )


def test_plain_eventsources_come_back_spread_out() -> None:
    """Each waits half of the spread to all of it: a browser waits as long each time."""
    waits = []
    entropy = SeededEntropy(1)
    for _ in range(300):
        reader = EventStream()
        list(reader.feed(sse.encode_sync(CURSOR, [], entropy.secret(), 9000)))
        waits.append(reader.retry_ms or 0)
    assert 4500 <= min(waits) < 4700
    assert 8800 < max(waits) < 9000
    for third in range(3):
        assert 60 < sum((wait - 4500) // 1500 == third for wait in waits) < 140


def test_the_names_of_control_frames_are_reserved() -> None:
    frames = sse.encode_sync(CURSOR, [], "s", 500) + sse.encode_heartbeat(CURSOR)
    frames += sse.encode_gap(Gap("a", "epoch")) + sse.encode_reconnect(1, "drain")
    frames += sse.encode_json(publication(b"1"), CURSOR)
    assert {event.type for event in read_events(frames)} <= EVENTS_RESERVED


def test_every_event_has_data() -> None:
    """Firefox ignores the id of an event without."""
    for frame in (sse.encode_heartbeat(CURSOR), sse.encode_sync(CURSOR, [], "s", 500)):
        assert [event.last_event_id for event in read_events(frame)] == [TOKEN]
