"""The normative statements of MQTT 5.0 and 3.1.1 by number, and whom they concern.

Numbers as in the standards: section, then a running number. The texts are at
https://docs.oasis-open.org/mqtt/mqtt/.
"""

from __future__ import annotations

from typing import Final


def _numbers(counts: str) -> frozenset[str]:
    """`"3.1.0:2 3.6.1:1"` is 3.1.0-1, 3.1.0-2 and 3.6.1-1; `:2-6` begins with 2."""
    found = set()
    for item in counts.split():
        section, _, numbers = item.partition(":")
        first, _, last = numbers.rpartition("-")
        found |= {f"{section}-{n}" for n in range(int(first or 1), int(last) + 1)}
    return frozenset(found)


ALL_5: Final = _numbers(
    "1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:2-6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 "
    "3.2.2:22 3.3.1:13 3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 "
    "3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1 "
    "3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2:1 4.3.1:1 4.3.2:5 4.3.3:13 4.4.0:2 "
    "4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7 4.12.1:2 4.13.1:1 "
    "4.13.2:1 6.0.0:4"
)
CLIENTS_5: Final = _numbers(
    "3.1.2:20-21 3.1.2:30-30 3.2.2:4-5 3.2.2:11-11 3.2.2:14-14 3.3.2:10-10 3.3.4:8-8 4.5.0:2-2 "
    "4.6.0:2-4 4.12.0:3-3"
)
"""What only a client can keep or break."""

NOT_TESTED_5: Final[dict[str, str]] = {
    "3.3.4-5": "one copy is sent, never several",
    "4.12.0-2": "the one method there is has no further step",
}
"""Statements that concern a server and have no test, with the reason."""

ALL_311: Final = _numbers(
    "1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 "
    "3.3.4:1 3.3.5:2 3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 "
    "3.14.1:1 3.14.4:3 4.1.0:2 4.2.0:1 4.3.1:1 4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3 "
    "4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4"
)
CLIENTS_311: Final = _numbers("2.3.1:3-3 3.1.2:23-23 3.14.4:1-2 4.5.0:2-2 4.6.0:4-4")
NOT_TESTED_311: Final[dict[str, str]] = {
    "4.7.3-3": "two bytes of length can say no more",
    "4.8.0-2": "a transient error of the server itself cannot be brought about from outside",
}
