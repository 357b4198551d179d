"""Which normative statement a test shows: a decorator that `test_coverage` reads."""

from __future__ import annotations

import pytest


def states(*numbers: str) -> pytest.MarkDecorator:
    """The test shows these statements, `MQTT-3.1.2-4` of 5.0 or `MQTT311-3.1.2-6` of 3.1.1.

    Several numbers, where one exchange shows them all.
    """
    return pytest.mark.states(*numbers)
