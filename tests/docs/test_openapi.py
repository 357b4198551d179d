"""What the OpenAPI document says of bodies is true: of the documentation, and of the server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from reddot.api.bodies import BODIES
from reddot.codecs.frames import encode_time
from tests.unit.api.office import Office, run
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCED: Final = re.compile(
    r"^```json (GET|PUT|POST|DELETE) (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE
)
CURL: Final = re.compile(r"curl (?:-X (\w+) )?[^`]*?(/v1/[\w/{}]*)[^`]*? -d '([^']*)'")
MARK: Final = re.compile(r'`(\{[^`]*"as":[^`]*\})`')
DESCRIBED: Final = re.compile(r"/v1/(inbox|preferences|notifications|follows|badge)")

Document = dict[str, Any]


def document() -> Document:
    found: Document = {}

    async def ask(node: WireNode) -> None:
        found.update((await Someone(node, None).ask("GET", "/openapi.json")).json)

    run_node(ask)
    return found


@pytest.fixture(scope="module", name="described")
def described_once() -> Document:
    return document()


def check(described: Document, schema: Any, value: object) -> None:
    """Raises `ValidationError`."""
    whole = {"components": described["components"]} | schema
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(whole, format_checker=checker).validate(value)


def request_schema(described: Document, method: str, path: str) -> Any:
    body = described["paths"][path][method.lower()]["requestBody"]
    return body["content"]["application/json"]["schema"]


def answer_schema(described: Document, method: str, path: str, status: str = "200") -> Any:
    answer = described["paths"][path][method.lower()]["responses"][status]
    return answer["content"]["application/json"]["schema"]


def operation_of(method: str, path: str) -> tuple[str, str]:
    """As the document has it."""
    return next(
        (verb, one)
        for verb, one in BODIES
        if verb == method.lower()
        and re.fullmatch(re.sub(r"{\w+}", "[^/]+", one.replace("{topic}", ".+")), path)
    )


def test_every_route_of_inboxes_and_notifications_says_what_goes_in_and_out(
    described: Document,
) -> None:
    seen = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if DESCRIBED.match(path) is None:
                continue
            seen += 1
            assert (method in ("put", "post")) == ("requestBody" in operation) or "follows" in path
            for status, answer in operation["responses"].items():
                empty = status in ("204", "304")
                told = [] if empty else [one["schema"] for one in answer["content"].values()]
                assert all(told), (method, path, status)
    assert seen >= 14
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def examples() -> list[Any]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for method, path, body in FENCED.findall(text):
            kind = request_schema if method in ("PUT", "POST") else answer_schema
            found.append(pytest.param(kind, method, path, body, id=f"{page.name} {path}"))
        for method, path, body in CURL.findall(text):
            if any(path == one for _, one in BODIES):
                case = (request_schema, method or "POST", path, body)
                found.append(pytest.param(*case, id=f"{page.name} {path}"))
        for body in MARK.findall(text):
            plain = body.replace("[…]", '["a"]').replace(":cursor", ':"c"')
            case = (request_schema, "POST", "/v1/inbox/mark", plain)
            found.append(pytest.param(*case, id=f"{page.name} {body[:40]}"))
    return found


@pytest.mark.parametrize(("kind", "method", "path", "body"), examples())
def test_every_example_is_one(
    described: Document, kind: Callable[..., Any], method: str, path: str, body: str
) -> None:
    check(described, kind(described, method, path), json.loads(body))


def test_every_answer_is_as_described(described: Document) -> None:
    asked = set()

    async def ask(who: Someone, method: str, path: str, body: object = None) -> None:
        answer = await who.ask(method, path, body)
        verb, place = operation_of(method, path.partition("?")[0])
        asked.add((verb, place))
        assert answer.status < 300, (path, answer.json)
        if body is not None:
            check(described, request_schema(described, verb, place), body)
        if answer.status != 204:
            schema = answer_schema(described, verb, place, str(answer.status))
            check(described, schema, answer.json)

    async def test(office: Office) -> None:
        anna, operator = Someone(office.node, "anna"), office.operator
        await office.address("anna")
        later = encode_time(office.node.clock.wall_ms() + 60_000).decode()
        note = {"to": {"users": ["anna"]}, "title": "A", "id": "a", "ttl": 60, "data": [None]}
        for body in (note, note, {"to": {"everyone": True}, "title": "B", "publish_at": later}):
            await ask(operator, "POST", "/v1/notifications", body)
        await ask(anna, "GET", "/v1/badge")
        await ask(anna, "POST", "/v1/inbox/mark", {"ids": ["a"], "as": "snoozed", "until": later})
        for view in ("all", "snoozed"):
            await ask(anna, "GET", f"/v1/inbox?view={view}")
        for who, prefix in ((anna, "/v1"), (operator, "/v1/users/anna")):
            await ask(who, "PUT", f"{prefix}/follows/news/sports?backfill=1")
            await ask(who, "GET", f"{prefix}/follows")
            await ask(who, "DELETE", f"{prefix}/follows/news/sports")
        await ask(anna, "GET", "/v1/preferences")
        quiet, muted = {"start": "22:00", "end": "08:00"}, {"until": {"ad": later}}
        wanted = {"quiet": quiet, "muted": muted, "timezone": "Asia/Tokyo"}
        await ask(anna, "PUT", "/v1/preferences", wanted)
        await ask(operator, "GET", "/v1/notifications")
        await ask(operator, "GET", "/v1/notifications?state=scheduled")
        await ask(operator, "GET", "/v1/notifications/a")
        await office.node.advance(12)
        await ask(operator, "GET", "/v1/notifications/a/deliveries")
        await ask(operator, "POST", "/v1/notifications/a/review", {"approve": True})
        await ask(operator, "DELETE", "/v1/notifications/a")

    run(test)
    assert asked == set(BODIES)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/notifications", {"to": {}, "title": "x"}),
        ("POST", "/v1/notifications", {"to": {"everyone": True, "topic": "t"}, "title": "x"}),
        ("POST", "/v1/notifications", {"to": {"everyone": True}, "title": ""}),
        ("POST", "/v1/notifications", {"to": {"everyone": True}, "title": "x", "prio": 1}),
        ("POST", "/v1/notifications", {"to": {"everyone": True}, "title": "x", "priority": "no"}),
        ("POST", "/v1/inbox/mark", {"ids": ["a"]}),
        ("POST", "/v1/inbox/mark", {"ids": ["a"], "as": "gone"}),
        ("POST", "/v1/inbox/mark", {"ids": "a", "as": "read"}),
        ("PUT", "/v1/preferences", {"muted": {"categories": "a"}}),
        ("PUT", "/v1/preferences", {"quiet": {"start": "22:00"}}),
        ("PUT", "/v1/preferences", {"locked": []}),
    ],
)
def test_what_is_not_as_described_is_refused(
    described: Document, method: str, path: str, body: object
) -> None:
    with pytest.raises(ValidationError):
        check(described, request_schema(described, method, path), body)

    async def test(node: WireNode) -> None:
        who = Someone(node, None if path == "/v1/notifications" else "anna")
        assert (await who.ask(method, path, body)).code == "field_invalid"

    run_node(test)
