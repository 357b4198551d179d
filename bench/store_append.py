"""Claim: appending to the store is a small part of a durable publish (see `append.py`).

The SQLite store alone, without HTTP, in this process but on the servers' core.
"""

from __future__ import annotations

from dataclasses import asdict

import uvloop

from bench.append import IN_FLIGHT, measure
from bench.laboratory import Laboratory, Line
from bench.processes import SERVER_CORE, on_core
from reddot.system import configure_logs


def run(lab: Laboratory) -> list[Line]:
    configure_logs("console", "warning")
    lines = []
    for in_flight in IN_FLIGHT[:2] if lab.quick else IN_FLIGHT:
        with on_core(SERVER_CORE):
            row = uvloop.run(measure(lab.folder(), in_flight, busy=False, keyed=False))
        lab.runs.append({"row": "append", "case": str(in_flight), "turn": 0, "result": asdict(row)})
        waits = f"p50 {row.p50_ms:.1f} ms, p99 {row.p99_ms:.1f} ms"
        lines.append(
            Line(
                f"append to the SQLite store alone, {in_flight} in flight",
                f"{row.per_s:,.0f}/s, {waits}, {row.cpu_us:.0f} µs CPU",
                beside=lab.scaled(row.cpu_us),
            )
        )
    return lines
