"""Drives the load generator (loadgen.c) on its own core; one call is one run, its result a dict."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers import Peer
from bench.processes import GENERATOR_CORE, NotMeasured, pinned
from bench.wire import Publish, Session

Result = dict[str, Any]


@dataclass(frozen=True)
class Generator:
    binary: Path

    def publish(
        self,
        peer: Peer,
        publish: Publish,
        *,
        seconds: float,
        session: Session | None = None,
        sessions: int = 0,
        users: int = 1,
        publishers: int = 1,
        rate: float = 0,
        own_user: bool = False,
        settle_seconds: float | str = "",
    ) -> Result:
        """Publish or ask for some seconds, at a rate per second or as fast as answers come.

        Args:
            sessions: that listen, as `session` says; spread evenly over `users`.
            publishers: connections that publish; without a rate each waits for its answer.
            settle_seconds: the server has so long to become idle first; for one that never does.
            own_user: a publisher keeps to one user; otherwise each request is for a random one.

        Raises:
            NotMeasured: a session or publisher was refused or closed, or an answer is an error.
        """
        options = _options(
            seconds=seconds,
            sessions=sessions,
            users=users,
            publishers=publishers,
            rate=rate,
            answers=publish.answers,
            status=publish.status,
            hello_bytes=publish.hello_bytes,
            settle=settle_seconds,
        )
        if own_user:
            options.append("--own-user")
        files = {"publish": publish.request, "hello": publish.hello}
        result = self._run("publish", peer, options, session, files)
        if result["refused"] or result["closed"]:
            raise NotMeasured(
                f"{peer.name}: {result['refused']} refused, {result['closed']} closed"
            )
        return result

    def hold(
        self, peer: Peer, session: Session, *, steps: Sequence[int], users: int, idle_seconds: float
    ) -> Result:
        """Open sessions up to each of `steps`, and leave them alone for a while."""
        options = [f"--step={count}" for count in steps] + _options(users=users, idle=idle_seconds)
        return self._run("hold", peer, options, session, {})

    def resume(
        self, peer: Peer, session: Session, *, sessions: int, users: int, each: int, at_once: int
    ) -> Result:
        """Open all sessions, at most `at_once` handshakes under way, until each has got `each`."""
        options = _options(sessions=sessions, users=users, each=each, handshakes=at_once)
        return self._run("resume", peer, options, session, {})

    def _run(
        self,
        mode: str,
        peer: Peer,
        options: Sequence[str],
        session: Session | None,
        files: dict[str, bytes],
    ) -> Result:
        arguments = [mode, f"--port={peer.port}", *(f"--pid={pid}" for pid in peer.server.pids)]
        arguments += options
        if session is not None:
            files = {**files, "session": session.request}
            arguments += _options(ready=session.ready, ready_bytes=session.ready_bytes)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                if content:
                    path = Path(folder, name)
                    path.write_bytes(content)
                    arguments.append(f"--{name}={path}")
            return self._call(peer, arguments)

    def _call(self, peer: Peer, arguments: Sequence[str]) -> Result:
        command = pinned(GENERATOR_CORE, [str(self.binary), *arguments])
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"{peer.name}: no result within 300 s") from None
        if done.returncode:
            raise NotMeasured(f"{peer.name}: {done.stderr.strip()[:300]}")
        result: Result = json.loads(done.stdout)
        return result


def _options(**values: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items() if value != ""]
