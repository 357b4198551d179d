"""A strict reader of `text/event-stream`, written from WHATWG HTML sections 9.2.5 and 9.2.6.

An oracle for tests: it shares nothing with the server, and takes bytes in any pieces.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """A dispatched event. `last_event_id` is what the browser would send when it reconnects."""

    type: str
    data: str
    last_event_id: str


class EventStream:
    """Feed it bytes; it yields what a browser would dispatch. `retry_ms` is None until told."""

    def __init__(self) -> None:
        # "UTF-8 decode" of the standard strips one BOM at the start.
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._started = False
        self._line: list[str] = []
        self._after_cr = False
        self._data = ""
        self._type = ""
        self._id = ""
        self._last_event_id = ""
        self.retry_ms: int | None = None
        self.comments: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        text = self._decode.decode(piece)
        if text and not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        for character in text:
            if character == "\n" and self._after_cr:
                self._after_cr = False
                continue
            self._after_cr = character == "\r"
            if character not in "\r\n":
                self._line.append(character)
                continue
            line = "".join(self._line)
            self._line.clear()
            yield from self._take_line(line)

    def _take_line(self, line: str) -> Iterator[Event]:
        if not line:
            yield from self._dispatch()
        elif line.startswith(":"):
            self.comments.append(line[1:])
        else:
            field, colon, value = line.partition(":")
            self._take_field(field, value.removeprefix(" ") if colon else "")

    def _take_field(self, field: str, value: str) -> None:
        if field == "event":
            self._type = value
        elif field == "data":
            self._data += value + "\n"
        elif field == "id":
            if "\0" not in value:
                self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)

    def _dispatch(self) -> Iterator[Event]:
        self._last_event_id = self._id
        data, kind = self._data.removesuffix("\n"), self._type
        has_data, self._data, self._type = bool(self._data), "", ""
        if has_data:
            yield Event(kind or "message", data, self._last_event_id)


def read_events(stream: bytes | Iterable[bytes]) -> list[Event]:
    """All events of a stream; what its end cuts off is discarded, as the standard says."""
    reader = EventStream()
    pieces = (stream,) if isinstance(stream, bytes) else stream
    return [event for piece in pieces for event in reader.feed(piece)]
