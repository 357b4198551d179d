"""What `reddot subscribe` makes of the bytes it is sent: frames, doubles, waits, refusals.

Beside `tail`, which does the network. Pure: bytes in, values out; no socket, no clock, and chance
comes in as an argument. It knows the wire (DESIGN 2.1) and nothing of the server's code.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
TOPICS_SEEN_MAX: Final = 10_000
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_CAP_S: Final = 30.0
# Close codes of the error table after which the same request is refused again.
CLOSE_REFUSED: Final = frozenset({4400, 4401, 4403})


class Refused(Exception):
    """The server said no and will say it again.

    Attributes:
        status: HTTP status, or the WebSocket close code.
        credential: whether another credential could help.
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status: Final = status
        self.credential: Final = status in (401, 403, 4401, 4403)
        super().__init__(reason)


class Interrupted(Exception):
    """The connection ended or never came to be; trying again is right.

    Attributes:
        retry_s: when the server wants the next try; None: it did not say.
    """

    def __init__(self, reason: str, retry_s: float | None = None) -> None:
        self.retry_s: Final = retry_s
        super().__init__(reason)


class GapNote(msgspec.Struct, frozen=True):
    topic: str
    reason: str


class Frame(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One frame as it came. `data` is kept as the bytes that were published."""

    type: str
    cursor: str | None = None
    topic: str = ""
    id: str = ""
    offset: int = 0
    event: str = ""
    time: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    complete: bool = True
    gaps: tuple[GapNote, ...] = ()
    reason: str = ""
    retry_ms: int | None = None
    status: int = 0
    code: str = ""
    title: str = ""
    detail: str = ""
    retry: bool = False


class _PollAnswer(msgspec.Struct, frozen=True):
    cursor: str
    publications: tuple[Frame, ...]
    complete: bool = True
    gaps: tuple[GapNote, ...] = ()


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""
    code: str = ""
    retry: bool = False


_frame: Final = msgspec.json.Decoder(Frame)
_poll_answer: Final = msgspec.json.Decoder(_PollAnswer)
_text: Final = msgspec.json.Decoder(str)
_problem: Final = msgspec.json.Decoder(_Problem)


def parse_frame(text: bytes | str) -> Frame:
    """One JSON frame. Raises `Interrupted` for anything else: something on the way broke it."""
    try:
        return _frame.decode(text)
    except msgspec.MsgspecError as error:
        raise Interrupted(f"not a frame: {error}") from None


def parse_poll(body: bytes, *, first: bool) -> list[Frame]:
    """A poll's answer in the order of a stream: what is missing, the publications, the cursor.

    The answer's cursor comes last, so that a reader who stops in the middle asks for the rest.
    """
    try:
        answer = _poll_answer.decode(body)
    except msgspec.MsgspecError as error:
        raise Interrupted(f"not a poll answer: {error}") from None
    frames = list(answer.publications)
    if first or not answer.complete:
        frames.insert(0, Frame(type="sync", complete=answer.complete, gaps=answer.gaps))
    return [*frames, Frame(type="heartbeat", cursor=answer.cursor)]


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event of an event stream; `id` is None if this event carried none."""

    event: str
    data: str
    id: str | None
    retry_ms: int | None


class SseParser:
    """Server-sent events as in WHATWG HTML section 9.2.6: bytes in, events out."""

    def __init__(self) -> None:
        self._rest = b""
        self._first = True
        self._clear()

    def _clear(self) -> None:
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._retry_ms: int | None = None
        self._size = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that `chunk` completes. Raises `Interrupted` beyond FRAME_BYTES_MAX."""
        buffer = self._rest + chunk
        # A CR at the very end may be the first half of CR LF, so it waits for the next byte.
        held = b"\r" if buffer.endswith(b"\r") else b""
        lines = re.split(rb"\r\n|\r|\n", buffer.removesuffix(held))
        self._rest = lines.pop() + held
        events = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + self._size > FRAME_BYTES_MAX:
            raise Interrupted(f"an event of more than {FRAME_BYTES_MAX} bytes")
        return events

    def _line(self, line: bytes) -> SseEvent | None:
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        self._field(name, value.removeprefix(" "))
        self._size += len(line)
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry_ms = int(value)

    def _dispatch(self) -> SseEvent | None:
        event = SseEvent(self._event or "message", "\n".join(self._data), self._id, self._retry_ms)
        complete = bool(self._data)
        self._clear()
        return event if complete else None


def frame_of_event(event: SseEvent) -> Frame:
    """The frame in an event: type and cursor may be in the event's own fields only."""
    body = parse_frame(event.data) if event.data != "{}" else Frame(type=event.event)
    return msgspec.structs.replace(body, cursor=body.cursor or event.id)


def _unquoted(text: bytes) -> str:
    try:
        return _text.decode(text)
    except msgspec.MsgspecError as error:
        raise Interrupted(f"not a frame: {error}") from None


class IframeParser:
    """The iframe stream: HTML in, the frames of its `p({…})` scripts out.

    A frame holds no `<` (the server escapes it), so the end of its script is unmistakable.
    """

    # The frame itself, or as a text for `JSON.parse`, where JavaScript would read it otherwise.
    _CHUNK: Final = re.compile(rb"<script[^>]*>p\((?:JSON\.parse\(([^<]*)\)|([^<]*))\)</script>")

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes. Raises `Interrupted` beyond FRAME_BYTES_MAX."""
        self._rest += chunk
        frames: list[Frame] = []
        end = 0
        for found in self._CHUNK.finditer(self._rest):
            frames.append(parse_frame(_unquoted(found[1]) if found[1] else found[2]))
            end = found.end()
        self._rest = self._rest[end:]
        if len(self._rest) > FRAME_BYTES_MAX:
            raise Interrupted(f"a frame of more than {FRAME_BYTES_MAX} bytes")
        return frames


class Seen:
    """Which publications were yielded: the last offset of each topic, of the latest topics.

    Offsets of a topic only grow, so one number per topic tells a double. Another epoch of the log
    counts from 1 again, and all is forgotten.
    """

    def __init__(self, topics_max: int = TOPICS_SEEN_MAX) -> None:
        self._topics_max = topics_max
        self._offsets: OrderedDict[str, int] = OrderedDict()

    def fresh(self, frame: Frame) -> bool:
        """Whether to yield `frame`; remembers it. Everything but a double is fresh."""
        notes = (*frame.gaps, GapNote(frame.topic, frame.reason))
        if any(note.reason == "epoch" for note in notes):
            self._offsets.clear()
        if frame.type != "publication" or not frame.offset:
            return True
        if frame.offset <= self._offsets.get(frame.topic, 0):
            return False
        self._offsets[frame.topic] = frame.offset
        self._offsets.move_to_end(frame.topic)
        if len(self._offsets) > self._topics_max:
            self._offsets.popitem(last=False)
        return True


class Backoff:
    """Full jitter: a wait between nothing and a bound that doubles from 0.5 s to 30 s."""

    def __init__(self, fraction: Callable[[], float]) -> None:
        self._fraction = fraction
        self._bound_s = BACKOFF_FIRST_S

    def wait_s(self) -> float:
        wait = self._fraction() * self._bound_s
        self._bound_s = min(self._bound_s * 2, BACKOFF_CAP_S)
        return wait

    def reset(self) -> None:
        self._bound_s = BACKOFF_FIRST_S


def parse_retry_after(text: str | None) -> float | None:
    """Seconds from a `Retry-After` field; None for none, and for a date (RFC 9110, 10.2.3)."""
    text = (text or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def reconnect_frame(retry_after: str) -> Frame:
    """What a stream would say in the place of a poll's `Retry-After`."""
    retry_ms = round((parse_retry_after(retry_after) or 0) * 1000)
    return Frame(type="reconnect", retry_ms=retry_ms, reason="drain")


def check_status(status: int, body: bytes, retry_after: str | None) -> None:
    """Return for an answer that carries frames; raise `Refused` or `Interrupted` otherwise."""
    if status == 200:
        return
    try:
        problem = _problem.decode(body)
    except msgspec.MsgspecError:
        problem = _Problem(retry=status >= 500 or status in (408, 425, 429))
    reason = f"HTTP {status}: {problem.detail or problem.title or 'no reason given'}"
    if not problem.retry:
        raise Refused(status, reason)
    raise Interrupted(reason, parse_retry_after(retry_after))


def check_error_frame(frame: Frame) -> Frame:
    """Return `frame` unless it is an error of the server about the whole stream."""
    if frame.type != "error":
        return frame
    reason = frame.detail or frame.title or frame.code
    if frame.retry:
        raise Interrupted(reason)
    raise Refused(frame.status, reason)


def check_close(code: int | None, reason: str) -> None:
    """Raise `Refused` for a close that says the request is wrong, `Interrupted` for any other.

    Args:
        code: of the close frame; None: the connection was lost without one.
    """
    said = "connection lost" if code is None else f"closed: {code} {reason}".rstrip()
    if code is not None and code in CLOSE_REFUSED:
        raise Refused(code, said)
    raise Interrupted(said)
