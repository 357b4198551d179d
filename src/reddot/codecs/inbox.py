"""Notifications and inboxes in JSON: what is asked, and what is answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Final, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from reddot.codecs.cursor import decode_cursor, encode_cursor
from reddot.codecs.frames import encode_time
from reddot.codecs.json_data import check_data
from reddot.errors import ReddotError
from reddot.inbox import (
    CATEGORY_DEFAULT,
    Asked,
    Audit,
    Badge,
    Effect,
    InboxPage,
    Item,
    Priority,
    Sent,
)
from reddot.model import Cursor, Publication

TITLE_CHARS_MAX: Final = 500
BODY_CHARS_MAX: Final = 10_000
URL_CHARS_MAX: Final = 2_000
ACTIONS_MAX: Final = 5
DIED_TOLD_MAX: Final = 1_000
"""Topics that one change says it was in; what people had snoozed may have been in one of each."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)

Text = Annotated[str, msgspec.Meta(max_length=BODY_CHARS_MAX)]
Url = Annotated[str, msgspec.Meta(max_length=URL_CHARS_MAX)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
_Rfc3339 = msgspec.Meta(extra_json_schema={"format": "date-time"})
Time = Annotated[str, _Rfc3339]
Moment = Annotated[datetime, _Rfc3339]

encode = msgspec.json.Encoder().encode


class To(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """To whom; exactly one field is given."""

    users: tuple[str, ...] = ()
    topic: str | None = None
    everyone: bool = False
    segment: str | None = None


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A button below a notification."""

    title: Line
    url: Url | None = None
    id: Line | None = None


class NotificationCommand(
    msgspec.Struct,
    frozen=True,
    gc=False,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
):
    """One notification as asked for."""

    to: Annotated[To, msgspec.Meta(extra_json_schema={"minProperties": 1, "maxProperties": 1})]
    title: Line
    body: Text = ""
    url: Url | None = None
    icon: Url | None = None
    category: str = CATEGORY_DEFAULT
    priority: Priority = "normal"
    actions: Annotated[tuple[Action, ...], msgspec.Meta(max_length=ACTIONS_MAX)] = ()
    data: msgspec.Raw | UnsetType = UNSET
    ttl: float | None = None
    publish_at: Moment | None = None
    collapse_key: str | None = None
    id: str | None = None


class MarkCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`{"ids":[…]}` or `{"upto":"<cursor>","category"?}`, with `as`; and `until` to snooze."""

    state: Asked = msgspec.field(name="as")
    ids: tuple[str, ...] = ()
    upto: str | None = None
    category: str | None = None
    until: Moment | None = None
    op_id: str | None = None


_notification = msgspec.json.Decoder(NotificationCommand)
_mark = msgspec.json.Decoder(MarkCommand)


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """Raises `json_invalid` or `field_invalid`."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise ReddotError("field_invalid", str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReddotError("json_invalid", str(error)) from None


def decode_notification(body: bytes) -> NotificationCommand:
    """Raises `json_invalid` or `field_invalid`, as everything here that decodes."""
    command: NotificationCommand = decoded(_notification, body)
    check_to(command.to, "'to'")
    publish_ms(command)
    return command


def ms_of(moment: datetime, name: str) -> int:
    """Milliseconds since 1970. Raises `field_invalid`, about what is called `name`."""
    if moment.tzinfo is None:
        raise ReddotError("field_invalid", f"{name!r} needs an offset, such as Z")
    return (moment - _EPOCH) // _MS


def check_to(to: To, name: str) -> To:
    """Raises `field_invalid`, about what is called `name`, unless it says one thing."""
    given = (bool(to.users), to.topic is not None, to.everyone, to.segment is not None)
    if sum(given) != 1:
        raise ReddotError("field_invalid", f"{name} has one of users, topic, everyone and segment")
    return to


class Content(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The `data` of a notification's publications, as clients get it."""

    title: str
    category: str
    body: str = ""
    url: str | None = None
    icon: str | None = None
    priority: str = "normal"
    actions: tuple[Action, ...] = ()
    data: msgspec.Raw | None = None


def encode_content(command: NotificationCommand, *, bytes_max: int, depth_max: int) -> bytes:
    """What the receivers get; `data` is checked and forwarded as the bytes that came."""
    data = None if command.data is UNSET or bytes(command.data) == b"null" else command.data
    if data is not None:
        check_data(bytes(data), bytes_max=bytes_max, depth_max=depth_max)
    return encode(
        Content(
            title=command.title,
            category=command.category,
            body=command.body,
            url=command.url,
            icon=command.icon,
            priority=command.priority,
            actions=command.actions,
            data=data,
        )
    )


def publish_ms(command: NotificationCommand) -> int | None:
    moment = command.publish_at
    return None if moment is None else ms_of(moment, "publish_at")


def identity_of(command: NotificationCommand) -> bytes:
    """What has to be equal for a retry to be one: everything but the id."""
    return encode(msgspec.structs.replace(command, id=None))


class Marking(TypedDict):
    """The keywords of `core.inbox.Inboxes.mark`."""

    state: Asked
    ids: tuple[str, ...]
    upto: int | None
    category: str | None
    until_ms: int | None
    op_id: str | None


def decode_mark(body: bytes) -> MarkCommand:
    command: MarkCommand = decoded(_mark, body)
    return command


def mark_of(command: MarkCommand, here: Cursor) -> Marking:
    """What a command asks for; its cursor must be of this log.

    Raises:
        ReddotError: `cursor_invalid`, `field_invalid`.
    """
    upto = None
    if command.upto is not None:
        cursor = decode_cursor(command.upto)
        if cursor.epoch != here.epoch or cursor.position > here.position:
            raise ReddotError("cursor_invalid", "this cursor is of another log")
        upto = cursor.position
    return Marking(
        state=command.state,
        ids=command.ids,
        upto=upto,
        category=command.category,
        until_ms=None if command.until is None else ms_of(command.until, "until"),
        op_id=command.op_id,
    )


# ---- answers ----


def describe(change: Any, effect: Effect) -> bytes:
    """What is published on `$inbox`: what has happened, for those who watch the server."""
    died = {topic: len(seqs) for topic, seqs in effect.died.items()}
    told: dict[str, object] = {"change": type(change).__name__.lower()}
    if effect.erased:
        return encode(told)
    if effect.user is not None:
        told |= {"user": effect.user, "topics": sorted(effect.marks)}
    if died:
        told["died"] = dict(islice(died.items(), DIED_TOLD_MAX))
    if effect.unmuted:
        told["unmuted"] = len(effect.unmuted)
    return encode(told)


def time_text(time_ms: int) -> str:
    return encode_time(time_ms).decode()


def time_or_null(time_ms: int | None) -> str | None:
    return None if time_ms is None else time_text(time_ms)


class ItemAnswer(msgspec.Struct, frozen=True, gc=False):
    """What a user sees of one notification; `snoozed_until`: null unless it is snoozed."""

    id: str
    topic: str
    time: Time
    expires: Time | None
    snoozed_until: Time | None
    category: str
    seen: bool
    read: bool
    archived: bool
    data: msgspec.Raw


class InboxAnswer(msgspec.Struct, frozen=True):
    """`cursor` is what a mark-all gives back as `upto`; `next` goes into `before`."""

    items: tuple[ItemAnswer, ...]
    cursor: str
    next: str | None
    badge: Badge


class FollowsAnswer(msgspec.Struct, frozen=True):
    follows: tuple[str, ...]
    badge: Badge


class Counts(msgspec.Struct, frozen=True):
    """People who have seen and read it, and who were connected when it went live."""

    seen: int | None
    read: int | None
    delivered_live: int


class SentAnswer(msgspec.Struct, frozen=True):
    """A notification as its sender sees it; `counts` only when one is asked for."""

    id: str
    state: str
    time: Time
    publish_at: Time | None
    expires: Time | None
    category: str
    collapse_key: str | None
    topics: tuple[str, ...]
    data: msgspec.Raw
    counts: Counts | None


class SentPageAnswer(msgspec.Struct, frozen=True):
    items: tuple[SentAnswer, ...]
    next: str | None


class ReceiptAnswer(msgspec.Struct, frozen=True, gc=False):
    """`recipients`: null: whoever follows the topic."""

    id: str
    recipients: int | None
    cursor: str
    scheduled: bool
    duplicate: bool


def item_of(item: Item) -> ItemAnswer:
    return ItemAnswer(
        id=item.id,
        topic=item.topic,
        time=time_text(item.time_ms),
        expires=time_or_null(item.expires_ms),
        snoozed_until=time_or_null(item.snoozed_ms),
        category=item.category,
        seen=item.seen,
        read=item.read,
        archived=item.archived,
        data=msgspec.Raw(item.data),
    )


def page_of(page: InboxPage, badge: Badge, epoch: int) -> InboxAnswer:
    return InboxAnswer(
        items=tuple([item_of(item) for item in page.items]),
        cursor=encode_cursor(Cursor(epoch, page.position)),
        next=None if page.before is None else str(page.before),
        badge=badge,
    )


def sent_of(sent: Sent, *, reached: int = 0) -> SentAnswer:
    """`reached` are people whom the store does not count yet."""
    counts = Counts(sent.seen, sent.read, (sent.reached or 0) + reached)
    return SentAnswer(
        id=sent.id,
        state=sent.state,
        time=time_text(sent.time_ms),
        publish_at=time_or_null(sent.publish_ms),
        expires=time_or_null(sent.expires_ms),
        category=sent.category,
        collapse_key=sent.collapse_key,
        topics=sent.topics,
        data=msgspec.Raw(sent.data),
        counts=None if sent.seen is None else counts,
    )


def audit_fields(audits: Sequence[Audit]) -> list[Mapping[str, object]]:
    return [msgspec.structs.asdict(audit) for audit in audits]


def publication_fields(publication: Publication, data: bytes) -> dict[str, object]:
    """One publication of a history."""
    return {
        "topic": publication.topic,
        "id": publication.id,
        "offset": publication.offset,
        "event": publication.event,
        "time": time_or_null(publication.time_ms),
        "data": msgspec.Raw(data),
    }
