"""Plans as they are written: `[[deliveries]]` in `reddot.toml`, JSON in `PUT /v1/plans`. Pure.

One shape for both, so that what is tried over the API can be put into the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from reddot.delivery import ANY_CATEGORY, Cap, Plan, Step
from reddot.errors import ReddotError
from reddot.inbox import Quiet

PLANS_MAX: Final = 256
NAMES_MAX: Final = 256
STEPS_MAX: Final = 16
CAPS_MAX: Final = 16
USERS_MAX: Final = 10_000
KEYWORDS_MAX: Final = 1000
COUNT_MAX: Final = 1_000_000_000
SPAN_S_MAX: Final = 365 * 86_400

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
User = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Keyword = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Count = Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=NAMES_MAX)]
Users = Annotated[tuple[User, ...], msgspec.Meta(max_length=USERS_MAX)]
Span = int | str
"""Seconds, or a text with a unit."""

_SPAN: Final = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_PLACE: Final = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)


class WrittenStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    courier: Name
    after: Span = 0


class WrittenQuiet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")


class WrittenCap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    count: Count
    per: Span
    courier: Name | None = None
    category: Name | None = None


class WrittenPlan(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """One `[[deliveries]]` table. The fields mean what those of `delivery.Plan` mean."""

    categories: Names = (ANY_CATEGORY,)
    couriers: Annotated[tuple[WrittenStep, ...], msgspec.Meta(max_length=STEPS_MAX)] = ()
    quiet: WrittenQuiet | None = None
    caps: Annotated[tuple[WrittenCap, ...], msgspec.Meta(max_length=CAPS_MAX)] = ()
    digest: Span = 0
    allow: Users = ()
    deny: Users = ()
    keywords: Annotated[tuple[Keyword, ...], msgspec.Meta(max_length=KEYWORDS_MAX)] = ()
    total: Count | None = None
    per_second: Count | None = None


Written = Annotated[tuple[WrittenPlan, ...], msgspec.Meta(max_length=PLANS_MAX)]
_decoder: Final = msgspec.json.Decoder(Written)


def decode_plans(body: bytes) -> tuple[Plan, ...]:
    """What `PUT /v1/plans` has in its body: a list of plans.

    Raises:
        ReddotError: `json_invalid`, or `field_invalid` with the place.
    """
    try:
        written = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _placed(error) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReddotError("json_invalid", str(error)) from None
    return _plans(written)


def plans_of(tables: object) -> tuple[Plan, ...]:
    """The same from what a TOML file has. Raises `field_invalid` with the place."""
    try:
        return _plans(msgspec.convert(tables, Written))
    except msgspec.ValidationError as error:
        raise _placed(error) from None


def plans_fields(plans: Sequence[Plan]) -> list[dict[str, object]]:
    """Plans as they are written, without what is as if it were not said."""
    fields: list[dict[str, object]] = msgspec.to_builtins([_written(plan) for plan in plans])
    return fields


# ---- from written to meant ----


def _plans(written: tuple[WrittenPlan, ...]) -> tuple[Plan, ...]:
    plans = tuple(_plan(one, f"[{index}]") for index, one in enumerate(written))
    taken: set[str] = set()
    for index, plan in enumerate(plans):
        if ANY_CATEGORY in taken or taken.issuperset(plan.categories):
            raise _wrong(f"[{index}].categories", "plans before this one take all of them")
        taken.update(plan.categories)
    return plans


def _plan(written: WrittenPlan, place: str) -> Plan:
    plan = Plan(
        categories=written.categories,
        steps=tuple(
            Step(courier=one.courier, after_s=_span(one.after, f"{place}.couriers[{i}].after"))
            for i, one in enumerate(written.couriers)
        ),
        quiet=None if written.quiet is None else _quiet(written.quiet, f"{place}.quiet"),
        caps=tuple(_cap(one, f"{place}.caps[{i}]") for i, one in enumerate(written.caps)),
        digest_s=_span(written.digest, f"{place}.digest"),
        allow=frozenset(written.allow),
        deny=frozenset(written.deny),
        keywords=written.keywords,
        total_max=written.total,
        per_s_max=written.per_second,
    )
    _check(plan, place)
    return plan


def _check(plan: Plan, place: str) -> None:
    """Refuse what would have no effect, or two: it is a slip of the pen."""
    couriers = [step.courier for step in plan.steps]
    if len(set(couriers)) < len(couriers):
        raise _wrong(f"{place}.couriers", "a courier is named twice")
    for index, cap in enumerate(plan.caps):
        if cap.courier is not None and cap.courier not in couriers:
            raise _wrong(f"{place}.caps[{index}].courier", "is none of the plan's couriers")
        named = (cap.category, ANY_CATEGORY)
        if cap.category is not None and not any(one in plan.categories for one in named):
            raise _wrong(f"{place}.caps[{index}].category", "is none of the plan's categories")


def _quiet(written: WrittenQuiet, place: str) -> Quiet:
    quiet = Quiet(
        start_minute=minute_of(written.start, f"{place}.from"),
        end_minute=minute_of(written.end, f"{place}.to"),
    )
    if quiet.start_minute == quiet.end_minute:
        raise _wrong(place, "begins when it ends")
    return quiet


def _cap(written: WrittenCap, place: str) -> Cap:
    return Cap(
        count=written.count,
        window_s=_span(written.per, f"{place}.per", least_s=1),
        courier=written.courier,
        category=written.category,
    )


def _span(written: Span, place: str, *, least_s: int = 0) -> int:
    seconds = written
    if isinstance(seconds, str):
        found = _SPAN.fullmatch(seconds)
        if found is None:
            raise _wrong(place, 'give seconds, or a number with a unit: "30s", "10m", "12h", "7d"')
        seconds = int(found[1]) * _UNITS_S[found[2]]
    if not least_s <= seconds <= SPAN_S_MAX:
        raise _wrong(place, f"must be {least_s} to {SPAN_S_MAX} seconds")
    return seconds


def minute_of(written: str, place: str) -> int:
    """The minute of a day. Raises `field_invalid` about `place`."""
    found = _TIME.fullmatch(written)
    if found is None:
        raise _wrong(place, 'give a time of day, "00:00" to "23:59"')
    return int(found[1]) * 60 + int(found[2])


def _placed(error: msgspec.ValidationError) -> ReddotError:
    message = str(error)[0].lower() + str(error)[1:]
    found = _PLACE.fullmatch(message)
    return ReddotError("field_invalid", message) if found is None else _wrong(found[2], found[1])


def _wrong(place: str, message: str) -> ReddotError:
    return ReddotError("field_invalid", f"{place}: {message}")


# ---- from meant to written ----


def _written(plan: Plan) -> WrittenPlan:
    return WrittenPlan(
        categories=plan.categories,
        couriers=tuple(WrittenStep(step.courier, step.after_s) for step in plan.steps),
        quiet=None
        if plan.quiet is None
        else WrittenQuiet(clock_of(plan.quiet.start_minute), clock_of(plan.quiet.end_minute)),
        caps=tuple(
            WrittenCap(cap.count, cap.window_s, cap.courier, cap.category) for cap in plan.caps
        ),
        digest=plan.digest_s,
        allow=tuple(sorted(plan.allow)),
        deny=tuple(sorted(plan.deny)),
        keywords=plan.keywords,
        total=plan.total_max,
        per_second=plan.per_s_max,
    )


def clock_of(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
