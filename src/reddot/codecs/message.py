"""A notification's content as couriers are handed it. Pure."""

from __future__ import annotations

import msgspec

from reddot.delivery import Message
from reddot.inbox import Priority


class _Content(msgspec.Struct, frozen=True):
    """The `data` of a notification's publications, as far as couriers need it."""

    title: str = ""
    body: str = ""
    url: str | None = None
    icon: str | None = None
    priority: Priority = "normal"
    actions: msgspec.Raw = msgspec.Raw(b"[]")
    data: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Content).decode


def message_of(
    data: bytes, *, id: str, category: str, collapse_key: str | None, time_ms: int
) -> Message:
    """What is to be said, from what was stored; of foreign content only what can be read."""
    try:
        content = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        content = _Content()
    return Message(
        id=id,
        title=content.title,
        body=content.body,
        url=content.url or "",
        icon=content.icon or "",
        category=category,
        priority=content.priority,
        actions=bytes(content.actions),
        data=bytes(content.data),
        collapse_key=collapse_key,
        time_ms=time_ms,
    )
