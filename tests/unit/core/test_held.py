"""Sessions whose encoder takes no more: held at their place, released by acknowledgements."""

from __future__ import annotations

import pytest

from reddot.core.hub import Encoder
from reddot.core.session import Session, State
from reddot.model import Cursor, Publication
from tests.unit.core.rig import EPOCH, USER, Rig, Tape, encode


class Window:
    """An encoder of one session that takes `size` durable publications at a time."""

    def __init__(self, rig: Rig, size: int) -> None:
        self.rig = rig
        self.free = size
        self.session: Session
        self.encoder = Encoder("mqtt", self.encode, retained=self.encode_retained)

    def encode(self, publication: Publication, cursor: Cursor | None) -> bytes:
        if not publication.position:
            return encode(publication, cursor)
        if self.session.state is State.HELD:
            return b""
        if not self.free:
            self.rig.subscribing.hold(self.session, publication.position - 1)
            return b""
        self.free -= 1
        return encode(publication, cursor)

    def encode_retained(self, publication: Publication, cursor: Cursor | None) -> bytes:
        frame = self.encode(publication, cursor)
        return frame and b"retained:" + frame

    @property
    def place(self) -> tuple[State, int]:
        return self.session.state, self.session.position

    def acknowledge(self, count: int) -> None:
        self.free += count
        self.rig.subscribing.release(self.session)
        self.rig.settle()


def open_held(
    rig: Rig, size: int, *filters: str, cursor: int | None = None, full_after: int | None = None
) -> tuple[Window, Tape]:
    window, tape = Window(rig, size), Tape(full_after)
    session = rig.subscribing.create(
        actor=USER, filters=filters, encoder=window.encoder, heartbeat_s=15.0
    )
    window.session = tape.session = session
    session.attach(tape)
    rig.subscribing.start(session, None if cursor is None else Cursor(EPOCH, cursor))
    rig.settle()
    tape.take()
    return window, tape


def data_of(tape: Tape) -> list[str]:
    return [line.split("@")[0] for line in tape.take()]


@pytest.mark.parametrize("memory", [0, 2, 1000])
def test_a_full_window_holds_and_an_acknowledgement_goes_on(memory: int) -> None:
    rig = Rig(memory=memory)
    window, tape = open_held(rig, 2, "a")
    rig.fill("a", 5)
    assert data_of(tape) == ["a:1", "a:2"]
    assert window.place == (State.HELD, 2)
    window.acknowledge(1)
    assert data_of(tape) == ["a:3"]
    window.acknowledge(5)
    assert data_of(tape) == ["a:4", "a:5"]
    assert window.place[0] is State.LIVE
    rig.publish("a", "6")
    assert data_of(tape) == ["a:6"]


@pytest.mark.parametrize("memory", [0, 3, 1000])
def test_a_window_that_fills_while_catching_up(memory: int) -> None:
    rig = Rig(memory=memory)
    rig.fill("a", 10)
    window, tape = open_held(rig, 4, "a", cursor=2)
    window.acknowledge(0)
    assert window.place == (State.HELD, 6)
    window.acknowledge(3)
    window.acknowledge(1)
    rig.publish("a", "11")
    window.acknowledge(9)
    assert data_of(tape) == ["a:7", "a:8", "a:9", "a:10", "a:11"]
    assert window.place[0] is State.LIVE


def test_a_burst_of_one_loop_turn_is_cut_where_the_window_ends() -> None:
    rig = Rig()
    window, tape = open_held(rig, 2, "a")
    rig.feed.hint([rig.append("a", str(number)) for number in range(1, 6)])
    rig.flush()
    assert data_of(tape) == ["a:1", "a:2"]
    window.acknowledge(3)
    assert data_of(tape) == ["a:3", "a:4", "a:5"]


def test_what_is_ephemeral_flows_while_held() -> None:
    rig = Rig()
    window, tape = open_held(rig, 0, "a")
    rig.publish("a", "1")
    rig.hub.dispatch(Publication(topic="a", id="e", data=b"now", time_ms=0))
    rig.flush()
    assert data_of(tape) == ["a:now"]
    window.acknowledge(1)
    assert data_of(tape) == ["a:1"]


def test_retained_publications_are_held_like_others() -> None:
    rig = Rig()
    rig.publish("a", "1", retain=True)
    rig.publish("b", "2", retain=True)
    window, tape = open_held(rig, 1, "a", "b")
    window.acknowledge(0)
    assert data_of(tape) == []
    rig.publish("a", "3")
    window.acknowledge(1)
    assert data_of(tape) == ["retained:b:2"]
    window.acknowledge(1)
    assert data_of(tape) == ["a:3"]
    assert window.place[0] is State.LIVE


def test_a_full_socket_while_held_keeps_the_place() -> None:
    rig = Rig()
    window, tape = open_held(rig, 1, "a", full_after=1)
    rig.feed.hint([rig.append("a", "1"), rig.append("a", "2")])
    rig.flush()
    assert data_of(tape) == ["a:1"]
    assert window.session.state is State.PAUSED and window.session.position == 1
    window.free = 1
    window.session.resume_writing()
    assert data_of(tape) == ["a:2"]


def test_a_held_session_ends_as_any_other() -> None:
    rig = Rig()
    window, _ = open_held(rig, 0, "a")
    rig.publish("a", "1")
    window.session.lost()
    assert window.session.state is State.CLOSED
    rig.publish("a", "2")
    rig.subscribing.release(window.session)
    assert window.session.state is State.CLOSED


def test_filters_are_added_to_a_held_session() -> None:
    rig = Rig()
    window, tape = open_held(rig, 0, "a")
    rig.publish("a", "1")
    rig.subscribing.add_filters(window.session, ("b",), None, lambda: None)
    assert window.session.state is State.HELD
    rig.publish("b", "2")
    window.acknowledge(2)
    assert data_of(tape) == ["a:1", "b:2"]
