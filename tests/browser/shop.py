"""An application of an origin of its own, as a page with a bell has: HTML, tokens, a strict policy.

Who is signed in says a cookie that `/?user=anna` sets; `/token` gives a token to whoever has it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page

from tests.browser.driving import until
from tests.integration.server import API_KEY, HTTP, SECRET, Server, ServerFactory
from tests.integration.tokens import user_token

Open = Callable[..., Page]
# For what no browser does in a way of its own, as it does focus, popovers, layout, connections.
IN_ONE: Final = pytest.mark.parametrize("browser", ["chromium"], indirect=True, scope="module")
ROWS: Final = "article"
THE_BELL: Final = "document.querySelector('red-dot')"
BELL: Final = '<red-dot server="{server}" token-url="{shop}/token"></red-dot>'
# A server with couriers, and with a category that nobody can mute; nothing is ever sent.
COURIERS: Final = {
    "couriers": json.dumps(
        {
            "email": {"type": "apprise", "url": "json://127.0.0.1:9/{address}"},
            "web_push": {"type": "web_push", "subject": "mailto:ops@example.com"},
        }
    ),
    "deliveries": json.dumps([{"categories": ["mention"], "couriers": [{"courier": "email"}]}]),
    "locked_categories": "security",
}
_PAGE: Final = """<!doctype html><html lang="{lang}" dir="{dir}"><meta charset="utf-8">
<title>Shop</title><link rel="stylesheet" href="/shop.css">
<meta name="viewport" content="width=device-width">
<script type="module" nonce="{nonce}" src="{script}"></script>
<body><header><h1>Shop</h1><nav>{body}</nav></header><main><p>What a page is about.</p></main>"""
_STYLE: Final = """
html { color-scheme: light dark }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; background: light-dark(#f7f6f4, #121113);
  color: light-dark(#1d1b1a, #eeecea) }
header { display: flex; justify-content: space-between; align-items: center; padding: 8px 16px;
  background: light-dark(#fff, #1b1a1d); border-bottom: 1px solid #8883 }
h1 { font-size: 18px; margin: 0 } main { padding: 16px }
"""


class Shop:
    """The application, on a port of its own.

    Attributes:
        url: its origin.
        body: what the page has in place of a bell, with `{server}` and `{shop}` to be filled in.
        scripts: files under `/scripts/`, by name.
        lang, direction: of the page.
        images: where the policy lets pictures come from.
        nonce: what its script has; then the policy lets no other run.
    """

    def __init__(self) -> None:
        self._http = _Quiet(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        cast("Any", self._http).shop = self
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.reset()
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """The page with the two lines."""
        self.server_url = ""
        self.body = BELL
        self.script = "{server}/reddot.js"
        self.scripts: dict[str, bytes] = {}
        self.lang, self.direction = "en", "ltr"
        self.images = "'self' data:"
        self.nonce = ""
        self.tokens_given = 0

    def serve(self, server_factory: ServerFactory, **settings: object) -> Server:
        """A push server that this application may use."""
        server = server_factory(
            jwt_secret=SECRET, api_key=API_KEY, allowed_origins=self.url, **settings
        )
        self.server_url = server.url
        return server

    def page(self) -> str:
        places = {"server": self.server_url, "shop": self.url}
        body, script = self.body.format(**places), self.script.format(**places)
        looks = {"lang": self.lang, "dir": self.direction, "nonce": self.nonce}
        return _PAGE.format(script=script, body=body, **looks)

    def policy(self) -> str:
        server, socket = self.server_url, self.server_url.replace("http", "ws", 1)
        scripts = f"'nonce-{self.nonce}'" if self.nonce else f"'self' {server}"
        return (
            f"default-src 'none'; script-src {scripts}; style-src 'self'; "
            f"img-src {self.images}; connect-src 'self' {server} {socket}; "
            f"frame-src {server}; base-uri 'none'; form-action 'none'; "
            "require-trusted-types-for 'script'"
        )

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is none."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def shop(self) -> Shop:
        return cast("Shop", cast("Any", self.server).shop)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/token":
            self._token()
        elif address.path == "/shop.css":
            self._answer(200, "text/css", _STYLE.encode())
        elif address.path.startswith("/scripts/"):
            content = self.shop.scripts[address.path.removeprefix("/scripts/")]
            self._answer(200, "text/javascript", content)
        elif address.path == "/":
            user = parse_qs(address.query).get("user", [""])[0]
            self._answer(200, "text/html; charset=utf-8", self.shop.page().encode(), user)
        else:
            self._answer(404, "text/plain", b"not found")

    def _token(self) -> None:
        cookie = SimpleCookie(self.headers.get("cookie", "")).get("shop_user")
        if cookie is None or not cookie.value:
            return self._answer(401, "text/plain", b"sign in")
        self.shop.tokens_given += 1
        body = json.dumps({"token": user_token(cookie.value, subscribe=["lines/#"])}).encode()
        return self._answer(200, "application/json", body)

    def _answer(self, status: int, kind: str, body: bytes, user: str = "") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-security-policy", self.shop.policy())
        if user:
            self.send_header("set-cookie", f"shop_user={user}; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def notify(server: Server, user: str, title: str, **fields: object) -> str:
    """Notify one person; returns the notification's id."""
    body = {"to": {"users": [user]}, "title": title} | fields
    headers = {"authorization": f"Bearer {API_KEY}"}
    answer = HTTP.post(f"{server.url}/v1/notifications", json=body, headers=headers)
    answer.raise_for_status()
    return str(answer.json()["id"])


def badge(server: Server, user: str) -> dict[str, Any]:
    """What the server says is the badge of a person."""
    headers = {"authorization": f"Bearer {user_token(user)}"}
    answer = HTTP.get(f"{server.url}/v1/badge", headers=headers)
    return cast("dict[str, Any]", answer.raise_for_status().json())


def wait_for_badge(server: Server, user: str, **counts: int) -> None:
    """Wait until the server counts so."""
    until(lambda: counts.items() <= badge(server, user).items())


def wait(page: Page, condition: str, timeout_s: float = 15.0) -> None:
    """Wait until a JavaScript expression is true. Playwright's own way needs `eval` in the page."""
    until = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < until, f"{condition} is not true"
        page.wait_for_timeout(20)


def bell(page: Page) -> Locator:
    return page.get_by_role("button", name="Notifications")


def titles(page: Page) -> list[str]:
    return page.locator(f"{ROWS} .title").all_inner_texts()


def focused(page: Page) -> str:
    """The text of what has the focus, through all shadow roots."""
    return str(
        page.evaluate(
            "(() => { let at = document.activeElement;"
            " while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
            " return at.matches('article') ? at.querySelector('.title').textContent"
            " : at.getAttribute('aria-label') ?? at.textContent; })()"
        )
    )


def attribute(text: str) -> str:
    return f'<red-dot server="{{server}}" token-url="{{shop}}/token" {text}></red-dot>'
