"""Deliveries, addresses, attributes and campaigns in JSON: what is asked and answered. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from reddot.codecs import inbox as codec
from reddot.codecs.preferences import zone_of
from reddot.errors import ReddotError
from reddot.outreach import Address, Campaign, Delivery, Figures, Progress, Stage

MINUTE_MS: Final = 60_000
ATTRIBUTES_MAX: Final = 100
TIMEZONE: Final = "timezone"
REVIEWS_MAX: Final = 100
AGAIN_MAX: Final = 500
CLICKS_MAX: Final = 100
# What a segment can ask: see `core.segments`.
Scalar = str | bool | int | float | None
Attributes = dict[str, Scalar | list[Scalar]]


class Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    approve: bool


class Reviews(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One decision about several notifications."""

    approve: bool
    notifications: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=REVIEWS_MAX)]


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which dead letters are to be sent again, a bounded number at a time."""

    campaign: str | None = None
    notification: str | None = None
    user: str | None = None
    courier: str | None = None
    reason: str | None = None
    before: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,17}$")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=AGAIN_MAX)] = AGAIN_MAX


class Clicks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Notifications that a person has clicked, by their ids."""

    ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=CLICKS_MAX)]


class Endpoint(msgspec.Struct, frozen=True):
    """A browser's subscription, as far as it is told apart by it."""

    endpoint: str


_review = msgspec.json.Decoder(Review)
_reviews = msgspec.json.Decoder(Reviews)
_again = msgspec.json.Decoder(Again)
_audience = msgspec.json.Decoder(codec.To)
_clicks = msgspec.json.Decoder(Clicks)
_NO_END: Final = ("made", "held", "clicked")
_endpoint = msgspec.json.Decoder(Endpoint)
_attributes = msgspec.json.Decoder(Attributes)
_value = msgspec.json.Decoder()


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise ReddotError("field_invalid", str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReddotError("json_invalid", str(error)) from None


def decode_review(body: bytes) -> bool:
    """Raises `json_invalid` or `field_invalid`, as everything here that decodes."""
    approve: bool = _decoded(_review, body).approve
    return approve


def decode_reviews(body: bytes) -> Reviews:
    found: Reviews = _decoded(_reviews, body)
    return found


def decode_again(body: bytes) -> Again:
    """What a body asks to be sent again; one that names nothing asks for all that is dead."""
    found: Again = _decoded(_again, body)
    return found


def decode_audience(body: bytes) -> codec.To:
    """To whom, as `to` of a notification says it."""
    return codec.check_to(_decoded(_audience, body), "an audience")


def decode_attributes(body: bytes, *, bytes_max: int, is_zone: Callable[[str], bool]) -> bytes:
    """A JSON object of texts, numbers, truth values and lists of them, as it is stored.

    Args:
        is_zone: whether a text may be a `timezone`; null may be as well, and stands for none.
    """
    if len(body) > bytes_max:
        raise ReddotError("data_too_large", f"{bytes_max} bytes are allowed")
    found: Attributes = _decoded(_attributes, body)
    if len(found) > ATTRIBUTES_MAX:
        raise ReddotError("field_invalid", f"{ATTRIBUTES_MAX} attributes are allowed")
    zone_of(found.get(TIMEZONE), is_zone=is_zone)
    return codec.encode(found)


def decode_address(body: bytes, *, bytes_max: int) -> object:
    if len(body) > bytes_max:
        raise ReddotError("data_too_large", f"{bytes_max} bytes are allowed")
    return _decoded(_value, body)


def decode_clicks(body: bytes) -> tuple[str, ...]:
    ids: tuple[str, ...] = _decoded(_clicks, body).ids
    return ids


def decode_endpoint(body: bytes) -> str:
    """What tells the subscriptions of one person's browsers apart."""
    endpoint: str = _decoded(_endpoint, body).endpoint
    return endpoint


def campaign_of(body: bytes, *, id: str, now_ms: int) -> Campaign:
    """A campaign from a notification as it is asked for; `publish_at` is when it starts."""
    command = codec.decode_notification(body)
    start_ms = codec.publish_ms(command)
    return Campaign(
        id=command.id or id,
        stage=Stage.SCHEDULED,
        command=codec.encode(msgspec.structs.replace(command, id=None, publish_at=None)),
        segment=command.to.segment,
        start_ms=now_ms if start_ms is None else start_ms,
        time_ms=now_ms,
    )


# ---- answers ----


class DeliveryAnswer(msgspec.Struct, frozen=True):
    id: int
    notification: str
    user: str
    courier: str
    state: str
    reason: str
    detail: str
    attempts: int
    due: codec.Time | None
    changed: codec.Time | None
    sent: codec.Time | None
    clicked: codec.Time | None


class DeliveriesAnswer(msgspec.Struct, frozen=True):
    """`next` goes into `before`."""

    items: tuple[DeliveryAnswer, ...]
    next: str | None


def delivery_of(delivery: Delivery) -> DeliveryAnswer:
    return DeliveryAnswer(
        id=delivery.id,
        notification=delivery.notification,
        user=delivery.user,
        courier=delivery.courier,
        state=delivery.state.value,
        reason=delivery.reason,
        detail=delivery.detail,
        attempts=delivery.attempts,
        due=codec.time_or_null(delivery.due_ms),
        changed=codec.time_or_null(delivery.changed_ms),
        sent=codec.time_or_null(delivery.sent_ms),
        clicked=codec.time_or_null(delivery.clicked_ms),
    )


def page_of(deliveries: Sequence[Delivery], limit: int) -> DeliveriesAnswer:
    return DeliveriesAnswer(
        items=tuple([delivery_of(one) for one in deliveries]),
        next=str(deliveries[-1].id) if len(deliveries) == limit else None,
    )


def address_fields(address: Address) -> dict[str, object]:
    return {
        "courier": address.courier,
        "address": msgspec.Raw(address.value),
        "time": codec.time_or_null(address.time_ms),
    }


def campaign_fields(campaign: Campaign) -> dict[str, object]:
    """`parts`: how many notifications have gone out for it so far."""
    command = msgspec.json.decode(campaign.command)
    return {
        "id": campaign.id,
        "state": campaign.stage.value,
        "to": command["to"],
        "title": command["title"],
        "category": command.get("category"),
        "created": codec.time_or_null(campaign.time_ms),
        "start": codec.time_or_null(campaign.start_ms),
        "members": None if campaign.segment is None else campaign.members,
        "parts": campaign.sent,
        "error": campaign.error or None,
    }


def counts_fields(now: Figures, series: Sequence[Figures]) -> dict[str, object]:
    """Whom a campaign has reached, and in `samples` since when how many of them."""
    samples = [{"time": codec.time_or_null(one.time_ms)} | _counts(one) for one in series]
    return {**_counts(now), "samples": samples}


def _counts(figures: Figures) -> dict[str, object]:
    return {"delivered_live": figures.delivered, "seen": figures.seen, "read": figures.read}


def progress_fields(progress: Sequence[Progress]) -> dict[str, object]:
    """Totals by courier, and what came into which state in which minute."""
    totals: dict[str, Counter[str]] = {}
    for one in progress:
        totals.setdefault(one.courier, Counter())[one.state.value] += one.count
    return {
        "totals": {courier: _with_waiting(counts) for courier, counts in totals.items()},
        "minutes": [
            {
                "time": codec.time_or_null(one.minute * MINUTE_MS),
                "courier": one.courier,
                "state": one.state.value,
                "count": one.count,
            }
            for one in progress
        ],
    }


def _with_waiting(counts: Mapping[str, int]) -> dict[str, int]:
    """What was made and has not come to an end is still waiting, in hand or held."""
    ended = sum(count for word, count in counts.items() if word not in _NO_END)
    return {**counts, "open": counts.get("made", 0) - ended}
