"""Tokens as another program would make them, with the library alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from joserfc import jwt
from joserfc.jwk import OctKey

from tests.integration.server import SECRET


def user_token(user: str, *, subscribe: Sequence[str] = (), lifetime_s: int = 600) -> str:
    """A token of `user`, which ends on a whole second, `lifetime_s` from now."""
    claims = {
        "sub": user,
        "exp": int(time.time()) + lifetime_s,
        "reddot": {"subscribe": list(subscribe)},
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
