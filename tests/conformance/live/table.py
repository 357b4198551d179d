"""All normative statements of MQTT 5.0: which test shows each, or why a server cannot show it.

Read in the sources, so that the answer does not depend on which tests run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.conformance.malformed import CONNECTS_5, PACKETS_5

FOLDER: Final = Path(__file__).parent

SECTIONS: Final = {
    "1.5.4": (1, 3),
    "1.5.5": (1, 1),
    "1.5.7": (1, 1),
    "2.1.3": (1, 1),
    "2.2.1": (2, 6),
    "2.2.2": (1, 1),
    "3.1.0": (1, 2),
    "3.1.2": (1, 30),
    "3.1.3": (1, 12),
    "3.1.4": (1, 6),
    "3.2.0": (1, 2),
    "3.2.2": (1, 22),
    "3.3.1": (1, 13),
    "3.3.2": (1, 20),
    "3.3.4": (1, 10),
    "3.4.2": (1, 3),
    "3.5.2": (1, 3),
    "3.6.1": (1, 1),
    "3.6.2": (1, 3),
    "3.7.2": (1, 3),
    "3.8.1": (1, 1),
    "3.8.3": (1, 5),
    "3.8.4": (1, 8),
    "3.9.2": (1, 2),
    "3.9.3": (1, 2),
    "3.10.1": (1, 1),
    "3.10.3": (1, 2),
    "3.10.4": (1, 6),
    "3.11.2": (1, 2),
    "3.11.3": (1, 2),
    "3.12.4": (1, 1),
    "3.14.0": (1, 1),
    "3.14.1": (1, 1),
    "3.14.2": (1, 4),
    "3.14.4": (1, 3),
    "3.15.1": (1, 1),
    "3.15.2": (1, 3),
    "4.1.0": (1, 2),
    "4.2": (1, 1),
    "4.3.1": (1, 1),
    "4.3.2": (1, 5),
    "4.3.3": (1, 13),
    "4.4.0": (1, 2),
    "4.5.0": (1, 2),
    "4.6.0": (1, 6),
    "4.7.0": (1, 1),
    "4.7.1": (1, 2),
    "4.7.2": (1, 1),
    "4.7.3": (1, 4),
    "4.8.2": (1, 6),
    "4.9.0": (1, 3),
    "4.12.0": (1, 7),
    "4.12.1": (1, 2),
    "4.13.1": (1, 1),
    "4.13.2": (1, 1),
    "6.0.0": (1, 4),
}
"""By section the numbers of its first and its last statement; none is missing between them."""

STATEMENTS: Final = tuple(
    f"MQTT-{section}-{number}"
    for section, (first, last) in SECTIONS.items()
    for number in range(first, last + 1)
)

BY_THE_CLIENT: Final = "What a client must do."
ALL_SUPPORTED: Final = "Of servers that lack a QoS or retained messages. This one has all."

NOT_SHOWN: Final = {
    "MQTT-3.1.2-20": BY_THE_CLIENT,
    "MQTT-3.1.2-30": BY_THE_CLIENT,
    "MQTT-3.2.2-4": BY_THE_CLIENT,
    "MQTT-3.2.2-5": BY_THE_CLIENT,
    "MQTT-3.2.2-11": BY_THE_CLIENT,
    "MQTT-3.2.2-12": ALL_SUPPORTED,
    "MQTT-3.2.2-13": ALL_SUPPORTED,
    "MQTT-3.2.2-14": BY_THE_CLIENT,
    "MQTT-3.3.4-5": "Of servers that send a copy per overlapping subscription. This one sends one.",
    "MQTT-4.5.0-2": BY_THE_CLIENT,
    "MQTT-4.6.0-1": BY_THE_CLIENT,
    "MQTT-4.6.0-2": BY_THE_CLIENT,
    "MQTT-4.6.0-3": BY_THE_CLIENT,
    "MQTT-4.6.0-4": BY_THE_CLIENT,
    "MQTT-4.12.0-2": "The one method needs no second step, so the server never sends this AUTH.",
}

_MALFORMED: Final = (
    (PACKETS_5, "test_mqtt5_errors.py::test_a_packet_that_is_refused"),
    (CONNECTS_5, "test_mqtt5_errors.py::test_a_connect_that_is_refused"),
)


def shown() -> dict[str, list[str]]:
    """Statement to the tests that show it, as pytest names them."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for function in _functions(path.read_text()):
            for number in _numbers(function):
                found.setdefault(number, []).append(f"{path.name}::{function.name}")
    for packets, test in _MALFORMED:
        for name in packets:
            stated = _number_of(name)
            if stated is not None:
                found.setdefault(stated, []).append(f"{test}[{name}]")
    return found


def all_tests() -> set[str]:
    """All tests of the folder, as pytest names them without parameters."""
    return {
        f"{path.name}::{function.name}"
        for path in FOLDER.glob("test_*.py")
        for function in _functions(path.read_text())
        if function.name.startswith("test_")
    }


def _functions(source: str) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def _numbers(function: ast.FunctionDef) -> Iterator[str]:
    """What the decorators `@states(…)` say."""
    for made in function.decorator_list:
        if isinstance(made, ast.Call) and ast.unparse(made.func) == "states":
            yield from map(ast.literal_eval, made.args)


def _number_of(name: str) -> str | None:
    """The statement of a malformed packet, which its name begins with, if it names one."""
    found = re.match(r"\d+(?:\.\d+)+-\d+ ", name)
    return f"MQTT-{found[0].strip()}" if found else None
