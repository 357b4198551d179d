"""`python -m bench [row ...] [--quick]`: measure this machine.

Prints a table, and keeps it with all raw numbers in `bench/results`, unless it was a quick run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import (
    broadcast,
    burst,
    campaign,
    campaign_path,
    connect,
    durable,
    fanout,
    machine,
    memory,
    mqtt,
    mqtt_codec,
    mqtt_path,
    notify,
    poll,
    report,
    resume,
    startup,
    store_append,
    to_one,
)
from bench.laboratory import Laboratory, Line, missing
from bench.peers import compile_programs
from bench.processes import Busy, NotMeasured

RESULTS: Final = Path(__file__).with_name("results")
ROWS: Final[dict[str, Callable[[Laboratory], list[Line]]]] = {
    "fanout": fanout.run,
    "burst": burst.run,
    "to_one": to_one.run,
    "durable": durable.run,
    "append": store_append.run,
    "poll": poll.run,
    "notify": notify.run,
    "broadcast": broadcast.run,
    "campaign": campaign.run,
    "campaign_path": campaign_path.run,
    "memory": memory.run,
    "resume": resume.run,
    "connect": connect.run,
    "startup": startup.run,
    "mqtt_codec": mqtt_codec.run,
    "mqtt_path": mqtt_path.run,
    "mqtt": mqtt.run,
}


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="reddot-bench-", dir=options.data) as folder:
        data = Path(folder)
        try:
            laboratory = Laboratory(options.quick, data, compile_programs(data))
        except NotMeasured as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        facts = machine.facts(data, sys.argv[1:])
        rows = options.rows or list(ROWS)
        sections = [_measure(row, laboratory) for row in rows]
    print(report.markdown(facts, sections))
    if not options.quick:
        chosen = "".join(f"-{row}" for row in options.rows)
        name = f"{str(facts['date'])[:10]}-{facts['commit']}{chosen}"
        print(f"kept: {report.save(options.results, name, facts, sections, laboratory.runs)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure this machine.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of: {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="short runs, nothing is kept")
    parser.add_argument("--data", type=Path, help="folder on the disk to measure (default: /tmp's)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    options = parser.parse_args()
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"there is no row {row!r}; there are: {', '.join(ROWS)}")
    return options


def _measure(row: str, laboratory: Laboratory) -> report.Section:
    print(f"{row} ...", file=sys.stderr, flush=True)
    before = Busy.now()
    try:
        lines = ROWS[row](laboratory)
    except NotMeasured as error:
        lines = [missing(row, error)]
    after = Busy.now()
    foreign = after.foreign_cores_since(before)
    return report.Section(row, tuple(lines), round(foreign, 2), round(after.at - before.at, 1))


if __name__ == "__main__":
    start = time.monotonic()
    code = main()
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    sys.exit(code)
