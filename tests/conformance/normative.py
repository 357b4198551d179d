"""Which normative statement a test is about, written where the test is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., None])


def normative(*statements: str, old: tuple[str, ...] = ()) -> Callable[[F], F]:
    """The test shows these statements of MQTT 5.0, and `old` ones of 3.1.1.

    It does nothing when a test runs; `test_statements` reads it in the source.
    """
    assert statements or old

    def unchanged(test: F) -> F:
        return test

    return unchanged
