"""What a result has to say about where it comes from: machine, versions, commit, date, load."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.peers import NCHAN_MODULE, PATH, ROOT

PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "msgspec", "fastapi")
FSYNCS: Final = 50


def facts(data: Path, options: Sequence[str]) -> dict[str, object]:
    """Everything about this run that is known before it begins."""
    memory = _first(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "-m", "bench", *options]),
        "commit": _git("rev-parse", "--short=12", "HEAD") or "unknown",
        "modified": bool(_git("status", "--porcelain", "--", "src")),
        "cpu": _first(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20, 1),
        "kernel": platform.release(),
        "file_system": _file_system(data),
        "fsync_ms": round(_fsync_ms(data), 3),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in PACKAGES},
        "nginx": _said_by(["nginx", "-v"], r"nginx/(\S+)"),
        "nchan": _package("libnginx-mod-nchan") if NCHAN_MODULE.exists() else "missing",
        "mosquitto": _said_by(["mosquitto", "-h"], r"version (\S+)"),
        "cc": _said_by(["cc", "--version"], r"(.*)"),
    }


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _said_by(command: Sequence[str], pattern: str) -> str:
    environment = {**os.environ, "PATH": PATH}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError:
        return "missing"
    return _first(pattern, done.stdout + done.stderr)


def _package(name: str) -> str:
    return _said_by(["dpkg-query", "-W", "-f=${Version}", name], r"(\S+)")


def _file_system(folder: Path) -> str:
    return _said_by(["stat", "-f", "-c", "%T", str(folder)], r"(\S+)")


def _fsync_ms(folder: Path) -> float:
    """Median time of an fdatasync after 4 KiB: what one durable publish waits for at the least."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(4096)
        for _ in range(FSYNCS):
            file.seek(0)
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def is_linux() -> bool:
    return sys.platform == "linux"
