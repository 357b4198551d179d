"""Web Push: an encrypted message to a browser through its maker's push service.

RFC 8030 (the request), RFC 8291 (the encryption, by the library of its author) and RFC 8292 (who
we are). The address is the browser's `PushSubscription` as JSON.
Invariant: a request body has at most 4096 bytes, which is all that a push service must take.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from typing import Any, Final

import http_ece  # type: ignore[import-untyped]
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from reddot.couriers.outcomes import WRONG_ADDRESS, Words, by_status, kept, one_line, unsent
from reddot.couriers.vapid import Vapid, decode, encode
from reddot.delivery import Outcome, Parcel, Verdict
from reddot.errors import ReddotError
from reddot.inbox import Priority
from reddot.net.outbound import Answer, Call, Outbound, OutboundError, parts_of
from reddot.ports import Clock

PAYLOAD_BYTES_MAX: Final = 3993
"""4096 less the header of the content encoding (86) and its tag and delimiter (17)."""
PAYLOAD_BYTES_SMALL: Final = 2000
"""What is tried once when a push service finds a message too large."""
RECORD_BYTES: Final = 4096
TTL_S_MAX: Final = 28 * 86_400
ADDRESS_BYTES_MAX: Final = 4096
ELLIPSIS: Final = "…"

SERVICES: Final = (
    "fcm.googleapis.com",
    "push.services.mozilla.com",
    "notify.windows.com",
    "push.apple.com",
)
"""Push services of the browsers. Anybody may name any endpoint: only these can be blamed."""

URGENCY: Final[dict[Priority, str]] = {
    "low": "low",
    "normal": "normal",
    "high": "high",
    "urgent": "high",
}

_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Keys(msgspec.Struct, frozen=True):
    p256dh: str
    auth: str


class Subscription(msgspec.Struct, frozen=True):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint: str
    keys: Keys


class WebPush:
    """The courier `web_push`.

    Args:
        outbound: sends; its guard decides about endpoints.
    """

    def __init__(self, *, outbound: Outbound, vapid: Vapid, clock: Clock) -> None:
        self._outbound: Final = outbound
        self._vapid: Final = vapid
        self._clock: Final = clock
        self._words: Final = Words()

    @property
    def public_key(self) -> str:
        """What a browser needs to subscribe: `applicationServerKey`."""
        return self._vapid.key.public

    @property
    def private_key(self) -> SecretStr:
        """Its other half, for couriers of this server in another process."""
        return SecretStr(self._vapid.key.pem().decode())

    def check(self, address: object) -> bytes:
        """See `ports.Courier.check`; what browsers add beside endpoint and keys is left out."""
        try:
            subscription = msgspec.convert(address, Subscription)
            self._outbound.guard.check_url(subscription.endpoint)
            ec.EllipticCurvePublicKey.from_encoded_point(
                ec.SECP256R1(), decode(subscription.keys.p256dh, 65)
            )
            decode(subscription.keys.auth, 16)
        except (msgspec.ValidationError, OutboundError, ValueError) as error:
            raise ReddotError("field_invalid", f"not a push subscription: {error}") from None
        return kept(subscription, ADDRESS_BYTES_MAX)

    async def send(self, parcel: Parcel) -> Outcome:
        try:
            subscription = msgspec.json.decode(parcel.address, type=Subscription)
        except msgspec.DecodeError:
            return WRONG_ADDRESS
        outcome = await self._send(parcel, subscription, PAYLOAD_BYTES_MAX)
        if outcome.reason == "http_413":
            outcome = await self._send(parcel, subscription, PAYLOAD_BYTES_SMALL)
        return outcome

    async def aclose(self) -> None:
        await self._outbound.aclose()

    async def _send(self, parcel: Parcel, subscription: Subscription, bytes_max: int) -> Outcome:
        try:
            url = self._outbound.guard.check_url(subscription.endpoint)
            blame = self._is_service(url.host)
            origin = f"{url.scheme}://{url.netloc.decode()}"
            call = Call(
                url=subscription.endpoint,
                headers=self._headers(parcel, origin),
                body=seal(payload(parcel, bytes_max), subscription),
            )
        except OutboundError as error:
            return unsent(error, blame=False)
        except ValueError:
            return WRONG_ADDRESS
        try:
            answer = await self._outbound.send(call)
        except OutboundError as error:
            return unsent(error, blame=blame)
        proof = call.headers["Authorization"].removeprefix("vapid t=").partition(",")[0]
        said = self._words(answer.body, (*parts_of(subscription.endpoint), proof))
        return self._outcome(answer, said, blame=blame)

    def _is_service(self, host: str) -> bool:
        return any(host == one or host.endswith("." + one) for one in SERVICES)

    def _headers(self, parcel: Parcel, origin: str) -> dict[str, str]:
        headers = {
            "TTL": str(min(max(parcel.ttl_s, 0), TTL_S_MAX)),
            "Urgency": URGENCY[parcel.message.priority],
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "Authorization": self._vapid.authorization(origin),
        }
        if parcel.message.collapse_key is not None:
            headers["Topic"] = topic(parcel.message.collapse_key)
        return headers

    def _outcome(self, answer: Answer, said: str, *, blame: bool) -> Outcome:
        reason = f"http_{answer.status}"
        if answer.status in (404, 410):
            return Outcome(verdict=Verdict.GONE, reason=reason, detail=said)
        if answer.status in (401, 403):
            # Our key is not that of the subscription, or our token is not liked. The first is what
            # anybody can bring about with a subscription for another key: no blame.
            return Outcome(verdict=Verdict.FAILED, reason="vapid_refused", detail=said)
        return by_status(answer, said, self._clock, blame=blame)


def topic(collapse_key: str) -> str:
    """A `Topic` of at most 32 characters of base64url (RFC 8030 section 5.4)."""
    if _TOPIC.fullmatch(collapse_key):
        return collapse_key
    return encode(hashlib.sha256(collapse_key.encode()).digest())[:32]


def seal(
    plaintext: bytes,
    subscription: Subscription,
    *,
    private: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body that only this browser can read (RFC 8291). Key and salt are new for each message.

    Raises:
        ValueError: the subscription's keys are none.
    """
    sealed: bytes = http_ece.encrypt(
        plaintext,
        salt=salt or os.urandom(16),
        private_key=private or ec.generate_private_key(ec.SECP256R1()),
        dh=decode(subscription.keys.p256dh, 65),
        auth_secret=decode(subscription.keys.auth, 16),
        rs=RECORD_BYTES,
        version="aes128gcm",
    )
    return sealed


# ---- what the service worker gets ----


def payload(parcel: Parcel, bytes_max: int) -> bytes:
    """The message as JSON of at most `bytes_max` bytes.

    First the body is cut; where even none is too much, `data`, then `actions`, then what else is
    optional are left out; at last the title is cut.
    """
    message = parcel.message
    for fields in _ever_less(parcel):
        room = bytes_max - len(msgspec.json.encode(fields))
        if room >= 0:
            return msgspec.json.encode(fields | {"body": fitting(message.body, room)})
    least = {"id": message.id, "title": "", "body": "", "unread": parcel.unread}
    room = bytes_max - len(msgspec.json.encode(least))
    return msgspec.json.encode(least | {"title": fitting(one_line(message.title), room)})


def _ever_less(parcel: Parcel) -> Iterator[dict[str, Any]]:
    message = parcel.message
    fields: dict[str, Any] = {
        "id": message.id,
        "delivery": parcel.id,
        "title": one_line(message.title),
        "body": "",
        "url": message.url,
        "icon": message.icon,
        "category": message.category,
        "priority": message.priority,
        "tag": message.collapse_key or message.id,
        "time_ms": message.time_ms,
        "unread": parcel.unread,
        "count": message.count,
        "actions": msgspec.Raw(message.actions),
        "data": msgspec.Raw(message.data),
    }
    yield fields
    for left_out in ("data", "actions", "icon", "url", "tag"):
        del fields[left_out]
        yield fields


def fitting(text: str, bytes_max: int) -> str:
    """The text, or its longest beginning with an ellipsis, that takes so many bytes within JSON."""
    if _json_bytes(text) <= bytes_max:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _json_bytes(text[:middle] + ELLIPSIS) <= bytes_max:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS if low else ""


def _json_bytes(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2
