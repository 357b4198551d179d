"""What readers ask of the log, on one snapshot of the SQLite database. Layer: stores.

Runs in a reader's thread. Invariants: one `Snapshot` sees one state of the database; the work of
one `read` is bounded, however many rows are hidden or do not match.

sqlite3 gives up the interpreter's lock once per row, and a busy loop is slow to give it back. So
SQLite packs all rows of an answer into one JSON text, and msgspec unpacks it: half the time of
row by row, and a third of it while the loop is busy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from typing import Any, Final, TypeVar

import msgspec

from reddot.core.topics import is_exact, matches
from reddot.model import EVENT_DEFAULT, ClientRow, Gap, Page, Publication, Retention, TopicState
from reddot.stores.sqlite_deliveries_reader import DeliverySnapshot
from reddot.stores.sqlite_inbox_reader import InboxSnapshot
from reddot.stores.sqlite_mqtt import decode_extra, load_client, woken_clients
from reddot.stores.sqlite_topics import json_text

# How many rows of the log, or names of topics, one step of a search by wildcard may look at.
SCAN_ROWS_MAX: Final = 5_000
NAMES_CHUNK: Final = 1_000

T = TypeVar("T")

_PUBLICATIONS: Final = """
SELECT json_group_array(json_array(topic_id, pos, off, time_ms, expires_ms, id, event, flags,
  mqtt, CASE WHEN flags & 2 THEN hex(data) WHEN typeof(data) = 'integer' THEN
    (SELECT CAST(n.data AS TEXT) FROM notification AS n WHERE n.num = packed.data AND n.state <> 2)
  ELSE CAST(data AS TEXT) END))
FROM (SELECT * FROM {}) AS packed
"""
_TOPICS: Final = """
SELECT json_group_array(json_array(id, name, trimmed_pos, trimmed_off, top_pos,
  (SELECT off FROM log WHERE pos = top_pos))) FROM (
  SELECT id, name, trimmed_pos, trimmed_off,
    (SELECT pos FROM topic_log WHERE topic_id = topic.id AND pos > trimmed_pos
      ORDER BY pos DESC LIMIT 1) AS top_pos
  FROM topic WHERE {})
"""
_NAMED: Final = _TOPICS.format("name IN (SELECT value FROM json_each(?))")
_IN_WINDOW: Final = _TOPICS.format("id IN (SELECT topic_id FROM log WHERE pos > ? AND pos <= ?)")
_WINDOW_END: Final = "SELECT pos FROM log WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT 1 OFFSET ?"
_OF_TOPIC: Final = _PUBLICATIONS.format(
    "topic_log WHERE topic_id = ? AND pos > ? ORDER BY pos LIMIT ?"
)
# The plus keeps SQLite from using the index on topics: the window is narrow, and in order.
_OF_TOPICS: Final = _PUBLICATIONS.format(
    "log WHERE pos > ? AND pos <= ? AND +topic_id IN (SELECT value FROM json_each(?))"
    " ORDER BY pos LIMIT ?"
)
_AT: Final = _PUBLICATIONS.format("log WHERE pos = ?")
_WITH_ID: Final = _TOPICS.format("id = ?")
_TRIMMED: Final = """
SELECT json_group_array(json_array(trimmed_pos, name)) FROM (SELECT trimmed_pos, name FROM topic
  WHERE trimmed_pos > ? AND trimmed_pos > 0 ORDER BY trimmed_pos LIMIT ?)
"""
_HISTORY: Final = _PUBLICATIONS.format(
    "topic_log WHERE topic_id = ? AND pos > ? AND pos <= ? AND time_ms >= ?"
    " AND (expires_ms IS NULL OR expires_ms > ?) ORDER BY pos DESC LIMIT ?"
)
_AT_OR_BEFORE: Final = """
SELECT pos, off FROM topic_log WHERE topic_id = ? AND pos > ? AND pos <= ? ORDER BY pos DESC LIMIT 1
"""
_RETAINED_NAMES: Final = """
SELECT json_group_array(json_array(pos, name)) FROM (
  SELECT pos, name FROM retained JOIN topic ON topic.id = topic_id
  WHERE pos > ? AND pos <= ? AND (expires_ms IS NULL OR expires_ms > ?) {} ORDER BY pos LIMIT ?)
"""
_RETAINED_ANY: Final = _RETAINED_NAMES.format("")
_RETAINED_NAMED: Final = _RETAINED_NAMES.format("AND name IN (SELECT value FROM json_each(?))")
_RETAINED_ROWS: Final = _PUBLICATIONS.format(
    "retained WHERE pos IN (SELECT value FROM json_each(?))"
)

_STATES: Final = """
SELECT json_group_array(json_array(name, trimmed_off,
  (SELECT json_array(off, time_ms) FROM log WHERE pos = (SELECT pos FROM topic_log
    WHERE topic_id = packed.id AND pos > packed.trimmed_pos ORDER BY pos DESC LIMIT 1)),
  EXISTS (SELECT 1 FROM retained WHERE topic_id = packed.id
    AND (expires_ms IS NULL OR expires_ms > ?))))
FROM (SELECT * FROM topic WHERE name >= ? AND name <> ? ORDER BY name LIMIT ?) AS packed
"""


class _State(msgspec.Struct, array_like=True, gc=False):
    name: str
    trimmed_off: int
    newest: tuple[int, int] | None
    retained: int


class _Row(msgspec.Struct, array_like=True, gc=False):
    """`data` None: of a notification that was retracted, or is beyond retention."""

    topic_id: int
    pos: int
    off: int
    time_ms: int
    expires_ms: int | None
    id: str
    event: str | None
    flags: int
    mqtt: str | None
    data: str | None


class _Topic(msgspec.Struct, array_like=True, gc=False):
    id: int
    name: str
    trimmed_pos: int
    trimmed_off: int
    top_pos: int | None
    top_off: int | None


class _Named(msgspec.Struct, array_like=True, gc=False):
    pos: int
    name: str


_ROWS: Final = msgspec.json.Decoder(list[_Row])
_TOPIC_ROWS: Final = msgspec.json.Decoder(list[_Topic])
_STATE_ROWS: Final = msgspec.json.Decoder(list[_State])
_NAME_ROWS: Final = msgspec.json.Decoder(list[_Named])


def _publication(topic: str, row: _Row) -> Publication:
    binary = bool(row.flags & 2)
    data = row.data or ""
    extra = decode_extra(row.mqtt)
    return Publication(
        topic=topic,
        id=row.id,
        data=bytes.fromhex(data) if binary else data.encode(),
        time_ms=row.time_ms,
        event=row.event or EVENT_DEFAULT,
        offset=row.off,
        position=row.pos,
        expires_ms=row.expires_ms,
        retain=bool(row.flags & 1),
        binary=binary,
        qos=extra.qos,
        properties=extra.properties,
        source=extra.source,
    )


class _Scan:
    """What one read has found so far.

    Attributes:
        complete: everything on the filters up to here has been looked at.
        gaps: filters on which something is gone.
    """

    def __init__(self, upto: int) -> None:
        self.complete = upto
        self.found: dict[int, Publication] = {}
        self.gaps: set[str] = set()

    def page(self, filters: Sequence[str], limit: int) -> Page:
        positions = sorted(pos for pos in self.found if pos <= self.complete)
        if len(positions) > limit:
            positions = positions[:limit]
            self.complete = positions[-1]
        return Page(
            publications=tuple(self.found[pos] for pos in positions),
            upto=self.complete,
            gaps=tuple(
                Gap(text, "trimmed") for text in dict.fromkeys(filters) if text in self.gaps
            ),
        )


class Snapshot:
    """Args:
    connection: in a transaction, so that all statements see the same state.
    now_ms: what expiry and age are measured by.
    retention: how much of a topic is kept.
    locked: categories that nobody can mute.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        now_ms: int,
        retention: Callable[[str], Retention],
        locked: frozenset[str] = frozenset(),
    ) -> None:
        self.connection = connection
        self._now_ms = now_ms
        self._locked = locked
        self._retention = retention

    def inbox(self) -> InboxSnapshot:
        """The same moment, for questions about inboxes."""
        return InboxSnapshot(self.connection, self._now_ms, self._locked)

    def deliveries(self) -> DeliverySnapshot:
        """The same moment, for questions about deliveries."""
        return DeliverySnapshot(self.connection, self._now_ms, self._locked)

    def read(self, filters: Sequence[str] | None, *, after: int, upto: int, limit: int) -> Page:
        """As `ports.Store.read`. Gaps of `filters` None are told as those of the filter `#`.

        A filter without wildcards costs one index lookup and at most `limit` rows. The others look
        at a window of `SCAN_ROWS_MAX` rows; what is beyond retention behind the window is told by
        the page that comes to it, unless it has been deleted: that is told at once.
        """
        scan = _Scan(upto)
        wild = None if filters is None else [text for text in filters if not is_exact(text)]
        if wild is None or wild:
            self._read_wild(scan, wild, after=after, limit=limit)
        if exact := [text for text in filters or () if is_exact(text)]:
            self._read_exact(scan, exact, after=after, limit=limit)
        return scan.page(("#",) if filters is None else filters, limit)

    def _read_exact(self, scan: _Scan, names: list[str], *, after: int, limit: int) -> None:
        for topic in self._list(_TOPIC_ROWS, _NAMED, json_text(names)):
            if topic.trimmed_pos > after:
                scan.gaps.add(topic.name)
            if (topic.top_pos or 0) > after:
                # Not bounded by `upto`: the first row after `after` tells whether there is a gap.
                rows = self._list(_ROWS, _OF_TOPIC, topic.id, max(after, topic.trimmed_pos), limit)
                if self._keep(scan, topic, rows):
                    scan.gaps.add(topic.name)
                if len(rows) == limit:
                    scan.complete = min(scan.complete, max(row.pos for row in rows))

    def _read_wild(self, scan: _Scan, wild: list[str] | None, *, after: int, limit: int) -> None:
        end = self._value(_WINDOW_END, after, scan.complete, SCAN_ROWS_MAX - 1)
        scan.complete = end or scan.complete
        topics: dict[int, _Topic] = {}
        reached: dict[int, list[str]] = {}
        for topic in self._list(_TOPIC_ROWS, _IN_WINDOW, after, scan.complete):
            if texts := _matching(wild, topic.name):
                topics[topic.id], reached[topic.id] = topic, texts
        selected = json_text(topics)
        rows = self._list(_ROWS, _OF_TOPICS, after, scan.complete, selected, limit)
        if len(rows) == limit:
            scan.complete = max(row.pos for row in rows)
        for row in rows:
            if self._keep(scan, topics[row.topic_id], [row]):
                scan.gaps.update(reached[row.topic_id])
        self._find_trimmed(scan, wild, after)

    def _find_trimmed(self, scan: _Scan, wild: list[str] | None, after: int) -> None:
        """Add the filters with a topic of which something after `after` has been deleted."""
        wanted = {"#"} if wild is None else set(wild)
        while wanted - scan.gaps:
            chunk = self._list(_NAME_ROWS, _TRIMMED, after, NAMES_CHUNK)
            for topic in chunk:
                scan.gaps.update(_matching(wild, topic.name))
            if len(chunk) < NAMES_CHUNK:
                return
            after = max(topic.pos for topic in chunk)

    def _keep(self, scan: _Scan, topic: _Topic, rows: list[_Row]) -> bool:
        """Take what may be shown; whether some of it is beyond retention."""
        retention = self._retention(topic.name)
        beyond_off = (topic.top_off or 0) - retention.count
        oldest_ms = self._now_ms - retention.age_ms
        gone = False
        for row in rows:
            if row.off <= beyond_off or row.time_ms < oldest_ms:
                gone = True
            elif row.data is None:
                continue
            elif row.expires_ms is None or row.expires_ms > self._now_ms:
                scan.found[row.pos] = _publication(topic.name, row)
        return gone

    def at(self, position: int) -> Publication | None:
        """As `ports.Store.at`."""
        for row in self._list(_ROWS, _AT, position):
            topic = self._list(_TOPIC_ROWS, _WITH_ID, row.topic_id)[0]
            retention = self._retention(topic.name)
            kept = row.off > (topic.top_off or 0) - retention.count
            if kept and row.time_ms >= self._now_ms - retention.age_ms:
                return _publication(topic.name, row)
        return None

    def history(self, name: str, *, before: int | None, limit: int) -> list[Publication]:
        """As `ports.Store.history`."""
        topics = self._list(_TOPIC_ROWS, _NAMED, json_text([name]))
        if not topics or topics[0].top_pos is None:
            return []
        topic = topics[0]
        top_off = topic.top_off or 0
        retention = self._retention(name)
        last = self._position_at(topic, top_off if before is None else before - 1)
        first = self._position_at(topic, top_off - retention.count)
        oldest_ms = self._now_ms - retention.age_ms
        rows = self._list(_ROWS, _HISTORY, topic.id, first, last, oldest_ms, self._now_ms, limit)
        rows.sort(key=lambda row: -row.pos)
        return [_publication(name, row) for row in rows if row.data is not None]

    def _position_at(self, topic: _Topic, offset: int) -> int:
        """The position of an offset, or of the nearest row that is still there.

        There is no index on offsets, because every append would pay for it. Within a topic they
        have no hole and grow no faster than positions, which closes in on the row quickly.
        """
        low, high, top_off = topic.trimmed_pos, topic.top_pos or 0, topic.top_off or 0
        if offset <= topic.trimmed_off:
            return low
        high -= max(top_off - offset, 0)
        if offset >= top_off:
            return high
        while low < high:
            middle = (low + high + 1) // 2
            bounds = topic.id, topic.trimmed_pos, middle
            row = self.connection.execute(_AT_OR_BEFORE, bounds).fetchone()
            if row is None or row[1] < offset:
                low = middle if row is None else max(middle, row[0] + offset - row[1])
            else:
                high = row[0] - (row[1] - offset)
                if row[1] == offset:
                    return int(row[0])
        return high

    def topics(self, *, prefix: str, after: str, limit: int) -> list[TopicState]:
        """As `ports.Store.topics`. Names with a prefix follow each other."""
        first = max(prefix, after)
        rows = self._list(_STATE_ROWS, _STATES, self._now_ms, first, after, limit)
        rows.sort(key=lambda row: row.name)
        wanted = takewhile(lambda row: row.name.startswith(prefix), rows)
        return [self._state(row) for row in wanted]

    def _state(self, row: _State) -> TopicState:
        offset, time_ms = row.newest or (row.trimmed_off, None)
        return TopicState(
            topic=row.name,
            offset=offset,
            kept=min(offset - row.trimmed_off, self._retention(row.name).count),
            retained=bool(row.retained),
            time_ms=time_ms,
        )

    def retained(
        self, filters: Sequence[str], *, after: int, upto: int, limit: int
    ) -> list[Publication]:
        """As `ports.Store.retained`."""
        bounds = (after, upto, self._now_ms)
        names: dict[int, str] = {}
        if exact := [text for text in filters if is_exact(text)]:
            found = self._list(_NAME_ROWS, _RETAINED_NAMED, *bounds, json_text(exact), limit)
            names.update((each.pos, each.name) for each in found)
        if wild := [text for text in filters if not is_exact(text)]:
            names.update(self._retained_wild(wild, after=after, upto=upto, limit=limit))
        chosen = sorted(names)[:limit]
        if not chosen:
            return []
        rows = self._list(_ROWS, _RETAINED_ROWS, json_text(chosen))
        rows.sort(key=lambda row: row.pos)
        return [_publication(names[row.pos], row) for row in rows]

    def _retained_wild(
        self, wild: list[str], *, after: int, upto: int, limit: int
    ) -> dict[int, str]:
        """The first `limit` positions whose topics match, and their names."""
        names: dict[int, str] = {}
        while len(names) < limit:
            chunk = self._list(_NAME_ROWS, _RETAINED_ANY, after, upto, self._now_ms, NAMES_CHUNK)
            names.update((each.pos, each.name) for each in chunk if _matching(wild, each.name))
            if len(chunk) < NAMES_CHUNK:
                break
            after = max(each.pos for each in chunk)
        return names

    def client(self, owner: str, name: str) -> ClientRow | None:
        """As `ports.ClientRows.load`."""
        return load_client(self.connection, owner, name)

    def woken(self, first_ms: int, last_ms: int, limit: int) -> list[ClientRow]:
        """As `ports.ClientRows.woken`."""
        return woken_clients(self.connection, first_ms, last_ms, limit)

    def _value(self, statement: str, *values: Any) -> Any:
        row = self.connection.execute(statement, values).fetchone()
        return row and row[0]

    def _list(
        self, decoder: msgspec.json.Decoder[list[T]], statement: str, *values: Any
    ) -> list[T]:
        """The rows of a statement that packs them into one JSON text. In no certain order."""
        return decoder.decode(self._value(statement, *values))


def _matching(wild: Collection[str] | None, name: str) -> list[str]:
    """Which of the filters select a topic; None selects everything, and is told as `#`."""
    return ["#"] if wild is None else [text for text in wild if matches(text, name)]
