"""Everything that the library Apprise can reach: e-mail, SMS gateways, chats, over a hundred.

The operator's URL names the service; a person's address fills its `{address}`. The library is an
extra (`pip install reddot[apprise]`) and works in threads: of those there is a fixed number, and
who waits for one longer than `timeout_s` is told RETRY. A thread that was given up goes on; what it
brings about after all is the double that at-least-once allows. The library tells no refusal from an
answer that was lost, so whatever fails once a thread has begun may have arrived.
"""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Final
from urllib.parse import quote

import msgspec

from reddot.couriers.outcomes import WRONG_ADDRESS, Words, kept, one_line
from reddot.delivery import Outcome, Parcel, Verdict
from reddot.errors import ReddotError, SettingsError

ADDRESS_CHARS_MAX: Final = 254
ADDRESS_BYTES_MAX: Final = 1024
TITLE_CHARS_MAX: Final = 250
_ONE_ADDRESS: Final = re.compile(r"[^\s,;<>\"'()%\\]+")
"""No separators: services take lists, and one address must not become two. No `%`: the library
decodes some parts twice."""

_NOWHERE: Final = logging.NullHandler()
_PLACEHOLDER: Final = re.compile(r"\{(address|user|id)\}")


class AppriseCourier:
    """The courier `apprise`.

    Args:
        url: a URL of the library, with `{address}`, and `{user}` and `{id}` if wanted.
        pattern: what an address has to look like, a regular expression for all of it; None: one
            word without separators, which it has to be in any case.
    Raises:
        SettingsError: the library is not installed, or does not know the URL.
    """

    def __init__(
        self, *, url: str, pattern: str | None = None, threads: int = 4, timeout_s: float = 30
    ) -> None:
        self._library: Final[Any] = _library()
        self._url: Final = url
        self._pattern: Final = re.compile(pattern) if pattern else _ONE_ADDRESS
        self._timeout_s: Final = timeout_s
        self._pool: Final = ThreadPoolExecutor(threads, thread_name_prefix="apprise")
        self._all_there: Final = Barrier(threads)
        self._words: Final = Words(_secrets(url))
        if not self._library.Apprise().add(self._filled("someone@example.com", "user", "id")):
            raise SettingsError("apprise does not know this url; `apprise --details` lists all")

    def start_threads(self) -> None:
        """Have all threads from now on; each has the priority of the calling one."""
        for _ in range(self._all_there.parties):
            self._pool.submit(self._all_there.wait)

    def check(self, address: object) -> bytes:
        """See `ports.Courier.check`."""
        if not isinstance(address, str) or len(address) > ADDRESS_CHARS_MAX:
            raise ReddotError(
                "field_invalid", f"must be a text of at most {ADDRESS_CHARS_MAX} characters"
            )
        patterns = (_ONE_ADDRESS, self._pattern)
        if one_line(address) != address or not all(one.fullmatch(address) for one in patterns):
            raise ReddotError("field_invalid", "does not look like an address of this courier")
        return kept(address, ADDRESS_BYTES_MAX)

    async def send(self, parcel: Parcel) -> Outcome:
        try:
            address = msgspec.json.decode(parcel.address, type=str)
            self.check(address)
        except (msgspec.DecodeError, ReddotError):
            return WRONG_ADDRESS
        thread = self._pool.submit(self._notify, parcel, address)
        try:
            async with asyncio.timeout(self._timeout_s):
                said = await asyncio.wrap_future(thread)
        except TimeoutError:
            begun = not thread.cancel()
            return Outcome(verdict=Verdict.RETRY, reason="timeout", blame=True, unknown=begun)
        if said is None:
            return Outcome(verdict=Verdict.SENT, reason="sent")
        # The library says only that it failed: neither whether it would again, nor whether it was
        # the service or this one address. So nobody is blamed.
        detail = self._words(said, (address,))
        return Outcome(verdict=Verdict.RETRY, reason="not_sent", detail=detail, unknown=True)

    async def aclose(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _notify(self, parcel: Parcel, address: str) -> str | None:
        """In a thread: None if it went out, else what the library complained of."""
        message = parcel.message
        service = self._library.Apprise()
        service.add(self._filled(address, parcel.user, parcel.id))
        # An empty title would become part of the body; an empty body is refused.
        text = "\n\n".join(filter(None, (message.body, message.url))) or message.title
        try:
            result = service.notify(
                body=text,
                title=one_line(message.title)[:TITLE_CHARS_MAX],
                body_format="text",
                timeout=self._timeout_s + 1,  # for its own threads; we have stopped waiting
            )
        except Exception as error:  # noqa: BLE001 - a plugin's own bug is the provider's failure
            return f"{type(error).__name__}: {error}"
        return None if result else "; ".join(entry.message for entry in result.logs())

    def _filled(self, address: str, user: str, id: str) -> str:
        values = {"address": address, "user": user, "id": id}

        def one(found: re.Match[str]) -> str:
            # As above: what is decoded twice must have nothing to decode.
            return quote(one_line(values[found[1]]).replace("%", "_"), safe="")

        return _PLACEHOLDER.sub(one, self._url)


def _library() -> Any:
    try:
        import apprise
    except ImportError:
        raise SettingsError(
            "the courier type apprise needs a library: pip install 'reddot[apprise]'"
        ) from None
    # What it complains of is in the outcome; a person's address has no place in our log.
    log = logging.getLogger(apprise.LOGGER_NAME)
    log.propagate = False
    log.addHandler(_NOWHERE)
    return apprise


def _secrets(url: str) -> list[str]:
    """Every part of the URL that could be one: all between its delimiters."""
    return [part for part in re.split(r"[:/?&=@{}]+", url) if len(part) >= 6]
