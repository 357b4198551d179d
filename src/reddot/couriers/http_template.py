"""A provider that a file describes (`template.py`): its request is filled in, its answer judged."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from reddot.couriers.outcomes import (
    WRONG_ADDRESS,
    Words,
    by_status,
    kept,
    one_line,
    retry_after,
    unsent,
)
from reddot.couriers.signers import SIGNERS
from reddot.couriers.template import Description, fill, fill_text, fill_url, pointed
from reddot.delivery import Outcome, Parcel, Verdict
from reddot.errors import ReddotError, SettingsError
from reddot.net.outbound import Answer, Call, Outbound, OutboundError, parts_of
from reddot.ports import Clock

ADDRESS_BYTES_MAX: Final = 1024
PROVIDER_IDS_KEPT_MAX: Final = 10_000
PROVIDER_IDS_POOL_S: Final = 3600

Values = dict[str, Any]


class HttpTemplate:
    """The courier `http_template`.

    Args:
        values: what the operator has filled in.
    Raises:
        SettingsError: a value is missing, or nobody asked for it.
    """

    def __init__(
        self,
        *,
        outbound: Outbound,
        description: Description,
        values: Mapping[str, str | int | bool],
        clock: Clock,
    ) -> None:
        self._outbound: Final = outbound
        self._description: Final = description
        self._values: Final = _completed(description, values)
        self._clock: Final = clock
        self._pattern: Final = re.compile(description.address.pattern)
        self._check_signer()
        self._headers: Final = self._fixed_headers()
        self._words: Final = Words(self._secrets())
        self._ids: Final = _ProviderIds(self._fetch_ids, clock) if description.ids else None

    def check(self, address: object) -> bytes:
        """See `ports.Courier.check`."""
        if not isinstance(address, str) or not self._pattern.fullmatch(address):
            raise ReddotError("field_invalid", f"must be {self._description.address.help}")
        return kept(address, ADDRESS_BYTES_MAX)

    async def send(self, parcel: Parcel) -> Outcome:
        try:
            address = msgspec.json.decode(parcel.address, type=str)
            self.check(address)
        except (msgspec.DecodeError, ReddotError):
            return WRONG_ADDRESS
        values = self._values | self._of(parcel, address)
        if self._ids is not None:
            found = await self._ids.of(parcel.id)
            if isinstance(found, Outcome):
                return found
            values["provider_id"] = found
        try:
            answer = await self._outbound.send(self._call(values))
        except OutboundError as error:
            return unsent(error, blame=True)
        return self._judge(answer, self._words(answer.body, (address,)))

    async def aclose(self) -> None:
        await self._outbound.aclose()

    def _judge(self, answer: Answer, said: str) -> Outcome:
        """What the description says about an answer, and where it is silent, what HTTP says."""
        body = _json(answer.body)
        wait_s = retry_after(answer.headers.get(self._description.retry_after.lower()), self._clock)
        for rule in self._description.answers:
            if rule.fits(answer.status, body):
                return Outcome(
                    verdict=rule.outcome,
                    reason=rule.reason or f"http_{answer.status}",
                    detail="" if rule.verdict == "sent" else said,
                    retry_after_s=(wait_s or rule.wait_s) if rule.verdict == "retry" else None,
                    blame=rule.blame,
                )
        outcome = by_status(answer, said, self._clock, blame=True)
        if outcome.verdict is Verdict.GONE:
            # That the provider's address is gone says nothing about the person's.
            return msgspec.structs.replace(outcome, verdict=Verdict.FAILED, blame=True)
        return outcome

    async def _fetch_ids(self) -> list[str] | Outcome:
        """Some ids of the provider's, at least one, or what came of asking for them."""
        ids = self._description.ids
        assert ids is not None
        url = fill_url(ids.url, self._values)
        try:
            answer = await self._outbound.send(Call(url=url, method="GET", headers=self._headers))
        except OutboundError as error:
            # Whatever came of that, no parcel was in it.
            return msgspec.structs.replace(unsent(error, blame=True), unknown=False)
        found = pointed(_json(answer.body), ids.pointer)
        listed = found[0] if found and isinstance(found[0], list) else []
        if handed_out := [one for one in listed if isinstance(one, str)]:
            return handed_out
        judged = self._judge(answer, self._words(answer.body))
        verdict = Verdict.FAILED if judged.verdict is Verdict.FAILED else Verdict.RETRY
        return msgspec.structs.replace(judged, verdict=verdict, reason="no_ids", blame=True)

    def _check_signer(self) -> None:
        signer = self._description.request.signer
        if signer is not None and (signer not in SIGNERS or "secret" not in self._values):
            known = ", ".join(SIGNERS)
            raise SettingsError(f"signer {signer!r}: known are {known}, with a value `secret`")

    def _fixed_headers(self) -> dict[str, str]:
        request = self._description.request
        headers = {}
        if request.basic is not None:
            proof = ":".join(fill_text(one, self._values) for one in request.basic)
            headers["Authorization"] = "Basic " + b64encode(proof.encode()).decode()
        elif request.bearer is not None:
            headers["Authorization"] = "Bearer " + fill_text(request.bearer, self._values)
        return headers

    def _secrets(self) -> list[str]:
        named = self._description.values.items()
        given = [str(self._values[name]) for name, value in named if value.secret]
        proofs = [one.partition(" ")[2] for one in self._headers.values()]
        return [part for one in (*given, *proofs) for part in parts_of(one)]

    def _of(self, parcel: Parcel, address: str) -> Values:
        """What a message brings, with the provider's own marks taken out of every text."""
        message = parcel.message
        title = one_line(message.title)
        texts = {
            "address": address,
            "title": title,
            "body": message.body,
            "text": message.body or title,
            "lines": "\n".join(filter(None, (title, message.body, message.url))),
            "link": message.url,
            "icon": message.icon,
            "category": message.category,
            "user": parcel.user,
        }
        for_apps = {
            "id": parcel.id,
            "notification": message.id,
            "title": title,
            "body": message.body,
            "url": message.url,
            "category": message.category,
            "unread": parcel.unread,
            "count": message.count,
        }
        table = str.maketrans(self._description.request.escape)
        return {name: text.translate(table) for name, text in texts.items()} | {
            "json": msgspec.json.encode(for_apps).decode(),
            "id": parcel.id,
            "notification": message.id,
            "priority": message.priority,
            "actions": msgspec.json.decode(message.actions),
            "data": msgspec.json.decode(message.data),
            "time_ms": message.time_ms,
            "count": message.count,
            "unread": parcel.unread,
            "ttl_s": parcel.ttl_s,
        }

    def _call(self, values: Values) -> Call:
        request = self._description.request
        query = {name: fill_text(text, values) for name, text in request.query.items()}
        body = fill(request.body, values)
        if request.signer is not None:
            in_query, in_body = SIGNERS[request.signer](self._values, self._clock.wall_ms())
            query |= in_query
            body = in_body | body if in_body else body
        url = fill_url(request.url, values)
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query)
        headers = dict(self._headers)
        data = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = msgspec.json.encode(body)
        elif request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            form = {name: fill_text(text, values) for name, text in request.form.items()}
            data = urlencode(form).encode()
        for name, text in request.headers.items():
            headers[name] = one_line(fill_text(text, values))
        return Call(url=url, method=request.method, headers=headers, body=data)


class _ProviderIds:
    """One id of the provider's for each parcel, the same for all attempts of this process.

    The provider hands them out by the handful; each is used for one parcel. Who finds none left
    fetches a handful, without waiting for others, so that nobody waits longer than a request takes.
    """

    def __init__(self, fetch: Callable[[], Awaitable[list[str] | Outcome]], clock: Clock) -> None:
        self._fetch: Final = fetch
        self._clock: Final = clock
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._pool: deque[str] = deque(maxlen=PROVIDER_IDS_KEPT_MAX)
        self._fetched_s = 0.0

    async def of(self, parcel_id: str) -> str | Outcome:
        """The id, or the outcome if the provider gives none."""
        if (known := self._kept.get(parcel_id)) is not None:
            return known
        if self._clock.monotonic() - self._fetched_s > PROVIDER_IDS_POOL_S:
            self._pool.clear()
        if not self._pool:
            found = await self._fetch()
            if isinstance(found, Outcome):
                return found
            self._pool.extend(found)
            self._fetched_s = self._clock.monotonic()
        id = self._kept.setdefault(parcel_id, self._pool.popleft())
        if len(self._kept) > PROVIDER_IDS_KEPT_MAX:
            self._kept.popitem(last=False)
        return id


def _completed(description: Description, values: Mapping[str, str | int | bool]) -> Values:
    for name in values:
        if name not in description.values:
            known = ", ".join(description.values) or "none"
            raise SettingsError(f"values.{name}: {description.title} has no such value ({known})")
    found: Values = {}
    for name, value in description.values.items():
        given = values.get(name, value.default)
        if given is None:
            raise SettingsError(f"values.{name} is missing: {value.help}")
        found[name] = given
    return found


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
