"""Who a client is: from user name, password and authentication data to an actor.

A password is a JWT or an API key; without one the user name may be. Names alone are believed in
development only, where nobody but this machine can connect. A credential that is there and wrong is
refused, whatever else is there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from reddot.codecs.mqtt_packets import Connect
from reddot.core.gate import Gate
from reddot.errors import ReddotError
from reddot.model import Actor

METHOD: Final = "reddot-token"
"""The authentication method (MQTT 5.0 section 4.12): the data is a JWT or an API key."""

_SERVICES: Final = "/"
"""Owners that are no users begin with it; no user name has one."""


@lru_cache(maxsize=1024)
def owner_of(actor: Actor) -> str:
    """Whose client ids these are: everybody's own; those without name share one."""
    if actor.user is not None:
        return actor.user
    return _SERVICES + actor.key if actor.service else _SERVICES


def is_token(text: str) -> bool:
    """Whether a text looks like a JWT (RFC 7519 section 3) or an API key."""
    return text.startswith("rk_") or (text.count(".") == 2 and text.startswith("ey"))


class Authentication:
    """Args:
    dev: names are believed, and clients without any may do everything that no topic rule denies.
    """

    def __init__(self, gate: Gate, *, dev: bool) -> None:
        self._gate = gate
        self._dev = dev

    async def actor(self, connect: Connect, known: Actor | None) -> Actor:
        """The actor of a CONNECT. `known`: whom the upgrade of its WebSocket has named, who is
        taken if the CONNECT names nobody.

        Raises:
            ReddotError: `unauthorized`, `token_expired`, `keys_unavailable`.
        """
        credential = self._credential(connect)
        if credential is None:
            if known is not None and not connect.username:
                return known
            return self._believe(connect.username)
        actor = await self.verify(credential)
        name = connect.username
        if name and actor.user is not None and name not in (actor.user, credential):
            raise ReddotError("unauthorized", "the token is not of this user name")
        return actor

    async def verify(self, credential: str) -> Actor:
        """The actor of a token or key. Raises as `actor`."""
        identified = await self._gate.identify_fetching(
            bearer=credential, cookie=None, ticket=None, origin=None, host=None, cross_site=False
        )
        return identified.actor

    def _credential(self, connect: Connect) -> str | None:
        """The token or key that a CONNECT carries; None if it has none to be verified."""
        properties = connect.properties
        if properties.authentication_method is not None:
            return (properties.authentication_data or b"").decode("latin-1")
        if connect.password is not None:
            text = connect.password.decode("latin-1")
            return text if is_token(text) or not self._dev else None
        name = connect.username or ""
        return name if is_token(name) else None

    def _believe(self, name: str | None) -> Actor:
        if name:
            return self._gate.believe(name)
        if not self._dev:
            raise ReddotError("unauthorized", "no credential")
        return Actor(admin=True, bound=True)
