"""The clients of one node: who is attached, whose session is stored, whose will is due.

A session that outlives its connection is one row in the store. While its client is away nothing of
it is in memory but its name. Rows wake when a will is due or the session ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import structlog

from reddot.codecs.json_data import check_data
from reddot.core.access import is_reserved
from reddot.core.publishing import Publishing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import ATTACHED_MS, Actor, Appended, ClientRow, Draft
from reddot.ports import ClientRows, Clock
from reddot.transports.mqtt.state import (
    TTL_S_MAX,
    Client,
    StoredWill,
    client_of,
    decode_state,
    expires_ms,
)

ROWS_PAGE: Final = 500
TTL_S_MIN: Final = 0.001
WAKE_MS_MAX: Final = 1 << 62

_log = structlog.get_logger("reddot.mqtt")

Key = tuple[str, str]


def is_json(payload: bytes, *, retain: bool, bytes_max: int, depth_max: int) -> bool:
    """Whether a payload is stored as JSON data; anything else is stored as bytes.

    A retained `null` would clear what is retained, which only an empty payload does in MQTT.
    """
    if retain and payload == b"null":
        return False
    try:
        check_data(payload, bytes_max=bytes_max, depth_max=depth_max)
    except ReddotError:
        return False
    return True


class Stored:
    """Whose sessions are stored: a set of keys that knows how many an owner has."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()
        self._counts: dict[str, int] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, owner: str) -> int:
        return self._counts.get(owner, 0)

    def add(self, key: Key) -> None:
        if key not in self._keys:
            self._keys.add(key)
            self._counts[key[0]] = self.of(key[0]) + 1

    def discard(self, key: Key) -> None:
        if key in self._keys:
            self._keys.remove(key)
            left = self._counts.pop(key[0]) - 1
            if left:
                self._counts[key[0]] = left


class Clients:
    """Args:
    rows: what the store has of clients; it is written by publishing, with publications or without.
    """

    def __init__(
        self,
        *,
        rows: ClientRows,
        publishing: Publishing,
        clock: Clock,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        data_depth_max: int,
    ) -> None:
        self.attached: dict[Key, Client] = {}
        self.stored = Stored()
        self._rows = rows
        self._publishing = publishing
        self._clock = clock
        self._counters = counters
        self._spawn = spawn
        self._depth_max = data_depth_max
        self._takeovers: dict[Key, int] = {}
        self._leaving: dict[Key, tuple[Client]] = {}
        self._locks: dict[Key, tuple[asyncio.Lock, int]] = {}
        self._waking = False
        self._second = 0

    # Finding

    async def start(self) -> None:
        """Learn whose sessions are stored. Those that were attached when the process ended have
        lost their connection now."""
        await self._learn()
        while rows := await self._rows.woken(
            first_ms=ATTACHED_MS, last_ms=ATTACHED_MS, limit=ROWS_PAGE
        ):
            now_ms = self._clock.wall_ms()
            lost = [client_of(row) for row in rows]
            for client in lost:
                self.stored.add(client.key)
                client.detached_ms = now_ms
            await self._store([client.row() for client in lost])

    async def _learn(self) -> None:
        first_ms, limit = 0, ROWS_PAGE
        while True:
            rows = await self._rows.woken(first_ms=first_ms, last_ms=WAKE_MS_MAX, limit=limit)
            for row in rows:
                self.stored.add((row.owner, row.client))
            if len(rows) < limit:
                return
            if rows[-1].wake_ms == first_ms:
                limit *= 2  # More rows than a page wake in one millisecond.
            first_ms = rows[-1].wake_ms

    async def load(self, key: Key) -> Client | None:
        """The stored session of a client that is not attached, unless it has ended."""
        if key not in self.stored:
            return None
        if (leaving := self._leaving.pop(key, None)) is not None:
            return leaving[0]  # Its row may not have been written yet.
        row = await self._rows.load(*key)
        if row is None or row.state is None:
            return None
        client = client_of(row)
        if client.detached_ms and expires_ms(decode_state(row.state)) <= self._clock.wall_ms():
            self.end(client)
            return None
        return client

    def take_over(self, key: Key, most: int) -> Client | None:
        """The attached client of this name, which is detached by it; None: there is none.

        Raises:
            ReddotError: `rate_limited`, two devices of one name would go on for ever.
        """
        old = self.attached.get(key)
        if old is None:
            return None
        count = self._takeovers.get(key, 0)
        if count >= most:
            raise ReddotError("rate_limited", f"{most} connections of one client a minute")
        self._takeovers[key] = count + 1
        self._counters.mqtt_takeovers += 1
        assert old.attachment is not None
        old.attachment.take_over()
        del self.attached[key]
        old.attachment = None
        return old

    def alone(self, key: Key) -> AbstractAsyncContextManager[object]:
        """Held while a client of this name comes in, so that a second one waits."""
        return _Turn(self._locks, key)

    # Saving

    def save(
        self, client: Client, done: Callable[[ReddotError | None], None] | None = None
    ) -> None:
        """Store a session."""
        self._append([self.row(client)], done)

    def row(self, client: Client) -> ClientRow:
        """A session's row, which the caller is about to store."""
        client.dirty = False
        client.stored = True
        self.stored.add(client.key)
        return client.row()

    def _append(
        self,
        rows: Sequence[ClientRow],
        done: Callable[[ReddotError | None], None] | None,
    ) -> None:
        def stored(result: Sequence[Appended] | ReddotError) -> None:
            error = result if isinstance(result, ReddotError) else None
            if done is not None:
                done(error)
            elif error is not None:
                _log.warning("mqtt_session_not_stored", error=str(error))

        self._publishing.publish((), stored, rows)

    async def store(self, client: Client) -> None:
        """Store a session and wait until it is durable. Raises `store_unavailable`."""
        await self._store([self.row(client)])

    async def _store(self, rows: Sequence[ClientRow]) -> None:
        answer: asyncio.Future[ReddotError | None] = asyncio.get_running_loop().create_future()
        self._append(rows, answer.set_result)
        if (error := await answer) is not None:
            raise error

    def end(self, client: Client) -> None:
        """The session is over: nothing of it is kept."""
        self.stored.discard(client.key)
        if client.stored:
            client.stored = False
            self._append([client.gone_row()], None)

    def detach(self, client: Client) -> None:
        """Its connection has ended, and nobody has taken over."""
        del self.attached[client.key]
        client.attachment = None
        client.detached_ms = self._clock.wall_ms()
        will = client.will
        if will is not None and (not will.delay_s or not client.expiry_s):
            client.will = None
            self.publish_will(client, will)
        if not client.expiry_s:
            self.end(client)
            return
        # Of this time: who comes back and goes again is the same client, with another row to write.
        entry = self._leaving[client.key] = (client,)

        def stored(error: ReddotError | None) -> None:
            if self._leaving.get(client.key) is entry:
                del self._leaving[client.key]
            if error is not None:
                _log.warning("mqtt_session_not_stored", error=str(error))

        self.save(client, stored)

    # Wills

    def publish_will(self, client: Client, will: StoredWill) -> None:
        """Publish a will, if its owner may still publish there."""
        try:
            draft = self.will_draft(client.actor, will, client.source)
        except ReddotError as error:
            self._counters.reject(error.code, "mqtt", error.detail)
            return

        def done(result: Sequence[Appended] | ReddotError) -> None:
            if isinstance(result, ReddotError):
                self._counters.reject(result.code, "mqtt", result.detail)
                _log.warning("mqtt_will_not_published", error=str(result))

        self._counters.mqtt_wills += 1
        self._publishing.publish((draft,), done)

    def will_draft(self, actor: Actor, will: StoredWill, source: str) -> Draft:
        """The publication of a will. Raises as `Publishing.draft`."""
        publishing = self._publishing
        if is_reserved(will.topic):
            raise ReddotError("forbidden", "the topic belongs to the server")
        rule = publishing.permit(actor, will.topic)
        ttl_s = None if will.expiry_s is None else min(max(will.expiry_s, TTL_S_MIN), TTL_S_MAX)
        bytes_max = publishing.limits.data_bytes_max
        return publishing.draft(
            actor,
            topic=will.topic,
            data=will.payload,
            rule=rule,
            ephemeral=rule.is_ephemeral(will.qos, will.retain),
            ttl_s=ttl_s,
            retain=will.retain,
            binary=not is_json(
                will.payload,
                retain=will.retain,
                bytes_max=bytes_max,
                depth_max=self._depth_max,
            ),
            qos=will.qos,
            properties=will.forward,
            source=source,
        )

    # The timer

    def tick(self) -> None:
        """Call about twice a second: store what has changed, look at rows whose time has come."""
        second = int(self._clock.monotonic())
        if second == self._second:
            return
        if second // 60 != self._second // 60:
            self._takeovers.clear()
        self._second = second
        dirty = [one for one in self.attached.values() if one.dirty and one.expiry_s]
        if dirty:
            self._append([self.row(client) for client in dirty], None)
        if len(self.stored) and not self._waking:
            self._waking = True
            self._spawn(self._wake())

    async def _wake(self) -> None:
        try:
            rows = await self._rows.woken(
                first_ms=0, last_ms=self._clock.wall_ms(), limit=ROWS_PAGE
            )
            for row in rows:
                async with self.alone((row.owner, row.client)):
                    if (row.owner, row.client) not in self.attached:
                        await self._wake_one(row.owner, row.client)
        except ReddotError as error:
            _log.warning("mqtt_sessions_not_read", error=str(error))
        finally:
            self._waking = False

    async def _wake_one(self, owner: str, name: str) -> None:
        """The will of a client that is away is due, or its session ends, or both."""
        row = await self._rows.load(owner, name)
        if row is None or row.state is None:
            return
        client, now_ms = client_of(row), self._clock.wall_ms()
        ended = expires_ms(decode_state(row.state)) <= now_ms
        will = client.will
        if will is not None and (ended or client.detached_ms + will.delay_s * 1000 <= now_ms):
            client.will = None
            self.publish_will(client, will)
        if ended:
            self.end(client)
        elif client.will is not will:
            self.save(client)


class _Turn(AbstractAsyncContextManager[None]):
    """A lock per name that exists while somebody holds it or waits for it."""

    def __init__(self, locks: dict[Key, tuple[asyncio.Lock, int]], key: Key) -> None:
        self._locks = locks
        self._key = key

    async def __aenter__(self) -> None:
        lock, users = self._locks.get(self._key) or (asyncio.Lock(), 0)
        self._locks[self._key] = lock, users + 1
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_error: object) -> None:
        self._locks[self._key][0].release()
        self._leave()

    def _leave(self) -> None:
        lock, users = self._locks[self._key]
        if users == 1:
            del self._locks[self._key]
        else:
            self._locks[self._key] = lock, users - 1
