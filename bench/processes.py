"""Processes under measurement: pinned to a core, found in /proc, ended by their id.

The server and the load generator run on different cores, so that neither's work is counted as
the other's. Linux only.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SERVER_CORE: Final = 0
GENERATOR_CORE: Final = 1
START_SECONDS_MAX: Final = 20
STOP_SECONDS_MAX: Final = 20


class NotMeasured(Exception):
    """Something that a measurement needs is missing or broken; the message says what."""


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command on one core; unpinned where there is only one, or no `taskset`."""
    if core >= (os.cpu_count() or 1) or shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", str(core), *command]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """This thread, and threads that are started meanwhile stay on the core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running server; `pids` are all its processes, the one that was started first."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.process.pid, *children(self.process.pid))

    def stop(self) -> None:
        """End it as an operator would; by force if it does not go."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def children(pid: int) -> list[int]:
    """Processes that `pid` has started, and theirs."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    except FileNotFoundError:
        return found
    return found


def start(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    folder: Path,
    ready: Callable[[int], bool] | None = None,
) -> Server:
    """Start a server on its core and wait until it is ready.

    Args:
        ready: whether the server on this port is ready; without, when it accepts a connection.
    Raises:
        NotMeasured: it does not start; the message has the end of its log.
    """
    log = folder / f"{name}-{port}.log"
    # Settings of whoever runs this are not what is measured.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REDDOT_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(SERVER_CORE, command), cwd=folder, env=environment, stdout=output, stderr=output
        )
    server = Server(name, port, process, log)
    deadline = time.monotonic() + START_SECONDS_MAX
    while not (ready or accepts)(port):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise NotMeasured(f"{name} does not start: {log.read_text(errors='replace')[-300:]}")
        time.sleep(0.002)
    return server


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(port: int, path: str, status: str) -> bool:
    """Whether `GET path` is answered with this status."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(request.encode())
            return client.recv(64).startswith(f"HTTP/1.1 {status}".encode())
    except OSError:
        return False


@dataclass(frozen=True)
class Busy:
    """How much the machine's cores have worked since some moment, for us and altogether."""

    at: float
    all_s: float
    ours_s: float

    @classmethod
    def now(cls) -> Busy:
        """Ours: this process and every descendant that has ended."""
        ticks = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
        user, nice, system, _idle, _iowait, irq, softirq, steal = ticks[:8]
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        usages = [
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ]
        return cls(time.monotonic(), busy, sum(u.ru_utime + u.ru_stime for u in usages))

    def foreign_cores_since(self, earlier: Busy) -> float:
        """Cores that others kept busy meanwhile: 0 on a quiet machine."""
        foreign = (self.all_s - earlier.all_s) - (self.ours_s - earlier.ours_s)
        return max(0.0, foreign / max(self.at - earlier.at, 0.001))
