"""Reddot: one publish, six transports, an exactly right red dot.

`await reddot.publish(topic, data)` publishes from an application that runs inside the server
(`reddot serve --app module:app`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from reddot.model import Appended

__all__ = ["__version__", "publish"]

__version__ = "0.1.0"

running: list[Callable[..., Awaitable[Appended]]] = []
"""How to publish through each node of this process; nodes come and go by themselves."""


async def publish(
    topic: str,
    data: object,
    *,
    event: str | None = None,
    id: str | None = None,
    ephemeral: bool | None = None,
    ttl_s: float | None = None,
    retain: bool = False,
) -> Appended:
    """Publish through the node of this process; returns when it is durable.

    Args:
        data: any JSON value, or `bytes` that are JSON already.
        id: idempotency key for 24 hours.
        ephemeral: not stored; None means what the topic's rule says.
        ttl_s: seconds until it is not delivered any more.
        retain: new subscribers get the latest one.

    Raises:
        RuntimeError: no node has been started in this process.
        reddot.errors.ReddotError: as over HTTP.
    """
    if not running:
        raise RuntimeError("no Reddot node is running in this process")
    options: dict[str, Any] = {"event": event, "id": id, "ephemeral": ephemeral}
    return await running[-1](topic, data, ttl_s=ttl_s, retain=retain, **options)
