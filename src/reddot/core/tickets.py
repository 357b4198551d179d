"""One-time tickets: a credential for a URL, where a token must not be.

Core: time and randomness come in through ports. `EventSource` and iframes cannot set headers, so
the page trades its token for a ticket that is good for one request within 30 s (DESIGN 2.4).
Invariants: a ticket is answered at most once, whatever the answer; only hashes are kept; memory is
bounded, and what has expired is dropped by whoever comes next, without a timer.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from reddot.errors import ReddotError
from reddot.model import Actor
from reddot.ports import Clock, Entropy

TICKET_LIFETIME_S_DEFAULT: Final = 30
TICKETS_MAX_DEFAULT: Final = 100_000
TICKET_CHARS_MAX: Final = 128


class _Issued(msgspec.Struct, frozen=True):
    actor: Actor
    origin: str | None
    ends_s: float


class Tickets:
    """The tickets that were issued and not used yet.

    Args:
        lifetime_s: how long one may be used.
        tickets_max: how many may be out at once; beyond, `overloaded`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        entropy: Entropy,
        lifetime_s: float = TICKET_LIFETIME_S_DEFAULT,
        tickets_max: int = TICKETS_MAX_DEFAULT,
    ) -> None:
        self._clock: Final = clock
        self._entropy: Final = entropy
        self._lifetime_s: Final = lifetime_s
        self._tickets_max: Final = tickets_max
        # All live equally long and the clock never goes back, so the first one ends first.
        self._issued: Final[dict[bytes, _Issued]] = {}

    def __len__(self) -> int:
        return len(self._issued)

    def issue(self, actor: Actor, origin: str | None) -> str:
        """A ticket for `actor`, bound to the page's origin.

        Args:
            origin: the request's `Origin`; None if it had none, and then no page can use it from
                another origin than the server's own.
        Raises:
            ReddotError: `overloaded` if too many tickets are out.
        """
        self._drop_expired()
        if len(self._issued) >= self._tickets_max:
            raise ReddotError("overloaded", "too many unused tickets")
        ticket = self._entropy.secret()
        ends_s = self._clock.monotonic() + self._lifetime_s
        self._issued[_digest(ticket)] = _Issued(actor, origin, ends_s)
        return ticket

    def redeem(self, ticket: str, origin: str | None) -> tuple[Actor, str | None]:
        """The actor and the bound origin of a ticket, which is used up by this.

        A request with an `Origin` must come from the bound one. A navigation, say of an iframe,
        carries none; it is answered to the bound origin by whoever calls this.

        Raises:
            ReddotError: `unauthorized` for a ticket that is unknown, used, too old or another
                origin's; `token_expired` if what it was traded for has ended.
        """
        self._drop_expired()
        if not ticket.isascii() or len(ticket) > TICKET_CHARS_MAX:
            raise _refused()
        issued = self._issued.pop(_digest(ticket), None)
        if issued is None or origin not in (None, issued.origin):
            raise _refused()
        ends_ms = issued.actor.expires_ms
        if ends_ms is not None and self._clock.wall_ms() >= ends_ms:
            raise ReddotError("token_expired")
        return issued.actor, issued.origin

    def _drop_expired(self) -> None:
        now_s = self._clock.monotonic()
        while self._issued:
            oldest = next(iter(self._issued))
            if self._issued[oldest].ends_s > now_s:
                return
            del self._issued[oldest]


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()


def _refused() -> ReddotError:
    return ReddotError("unauthorized", "the ticket is not valid")
