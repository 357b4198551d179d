"""For whom retained topics are counted, and what the limits refuse."""

from __future__ import annotations

import pytest

from reddot.core.retaining import ANONYMOUS, NOBODY, Retainers, retainer_of
from reddot.model import Actor, RetainedLimits


@pytest.mark.parametrize(
    ("actor", "retainer"),
    [
        (Actor(user="42"), "42"),
        (Actor(user="42", admin=True), NOBODY),
        (Actor(service=True, key="rk_x"), NOBODY),
        (Actor(), ANONYMOUS),
        (Actor(publish=("#",)), ANONYMOUS),
    ],
)
def test_for_whom_a_topic_is_counted(actor: Actor, retainer: str) -> None:
    assert retainer_of(actor) == retainer


def test_what_is_beyond_a_limit_may_become_less_but_not_more() -> None:
    retainers = Retainers(RetainedLimits(topics_max=3, per_user_max=1), {"42": 3, NOBODY: 1})
    assert retainers.check([("42", "42"), ("42", None)]) is None
    assert retainers.check([("42", NOBODY)]) is None
    for change in [(None, NOBODY), (NOBODY, "42")]:
        error = retainers.check([change])
        assert error is not None and error.code == "too_many_retained"
    assert retainers.check([("42", "7"), ("42", None)]) is None
    assert (retainers.total, retainers.of("42")) == (4, 3)


def test_changes_are_counted() -> None:
    retainers = Retainers(RetainedLimits(), {})
    for change in [(None, "7"), ("7", "7"), ("7", "8"), (None, "8"), ("8", None)]:
        retainers.change(*change)
    assert (retainers.total, retainers.of("7"), retainers.of("8")) == (1, 0, 1)
