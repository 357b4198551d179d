"""The console: its page, and signing in and out of it. What it shows are the routes of everybody.

Signing in makes a session of a one-time set-up link, an administrator's token or a server's key,
and keeps it in a cookie that scripts cannot read. The cookie counts only with the header
`reddot-console`, and never on a request of another page: `core.gate` sees to that.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from reddot.api.pages import Pages
from reddot.api.reception import Answer, Caller, Reception
from reddot.codecs.credentials import CONSOLE_COOKIE, Credential
from reddot.codecs.frames import encode_time
from reddot.core.console import ConsoleAccess
from reddot.core.gate import Gate, is_own_page
from reddot.errors import ReddotError
from reddot.model import Actor
from reddot.ports import Clock

PATH: Final = "/v1/console/session"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_FOLDERS: Final = {"": "console", "sections/": "console/sections", "look/": "look"}
_LOOPBACK: Final = re.compile(r"(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_GUESSES: Final = frozenset(("unauthorized", "token_expired", "forbidden"))


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /v1/console/session` takes: one of them; in development, none.

    Attributes:
        setup: the secret of a one-time link.
        credential: an administrator's token, or an API key.
    """

    setup: str | None = None
    credential: str | None = None


class ConsoleRoutes:
    """Puts its routes into a reception.

    Args:
        dev: pages on this machine are let in without a proof.
    """

    def __init__(self, *, access: ConsoleAccess, gate: Gate, clock: Clock, dev: bool) -> None:
        self._access = access
        self._gate = gate
        self._clock = clock
        self._dev = dev

    def register(self, reception: Reception) -> None:
        add = reception.add
        add(
            *("POST", PATH, "console", "Sign in to the console", self.sign_in),
            description="With `setup`, the secret of a one-time link, or `credential`, an "
            "administrator's token or an API key. The session comes as a cookie.",
            identify=False,
        )
        add("GET", PATH, "console", "Whose session this is", self.whose)
        add("DELETE", PATH, "console", "Sign out of the console", self.sign_out, identify=False)
        add(
            *("POST", "/v1/console/links", "console", "Make a one-time set-up link", self.link),
            description="Its secret goes behind `/console#setup=`. Needs an administrator.",
        )

    # ---- sessions ----

    async def sign_in(self, caller: Caller) -> Answer:
        credential = caller.credential
        # Also against being signed in as somebody else: a form of another page is refused.
        if credential.origin is None or not self._is_own(credential):
            raise ReddotError("origin_forbidden", "only the console's own page may sign in")
        wanted = caller.wanted(SignIn)
        self._access.check_attempts()
        try:
            actor = await self._proven(wanted, credential)
        except ReddotError as error:
            if error.code in _GUESSES and wanted != SignIn():
                self._access.note_failure()
            raise
        token, lifetime_s = self._access.open(actor)
        secure = credential.origin.startswith("https:")
        expires_ms = self._clock.wall_ms() + lifetime_s * 1000
        return Answer(
            {"admin": actor.admin, "expires": encode_time(expires_ms).decode(), "dev": self._dev},
            {"set-cookie": _cookie(token, lifetime_s, secure=secure)},
        )

    async def _proven(self, wanted: SignIn, credential: Credential) -> Actor:
        """Who signs in; raises `unauthorized` and what `Gate.identify` raises."""
        if wanted.setup is not None:
            return self._access.redeem_link(wanted.setup)
        if wanted.credential is not None:
            identified = await self._gate.identify_fetching(
                bearer=wanted.credential,
                cookie=None,
                ticket=None,
                origin=credential.origin,
                host=credential.host,
                cross_site=credential.cross_site,
            )
            if not (identified.actor.admin or identified.actor.service):
                raise ReddotError("forbidden", "the token is not an administrator's")
            return identified.actor
        # A foreign name that resolves to this machine makes a foreign page look like our own.
        if self._dev and _LOOPBACK.fullmatch((credential.host or "").lower()):
            return Actor(admin=True)
        raise ReddotError("unauthorized", "give a one-time link, a token or an API key")

    async def whose(self, caller: Caller) -> Any:
        caller.require_admin()
        expires_ms = caller.actor.expires_ms
        return {
            "admin": caller.actor.admin,
            "expires": None if expires_ms is None else encode_time(expires_ms).decode(),
            "dev": self._dev,
        }

    async def sign_out(self, caller: Caller) -> Answer:
        credential = caller.credential
        if not self._is_own(credential):
            raise ReddotError("origin_forbidden")
        if credential.console:
            with suppress(ReddotError):  # It may have ended already.
                self._access.end(credential.console)
        secure = (credential.origin or "").startswith("https:")
        return Answer(None, {"set-cookie": _cookie("", 0, secure=secure)})

    def _is_own(self, credential: Credential) -> bool:
        return is_own_page(credential.origin, credential.host, credential.cross_site)

    async def link(self, caller: Caller) -> Any:
        caller.require_operator()
        return {
            "setup": self._access.make_link(),
            "expires_in": self._access.limits.console_setup_s,
        }


def _cookie(token: str, lifetime_s: int, *, secure: bool) -> str:
    """RFC 6265; for the whole site, since what the console asks is under `/v1`."""
    cookie = f"{CONSOLE_COOKIE}={token}; Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Strict"
    return f"{cookie}; Secure" if secure else cookie


def console_pages() -> list[Route]:
    """The routes of the page's files."""
    pages = Pages(_FOLDERS, _POLICY)

    async def page(request: Request) -> Response:
        return pages.answer(request, "index.html")

    async def slashed(_request: Request) -> Response:
        return RedirectResponse("/console", 308)

    async def file(request: Request) -> Response:
        return pages.answer(request, request.path_params["name"])

    return [
        Route("/console", page, methods=["GET"], include_in_schema=False),
        Route("/console/", slashed, methods=["GET"], include_in_schema=False),
        Route("/console/{name:path}", file, methods=["GET"], include_in_schema=False),
    ]
