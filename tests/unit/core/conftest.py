"""What every rig leaves behind is closed: a coroutine that nobody awaits is an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.core.rig import RIGS


@pytest.fixture(autouse=True)
def _close_rigs() -> Iterator[None]:
    yield
    for rig in RIGS:
        rig.close()
    RIGS.clear()
