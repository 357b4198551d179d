"""A real `reddot serve` for tests: a process of its own, on a port that stays reserved.

The same object survives kills and restarts, so a client's address keeps its meaning. What the
server logs goes to a file; an error in it fails the test (see `conftest.py`).
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "integration-secret-of-32-bytes-ok!"
API_KEY: Final = "rk_test_" + "k" * 43
READY_S: Final = 20.0
STOP_S: Final = 20.0
LOG_CHARS_SHOWN: Final = 4000
HTTP: Final = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))
"""Making one takes longer than most requests. None is kept open: servers come and go."""


def environment(settings: dict[str, object]) -> dict[str, str]:
    """The environment of a server: ours without settings of somebody else, and `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REDDOT_")}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return kept | {f"REDDOT_{name.upper()}": _text(value) for name, value in settings.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reserved() -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", 0))
    return found


class Server:
    """One server. Settings are those of the table; the store is a file unless they say otherwise.

    Args:
        folder: working folder of the process; its store and its log are there.
    """

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        # Bound and never listening: nobody else is given the port while the server is down.
        self._reservations = [_reserved(), _reserved()]
        ports: list[int] = [each.getsockname()[1] for each in self._reservations]
        self.port, self.mqtt_port = ports
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        self.log_path = folder / "server.log"
        self._folder = folder
        self.settings: dict[str, object] = {
            "store_url": f"sqlite:///{folder}/reddot.db",
            "log_format": "json",
            "port": self.port,
            "mqtt_port": self.mqtt_port,
        } | settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when `/readyz` says 200."""
        self.start_unready()
        assert self._process is not None
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            assert self.running, f"the server ended with {self._process.returncode}\n{self.log()}"
            if self._is_ready():
                return
            time.sleep(0.02)
        raise AssertionError(f"the server did not become ready\n{self.log()}")

    def start_unready(self) -> None:
        """Start, and do not wait."""
        assert not self.running
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "reddot", "serve"],
                cwd=self._folder,
                env=environment(self.settings),
                stdout=log,
                stderr=log,
            )

    def _is_ready(self) -> bool:
        # A bare socket: an httpx client takes longer to make than the server to answer.
        request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(request)
                return connection.recv(65_536).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def kill9(self) -> None:
        """End it as a power cut would, with nothing finished."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def terminate(self) -> None:
        """Ask it to stop, and do not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        """Stop it properly; returns the exit code. Nothing happens if it has ended."""
        if self.running:
            self.terminate()
        return self.wait()

    def restart(self) -> None:
        """Stop it properly and start it on the same port and store."""
        assert self.stop() == 0
        self.start()

    def close(self) -> None:
        """End it in whatever state it is."""
        if self.running:
            self.kill9()
        for each in self._reservations:
            each.close()

    # What it says about itself

    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def complaints(self) -> list[str]:
        """Log lines that are errors, and lines that are no log lines, such as a traceback."""
        return [line for line in self.log().splitlines() if line and _is_complaint(line)]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels; 0 if there are none."""
        text = HTTP.get(f"{self.url}/metrics").text
        total = 0.0
        for found in re.finditer(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
            sample = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            if labels.items() <= sample.items():
                total += float(found[2])
        return total

    def rss_bytes(self) -> int:
        """Resident memory of the process, without pages shared with files."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


def _is_complaint(line: str) -> bool:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return True
    return not isinstance(entry, dict) or entry.get("level") in ("error", "critical")


ServerFactory = Callable[..., Server]
"""Takes settings by name, starts a server and returns it."""


class Servers:
    """The servers of one test, or of many.

    Args:
        folder: gets one folder per server.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[Server] = []
        self._shared: dict[str, Server] = {}

    def start(self, **settings: object) -> Server:
        """A new server, ready."""
        folder = self._folder / f"server-{len(self._servers)}"
        folder.mkdir()
        server = Server(folder, settings)
        self._servers.append(server)
        server.start()
        return server

    def shared(self, **settings: object) -> Server:
        """The one server with these settings."""
        key = repr(sorted(settings.items()))
        if key not in self._shared:
            self._shared[key] = self.start(**settings)
        return self._shared[key]

    @property
    def started(self) -> tuple[Server, ...]:
        return tuple(self._servers)

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def log(self) -> str:
        """The end of what each has logged."""
        return "".join(
            f"--- log of {server.url}\n{server.log()[-LOG_CHARS_SHOWN:]}\n"
            for server in self._servers
        )

    def complaints(self) -> list[str]:
        return [line for server in self._servers for line in server.complaints()]
