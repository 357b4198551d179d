"""From what a provider did to an `Outcome`, and little else: what all couriers share.

Invariant: a provider's own words are cut, are one line, and hold none of our secrets, even if the
provider sends them back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

from reddot.delivery import Outcome, Verdict
from reddot.errors import ReddotError
from reddot.net.outbound import Answer, OutboundError
from reddot.ports import Clock

DETAIL_CHARS_MAX: Final = 200
RETRY_AFTER_S_MAX: Final = 86_400.0
MASK: Final = "***"
_SECRET_CHARS_MIN: Final = 4

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """The text without control characters, so that it can be a header, a subject, a log value."""
    return _UNPRINTABLE.sub(" ", text)


def cut(text: str, bytes_max: int) -> str:
    """The beginning of the text that fits as UTF-8, without half a character."""
    data = text.encode()
    return text if len(data) <= bytes_max else data[:bytes_max].decode(errors="ignore")


class Words:
    """Makes a provider's words fit to be kept and shown.

    Args:
        secrets: what must never be in them.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: a secret may be a part of another.
        self._secrets: Final = _faces(secrets)

    def __call__(self, said: bytes | str, also: Collection[str] = ()) -> str:
        """At most 200 characters. `also`: secrets of this one parcel, such as its address."""
        text = said if isinstance(said, str) else said[:65_536].decode(errors="replace")
        for secret in (*_faces(also), *self._secrets):
            text = text.replace(secret, MASK)
        return one_line(text).strip()[:DETAIL_CHARS_MAX]


def _faces(secrets: Iterable[str]) -> list[str]:
    """The secrets as they are and as they look in a URL; the longest first, it may hold another."""
    known = [one for one in secrets if len(one) >= _SECRET_CHARS_MIN]
    faces = {face for one in known for face in (one, quote(one, safe=""), quote_plus(one))}
    return sorted(faces, key=len, reverse=True)


def retry_after(value: str | None, clock: Clock) -> float | None:
    """Seconds that `Retry-After` asks for (RFC 9110 section 10.2.3), 0 to a day; None: nothing."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,12}", value):
        return min(float(value), RETRY_AFTER_S_MAX)
    try:
        when = parsedate_to_datetime(value)
        moment = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = moment.timestamp() - clock.wall_ms() / 1000
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX)


def kept(address: object, bytes_max: int) -> bytes:
    """An address as it is kept.

    Raises:
        ReddotError: `field_invalid` if it is too long, or no Unicode (half a surrogate pair).
    """
    try:
        encoded = msgspec.json.encode(address)
    except UnicodeEncodeError:
        raise ReddotError("field_invalid", "the address is not valid Unicode") from None
    if len(encoded) > bytes_max:
        raise ReddotError("field_invalid", f"the address has more than {bytes_max} bytes")
    return encoded


WRONG_ADDRESS: Final = Outcome(verdict=Verdict.FAILED, reason="address_invalid")
"""For an address that the courier would not accept any more: its settings have changed."""


def unsent(error: OutboundError, *, blame: bool) -> Outcome:
    """There was no answer. What was refused is refused for good, what failed may come right."""
    if error.refused:
        return Outcome(verdict=Verdict.FAILED, reason=error.reason, detail=error.detail)
    return Outcome(
        verdict=Verdict.RETRY,
        reason=error.reason,
        detail=error.detail,
        blame=blame,
        unknown=error.handed_over,
    )


def by_status(answer: Answer, words: str, clock: Clock, *, blame: bool) -> Outcome:
    """What a status means where no courier knows better.

    2xx SENT, 410 GONE, 408, 425, 429 and 5xx RETRY, everything else FAILED.
    """
    status = answer.status
    reason = f"http_{status}"
    if 200 <= status < 300:
        return Outcome(verdict=Verdict.SENT, reason=reason)
    if status == 410:
        return Outcome(verdict=Verdict.GONE, reason=reason, detail=words)
    if status in (408, 425, 429) or status >= 500:
        return Outcome(
            verdict=Verdict.RETRY,
            reason=reason,
            detail=words,
            retry_after_s=retry_after(answer.headers.get("retry-after"), clock),
            blame=blame,
        )
    return Outcome(verdict=Verdict.FAILED, reason=reason, detail=words)
