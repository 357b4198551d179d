"""A strict reader of HTTP/1.1 answers (RFC 9112): an oracle that shares no code of the server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """One answer. `fields` has lower-case names; a field that came twice is a failure."""

    status: int
    reason: str
    fields: dict[str, str]
    body: bytes = b""
    interim: list[int] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document, which must be one."""
        assert self.fields["content-type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == self.status
        assert problem.keys() == {"type", "title", "status", "detail", "code", "retry"}
        code: str = problem["code"]
        return code


def read_answers(wire: bytes, methods: Sequence[str] = ()) -> list[Answer]:
    """All answers of a connection. `methods` are those asked with; GET where none is given."""
    answers: list[Answer] = []
    while wire:
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        answer, wire = read_answer(wire, method)
        answers.append(answer)
    return answers


def read_answer(wire: bytes, method: str = "GET") -> tuple[Answer, bytes]:
    """The first answer and what follows it. An answer that is not whole is a failure."""
    interim: list[int] = []
    while True:
        answer, wire = _read_head(wire)
        if answer.status >= 200 or answer.status == 101:
            break
        interim.append(answer.status)
    answer.interim = interim
    length = answer.fields.get("content-length")
    coding = answer.fields.get("transfer-encoding")
    if answer.status in (101, 204) or answer.status < 200:
        # RFC 9110 section 8.6 and RFC 9112 section 6.1 forbid both here.
        assert length is None and coding is None, answer
    elif method != "HEAD" and answer.status != 304:
        if coding is not None:
            assert coding == "chunked" and length is None, answer
            answer.body, wire = _read_chunks(wire)
        elif length is not None:
            size = int(length)
            assert len(wire) >= size, f"the body is cut off: {answer}"
            answer.body, wire = wire[:size], wire[size:]
        else:
            assert answer.fields.get("connection") == "close", answer
            answer.body, wire = wire, b""
    return answer, wire


def _read_head(wire: bytes) -> tuple[Answer, bytes]:
    head, separator, rest = wire.partition(b"\r\n\r\n")
    assert separator, f"no whole head: {wire[:200]!r}"
    start, *lines = head.decode("latin-1").split("\r\n")
    version, status, reason = start.split(" ", 2)
    assert version == "HTTP/1.1", start
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon and name and "\n" not in line and "\r" not in line, line
        assert name.lower() not in fields or name.lower() == "set-cookie", f"twice: {name}"
        fields[name.lower()] = value.strip()
    return Answer(int(status), reason, fields), rest


def _read_chunks(wire: bytes) -> tuple[bytes, bytes]:
    content = b""
    while True:
        size, separator, wire = wire.partition(b"\r\n")
        assert separator, "the body is cut off"
        length = int(size, 16)
        assert wire[length : length + 2] == b"\r\n", "the body is cut off"
        content += wire[:length]
        wire = wire[length + 2 :]
        if not length:
            return content, wire
