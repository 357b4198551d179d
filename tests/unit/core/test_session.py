"""A session's states, as a table; and what it passes on."""

from __future__ import annotations

from itertools import product

import pytest

from reddot.core.session import TRANSITIONS, Session, State
from reddot.model import Actor
from tests.unit.core.rig import ENCODER, Rig, Tape

ALLOWED = {
    State.CATCHING_UP: {State.LIVE, State.PAUSED, State.HELD, State.CLOSED},
    State.LIVE: {State.CATCHING_UP, State.PAUSED, State.HELD, State.CLOSED},
    State.PAUSED: {State.CATCHING_UP, State.CLOSED},
    State.HELD: {State.CATCHING_UP, State.PAUSED, State.CLOSED},
    State.CLOSED: set(),
}


class Owner:
    """Notes what a session tells its owner."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self, session: Session) -> None:
        self.told.append("pause")

    def resume(self, session: Session) -> None:
        self.told.append("resume")

    def forget(self, session: Session) -> None:
        self.told.append("forget")


def new_session(owner: Owner) -> Session:
    return Session(
        owner=owner,
        id="s",
        actor=Actor(),
        filters=("a",),
        encoder=ENCODER,
        position=3,
        opened_at=0.0,
        age_at=1800.0,
        heartbeat_s=15.0,
    )


def test_the_table_is_complete() -> None:
    assert {(a, b) for a, following in ALLOWED.items() for b in following} == TRANSITIONS


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_only_what_the_table_allows_happens(before: State, after: State) -> None:
    session = new_session(Owner())
    session.state = before
    if after in ALLOWED[before]:
        session.to(after)
        assert session.state is after
    else:
        with pytest.raises(AssertionError):
            session.to(after)
        assert session.state is before


def test_a_new_session_catches_up_from_its_position() -> None:
    session = new_session(Owner())
    assert session.is_catching_up() and session.position == 3
    assert not (session.synced or session.reading or session.group or session.backfills)
    assert session.transport == "sse"


def test_the_sinks_write_is_the_sessions() -> None:
    session, tape = new_session(Owner()), Tape()
    session.attach(tape)
    assert session.sink is tape
    session.write(b"x ")
    assert tape.lines == ["x"]


def test_the_connection_is_heard_by_the_owner() -> None:
    owner = Owner()
    session = new_session(owner)
    session.pause_writing()
    session.resume_writing()
    session.lost()
    assert owner.told == ["pause", "resume", "forget"]


def test_it_takes_no_attribute_that_is_not_planned() -> None:
    """There are a hundred thousand of these; a dict in each would cost 10 MB."""
    with pytest.raises(AttributeError):
        new_session(Owner()).anything = 1  # type: ignore[attr-defined]


def test_bytes_out_counts_what_it_was_sent_and_not_what_its_group_was_before() -> None:
    rig = Rig()
    rig.open("a")
    rig.publish("a", "1")
    session, tape = rig.open("a", cursor=0)
    caught_up = len("a:1@1 ")
    assert session.bytes_out == caught_up
    rig.publish("a", "22")
    assert session.bytes_out == caught_up + len("a:22@2 ")
    session.pause_writing()
    assert session.bytes_out == caught_up + len("a:22@2 ")
    assert tape.lines[1:] == ["a:1@1", "a:22@2"]
