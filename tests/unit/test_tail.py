"""The tail without a network: parsing, doubles, waits, and when to attach again or give up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.tail import POLL_INTERVAL_S, STABLE_S, Target, Transport, attach, follow
from reddot.tail_frames import (
    BACKOFF_CAP_S,
    FRAME_BYTES_MAX,
    Backoff,
    Frame,
    GapNote,
    IframeParser,
    Interrupted,
    Refused,
    Seen,
    SseEvent,
    SseParser,
    check_close,
    check_error_frame,
    check_status,
    frame_of_event,
    parse_frame,
    parse_poll,
)


def publication(topic: str, offset: int, cursor: str | None = None) -> Frame:
    return Frame(type="publication", topic=topic, offset=offset, cursor=cursor)


# ---- server-sent events ----


def events(*chunks: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


STREAM = (
    b"\xef\xbb\xbf: a comment\n"
    b"event: sync\nid: 1a.0\ndata: {}\n\n"
    b"event: publication\r\nid: 1a.1\r\ndata: one\r\ndata:two\r\n\r\n"
    b"data\rid\rretry: 250\r\r"
    b"id: lost\n\n"
    b"unknown: field\ndata:  x\nretry: 1x\nid: a\0b\n\n"
    b"data: never finished\n"
)


def test_sse_as_the_standard_says() -> None:
    assert events(STREAM) == [
        SseEvent("sync", "{}", "1a.0", None),
        SseEvent("publication", "one\ntwo", "1a.1", None),
        SseEvent("message", "", "", 250),
        SseEvent("message", " x", None, None),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_sse_in_pieces_is_the_same(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert events(*pieces) == events(STREAM)


@given(st.lists(st.integers(0, len(STREAM))))
def test_sse_cut_anywhere_is_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(places)]
    assert events(*pieces) == events(STREAM)


def test_an_sse_event_has_a_largest_size() -> None:
    events(b"data: " + b"x" * (FRAME_BYTES_MAX - 6))
    with pytest.raises(Interrupted, match="more than"):
        events(b"data: " + b"x" * (FRAME_BYTES_MAX - 5))
    line = b"data: " + b"x" * 65_530 + b"\n"
    with pytest.raises(Interrupted, match="more than"):
        events(*([line] * 257))


def test_the_cursor_is_in_the_frame_or_in_the_event() -> None:
    beat = frame_of_event(SseEvent("heartbeat", "{}", "1a.7", None))
    assert (beat.type, beat.cursor) == ("heartbeat", "1a.7")
    body = '{"type":"publication","cursor":"1a.9","topic":"a","offset":1,"data":1}'
    assert frame_of_event(SseEvent("publication", body, "1a.9", None)).cursor == "1a.9"
    ephemeral = '{"type":"publication","topic":"a","data":1}'
    assert frame_of_event(SseEvent("publication", ephemeral, None, None)).cursor is None


# ---- the iframe stream ----

DOCUMENT = (
    b"<!doctype html><meta charset=utf-8><!--" + b" " * 1024 + b"-->"
    b"<script nonce=n>var o=location.origin;function p(m){parent.postMessage(m,o)}</script>\n"
)


def chunk(frame: object) -> bytes:
    text = json.dumps(frame).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<script nonce=n>p({text})</script>\n".encode()


def test_iframe_frames() -> None:
    frames = [
        {"type": "sync", "cursor": "1a.0"},
        {"type": "publication", "topic": "a", "data": "</script><script>p({})</script>"},
    ]
    parser = IframeParser()
    stream = DOCUMENT + b"".join(map(chunk, frames))
    found = [frame for at in range(len(stream)) for frame in parser.feed(stream[at : at + 1])]
    assert [frame.type for frame in found] == ["sync", "publication"]
    assert json.loads(bytes(found[1].data)) == frames[1]["data"]
    assert IframeParser().feed(stream) == found


def test_an_iframe_frame_has_a_largest_size() -> None:
    IframeParser().feed(b" " * FRAME_BYTES_MAX)
    with pytest.raises(Interrupted, match="more than"):
        IframeParser().feed(b" " * (FRAME_BYTES_MAX + 1))


# ---- frames and polls ----


@pytest.mark.parametrize("data", ["1.0", "1e400", '"\\u00e9"', '{"b":1, "a":[]}', "null"])
def test_data_is_kept_byte_for_byte(data: str) -> None:
    frame = parse_frame(f'{{"type":"publication","topic":"a","data":{data},"later":1}}')
    assert bytes(frame.data).decode() == data


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"type":1}', "<html>"])
def test_what_is_no_frame(text: str) -> None:
    with pytest.raises(Interrupted):
        parse_frame(text)


def poll_body(**changes: object) -> bytes:
    answer = {
        "cursor": "1a.2",
        "complete": True,
        "publications": [
            {"type": "publication", "cursor": "1a.1", "topic": "a", "offset": 1, "data": 1},
            {"type": "publication", "cursor": "1a.2", "topic": "a", "offset": 2, "data": 2},
        ],
    }
    return json.dumps(answer | changes).encode()


def test_a_poll_answer_is_a_short_stream() -> None:
    first = parse_poll(poll_body(), first=True)
    assert [one.type for one in first] == ["sync", "publication", "publication", "heartbeat"]
    assert [one.cursor for one in first] == [None, "1a.1", "1a.2", "1a.2"]
    assert [one.type for one in parse_poll(poll_body(publications=[]), first=False)] == [
        "heartbeat"
    ]


def test_a_poll_with_a_gap_says_so_first() -> None:
    body = poll_body(complete=False, gaps=[{"topic": "a", "reason": "trimmed"}])
    sync = parse_poll(body, first=False)[0]
    assert (sync.type, sync.complete, sync.gaps) == ("sync", False, (GapNote("a", "trimmed"),))


# ---- doubles ----


def test_doubles_are_told_by_topic_and_offset() -> None:
    seen = Seen()
    assert seen.fresh(publication("a", 1))
    assert seen.fresh(publication("b", 1))
    assert not seen.fresh(publication("a", 1))
    assert seen.fresh(publication("a", 2))
    assert not seen.fresh(publication("a", 1))


def test_ephemeral_publications_and_control_frames_are_never_doubles() -> None:
    seen = Seen()
    for frame in (publication("a", 0), Frame(type="heartbeat", cursor="1a.1")) * 2:
        assert seen.fresh(frame)


@pytest.mark.parametrize(
    "told",
    [
        Frame(type="gap", topic="a", reason="epoch"),
        Frame(type="sync", complete=False, gaps=(GapNote("a", "epoch"),)),
    ],
)
def test_another_epoch_counts_anew(told: Frame) -> None:
    seen = Seen()
    seen.fresh(publication("a", 5))
    assert seen.fresh(told)
    assert seen.fresh(publication("a", 1))


def test_a_trimmed_gap_does_not_count_anew() -> None:
    seen = Seen()
    seen.fresh(publication("a", 5))
    seen.fresh(Frame(type="gap", topic="a", reason="trimmed"))
    assert not seen.fresh(publication("a", 5))


def test_only_so_many_topics_are_remembered() -> None:
    seen = Seen(topics_max=2)
    for topic in ("a", "b", "a", "c"):
        seen.fresh(publication(topic, 1))
    assert not seen.fresh(publication("c", 1))
    assert seen.fresh(publication("a", 2))
    assert seen.fresh(publication("b", 1)), "the one not heard of for longest was forgotten"


# ---- waits ----


def test_backoff_doubles_to_its_cap_and_starts_again() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.wait_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, BACKOFF_CAP_S, 30]
    backoff.reset()
    assert backoff.wait_s() == 0.5


def test_backoff_has_full_jitter() -> None:
    fractions = iter([0.0, 0.25, 0.999])
    backoff = Backoff(lambda: next(fractions))
    assert [backoff.wait_s() for _ in range(3)] == [0.0, 0.25, pytest.approx(1.998)]


# ---- refusals ----


def problem(status: int, *, retry: bool) -> bytes:
    text = {"title": "No.", "detail": "because", "code": "x", "status": status, "retry": retry}
    return json.dumps(text).encode()


@pytest.mark.parametrize(("status", "credential"), [(400, False), (401, True), (403, True)])
def test_refused_for_good(status: int, credential: bool) -> None:
    with pytest.raises(Refused, match=f"HTTP {status}: because") as caught:
        check_status(status, problem(status, retry=False), None)
    assert caught.value.credential is credential


@pytest.mark.parametrize(
    ("retry_after", "retry_s"),
    [(None, None), ("7", 7.0), (" 0 ", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_refused_for_now(retry_after: str | None, retry_s: float | None) -> None:
    with pytest.raises(Interrupted) as caught:
        check_status(503, problem(503, retry=True), retry_after)
    assert caught.value.retry_s == retry_s


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_proxys_failure_is_tried_again(status: int) -> None:
    with pytest.raises(Interrupted):
        check_status(status, b"<html>Bad Gateway</html>", None)


@pytest.mark.parametrize("status", [301, 401, 404, 418])
def test_a_proxys_refusal_is_not(status: int) -> None:
    with pytest.raises(Refused):
        check_status(status, b"<html>", None)


def test_an_error_frame_ends_the_stream() -> None:
    assert check_error_frame(Frame(type="sync")) == Frame(type="sync")
    with pytest.raises(Refused, match="No") as caught:
        check_error_frame(Frame(type="error", code="unauthorized", status=401, title="No."))
    assert caught.value.credential
    with pytest.raises(Interrupted):
        check_error_frame(Frame(type="error", code="draining", status=503, retry=True))


@pytest.mark.parametrize("code", [4400, 4401, 4403])
def test_closes_for_good(code: int) -> None:
    with pytest.raises(Refused, match=str(code)) as caught:
        check_close(code, "why")
    assert caught.value.credential is (code != 4400)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1009, 1011, 1012, 1013, 4408, 4429])
def test_closes_for_now(code: int | None) -> None:
    with pytest.raises(Interrupted):
        check_close(code, "")


# ---- attaching again ----

Step = Frame | Exception


class World:
    """Connections as scripted, a clock that moves only by `sleep` and by the script."""

    def __init__(self, *connections: Iterable[Step | float]) -> None:
        self.connections = list(connections)
        self.cursors: list[str | None] = []
        self.sleeps: list[float] = []
        self.notices: list[str] = []
        self.now = 0.0

    async def attach(self, cursor: str | None) -> AsyncGenerator[Frame, None]:
        self.cursors.append(cursor)
        for step in self.connections.pop(0):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, float):
                self.now += step
                continue
            yield step
        raise Interrupted("the server ended the stream")

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def run(self, cursor: str | None = None) -> list[Frame]:
        """Follow until the script is used up or something is refused."""

        async def collect() -> list[Frame]:
            found = []
            frames = follow(
                self.attach,
                cursor,
                notice=self.notices.append,
                sleep=self.sleep,
                fraction=lambda: 1.0,
                monotonic=lambda: self.now,
            )
            try:
                async for frame in frames:
                    found.append(frame)
            except Refused:
                pass
            return found

        return asyncio.run(collect())


END = Refused(401, "HTTP 401: no")


def test_it_resumes_at_the_last_cursor_and_drops_doubles() -> None:
    world = World(
        [Frame(type="sync", cursor="1a.0"), publication("a", 1, "1a.1"), publication("a", 0)],
        [Frame(type="sync", cursor="1a.1"), publication("a", 1, "1a.1")],
        [Frame(type="heartbeat", cursor="1a.9"), publication("a", 2, "1b.0")],
        [END],
    )
    found = world.run("19.0")
    assert world.cursors == ["19.0", "1a.1", "1a.1", "1b.0"]
    assert [one.offset for one in found if one.type == "publication"] == [1, 0, 2]


def test_it_waits_longer_and_longer_until_a_connection_was_stable() -> None:
    gone = Interrupted("gone")
    world = World([gone], [gone], [gone], [STABLE_S - 0.1, gone], [STABLE_S, gone], [gone], [END])
    world.run()
    assert world.sleeps == [0.5, 1.0, 2.0, 4.0, 0.5, 1.0]
    assert world.notices[0] == "gone; next try in 0.5 s"


def test_it_does_as_the_server_asks() -> None:
    world = World(
        [Frame(type="reconnect", retry_ms=2300, reason="drain"), publication("a", 1)],
        [Interrupted("HTTP 503: full", 7.0)],
        [Frame(type="reconnect", reason="age")],
        [Interrupted("gone")],
        [END],
    )
    assert world.run() == []
    assert world.sleeps == [2.3, 7.0, 0.0, 0.5]
    assert "drain" in world.notices[0]


def test_a_refusal_ends_it() -> None:
    world = World([publication("a", 1, "1a.1")], [END], [publication("a", 2)])
    assert [one.offset for one in world.run()] == [1]
    assert len(world.connections) == 1


# ---- each transport's bytes, without a socket ----

Handler = Callable[[httpx.Request], httpx.Response]


def frames_of(
    transport: Transport,
    handler: Handler,
    *,
    cursor: str | None = None,
    token: str | None = None,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> tuple[list[Frame], Exception]:
    """The frames of one connection and how it ended."""

    async def collect() -> tuple[list[Frame], Exception]:
        found: list[Frame] = []
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            target = Target(
                client, "http://test/", ("a/+", "b#c"), token, transport, 15.0, sleep or no_sleep
            )
            try:
                async for frame in attach(target, cursor):
                    found.append(frame)
            except (Interrupted, Refused) as error:
                return found, error
        raise AssertionError("attach must say how it ended")

    return asyncio.run(collect())


async def no_sleep(seconds: float) -> None:
    """Time does not matter."""


def test_the_request_of_a_stream() -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=b"data: {}\n\n")

    frames_of(Transport.SSE, handler, cursor="1a.7", token="t")
    (request,) = asked
    assert request.url.path == "/v1/sse"
    assert request.url.query == b"topic=a%2F%2B&topic=b%23c&inbox=false&cursor=1a.7"
    assert request.headers["authorization"] == "Bearer t"
    assert request.extensions["timeout"]["read"] == 37.5


@pytest.mark.parametrize(
    ("transport", "content"),
    [
        (Transport.SSE, b'event: publication\ndata: {"type":"publication","topic":"a"}\n\n'),
        (Transport.IFRAME, DOCUMENT + chunk({"type": "publication", "topic": "a"})),
    ],
)
def test_a_stream_that_ends_was_interrupted(transport: Transport, content: bytes) -> None:
    found, end = frames_of(transport, lambda _: httpx.Response(200, content=content))
    assert [one.type for one in found] == ["publication"]
    assert isinstance(end, Interrupted)


@pytest.mark.parametrize(
    "transport", [one for one in Transport if one not in (Transport.WEBSOCKET, Transport.MQTT)]
)
def test_refusals_of_each_transport(transport: Transport) -> None:
    body = problem(403, retry=False)
    found, end = frames_of(transport, lambda _: httpx.Response(403, content=body))
    assert not found
    assert isinstance(end, Refused) and end.credential


def test_an_iframe_that_says_no_in_a_frame() -> None:
    content = DOCUMENT + chunk({"type": "error", "code": "forbidden", "status": 403})
    found, end = frames_of(Transport.IFRAME, lambda _: httpx.Response(200, content=content))
    assert not found
    assert isinstance(end, Refused)


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("cut")],
)
def test_a_broken_network_is_an_interruption(error: Exception) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    _, end = frames_of(Transport.SSE, handler)
    assert isinstance(end, Interrupted)
    assert str(end), "it says something even when the library does not"


def polls(*answers: httpx.Response) -> tuple[Handler, list[httpx.Request]]:
    script, asked = list(answers), list[httpx.Request]()

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return script.pop(0)

    return handler, asked


END_OF_POLLS = httpx.Response(401, content=problem(401, retry=False))


def test_short_polls_go_on_at_their_cursor() -> None:
    sleeps: list[float] = []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)

    handler, asked = polls(
        httpx.Response(304, headers={"ETag": '"1a.0"'}),
        httpx.Response(200, content=poll_body()),
        httpx.Response(304),
        END_OF_POLLS,
    )
    found, _ = frames_of(Transport.POLL, handler, sleep=sleep)
    assert [one.headers.get("if-none-match") for one in asked] == [
        None, '"1a.0"', '"1a.2"', '"1a.2"',
    ]  # fmt: skip
    kinds = [one.type for one in found]
    assert kinds == ["sync", "heartbeat", "publication", "publication", "heartbeat", "heartbeat"]
    assert sleeps == [POLL_INTERVAL_S] * 2, "after publications the next poll comes at once"
    assert asked[0].url.path == "/v1/poll" and "wait" not in asked[0].url.params


def test_long_polls_say_how_long_and_never_wait_themselves() -> None:
    async def sleep(seconds: float) -> None:
        raise AssertionError("the server does the waiting")

    handler, asked = polls(
        httpx.Response(200, content=poll_body(publications=[])),
        httpx.Response(304, headers={"ETag": '"1a.3"'}),
        END_OF_POLLS,
    )
    found, _ = frames_of(Transport.LONGPOLL, handler, cursor="1a.0", sleep=sleep)
    assert [one.cursor for one in found] == [None, "1a.2", "1a.3"]
    assert asked[0].headers["if-none-match"] == '"1a.0"'
    assert asked[0].url.path == "/v1/longpoll" and asked[0].url.params["wait"] == "25"
    assert asked[0].extensions["timeout"]["read"] == 62.5


def test_a_poll_that_is_sent_away_says_when_to_come_back() -> None:
    handler, _ = polls(
        httpx.Response(304, headers={"ETag": '"1a.3"', "Retry-After": "4"}), END_OF_POLLS
    )
    found, _ = frames_of(Transport.LONGPOLL, handler, cursor="1a.3")
    assert [(one.type, one.cursor, one.retry_ms) for one in found] == [
        ("sync", None, None),
        ("heartbeat", "1a.3", None),
        ("reconnect", None, 4000),
    ]
