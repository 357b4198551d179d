"""Reddot: one publish, six transports, an exactly right red dot.

`await reddot.publish(topic, data)` publishes from an application that runs inside the server
(`reddot serve --app module:app`), and `await reddot.notify(users=["42"], title="Hello")` notifies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reddot.model import Appended

__all__ = ["__version__", "notify", "publish"]

__version__ = "0.1.0"


running: list[Any] = []
"""The nodes of this process (`reddot.node.Reddot`); they come and go by themselves."""


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
    options: dict[str, Any] = {"event": event, "id": id, "ephemeral": ephemeral}
    appended: Appended = await _node().publish(topic, data, ttl_s=ttl_s, retain=retain, **options)
    return appended


async def notify(
    *,
    title: str,
    users: Sequence[str] = (),
    topic: str | None = None,
    everyone: bool = False,
    **more: Any,
) -> str:
    """Notify through the node of this process; returns the id when it is durable.

    Args:
        users, topic, everyone: to whom; exactly one of them.
        more: the other fields of `POST /v1/notifications`, such as `body`, `url`, `category`.

    Raises:
        RuntimeError: no node has been started in this process.
        reddot.errors.ReddotError: as over HTTP.
    """
    to = {"users": users} if users else {"everyone": True} if everyone else {"topic": topic}
    id: str = await _node().notify({"to": to, "title": title} | more)
    return id


def _node() -> Any:
    if not running:
        raise RuntimeError("no Reddot node is running in this process")
    return running[-1]
