"""Who may use the console: set-up links that are good once, and sessions that can be ended.

Core: time and randomness come in through ports. A session is a token of ours, signed with a key
that lives as long as this process: it works whichever keys people's tokens are checked with, and a
restart ends all of them.
Invariants: a set-up link opens one session; of links only hashes are kept; a session that was ended
stays ended; guesses are bounded.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Final

import msgspec

from reddot.core.tickets import Tickets
from reddot.core.tokens import StaticKeys, TokenVerifier, issue_token
from reddot.errors import ReddotError
from reddot.model import Actor
from reddot.ports import Clock, Entropy

ISSUER: Final = "reddot-console"
LINKS_MAX: Final = 16
ENDED_MAX: Final = 10_000
WINDOW_S: Final = 60.0
_OPERATOR: Final = Actor(admin=True)


class ConsoleLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of signing in; the defaults are those of the settings table."""

    console_setup_s: int = 900
    console_session_s: int = 28_800
    console_attempts_per_min: int = 10


class ConsoleAccess:
    """One per node."""

    def __init__(self, *, clock: Clock, entropy: Entropy, limits: ConsoleLimits) -> None:
        self.limits: Final = limits
        self._clock: Final = clock
        self._entropy: Final = entropy
        self._links: Final = Tickets(
            clock=clock,
            entropy=entropy,
            lifetime_s=limits.console_setup_s,
            tickets_max=LINKS_MAX,
        )
        # Oldest first: what is forgotten at the limit is nearest to its end.
        self._ended: Final[dict[bytes, None]] = {}
        self._failed = 0
        self._window_ends_s = 0.0

    # ---- set-up links ----

    def make_link(self) -> str:
        """The secret of a new link, good once, for `console_setup_s`. Raises `overloaded`."""
        return self._links.issue(_OPERATOR, None)

    def redeem_link(self, secret: str) -> Actor:
        """Whom a link lets in; it is used up by this. Raises `unauthorized`."""
        try:
            return self._links.redeem(secret, None)[0]
        except ReddotError:
            raise ReddotError(
                "unauthorized", "the link was used, is too old or was never made"
            ) from None

    # ---- guesses ----

    def check_attempts(self) -> None:
        """Raises `rate_limited` after too many failures within a minute, whoever's they are."""
        if self._clock.monotonic() >= self._window_ends_s:
            self._failed = 0
        if self._failed >= self.limits.console_attempts_per_min:
            raise ReddotError("rate_limited", "too many failed attempts; wait a minute")

    def note_failure(self) -> None:
        if self._failed == 0:
            self._window_ends_s = self._clock.monotonic() + WINDOW_S
        self._failed += 1

    # ---- sessions ----

    @cached_property
    def _key(self) -> str:
        return self._entropy.secret() + self._entropy.secret()

    @cached_property
    def _verifier(self) -> TokenVerifier:
        return TokenVerifier(
            keys=StaticKeys(secret=self._key),
            issuer=ISSUER,
            audience=None,
            clock=self._clock,
            lifetime_s_max=self.limits.console_session_s,
        )

    def open(self, actor: Actor) -> tuple[str, int]:
        """A session with the rights of `actor`, who is an administrator or a server's key.

        Returns: its token, and how many seconds it lasts: never longer than what it was opened
        with.
        """
        assert actor.admin or actor.service, "nobody else may operate a server"
        lifetime_s = self.limits.console_session_s
        if actor.expires_ms is not None:
            lifetime_s = min(lifetime_s, (actor.expires_ms - self._clock.wall_ms()) // 1000)
        token = issue_token(
            self._key,
            user=None,
            admin=True,
            lifetime_s=lifetime_s,
            clock=self._clock,
            issuer=ISSUER,
            # Also makes it unlike any other that is opened in the same second.
            name=f"{'' if actor.admin else actor.key}:{self._entropy.secret()}",
        )
        return token, lifetime_s

    def actor(self, token: str) -> Actor:
        """Whose session it is. Raises `unauthorized` and `token_expired`."""
        if _digest(token) in self._ended:
            raise ReddotError("unauthorized", "this session was ended")
        found = self._verifier.verify(token)
        assert found is not None, "its key is always known"
        key = found.key.partition(":")[0]
        if not key:
            return found
        # A server's key opens the console, but it does not become an administrator by that.
        return Actor(service=True, key=key, expires_ms=found.expires_ms)

    def end(self, token: str) -> None:
        """Sign out. Raises `unauthorized` for what is no session."""
        self.actor(token)
        if len(self._ended) >= ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._ended[_digest(token)] = None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
