"""A session's states, as a table; and what it passes on."""

from __future__ import annotations

from itertools import product

import pytest

from reddot.core.session import TRANSITIONS, Session, SessionLimits, State
from reddot.model import Actor, Publication
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

    def catch_up(self, session: Session) -> None:
        self.told.append("catch_up")


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


def test_what_is_ephemeral_is_heard_while_the_log_is_read() -> None:
    rig = Rig(memory=0)
    session, tape = rig.open("a")
    session.pause_writing()
    rig.publish("a", "1")
    session.resume_writing()  # From now on it reads the log.
    whisper(rig)
    assert tape.take() == ["sync@0", "a:now@-"]
    rig.settle()
    assert tape.take() == ["a:1@1"]
    assert rig.counters.ephemeral_dropped == 0


def test_what_is_ephemeral_overtakes_nothing_while_what_is_retained_is_read() -> None:
    rig = Rig()
    rig.publish("b", "old", retain=True)
    session, tape = rig.open("a", "b")
    rig.publish("a", "1", retain=True)
    whisper(rig)
    rig.publish("a", "2")
    assert tape.take() == ["sync@1", "a:1@2", "a:now@-"]
    rig.settle()
    assert tape.take() == ["b:old@2", "a:2@3"]
    assert session.state is State.LIVE


def test_what_is_ephemeral_is_dropped_for_whose_buffer_is_filled_by_what_is_older() -> None:
    rig = Rig()
    rig.publish("b", "old", retain=True)
    session, tape = rig.open("a", "b", full_after=1)
    rig.publish("a", "1")
    whisper(rig)
    assert tape.take() == ["sync@1", "a:1@2"]
    assert rig.counters.ephemeral_dropped == 1
    session.resume_writing()
    rig.settle()
    assert tape.take() == ["b:old@2"]


def test_nothing_ephemeral_stands_before_the_first_frame() -> None:
    rig = Rig(memory=0)
    rig.fill("a", 3)
    _, tape = rig.open("a", cursor=1)
    whisper(rig)
    rig.settle()
    assert tape.take() == ["sync@1", "a:2@2", "a:3@3"]
    assert rig.counters.ephemeral_dropped == 1


def test_what_is_ephemeral_is_dropped_once_for_who_is_paused_while_reading() -> None:
    rig = Rig(memory=0)
    session, tape = rig.open("a")
    session.pause_writing()
    rig.publish("a", "1")
    session.resume_writing()
    session.pause_writing()
    whisper(rig)
    assert rig.counters.ephemeral_dropped == 1
    session.resume_writing()
    rig.settle()
    assert tape.take() == ["sync@0", "a:1@1"]


def whisper(rig: Rig) -> None:
    """Publish something ephemeral."""
    rig.hub.dispatch(Publication(topic="a", id="e", data=b"now", time_ms=0))
    rig.flush()


@pytest.mark.parametrize(
    ("sessions", "spread_ms"),
    [(0, 500), (1000, 500), (1001, 500), (2000, 1000), (20_000, 10_000), (10**6, 30_000)],
)
def test_a_crowd_comes_back_no_faster_than_it_can_be_welcomed(
    sessions: int, spread_ms: int
) -> None:
    assert SessionLimits(reconnects_per_s=2000).spread_ms(sessions) == spread_ms
