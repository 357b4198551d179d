"""The fan-out: who shares a frame, who gets which, and what happens inside a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from reddot.core.hub import Encoder, Group, Hub
from reddot.core.recent import Recent
from reddot.counters import Counters
from reddot.model import Cursor, Publication

EPOCH = 7


class Scribe:
    """An encoder that counts its work."""

    def __init__(self, transport: str = "sse") -> None:
        self.encoded: list[tuple[str, Cursor | None]] = []
        self.joined: list[tuple[int, Cursor]] = []
        self.encoder = Encoder(transport, self._encode, self._join)

    def _encode(self, publication: Publication, cursor: Cursor | None) -> bytes:
        self.encoded.append((publication.id, cursor))
        return publication.id.encode()

    def _join(self, frames: Sequence[bytes], cursor: Cursor) -> bytes:
        self.joined.append((len(frames), cursor))
        return b"+".join(frames)


class Ear:
    """A member of a group."""

    def __init__(self, inside: Callable[[], object] | None = None) -> None:
        self.heard: list[bytes] = []
        self._inside = inside

    def write(self, data: bytes) -> None:
        self.heard.append(data)
        if self._inside is not None:
            self._inside()


class Node:
    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.counters = Counters()
        self.recent = Recent(floor=0, publications_max=100, bytes_max=1 << 20)
        self.hub = Hub(
            epoch=EPOCH,
            position=0,
            recent=self.recent,
            counters=self.counters,
            schedule=self.soon.append,
        )
        self._position = 0

    def dispatch(self, topic: str, id: str, *, ephemeral: bool = False) -> Publication:
        self._position += not ephemeral
        publication = Publication(
            topic=topic,
            id=id,
            data=b"1",
            time_ms=0,
            position=0 if ephemeral else self._position,
            offset=0 if ephemeral else 1,
        )
        self.hub.dispatch(publication)
        return publication


@pytest.fixture
def node() -> Node:
    return Node()


def cursor(position: int) -> Cursor:
    return Cursor(EPOCH, position)


# ---- groups ----


def test_equal_filters_and_encoder_are_one_group(node: Node) -> None:
    one, other = Scribe().encoder, Scribe().encoder
    join = node.hub.join
    first = join(("a", "b"), one, Ear())
    assert join(("a", "b"), one, Ear()) is first
    assert join(("a",), one, Ear()) is not first
    assert join(("a", "b"), other, Ear()) is not first


def test_a_group_that_is_empty_is_forgotten(node: Node) -> None:
    encoder, ear, other = Scribe().encoder, Ear(), Ear()
    group = node.hub.join(("a", "b/#"), encoder, ear)
    node.hub.join(("a", "b/#"), encoder, other)
    node.hub.leave(group, ear)
    assert node.hub._groups
    node.hub.leave(group, other)
    assert not node.hub._groups
    assert not list(node.hub._index.match("a")) and not list(node.hub._index.match("b/x"))


# ---- one loop turn ----


def test_nothing_is_written_before_the_end_of_the_turn(node: Node) -> None:
    ear = Ear()
    node.hub.join(("a",), Scribe().encoder, ear)
    node.dispatch("a", "x")
    node.dispatch("a", "y")
    assert (ear.heard, node.hub.cursor, len(node.recent)) == ([], cursor(0), 0)
    assert node.soon == [node.hub.flush]
    node.hub.flush()
    assert (ear.heard, node.hub.cursor, len(node.recent)) == ([b"x+y"], cursor(2), 2)
    node.dispatch("a", "z")
    assert len(node.soon) == 2


def test_overlapping_filters_deliver_once(node: Node) -> None:
    ear = Ear()
    node.hub.join(("#", "a", "a/+", "a/b"), Scribe().encoder, ear)
    node.dispatch("a/b", "x")
    node.hub.flush()
    assert ear.heard == [b"x"]


def test_a_publication_is_encoded_once_per_encoder(node: Node) -> None:
    one, other, ears = Scribe(), Scribe("websocket"), [Ear() for _ in range(5)]
    for filters, ear in zip((("a",), ("a",), ("#",), ("+", "b")), ears, strict=False):
        node.hub.join(filters, one.encoder, ear)
    node.hub.join(("a",), other.encoder, ears[4])
    node.dispatch("a", "x")
    node.hub.flush()
    assert one.encoded == other.encoded == [("x", cursor(1))]
    assert [ear.heard for ear in ears] == [[b"x"]] * 5
    assert one.joined == other.joined == []


def test_frames_of_a_turn_are_joined_once_per_combination(node: Node) -> None:
    scribe, ears = Scribe(), [Ear(), Ear(), Ear(), Ear()]
    for filters, ear in zip((("a",), ("#",), ("+",), ("b",)), ears, strict=True):
        node.hub.join(filters, scribe.encoder, ear)
    node.dispatch("a", "x")
    node.dispatch("b", "y")
    node.hub.flush()
    assert [id for id, _ in scribe.encoded] == ["x", "y"]
    assert [ear.heard for ear in ears] == [[b"x"], [b"x+y"], [b"x+y"], [b"y"]]
    # "#" and "+" have the same two frames; each write covers everything of the turn.
    assert sorted(scribe.joined) == [(1, cursor(2)), (1, cursor(2)), (2, cursor(2))]


def test_a_turn_without_listeners_moves_the_position(node: Node) -> None:
    node.dispatch("a", "x")
    node.hub.flush()
    assert node.hub.position == 1


# ---- ephemeral ----


def test_an_ephemeral_publication_has_no_cursor_and_is_not_remembered(node: Node) -> None:
    scribe, ear = Scribe(), Ear()
    node.hub.join(("a",), scribe.encoder, ear)
    node.dispatch("a", "x", ephemeral=True)
    node.hub.flush()
    assert (scribe.encoded, ear.heard) == ([("x", None)], [b"x"])
    assert (node.hub.position, len(node.recent)) == (0, 0)


def test_what_a_parked_member_misses_is_counted(node: Node) -> None:
    one, two = Ear(), Ear()
    node.hub.park(("a", "a/#"), one)
    node.hub.park(("b",), two)
    node.dispatch("a", "x", ephemeral=True)
    node.dispatch("b", "y", ephemeral=True)
    node.dispatch("c", "z", ephemeral=True)
    node.dispatch("a", "durable")
    node.hub.flush()
    assert node.counters.ephemeral_dropped == 2
    node.hub.unpark(("a", "a/#"), one)
    node.dispatch("a", "x", ephemeral=True)
    node.hub.flush()
    assert node.counters.ephemeral_dropped == 2
    assert not one.heard


# ---- inside a write ----


@pytest.mark.parametrize("ids", ["x", "xy"])
def test_a_member_may_leave_inside_its_write(node: Node, ids: str) -> None:
    def leave() -> None:
        places.append(node.hub.position)
        node.hub.leave(group, first)

    places: list[int] = []
    scribe, first, second = Scribe(), Ear(leave), Ear()
    group: Group = node.hub.join(("a",), scribe.encoder, first)
    node.hub.join(("a",), scribe.encoder, second)
    for id in ids:
        node.dispatch("a", id)
    node.hub.flush()
    # What it was written is what its place in the log says.
    assert places == [len(ids)]
    assert first.heard == second.heard == [b"+".join(id.encode() for id in ids)]
    node.dispatch("a", "z")
    node.hub.flush()
    assert (len(first.heard), second.heard[-1]) == (1, b"z")


@pytest.mark.parametrize("ids", ["x", "xy"])
def test_all_may_leave_inside_their_writes(node: Node, ids: str) -> None:
    encoder, staying = Scribe().encoder, list[Ear]()
    ears = [Ear(lambda: node.hub.leave(group, staying.pop(0))) for _ in range(3)]
    staying += ears
    (group,) = {node.hub.join(("a",), encoder, ear) for ear in ears}
    for id in ids:
        node.dispatch("a", id)
    node.hub.flush()
    assert [len(ear.heard) for ear in ears] == [1, 1, 1]
    assert not node.hub._groups


@pytest.mark.parametrize("ids", ["x", "xy"])
def test_who_joins_inside_a_write_joins_behind_the_turn(node: Node, ids: str) -> None:
    """It was told the position at which this turn ends, so the turn's frames are behind it."""

    def join() -> None:
        places.append(node.hub.position)
        node.hub.join(("a",), one, late)
        node.hub.join(("a",), two, late)

    places: list[int] = []
    one, two = Scribe("long_poll").encoder, Scribe().encoder
    late, last = Ear(), Ear()
    node.hub.join(("a",), one, Ear(join))
    node.hub.join(("a",), two, last)
    for id in ids:
        node.dispatch("a", id)
    node.hub.flush()
    assert (places, late.heard, len(last.heard)) == ([len(ids)], [], 1)
    node.dispatch("a", "z")
    node.hub.flush()
    assert late.heard == [b"z", b"z"]


def test_what_is_dispatched_inside_a_write_is_of_the_next_turn(node: Node) -> None:
    ear = Ear(lambda: node.dispatch("b", "y"))
    node.hub.join(("a",), Scribe().encoder, ear)
    node.dispatch("a", "x")
    node.hub.flush()
    assert node.hub.position == 1
    assert len(node.soon) == 2
    node.hub.flush()
    assert node.hub.position == 2


# ---- counters ----


def test_deliveries_and_bytes_are_counted_per_transport(node: Node) -> None:
    scribe = Scribe()
    group = node.hub.join(("a",), scribe.encoder, Ear())
    node.hub.join(("a",), scribe.encoder, Ear())
    node.dispatch("a", "xx")
    node.hub.flush()
    node.dispatch("a", "y")
    node.dispatch("a", "z")
    node.hub.flush()
    counted = node.counters.transports["sse"]
    assert (counted.deliveries, counted.bytes_out) == (6, 2 * (2 + 3))
    assert (group.delivered, group.bytes_out) == (3, 5)
    assert node.counters.transports["websocket"].deliveries == 0
