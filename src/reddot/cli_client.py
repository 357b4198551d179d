"""The client commands: `reddot publish`, `subscribe` and `doctor`, and what all commands print.

Beside `cli`, which registers them. Nothing here knows the server's code, so they start fast.
stdout is for what was asked; everything else goes to stderr, one line each.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import httpx
import msgspec
import typer

from reddot import doctor as transport_doctor
from reddot.tail import Transport, tail
from reddot.tail_frames import Frame, Interrupted, check_status
from reddot.tail_mqtt import publish_mqtt

URL_DEFAULT: Final = "http://127.0.0.1:8000"
LINES_MAX: Final = 100
STDIN_BYTES: Final = 65_536
PUBLISH_TIMEOUT_S: Final = 30.0

Form = Literal["line", "json", "raw"]


class Exit(IntEnum):
    """What the exit code says; part of the documented interface."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    INTERRUPTED = 130


class Mistake(Exception):
    """The command line is wrong in a way that typer cannot see. The message is one line."""


def say(line: str) -> None:
    """One line for the person at the terminal."""
    typer.echo(line, err=True)


_Url = Annotated[str, typer.Option("--url", envvar="REDDOT_URL", help="The server.")]
_Token = Annotated[
    str | None,
    typer.Option("--token", envvar="REDDOT_TOKEN", help="A user's token.", show_default=False),
]
_ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="REDDOT_API_KEY", help="An API key.", show_default=False),
]


def _check_url(url: str) -> None:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Mistake(f"--url {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise Mistake(f"--url {url!r}: give an address such as {URL_DEFAULT}")


def _checked_credential(text: str | None) -> str | None:
    """What may stand after `Bearer` (RFC 6750 section 2.1); None if there is none."""
    if text and re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text) is None:
        raise Mistake("the credential has characters that a token or API key cannot have")
    return text or None


def _json_data(data: str, *, text: bool) -> str:
    """What goes into `data`, byte for byte if it is JSON already."""
    if text:
        return json.dumps(data, ensure_ascii=False)
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise Mistake(f"DATA is not JSON ({error}); --text sends it as a string") from None
    return data


def _command(topic: str, data: str, fields: Mapping[str, object]) -> str:
    """One publication as JSON, with `data` put in as it is."""
    given = {"topic": topic} | {
        name: value for name, value in fields.items() if value is not None and value is not False
    }
    return f'{json.dumps(given, ensure_ascii=False)[:-1]}, "data": {data}}}'


def batches(read: Callable[[int], bytes]) -> Iterator[list[str]]:
    """The lines of a pipe, as many together as are there, so that a slow one is not held back.

    Args:
        read: returns what is there, at most so many bytes; nothing at the end.
    """
    rest = b""
    while chunk := read(STDIN_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        texts = [_line(line) for line in lines if line.strip()]
        for start in range(0, len(texts), LINES_MAX):
            yield texts[start : start + LINES_MAX]
    if rest.strip():
        yield [_line(rest)]


def _line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise Mistake("a line of stdin is not UTF-8") from None


def publish(
    topic: Annotated[str | None, typer.Argument(metavar="TOPIC", show_default=False)] = None,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Any JSON value.", show_default=False)
    ] = None,
    *,
    text: Annotated[bool, typer.Option("--text", help="DATA is a text, not JSON.")] = False,
    stdin: Annotated[
        bool,
        typer.Option(
            "--stdin",
            help="Each line is DATA; without TOPIC, each is a whole publication as JSON (NDJSON).",
        ),
    ] = False,
    event: Annotated[str | None, typer.Option(help="Event name.", show_default=False)] = None,
    id: Annotated[
        str | None,
        typer.Option("--id", help="Idempotency key: one id is stored once.", show_default=False),
    ] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Do not store it.")] = False,
    ttl: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Until it expires.")
    ] = None,
    retain: Annotated[
        bool, typer.Option("--retain", help="New subscribers get the latest one.")
    ] = False,
    transport: Annotated[
        Literal["http", "mqtt"], typer.Option(help="How to publish; MQTT answers with less.")
    ] = "http",
    url: _Url = URL_DEFAULT,
    token: _Token = None,
    api_key: _ApiKey = None,
) -> None:
    """Publish DATA on TOPIC and print the server's answer, one line of JSON each."""
    fields = {"event": event, "id": id, "ephemeral": ephemeral, "ttl": ttl, "retain": retain}
    _check_publish(topic, data, stdin=stdin, fields=fields)
    _check_url(url)
    credential = _checked_credential(token or api_key)
    if transport == "mqtt":
        if stdin or event:
            raise Mistake("--transport mqtt goes with TOPIC and DATA, and has no event names")
        _publish_mqtt(url, topic or "", _json_data(data or "", text=text), credential, fields)
        return
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    with httpx.Client(base_url=url, headers=headers, timeout=PUBLISH_TIMEOUT_S) as client:
        if not stdin:
            body = _command(topic or "", _json_data(data or "", text=text), fields)
            _post(client, body, "application/json")
            return
        for lines in batches(partial(os.read, sys.stdin.fileno())):
            if topic is not None:
                lines = [_command(topic, _json_data(line, text=text), fields) for line in lines]
            _post(client, "\n".join(lines), "application/x-ndjson")


def _publish_mqtt(
    url: str, topic: str, data: str, credential: str | None, fields: Mapping[str, Any]
) -> None:
    publish_mqtt(
        url,
        topic,
        data.encode(),
        token=credential,
        id=fields["id"],
        ephemeral=bool(fields["ephemeral"]),
        ttl_s=fields["ttl"],
        retain=bool(fields["retain"]),
    )
    typer.echo(msgspec.json.encode({"topic": topic}))


def _check_publish(
    topic: str | None, data: str | None, *, stdin: bool, fields: Mapping[str, object]
) -> None:
    if stdin and data is not None:
        raise Mistake("DATA and --stdin exclude each other")
    if stdin and fields["id"]:
        raise Mistake("--id and --stdin exclude each other: one id is stored once")
    if stdin and topic is None and any(fields.values()):
        raise Mistake("without TOPIC, each line of --stdin says everything itself")
    if not stdin and (topic is None or data is None):
        raise Mistake("give TOPIC and DATA, or --stdin")


def _post(client: httpx.Client, body: str, media_type: str) -> None:
    try:
        content = body.encode()
    except UnicodeEncodeError:
        raise Mistake("the arguments are not UTF-8") from None
    for one in _answers(_posted(client, "/v1/publish", content, media_type)):
        typer.echo(msgspec.json.encode(one))


def _posted(client: httpx.Client, path: str, content: bytes, media_type: str) -> bytes:
    """The body of a good answer. Raises `Refused` and `Interrupted`."""
    try:
        answer = client.post(path, content=content, headers={"Content-Type": media_type})
    except httpx.TransportError as error:
        raise Interrupted(f"{client.base_url}: {str(error) or type(error).__name__}") from None
    if not answer.is_success:
        check_status(answer.status_code, answer.content, answer.headers.get("retry-after"))
    return answer.content


def _answers(body: bytes) -> list[object]:
    try:
        answers = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        raise Interrupted("the answer is not Reddot's") from None
    return answers if isinstance(answers, list) else [answers]


def console(*, url: _Url = URL_DEFAULT, token: _Token = None) -> None:
    """Print a link that opens the console of a running server, once and for some minutes.

    The token is an administrator's. The server prints such a link itself when it starts.
    """
    _check_url(url)
    credential = _checked_credential(token)
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    with httpx.Client(base_url=url, headers=headers, timeout=PUBLISH_TIMEOUT_S) as client:
        answer = _answers(_posted(client, "/v1/console/links", b"", "application/json"))[0]
    if not isinstance(answer, dict) or "setup" not in answer:
        raise Interrupted("the answer is not Reddot's")
    say(f"Good once, for {answer.get('expires_in')} seconds:")
    typer.echo(f"{url.rstrip('/')}/console#setup={answer['setup']}")


def subscribe(
    filters: Annotated[list[str], typer.Argument(metavar="FILTER...", show_default=False)],
    *,
    transport: Annotated[Transport, typer.Option(help="How to attach.")] = Transport.SSE,
    since: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="Begin after it, not now.", show_default=False),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep the cursor there, and begin with the one that is there.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print whole frames.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print only what was published.")] = False,
    url: _Url = URL_DEFAULT,
    token: _Token = None,
) -> None:
    """Print publications on the filters, one a line, across disconnects and restarts.

    Gaps and interruptions are told on stderr.
    """
    if as_json and raw:
        raise Mistake("--json and --raw exclude each other")
    _check_url(url)
    form: Form = "json" if as_json else "raw" if raw else "line"
    cursor = _kept_cursor(state) or since
    credential = _checked_credential(token)
    frames = tail(url, filters, transport=transport, cursor=cursor, token=credential, notice=say)
    try:
        asyncio.run(_follow(frames, form=form, count=count, state=state))
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def doctor(
    url: Annotated[
        str, typer.Argument(metavar="URL", envvar="REDDOT_URL", help="The server.")
    ] = URL_DEFAULT,
) -> None:
    """Try every transport from here, and say what holds back or blocks which.

    The exit code is 0 if all of them work. A browser finds out more: open /v1/diag.
    """
    _check_url(url)
    try:
        works = transport_doctor.run(url, typer.echo)
    except httpx.HTTPError as error:
        raise Interrupted(f"{url}: {error}") from None
    if not works:
        raise typer.Exit(Exit.FAILED)


async def _follow(
    frames: AsyncGenerator[Frame, None], *, form: Form, count: int | None, state: Path | None
) -> None:
    printed = 0
    async with aclosing(frames):
        async for frame in frames:
            for line in notices(frame):
                say(line)
            if frame.type == "publication":
                typer.echo(shown(frame, form))
                sys.stdout.flush()
                printed += 1
            if state is not None and frame.cursor is not None:
                _keep_cursor(state, frame.cursor)
            if printed == count:
                return


def notices(frame: Frame) -> list[str]:
    """What the person at the terminal should know of a control frame."""
    if frame.type == "sync":
        lines = [f"gap on {gap.topic}: {gap.reason}" for gap in frame.gaps]
        return lines or ["attached" if frame.complete else "gap: something may be missing"]
    if frame.type == "gap":
        return [f"gap on {frame.topic}: {frame.reason}"]
    return []


def shown(frame: Frame, form: Form) -> str:
    """A publication as one line; `raw` may be more when what was published has line ends."""
    data = bytes(frame.data).decode()
    if form == "raw":
        value = msgspec.json.decode(data) if data.lstrip().startswith('"') else data
        return str(value)
    if form == "json":
        return _one_line(msgspec.json.encode(frame).decode())
    return f"{frame.topic} {frame.offset or '-'} {frame.event} {_one_line(data)}"


def _one_line(text: str) -> str:
    """The same JSON without line ends, and with the characters escaped that terminals obey.

    Line ends are only between tokens, and control characters only within strings (RFC 8259).
    """
    text = text.replace("\r", " ").replace("\n", " ")
    return "".join(f"\\u{ord(one):04x}" if "\x7f" <= one <= "\x9f" else one for one in text)


def _kept_cursor(state: Path | None) -> str | None:
    try:
        return None if state is None else state.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"--state {state}: {error}") from None


def _keep_cursor(state: Path, cursor: str) -> None:
    """Replaced as a whole: a reader, or the next start, finds the old cursor or the new one."""
    new = state.with_name(state.name + ".new")
    try:
        new.write_text(cursor + "\n", encoding="ascii")
        new.replace(state)
    except OSError as error:
        raise Mistake(f"--state {state}: {error.strerror}") from None
