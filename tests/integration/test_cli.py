"""The command `reddot` against itself: a real server, every transport, a crash in between."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import httpx
import pytest

from tests.integration.server import HTTP

TRANSPORTS: Final = ("poll", "longpoll", "iframe", "sse", "websocket", "mqtt")
PATIENCE_S: Final = 30.0
REDDOT: Final = (sys.executable, "-m", "reddot")
SECRET: Final = "s" * 32

pytestmark = pytest.mark.slow


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REDDOT_")}
    # The usual MQTT port may be another program's.
    ours = {"NO_PROXY": "127.0.0.1", "TERM": "dumb", "REDDOT_MQTT_PORT": "0"}
    return kept | ours | more


class Lines:
    """The lines of a pipe as they come, read in a thread of its own."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            self._lines.put(line.rstrip("\n"))

    def next(self) -> str:
        return self._lines.get(timeout=PATIENCE_S)

    def until(self, wanted: str) -> str:
        """The first line that matches; earlier ones are dropped."""
        while True:
            line = self.next()
            if re.search(wanted, line):
                return line

    def rest(self) -> list[str]:
        """All that is left, once the program has ended."""
        self._thread.join(PATIENCE_S)
        return list(self._lines.queue)


class Program:
    """A `reddot` that runs beside the test."""

    def __init__(self, *arguments: str, cwd: Path, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*REDDOT, *arguments],
            cwd=cwd,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def stop(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        return self.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        self.out.rest(), self.err.rest()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


Start = Callable[..., Program]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `reddot` with arguments; whatever still runs at the end is killed."""
    programs: list[Program] = []

    def begin(*arguments: str, **environ: str) -> Program:
        programs.append(Program(*arguments, cwd=tmp_path, environ=environment(**environ)))
        return programs[-1]

    yield begin
    for program in programs:
        program.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `reddot` with arguments to its end."""

    def finish(
        *arguments: str, stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*REDDOT, *arguments],
            cwd=tmp_path,
            env=environment(**environ),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return finish


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until_ready(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if HTTP.get(f"{url}/readyz", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not become ready")


Serve = Callable[..., Program]


@pytest.fixture
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def serve(start: Start, port: int, url: str) -> Serve:
    """Start the server on the one port, and wait until it is ready."""

    def begin(*arguments: str, **environ: str) -> Program:
        program = start("serve", "--port", str(port), *arguments, **environ)
        until_ready(url)
        return program

    return begin


def numbers(lines: list[str]) -> list[int]:
    return [json.loads(line)["data"] for line in lines]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_subscriber_survives_a_killed_server(
    transport: str, serve: Serve, start: Start, run: Run, url: str
) -> None:
    server = serve("--dev")
    subscriber = start(
        "subscribe", "news/+", "other", "--transport", transport, "--json", "--count", "6",
        "--state", "state", "--url", url,
    )  # fmt: skip
    subscriber.err.until("attached")
    for number in (1, 2):
        assert run("publish", "news/a", str(number), "--url", url).returncode == 0
    run("publish", "elsewhere", "0", "--url", url)
    first = [subscriber.out.next() for _ in range(2)]
    assert numbers(first) == [1, 2]

    server.stop(signal.SIGKILL)
    subscriber.err.until("next try in")
    serve("--dev")
    lines = run("publish", "news/a", "--stdin", "--url", url, stdin="3\n4\n5\n")
    assert [json.loads(line)["offset"] for line in lines.stdout.splitlines()] == [3, 4, 5]
    subscriber.err.until("attached")
    run("publish", "other", "6", "--url", url)

    assert subscriber.wait() == 0
    rest = subscriber.out.rest()
    assert numbers(rest) == [3, 4, 5, 6], "each once, in order, whatever came when"
    assert [json.loads(line)["offset"] for line in first + rest] == [1, 2, 3, 4, 5, 1]
    assert not [line for line in subscriber.err.rest() if "gap" in line]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_subscriber_goes_on_where_it_stopped(
    transport: str, serve: Serve, run: Run, url: str, tmp_path: Path
) -> None:
    serve("--dev")
    first = json.loads(run("publish", "a", "0", "--url", url).stdout)
    run("publish", "a", "--stdin", "--text", "--url", url, stdin="one\ntwo\nthree\n")
    (tmp_path / "state").write_text(first["cursor"])
    tail = ("subscribe", "a", "--transport", transport, "--raw", "--state", "state", "--url", url)
    assert run(*tail, "--count", "2").stdout == "one\ntwo\n"
    assert run(*tail, "--count", "1").stdout == "three\n"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_store_that_was_lost_is_a_gap(
    transport: str, serve: Serve, start: Start, run: Run, url: str
) -> None:
    server = serve("--dev", "--store-url", "memory://")
    subscriber = start("subscribe", "a", "--transport", transport, "--count", "2", "--url", url)
    subscriber.err.until("attached")
    run("publish", "a", "1", "--url", url)
    assert subscriber.out.next() == "a 1 message 1"
    server.stop(signal.SIGKILL)
    serve("--dev", "--store-url", "memory://")
    assert subscriber.err.until("gap on") == "gap on a: epoch"
    run("publish", "a", "2", "--url", url)
    assert subscriber.out.next() == "a 1 message 2", "the same offset of another log is no double"
    assert subscriber.wait() == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_credentials_end_to_end(
    transport: str, serve: Serve, start: Start, run: Run, url: str, tmp_path: Path
) -> None:
    key, line = run("apikey").stdout.splitlines()
    (tmp_path / "reddot.toml").write_text(f'{line}\njwt_secret = "{SECRET}"\n')
    token = run("token", "--user", "42", "--subscribe", "news/#").stdout.strip()
    serve()
    tail = ("subscribe", "news/a", "users/42", "--transport", transport, "--url", url)
    for refused in (run(*tail), run(*tail[:2], "secret", *tail[3:], REDDOT_TOKEN=token)):
        assert (refused.returncode, refused.stdout) == (3, ""), refused.stderr
        assert refused.stderr.startswith("reddot: ") and refused.stderr.count("\n") == 1
    assert run("publish", "news/a", "1", "--url", url).returncode == 3
    assert run("publish", "news/a", "1", "--url", url, REDDOT_TOKEN=token).returncode == 3

    subscriber = start(*tail, "--count", "2", REDDOT_TOKEN=token)
    subscriber.err.until("attached")
    for topic in ("news/a", "users/42"):
        assert run("publish", topic, '{"n":1}', "--url", url, REDDOT_API_KEY=key).returncode == 0
    assert subscriber.wait() == 0
    assert subscriber.out.rest() == ['news/a 1 message {"n":1}', 'users/42 1 message {"n":1}']


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_drained_server_sends_its_subscribers_away(
    transport: str, serve: Serve, start: Start, url: str
) -> None:
    server = serve("--dev")
    subscriber = start("subscribe", "a", "--transport", transport, "--url", url)
    subscriber.err.until("attached")
    assert server.stop(signal.SIGTERM) == 0
    subscriber.err.until("next try in")
    assert subscriber.stop(signal.SIGINT) == 130


def test_what_publish_says(serve: Serve, run: Run, url: str) -> None:
    serve("--dev")
    once = ("publish", "a", "1", "--id", "x", "--url", url)
    first, second = (json.loads(run(*once).stdout) for _ in range(2))
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["offset"] == second["offset"] == 1
    conflict = run("publish", "a", "2", "--id", "x", "--url", url)
    assert conflict.returncode == 1 and "HTTP 409" in conflict.stderr
    ephemeral = json.loads(run("publish", "a", "1", "--ephemeral", "--url", url).stdout)
    assert "offset" not in ephemeral
    wrong = run("publish", "a#", "1", "--url", url)
    assert wrong.returncode == 1 and "HTTP 400" in wrong.stderr
    nobody = run("publish", "a", "1", "--url", "http://127.0.0.1:1")
    assert nobody.returncode == 1 and nobody.stderr.count("\n") == 1


def test_a_port_in_use_stops_the_start(serve: Serve, run: Run, port: int) -> None:
    serve("--dev")
    second = run("serve", "--dev", "--store-url", "memory://", "--port", str(port))
    assert second.returncode == 1 and "in use" in second.stderr


def test_links_to_the_console_sign_in(serve: Serve, run: Run, url: str) -> None:
    server = serve(REDDOT_JWT_SECRET=SECRET)
    printed = re.search(r"http://\S+/console#setup=[\w-]+", server.err.until("console#setup"))
    assert printed is not None
    token = run("token", "--admin", REDDOT_JWT_SECRET=SECRET).stdout.strip()
    made = run("console", "--url", url, "--token", token)
    assert made.returncode == 0 and "900 seconds" in made.stderr
    for link in (printed[0], made.stdout.strip()):
        address, _, secret = link.partition("#setup=")
        assert address == f"{url}/console"
        session, own = f"{url}/v1/console/session", {"Origin": url}
        codes = [
            httpx.post(session, json={"setup": secret}, headers=own).status_code for _ in range(2)
        ]
        assert codes == [200, 401]
    refused = run("console", "--url", url)
    assert refused.returncode == 3 and refused.stderr.count("\n") == 1


def test_demo_from_an_empty_folder(start: Start, run: Run, tmp_path: Path) -> None:
    demo = start("demo", "--port", "0")
    found = re.search(r"http://127\.0\.0\.1:\d+", demo.out.until("http://"))
    assert found is not None
    until_ready(found[0])
    assert run("publish", "a", "1", "--url", found[0]).returncode == 0
    assert demo.stop(signal.SIGTERM) == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "reddot-demo"]


def test_migrate_makes_the_store_and_can_be_repeated(run: Run, tmp_path: Path) -> None:
    first, second = (run("migrate", REDDOT_STORE_URL="sqlite:///made.db") for _ in range(2))
    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout and "made.db is ready, at position 0" in first.stdout
    assert "store_migrated" in first.stderr and second.stderr == ""
    assert (tmp_path / "made.db").exists()
