"""What tests do with the console: sign in, go somewhere, attach somebody who is seen there."""

from __future__ import annotations

import socket
import time
from typing import Any, Self

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.integration.server import API_KEY, HTTP, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token


def admin_token() -> str:
    claims = {"exp": int(time.time()) + 600, "reddot": {"admin": True}}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


def ask(server: Server, method: str, path: str, body: object = None, **headers: str) -> Any:
    credential = headers.pop("credential", API_KEY)
    headers = {"Authorization": f"Bearer {credential}"} | headers
    answer = HTTP.request(method, f"{server.url}{path}", json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def notify(server: Server, to: object, title: str, **more: object) -> str:
    body = {"to": to, "title": title} | more
    found: str = ask(server, "POST", "/v1/notifications", body)["id"]
    return found


@pytest.fixture
def server(shared_server: ServerFactory) -> Server:
    return shared_server(jwt_secret=SECRET, api_key=API_KEY, console_attempts_per_min=1000)


@pytest.fixture
def console(context: BrowserContext, server: Server) -> Page:
    """The console, signed in with a fresh link."""
    return sign_in(context, server)


def sign_in(context: BrowserContext, server: Server) -> Page:
    made = ask(server, "POST", "/v1/console/links", credential=admin_token())
    page = context.new_page()
    page.goto(f"{server.url}/console#setup={made['setup']}")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return page


def go(page: Page, section: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=section).click()
    expect(page.get_by_role("heading", name=section, level=1)).to_be_visible()


def surely(page: Page, name: str) -> None:
    """Press a button that has to be pressed twice."""
    page.get_by_role("button", name=name).first.click()
    page.get_by_role("button", name=f"{name}: press again").click()


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


class Listener:
    """An SSE stream of a user, open until it is closed."""

    def __init__(self, server: Server, user: str, topic: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        token = user_token(user, subscribe=[topic])
        self._socket.sendall(
            f"GET /v1/sse?topic={topic} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        assert b"event: sync" in self.read_until(b"event: sync")

    def read_until(self, wanted: bytes) -> bytes:
        got = b""
        while wanted not in got:
            chunk = self._socket.recv(65_536)
            if not chunk:
                break
            got += chunk
        return got

    def is_open(self) -> bool:
        """Whether the server has neither ended it nor asked to."""
        self._socket.setblocking(False)
        try:
            return b"reconnect" not in self._socket.recv(65_536) != b""
        except BlockingIOError:
            return True

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
