"""What every row is given: servers, the load generator, repetition, and a place for results.

Servers that are compared run at the same time and take turns (A B C A B C ...), so that a machine
that becomes slower or faster does so for all of them. Numbers are medians over the turns.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.generator import Generator, Result
from bench.peers import Mosquitto, Nchan, Peer, Programs, Reddot, SendLoop
from bench.processes import NotMeasured

C_LOOP_US_WHERE_BUDGETS_ARE_FROM: Final = 2.07
"""CPU per delivery of the C loop on the machine that the absolute budgets were written for."""

SESSIONS: Final = 1000


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        beside: what was measured of others in the same run, and ratios to it.
        met: whether the target is met; None if there is none or nothing was measured.
        met_scaled: whether it would be on the machine of the budgets, going by the C loop.
    """

    what: str
    measured: str
    target: str = ""
    beside: str = ""
    met: bool | None = None
    met_scaled: bool | None = None

    @property
    def verdict(self) -> str:
        if self.met is None:
            return ""
        if self.met:
            return "meets"
        return "misses here, meets when scaled" if self.met_scaled else "misses"


def missing(what: str, error: NotMeasured) -> Line:
    return Line(what, f"not measured: {error}")


@dataclass(frozen=True)
class Series:
    """The results of one case, one per turn."""

    results: tuple[Result, ...]

    def median(self, metric: Callable[[Result], float]) -> float:
        return statistics.median(map(metric, self.results))

    @property
    def faults(self) -> str:
        """What must not happen and did, for the table; empty if nothing."""
        names = ("lost", "doubled", "wrong")
        counts = {name: sum(result.get(name, 0) for result in self.results) for name in names}
        return "".join(f", {count} {name}" for name, count in counts.items() if count)


@dataclass
class Laboratory:
    """
    Args:
        quick: short runs on a small scale, to see that everything works.
        data: folder whose disk durable publications are written to.
    """

    quick: bool
    data: Path
    programs: Programs
    runs: list[dict[str, Any]] = field(default_factory=list)
    _c_loop_us: float | None = None

    @property
    def generator(self) -> Generator:
        return Generator(self.programs.loadgen)

    @property
    def turns(self) -> int:
        return 1 if self.quick else 5

    def seconds(self, full: float) -> float:
        return 1.0 if self.quick else full

    def folder(self) -> Path:
        """A new folder on the disk under measurement; removed with all others at the end."""
        return Path(tempfile.mkdtemp(dir=self.data))

    # Servers

    def reddot(self, **settings: Any) -> Reddot:
        return Reddot(self.folder(), **settings)

    def send_loop(self) -> SendLoop:
        return SendLoop(self.folder(), self.programs.sendloop)

    def nchan(self) -> Nchan:
        return Nchan(self.folder())

    def mosquitto(self) -> Mosquitto:
        return Mosquitto(self.folder())

    @contextmanager
    def peers(self, *makers: Callable[[], Peer]) -> Iterator[tuple[list[Peer], list[str]]]:
        """Those servers that can be started, and of the others what is missing."""
        with ExitStack() as stack:
            running: list[Peer] = []
            absent: list[str] = []
            for make in makers:
                try:
                    running.append(stack.enter_context(make()))
                except NotMeasured as error:
                    absent.append(f"{make.__name__} not measured: {error}")
            yield running, absent

    # Turns

    def take_turns(self, row: str, cases: Mapping[str, Callable[[], Result]]) -> dict[str, Series]:
        """Run all cases `turns` times, one after the other, and keep every result."""
        results: dict[str, list[Result]] = {name: [] for name in cases}
        for turn in range(self.turns):
            for name, case in cases.items():
                result = case()
                results[name].append(result)
                self.runs.append({"row": row, "case": name, "turn": turn, "result": result})
        return {name: Series(tuple(found)) for name, found in results.items()}

    @property
    def c_loop_us(self) -> float:
        """CPU per delivery of the C loop here and now: what absolute budgets are scaled by."""
        if self._c_loop_us is None:
            with self.send_loop() as peer:
                case = {peer.name: lambda: self.fan_out(peer)}
                self._c_loop_us = self.take_turns("c_loop", case)[peer.name].median(us_per_delivery)
        return self._c_loop_us

    def learn_c_loop_us(self, value: float) -> None:
        """What a row that has the loop among its cases has measured."""
        self._c_loop_us = value

    @property
    def slowness(self) -> float:
        """How many times slower this machine is than that of the budgets, by the C loop."""
        return self.c_loop_us / C_LOOP_US_WHERE_BUDGETS_ARE_FROM

    def scaled(self, us: float) -> str:
        """A time on this machine, for the table: in C loops, and on the machine of the budgets."""
        return f"{us / self.c_loop_us:.1f} C loops, scaled {us / self.slowness:.1f} µs"

    def fan_out(
        self,
        peer: Peer,
        kind: Any = "sse",
        *,
        burst: int = 1,
        rate: float = 100,
        seconds: float = 3,
        **more: Any,
    ) -> Result:
        """Publish to `SESSIONS` sessions on one topic, `rate` times a second."""
        from bench import wire

        return self.generator.publish(
            peer,
            peer.publish(wire.NEWS, burst),
            session=peer.session(kind, wire.NEWS),
            sessions=SESSIONS,
            rate=rate,
            seconds=self.seconds(seconds),
            **more,
        )


def us_per_delivery(result: Result) -> float:
    delivered = int(result["delivered"])
    return float(result["server_cpu_s"]) / max(delivered, 1) * 1e6


def us_per_request(result: Result) -> float:
    return float(result["server_cpu_s"]) / max(int(result["requests"]), 1) * 1e6


def answers_per_s(result: Result) -> float:
    return int(result["answered"]) / max(float(result["answer_seconds"]), 1e-9)
