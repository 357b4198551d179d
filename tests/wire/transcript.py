r"""Golden transcripts: what clients send, what the server answers byte for byte, at a fake time.

Regenerate all of them, then read the difference before you keep it:

    .venv/bin/python -m tests.wire.transcript

A transcript is a text file. Its lines:

    # a comment
    % name = value          a setting of the node, in TOML; only before everything else
    @ +2.5                  so many seconds pass
    A> GET / HTTP/1.1\r\n   connection A, opened by its first line, sends these bytes
    A>text {"type":"ping"}  A sends a masked WebSocket text frame
    A< HTTP/1.1 200 OK\r\n  A is sent these bytes
    A<text {"type":"ok"}    A is sent an unfragmented WebSocket text frame
    A> !end                 A half-closes
    A< !end, A< !closed     the server half-closes, closes

Bytes are UTF-8; what is not printable, and the backslash, is escaped as in Python, and a line ends
where its escapes say so. Lines that belong together (same connection, same direction) are one
piece. `<` lines are made by replaying the others; the test compares them with the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from websockets.frames import Frame, Opcode

from tests.wire.node import WireNode, run_node
from tests.wire.transport import FakeTransport, settle

FOLDER: Final = Path(__file__).parent / "transcripts"
_LINE: Final = re.compile(r"(?P<name>[A-Z])(?P<way>[<>])(?P<text>text)? ?(?P<rest>.*)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(x[0-9a-f]{2}|.)")
_NAMED: Final = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
_SHOWN: Final = {"\r": r"\r", "\n": r"\n", "\t": r"\t", "\0": r"\0", "\\": r"\\"}


def escape(data: bytes) -> str:
    """Bytes as one readable line. Trailing blanks are escaped, so that no editor drops them."""
    shown = "".join(map(_shown, data.decode(errors="surrogateescape")))
    return shown[:-1] + r"\x20" if shown.endswith(" ") else shown


def _shown(character: str) -> str:
    if character in _SHOWN:
        return _SHOWN[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))


def unescape(line: str) -> bytes:
    data, at = b"", 0
    for found in _ESCAPE.finditer(line):
        data += line[at : found.start()].encode()
        code = found[1]
        data += bytes.fromhex(code[1:]) if code[0] == "x" else _NAMED[code]
        at = found.end()
    return data + line[at:].encode()


def masked_text(payload: bytes) -> bytes:
    """A client's text frame; its key is zero, so that the same payload is the same bytes."""
    frame = bytearray(Frame(Opcode.TEXT, payload).serialize(mask=True))
    frame[-len(payload) - 4 : len(frame) - len(payload)] = b"\0\0\0\0"
    frame[len(frame) - len(payload) :] = payload
    return bytes(frame)


def render(name: str, data: bytes, *, frames: bool) -> Iterator[str]:
    """The lines that show what a connection was sent."""
    while data:
        text = _text_frame(data) if frames else None
        if text is not None:
            yield f"{name}<text {escape(text)}"
            data = data[len(Frame(Opcode.TEXT, text).serialize(mask=False)) :]
            continue
        end = len(data) if frames else data.find(b"\n") + 1 or len(data)
        yield f"{name}< {escape(data[:end])}"
        data = data[end:]


def _text_frame(data: bytes) -> bytes | None:
    """The payload of the text frame at the beginning; None if there is no plain one."""
    if data[:1] != b"\x81" or len(data) < 2 or data[1] > 127:
        return None
    start = {126: 4, 127: 10}.get(data[1], 2)
    size = data[1] if start == 2 else int.from_bytes(data[2:start], "big")
    payload = data[start : start + size]
    plain = Frame(Opcode.TEXT, payload).serialize(mask=False)
    return payload if data.startswith(plain) else None


class _Replay:
    """One transcript being played. `lines` is the whole transcript as it should be."""

    def __init__(self, node: WireNode) -> None:
        self._node = node
        self._connections: dict[str, FakeTransport] = {}
        self._told: dict[str, list[str]] = {}
        self.lines: list[str] = []

    async def play(self, lines: Sequence[str]) -> None:
        inputs = [line for line in lines if line[1:2] != "<"]
        for index, line in enumerate(inputs):
            self.lines.append(line)
            following = inputs[index + 1] if index + 1 < len(inputs) else ""
            if line.startswith("@"):
                await self._node.advance(float(line[1:]))
            elif found := _LINE.fullmatch(line):
                await self._send(found["name"], found["text"] is not None, found["rest"])
                if following[:2] == line[:2]:
                    continue
            if line.strip() and line[0] != "#":
                await settle()
                self._collect()

    async def _send(self, name: str, text: bool, rest: str) -> None:
        transport = self._connections.get(name)
        if transport is None:
            transport = self._connections[name] = self._node.connect()
            self._told[name] = []
        if rest == "!end":
            transport.end()
        else:
            data = unescape(rest)
            transport.feed(masked_text(data) if text else data)

    def _collect(self) -> None:
        for name, transport in sorted(self._connections.items()):
            data = bytes(transport.sent)
            transport.sent.clear()
            upgraded = "upgraded" in self._told[name]
            if data.startswith(b"HTTP/1.1 101 "):
                self._told[name].append("upgraded")
                head, separator, data = data.partition(b"\r\n\r\n")
                self.lines += render(name, head + separator, frames=False)
                upgraded = True
            self.lines += render(name, data, frames=upgraded)
            for event in ("ended", "closed"):
                if getattr(transport, event) and event not in self._told[name]:
                    self._told[name].append(event)
                    self.lines.append(f"{name}< !{event.replace('ended', 'end')}")


def replay(text: str) -> str:
    """The transcript with the answers that the server gives now."""
    lines = text.splitlines()
    settings: dict[str, Any] = {}
    for line in lines:
        if line.startswith("%"):
            settings |= tomllib.loads(line[1:])
    played: list[str] = []

    async def play(node: WireNode) -> None:
        replaying = _Replay(node)
        await replaying.play(lines)
        played.extend(replaying.lines)

    run_node(play, **settings)
    return "".join(f"{line}\n" for line in played)


def transcripts() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))


def regenerate() -> None:
    for path in transcripts():
        path.write_text(replay(path.read_text()))


if __name__ == "__main__":
    regenerate()
