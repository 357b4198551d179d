"""What the process of couriers says, and when: reports that come together wake up the node once."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from reddot import courier_child
from reddot.courier_child import Child
from reddot.courier_process import Errand, Report
from reddot.delivery import Message, Outcome, Parcel, Verdict

_report = msgspec.msgpack.Decoder(Report).decode
_errand = msgspec.msgpack.Encoder().encode


class Scripted:
    """A courier whose attempts end when they are let go."""

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}

    async def send(self, parcel: Parcel) -> Outcome:
        await self.gates.setdefault(parcel.id, asyncio.Event()).wait()
        return Outcome(verdict=Verdict.SENT, reason=parcel.id)

    def check(self, address: object) -> bytes:
        return b'"x"'

    async def aclose(self) -> None:
        """Nothing to close."""


class Told:
    """The pipe: what was written in each turn of the loop."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self._fresh = True

    def send(self, block: bytes) -> None:
        if self._fresh:
            self._fresh = False
            self.writes.append([])
            asyncio.get_running_loop().call_soon(self._turn)
        self.writes[-1].append(_report(block).outcome.reason)

    def _turn(self) -> None:
        self._fresh = True


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def begun(monkeypatch: pytest.MonkeyPatch, *ids: str) -> tuple[Scripted, Told]:
    courier, pipe = Scripted(), Told()
    child = Child(asyncio.get_running_loop())
    monkeypatch.setattr(child, "_couriers", {"c": courier})
    monkeypatch.setattr(child, "_pipe", pipe, raising=False)
    for number, id in enumerate(ids):
        parcel = Parcel(id=id, user="1", address=b'"x"', message=Message(id="n", title="t"))
        child._received(_errand(Errand(number, "c", parcel)))
    return courier, pipe


def test_what_has_ended_is_said_when_nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_child, "REPORT_S", 60)

    async def test() -> None:
        courier, pipe = begun(monkeypatch, "a", "b", "c")
        await turns()
        for id in "bca":
            assert pipe.writes == []
            courier.gates[id].set()
            await turns()
        assert pipe.writes == [["b", "c", "a"]]

    asyncio.run(test())


def test_a_slow_one_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_child, "REPORT_S", 0)

    async def test() -> None:
        courier, pipe = begun(monkeypatch, "a", "b", "slow")
        await turns()
        courier.gates["a"].set()
        courier.gates["b"].set()
        while not pipe.writes:
            await asyncio.sleep(0)
        assert pipe.writes == [["a", "b"]]
        courier.gates["slow"].set()
        await turns()
        assert pipe.writes == [["a", "b"], ["slow"]]

    asyncio.run(test())
