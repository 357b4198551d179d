"""Signatures of providers that cannot be written as a template. Pure.

Each takes the operator's values and the time, and gives what is added to the query and to the body.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

Additions = tuple[dict[str, str], dict[str, Any]]
Signer = Callable[[Mapping[str, Any], int], Additions]


def dingtalk(values: Mapping[str, Any], now_ms: int) -> Additions:
    """`timestamp` in milliseconds and `sign` in the query; nothing without a secret."""
    secret = str(values["secret"])
    if not secret:
        return {}, {}
    sign = _signature(secret.encode(), f"{now_ms}\n{secret}".encode())
    return {"timestamp": str(now_ms), "sign": sign}, {}


def feishu(values: Mapping[str, Any], now_ms: int) -> Additions:
    """`timestamp` in seconds and `sign` in the body: the text that is signed is the key."""
    secret = str(values["secret"])
    if not secret:
        return {}, {}
    now_s = str(now_ms // 1000)
    return {}, {"timestamp": now_s, "sign": _signature(f"{now_s}\n{secret}".encode(), b"")}


def _signature(key: bytes, text: bytes) -> str:
    return b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


SIGNERS: Final[dict[str, Signer]] = {"dingtalk": dingtalk, "feishu": feishu}
