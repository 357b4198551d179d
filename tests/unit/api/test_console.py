"""Signing in to the console, as a browser and as an attacker would: a whole node, fake sockets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

import reddot
from reddot.core.gate import make_api_key
from reddot.core.tokens import issue_token
from reddot.delivery import Reason, State
from reddot.testing import DEV_SECRET
from tests.wire.answers import Answer, read_answers
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone
from tests.wire.transport import settle

KEY, KEY_LINE = make_api_key("k" * 43)
HOST = "push.test"
OWN = f"http://{HOST}"
SESSION = "/v1/console/session"
PROVEN: dict[str, Any] = {"dev": False, "api_key": (KEY_LINE,)}
FOREIGN_FIELDS = [
    ["origin: http://evil.test"],
    ["origin: null"],
    ["origin: http://push.test.evil.test"],
    ["origin: http://push.test:81"],
    [f"origin: {OWN}", "sec-fetch-site: cross-site"],
]


class Page:
    """A page of the console in a browser: keeps the cookie, sends its fields."""

    def __init__(self, node: WireNode, *, host: str = HOST, scheme: str = "http") -> None:
        self.node = node
        self.host = host
        self.origin = f"{scheme}://{host}"
        self.cookie: str | None = None
        self.set_cookie = ""

    async def ask(
        self, method: str, path: str, body: bytes = b"", fields: list[str] | None = None
    ) -> Answer:
        own = [f"origin: {self.origin}", "sec-fetch-site: same-origin"]
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: {self.host}",
            *(own if fields is None else fields),
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        if self.cookie is not None:
            lines.append(f"cookie: reddot_console={self.cookie}")
        transport = self.node.connect()
        transport.feed("\r\n".join([*lines, "", ""]).encode() + body)
        for _ in range(20):
            await settle()
            if transport.sent:
                break
        raw = bytes(transport.sent)
        if found := re.search(rb"(?i)set-cookie: (reddot_console=([^;]*);[^\r]*)", raw):
            self.set_cookie, self.cookie = found[1].decode(), found[2].decode() or None
        (answer,) = read_answers(raw, [method])
        return answer

    async def own(self, method: str, path: str, body: bytes = b"", *more: str) -> Answer:
        """What the console's script asks."""
        origin = [f"origin: {self.origin}"] if method != "GET" else []
        fields = ["reddot-console: 1", "sec-fetch-site: same-origin", *origin, *more]
        return await self.ask(method, path, body, fields)

    async def set_up(self) -> Answer:
        secret = self.node.node.console.make_link()
        return await self.ask("POST", SESSION, b'{"setup":"%b"}' % secret.encode())


def test_a_link_signs_in_once_and_the_cookie_is_locked_up() -> None:
    async def test(node: WireNode) -> None:
        secret = node.node.console.make_link().encode()
        page = Page(node)
        answer = await page.ask("POST", SESSION, b'{"setup":"%b"}' % secret)
        assert answer.status == 200
        assert answer.json["admin"] is True
        parts = set(page.set_cookie.split("; ")[1:])
        assert parts == {"Path=/", "Max-Age=28800", "HttpOnly", "SameSite=Strict"}
        assert (await page.own("GET", SESSION)).json["admin"] is True
        again = await Page(node).ask("POST", SESSION, b'{"setup":"%b"}' % secret)
        assert (again.status, again.json["code"]) == (401, "unauthorized")

    run_node(test, **PROVEN)


def test_the_cookie_is_secure_where_the_page_is() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node, scheme="https")
        assert (await page.set_up()).status == 200
        assert page.set_cookie.endswith("; Secure")

    run_node(test, **PROVEN)


def test_a_link_ends_with_its_time() -> None:
    async def test(node: WireNode) -> None:
        secret = node.node.console.make_link().encode()
        await node.advance(900)
        assert (await Page(node).ask("POST", SESSION, b'{"setup":"%b"}' % secret)).status == 401

    run_node(test, **PROVEN)


@pytest.mark.parametrize("public_only", [False, True])
def test_a_link_signs_in_whatever_peoples_tokens_are_checked_with(public_only: bool) -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        assert (await page.set_up()).status == 200
        assert (await page.own("GET", "/v1/stats")).status == 200

    run_node(test, **(PROVEN | ({"jwt_secret": None} if public_only else {})))


def test_an_administrators_token_signs_in_and_bounds_the_session() -> None:
    async def test(node: WireNode) -> None:
        token = issue_token(DEV_SECRET, user="root", admin=True, lifetime_s=60, clock=node.clock)
        page = Page(node)
        answer = await page.ask("POST", SESSION, b'{"credential":"%b"}' % token.encode())
        assert answer.status == 200
        assert "Max-Age=60;" in page.set_cookie
        assert (await page.own("GET", SESSION)).status == 200
        await node.advance(61)
        assert (await page.own("GET", SESSION)).json["code"] == "token_expired"

    run_node(test, **PROVEN)


def test_a_key_signs_in_and_stays_what_it_is() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        answer = await page.ask("POST", SESSION, b'{"credential":"%b"}' % KEY.encode())
        assert (answer.status, answer.json["admin"]) == (200, False)
        assert (await page.own("GET", "/v1/sessions")).status == 200
        for method, path in (
            ("POST", "/v1/tokens"),
            ("POST", "/v1/keys"),
            ("POST", "/v1/console/links"),
            ("GET", "/v1/settings"),
        ):
            assert (await page.own(method, path, b"{}")).status == 403, path

    run_node(test, **PROVEN)


def test_what_is_not_an_administrators_is_refused_and_guesses_are_counted() -> None:
    async def test(node: WireNode) -> None:
        person = issue_token(DEV_SECRET, user="anna", lifetime_s=60, clock=node.clock)
        page = Page(node)
        for body in (
            b'{"credential":"%b"}' % person.encode(),
            b'{"credential":"rk_test_%b"}' % (b"x" * 43),
            b'{"credential":"nonsense"}',
            b'{"setup":"nonsense"}',
            b'{"setup":""}',
        ):
            answer = await page.ask("POST", SESSION, body)
            assert answer.status in (401, 403), body
            assert page.cookie is None
        # The fifth was the last one; now even a good link has to wait, and is not used up.
        secret = node.node.console.make_link().encode()
        answer = await page.ask("POST", SESSION, b'{"setup":"%b"}' % secret)
        assert (answer.status, answer.json["code"]) == (429, "rate_limited")
        assert node.node.counters.rejected["rate_limited"] == 1
        await node.advance(60)
        assert (await page.ask("POST", SESSION, b'{"setup":"%b"}' % secret)).status == 200

    run_node(test, **PROVEN, console_attempts_per_min=5)


def test_malformed_bodies_are_told_and_are_no_guesses() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        for body in (b"", b"[]", b"{", b'{"setup":1}', b'{"other":""}', b"\xff"):
            assert (await page.ask("POST", SESSION, body)).status == 400, body
        # The page asks so whether this is development.
        assert (await page.ask("POST", SESSION, b"{}")).status == 401
        assert (await page.set_up()).status == 200

    run_node(test, **PROVEN, console_attempts_per_min=1)


@pytest.mark.parametrize("fields", [[], *FOREIGN_FIELDS])
def test_no_other_page_signs_in(fields: list[str]) -> None:
    async def test(node: WireNode) -> None:
        secret = node.node.console.make_link().encode()
        page = Page(node)
        answer = await page.ask("POST", SESSION, b'{"setup":"%b"}' % secret, fields)
        assert (answer.status, answer.json["code"]) == (403, "origin_forbidden")
        assert page.cookie is None
        assert (await page.ask("POST", SESSION, b'{"setup":"%b"}' % secret)).status == 200

    run_node(test, **PROVEN, allowed_origins=("http://evil.test",))


MUTATIONS = [
    ("POST", "/v1/publish", b'{"topic":"t","data":1}'),
    ("POST", "/v1/notifications", b'{"to":{"everyone":true},"title":"x"}'),
    ("POST", "/v1/users/anna/disconnect", b""),
    ("POST", "/v1/console/links", b""),
    ("POST", "/v1/tokens", b'{"user":"x","admin":true}'),
    ("DELETE", "/v1/users/anna", b""),
]


@pytest.mark.parametrize(("method", "path", "body"), MUTATIONS)
def test_no_other_page_does_anything_with_the_cookie(method: str, path: str, body: bytes) -> None:
    """Even one whose origin is listed, and even if its browser sent the cookie along."""

    async def test(node: WireNode) -> None:
        page = Page(node)
        assert (await page.set_up()).status == 200
        for fields in FOREIGN_FIELDS:
            # A form: cookie and origin, no header of its own. It is nobody's request.
            assert (await page.ask(method, path, body, fields)).status in (401, 403), fields
            # What a preflight would never allow.
            forced = await page.ask(method, path, body, [*fields, "reddot-console: 1"])
            assert (forced.status, forced.json["code"]) == (403, "origin_forbidden"), fields
        assert (await page.own(method, path, body)).status in (200, 201, 204)

    run_node(test, **PROVEN, allowed_origins=("http://evil.test",))


def test_a_preflight_never_allows_the_consoles_header() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        for path in ("/v1/publish", "/v1/notifications", "/v1/inbox"):
            answer = await page.ask(
                "OPTIONS",
                path,
                b"",
                [
                    "origin: http://evil.test",
                    "access-control-request-method: POST",
                    "access-control-request-headers: reddot-console",
                ],
            )
            allowed = answer.fields.get("access-control-allow-headers", "")
            assert "authorization" in allowed
            assert "reddot-console" not in allowed

    run_node(test, **PROVEN, allowed_origins=("http://evil.test",))


def test_the_cookie_alone_is_nobodys_and_the_header_alone_is_refused() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        assert (await page.set_up()).status == 200
        answer = await page.ask("GET", "/v1/stats", fields=[])
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        good, page.cookie = page.cookie, None
        assert (await page.own("GET", "/v1/stats")).status == 401
        page.cookie = f"{good}; reddot_console=planted"
        assert (await page.own("GET", "/v1/stats")).status == 401

    run_node(test, **PROVEN)


def test_signing_out_ends_the_session_also_on_a_connection_that_is_open() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        assert (await page.set_up()).status == 200
        kept = page.cookie
        body = b'{"topic":"t","data":1}'
        request = (
            f"POST /v1/publish HTTP/1.1\r\nhost: {HOST}\r\norigin: {OWN}\r\nreddot-console: 1\r\n"
            f"cookie: reddot_console={kept}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
        open_connection = node.connect()
        open_connection.feed(request)
        await settle()
        assert bytes(open_connection.sent).startswith(b"HTTP/1.1 200")
        answer = await page.own("DELETE", SESSION)
        assert (answer.status, page.cookie) == (204, None)
        open_connection.sent.clear()
        open_connection.feed(request)
        await settle()
        assert bytes(open_connection.sent).startswith(b"HTTP/1.1 401")
        page.cookie = kept
        assert (await page.own("GET", "/v1/stats")).status == 401
        assert (await page.own("DELETE", SESSION)).status == 204  # Once more is the same.

    run_node(test, **PROVEN)


def test_development_lets_pages_of_this_machine_in_and_no_rebound_name() -> None:
    async def test(node: WireNode) -> None:
        for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
            page = Page(node, host=host)
            assert (await page.ask("POST", SESSION, b"{}")).status == 200, host
            assert (await page.own("GET", SESSION)).json["dev"] is True
        for host in ("evil.test:8000", "localhost.evil.test", "127.0.0.1.evil.test"):
            page = Page(node, host=host)
            assert (await page.ask("POST", SESSION, b"{}")).status == 401, host

    run_node(test)


def test_without_a_console_there_is_nothing_of_it() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        assert (await page.ask("GET", "/console")).status == 404
        assert (await page.ask("POST", SESSION, b"{}")).status == 404
        page.cookie = node.node.console.open(
            node.node.console.redeem_link(node.node.console.make_link())
        )[0]
        assert (await page.own("GET", "/v1/stats")).status == 401

    run_node(test, **PROVEN, console=False)


@pytest.mark.parametrize("path", ["/console", "/console/main.js", "/console/look/look.css"])
def test_the_page_is_shut_in(path: str) -> None:
    async def test(node: WireNode) -> None:
        answer = await Page(node).ask("GET", path)
        assert answer.status == 200
        policy = answer.fields["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert answer.fields["x-content-type-options"] == "nosniff"
        assert answer.fields["referrer-policy"] == "no-referrer"
        assert answer.fields["x-frame-options"] == "DENY"
        assert answer.fields["cross-origin-opener-policy"] == "same-origin"

    run_node(test, **PROVEN)


def test_what_the_console_shows_is_never_stored() -> None:
    async def test(node: WireNode) -> None:
        page = Page(node)
        assert (await page.set_up()).fields["cache-control"] == "no-store"
        for path in ("/v1/stats", "/v1/sessions", "/v1/topics", "/v1/errors", "/v1/settings"):
            assert (await page.own("GET", path)).fields["cache-control"] == "no-store", path

    run_node(test, **PROVEN)


def test_a_link_is_made_for_administrators() -> None:
    async def test(node: WireNode) -> None:
        made = await Someone(node, None).ask("POST", "/v1/console/links")
        assert made.json["expires_in"] == 900
        body = b'{"setup":"%b"}' % made.json["setup"].encode()
        assert (await Page(node).ask("POST", SESSION, body)).status == 200
        assert (await Someone(node, "anna").ask("POST", "/v1/console/links")).status == 403

    run_node(test, **PROVEN)


def test_every_state_and_reason_of_a_delivery_is_said_in_words() -> None:
    code = (Path(reddot.__file__).parent / "static/console/words.js").read_text(encoding="utf-8")
    words = set(re.findall(r'^  (\w+): "', code, re.MULTILINE))
    assert {state.value for state in State} - words == set()
    assert set(get_args(Reason)) - words == set()
