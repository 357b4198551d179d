"""What memory keeps, what it answers for, and what it leaves to the store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reddot.core.recent import _OVERHEAD_BYTES, Recent
from reddot.model import Publication
from tests.sim.truth import selected

TOPICS = ("a", "a/b", "b", "users/42")


def publication(position: int, topic: str = "a", data: bytes = b"1") -> Publication:
    return Publication(
        topic=topic, id=str(position), data=data, time_ms=0, position=position, offset=position
    )


def recent(*, floor: int = 0, publications_max: int = 100, bytes_max: int = 1 << 20) -> Recent:
    return Recent(floor=floor, publications_max=publications_max, bytes_max=bytes_max)


def positions(memory: Recent, filters: tuple[str, ...], after: int) -> list[int] | None:
    found = memory.since(filters, after)
    return None if found is None else [p.position for p in found]


def test_the_newest_are_kept_up_to_the_limit_of_count() -> None:
    memory = recent(publications_max=3)
    for position in (1, 2, 3):
        memory.add(publication(position))
    assert (len(memory), memory.floor) == (3, 0)
    assert positions(memory, ("a",), 0) == [1, 2, 3]
    memory.add(publication(4))
    assert (len(memory), memory.floor) == (3, 1)
    assert positions(memory, ("a",), 0) is None
    assert positions(memory, ("a",), 1) == [2, 3, 4]


def test_the_newest_are_kept_up_to_the_limit_of_bytes() -> None:
    size = 100
    memory = recent(bytes_max=2 * (size + _OVERHEAD_BYTES))
    for position in (1, 2):
        memory.add(publication(position, data=b"x" * size))
    assert (len(memory), memory.floor) == (2, 0)
    memory.add(publication(3, data=b""))
    assert (len(memory), memory.floor) == (2, 1)
    # One that is larger than all is allowed leaves nothing.
    memory.add(publication(4, data=b"x" * 2 * (size + _OVERHEAD_BYTES)))
    assert (len(memory), memory.floor) == (0, 4)
    assert positions(memory, ("a",), 4) == []
    memory.add(publication(5, data=b"x"))
    assert positions(memory, ("a",), 4) == [5]


def test_the_floor_is_the_position_of_what_was_forgotten() -> None:
    """Positions have holes, where something had expired before this node heard of it."""
    memory = recent(floor=10, publications_max=1)
    memory.add(publication(15, "b"))
    memory.add(publication(20))
    assert memory.floor == 15
    assert positions(memory, ("a",), 14) is None
    assert positions(memory, ("a",), 15) == [20]


def test_nothing_is_answered_for_what_is_below_the_floor() -> None:
    memory = recent(floor=10)
    assert positions(memory, ("a",), 9) is None
    assert positions(memory, ("a",), 10) == []


def test_a_place_above_everything_is_answered_with_nothing() -> None:
    memory = recent()
    memory.add(publication(1))
    assert positions(memory, ("a", "#"), 1) == positions(memory, ("a",), 99) == []


def test_clear_forgets_everything_up_to_the_new_floor() -> None:
    memory = recent()
    for position in (1, 2):
        memory.add(publication(position))
    memory.clear(floor=2)
    assert (len(memory), positions(memory, ("a",), 1), positions(memory, ("a",), 2)) == (
        0,
        None,
        [],
    )
    memory.add(publication(3))
    assert positions(memory, ("a",), 2) == [3]


@given(
    st.lists(st.sampled_from(TOPICS), max_size=20),
    st.sets(st.sampled_from(("a", "a/b", "b", "a/#", "+", "#", "users/+")), min_size=1),
    st.integers(0, 20),
    st.integers(1, 25),
)
def test_since_is_what_going_through_everything_says(
    topics: list[str], filters: set[str], after: int, publications_max: int
) -> None:
    memory = recent(publications_max=publications_max)
    added = [publication(position, topic) for position, topic in enumerate(topics, start=1)]
    for one in added:
        memory.add(one)
    kept = added[-publications_max:]
    wanted: list[Publication] | None = [
        p for p in kept if p.position > after and selected(filters, p.topic)
    ]
    if after < len(added) - len(kept):
        wanted = None
    assert memory.since(tuple(sorted(filters)), after) == wanted


def test_topics_that_were_evicted_take_no_room() -> None:
    memory = recent(publications_max=2)
    for position in range(1, 100):
        memory.add(publication(position, f"t/{position}"))
    assert len(memory._topics) == 2
