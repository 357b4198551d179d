"""Claim: the server is there in a moment: from the start of its process to a ready `/readyz`."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from bench.generator import Result
from bench.laboratory import Laboratory, Line

STORES: Final = {"memory": "memory://", "empty SQLite": "sqlite:///bench.db"}


def _start(lab: Laboratory, store_url: str) -> Result:
    started = time.monotonic()
    with lab.reddot(store_url=store_url):
        return {"seconds": time.monotonic() - started}


def run(lab: Laboratory) -> list[Line]:
    cases = {name: partial(_start, lab, url) for name, url in STORES.items()}
    found = lab.take_turns("startup", cases)
    return [
        Line(
            f"process start to ready, {name}",
            f"{series.median(lambda result: result['seconds']) * 1000:.0f} ms",
        )
        for name, series in found.items()
    ]
