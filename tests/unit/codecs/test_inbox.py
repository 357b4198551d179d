"""What the log says of a change of inboxes; the rest is asked over the wire."""

from __future__ import annotations

import json

from reddot.codecs.inbox import DIED_TOLD_MAX, describe
from reddot.inbox import Effect, Retract


def test_what_was_in_very_many_inboxes_is_told_of_some() -> None:
    def told(count: int) -> int:
        died: dict[str, tuple[int, ...]] = {f"users/{number}": (1,) for number in range(count)}
        return len(json.loads(describe(Retract(id="a", rows_max=9), Effect(died=died)))["died"])

    assert told(DIED_TOLD_MAX) == DIED_TOLD_MAX
    assert told(DIED_TOLD_MAX + 1) == DIED_TOLD_MAX
