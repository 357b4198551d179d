"""A signed request to an address of the person, or to one of the operator's for everybody.

Signatures are those of Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`),
by its own library. While a key is being replaced, every request is signed with all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from standardwebhooks import Webhook as Signer

from reddot.couriers.outcomes import WRONG_ADDRESS, Words, by_status, kept, unsent
from reddot.delivery import Outcome, Parcel
from reddot.errors import ReddotError
from reddot.net.outbound import Call, Outbound, OutboundError, parts_of
from reddot.ports import Clock

ADDRESS_BYTES_MAX: Final = 2048


class WebhookCourier:
    """The courier `webhook`.

    Args:
        keys: `whsec_…`; receivers accept a request if one of them fits.
        url: where everybody's requests go. A person's address is then any JSON value, which is
            handed on; without it a person's address is the URL, as a text.
    """

    def __init__(
        self, *, outbound: Outbound, keys: Sequence[str], url: str | None, clock: Clock
    ) -> None:
        self._outbound: Final = outbound
        self._signers: Final = tuple(map(Signer, keys))
        self._url: Final = url
        self._clock: Final = clock
        self._words: Final = Words([*keys, *(key.removeprefix("whsec_") for key in keys)])

    def check(self, address: object) -> bytes:
        """See `ports.Courier.check`."""
        encoded = kept(address, ADDRESS_BYTES_MAX)
        if self._url is None:
            if not isinstance(address, str):
                raise ReddotError("field_invalid", "the address of a webhook is a URL")
            try:
                self._outbound.guard.check_url(address)
            except OutboundError as error:
                raise ReddotError("field_invalid", str(error)) from None
        return encoded

    async def send(self, parcel: Parcel) -> Outcome:
        try:
            url = self._url or msgspec.json.decode(parcel.address, type=str)
        except msgspec.DecodeError:
            return WRONG_ADDRESS
        # An address that a person chose says nothing about anybody else's.
        blame = self._url is not None
        body = self._body(parcel)
        try:
            answer = await self._outbound.send(
                Call(url=url, headers=self._headers(parcel.id, body), body=body)
            )
        except OutboundError as error:
            return unsent(error, blame=blame)
        return by_status(answer, self._words(answer.body, parts_of(url)), self._clock, blame=blame)

    async def aclose(self) -> None:
        await self._outbound.aclose()

    def _headers(self, id: str, body: bytes) -> dict[str, str]:
        now = datetime.fromtimestamp(self._clock.wall_ms() // 1000, UTC)
        signatures = (signer.sign(id, now, body.decode()) for signer in self._signers)
        return {
            "Content-Type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _body(self, parcel: Parcel) -> bytes:
        message = parcel.message
        time = datetime.fromtimestamp(message.time_ms / 1000, UTC)
        data: dict[str, Any] = {
            "user": parcel.user,
            "notification": message.id,
            "title": message.title,
            "body": message.body,
            "url": message.url,
            "icon": message.icon,
            "category": message.category,
            "priority": message.priority,
            "collapse_key": message.collapse_key,
            "actions": msgspec.Raw(message.actions),
            "data": msgspec.Raw(message.data),
            "count": message.count,
            "unread": parcel.unread,
        }
        if self._url is not None:
            data["address"] = msgspec.Raw(parcel.address)
        stamp = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return msgspec.json.encode(
            {"type": "notification", "id": parcel.id, "timestamp": stamp, "data": data}
        )
