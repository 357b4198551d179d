"""LocalBus: at once, in order, to one listener. The rest is in the contract suite."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reddot.buses.local import LocalBus
from reddot.model import Publication


def test_the_hint_runs_inside_announce() -> None:
    bus = LocalBus()
    heard: list[Sequence[Publication]] = []
    bus.listen(heard.append)
    batch = [Publication(topic="a", id="1", data=b"1", time_ms=1)]
    bus.announce(batch)
    assert heard == [batch]


def test_there_is_one_listener() -> None:
    bus = LocalBus()
    bus.listen(lambda publications: None)
    with pytest.raises(AssertionError, match="one listener"):
        bus.listen(lambda publications: None)
