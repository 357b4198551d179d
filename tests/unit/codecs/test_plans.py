"""Plans as they are written: what they mean, there and back, and every slip of the pen."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs import plans
from reddot.codecs.plans import decode_plans, plans_fields, plans_of
from reddot.delivery import Cap, Plan, Step
from reddot.errors import ReddotError
from reddot.inbox import Quiet

WRITTEN: list[dict[str, Any]] = [
    {
        "categories": ["mention", "reply"],
        "couriers": [
            {"courier": "web_push", "after": "30s"},
            {"courier": "email", "after": "10m"},
        ],
        "quiet": {"from": "22:00", "to": "08:00"},
        "caps": [{"count": 3, "per": "1h"}, {"count": 1, "per": 60, "courier": "email"}],
        "digest": "1d",
    },
    {
        "allow": ["ann"],
        "deny": ["bob"],
        "keywords": ["Casino"],
        "total": 1000,
        "per_second": 50,
    },
]
MEANT = (
    Plan(
        categories=("mention", "reply"),
        steps=(Step(courier="web_push", after_s=30), Step(courier="email", after_s=600)),
        quiet=Quiet(start_minute=22 * 60, end_minute=8 * 60),
        caps=(Cap(count=3, window_s=3600), Cap(count=1, window_s=60, courier="email")),
        digest_s=86_400,
    ),
    Plan(
        allow=frozenset({"ann"}),
        deny=frozenset({"bob"}),
        keywords=("Casino",),
        total_max=1000,
        per_s_max=50,
    ),
)


def test_what_is_written_is_meant_in_a_file_and_over_the_api() -> None:
    assert plans_of(WRITTEN) == MEANT
    assert decode_plans(json.dumps(WRITTEN).encode()) == MEANT
    assert decode_plans(b"[]") == ()
    assert decode_plans(b"[{}]") == (Plan(),)


def test_what_is_not_said_is_not_written() -> None:
    bare, first, second = json.loads(msgspec.json.encode(plans_fields([Plan(), *MEANT])))
    assert bare == {"categories": ["*"]}
    assert first["couriers"] == [
        {"courier": "web_push", "after": 30},
        {"courier": "email", "after": 600},
    ]
    assert first["quiet"] == {"from": "22:00", "to": "08:00"}
    assert set(second) == {"categories", "allow", "deny", "keywords", "total", "per_second"}


names = st.text("abc", min_size=1, max_size=2)
spans = st.integers(0, 365 * 86_400)
steps = st.lists(
    st.builds(Step, courier=names, after_s=spans), max_size=3, unique_by=lambda s: s.courier
)
nights = st.lists(st.integers(0, 1439), min_size=2, max_size=2, unique=True).map(
    lambda ends: Quiet(start_minute=ends[0], end_minute=ends[1])
)
meant = st.builds(
    Plan,
    steps=steps.map(tuple),
    quiet=st.none() | nights,
    caps=st.lists(
        st.builds(
            Cap, count=st.integers(1, 99), window_s=spans.filter(bool), category=st.none() | names
        ),
        max_size=2,
    ).map(tuple),
    digest_s=spans,
    allow=st.frozensets(names, max_size=2),
    deny=st.frozensets(names, max_size=2),
    keywords=st.lists(names, max_size=2).map(tuple),
    total_max=st.none() | st.integers(1, 99),
    per_s_max=st.none() | st.integers(1, 99),
)


@given(meant)
def test_written_and_read_again_it_is_the_same(plan: Plan) -> None:
    fields = plans_fields([plan])
    assert plans_of(fields) == (plan,)
    assert decode_plans(msgspec.json.encode(fields)) == (plan,)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([{"curiers": []}], "[0]: object contains unknown field `curiers`"),
        ([{"categories": []}], "[0].categories: expected `array` of length >= 1"),
        ([{"categories": [""]}], "[0].categories[0]: expected `str` of length >= 1"),
        ([{}, {"categories": ["a"]}], "[1].categories: plans before this one take all"),
        ([{"categories": ["a", "b"]}, {"categories": ["b"]}], "[1].categories: plans before"),
        ([{"couriers": [{"after": 1}]}], "[0].couriers[0]: object missing required field"),
        ([{"couriers": [{"courier": "a"}] * 2}], "[0].couriers: a courier is named twice"),
        ([{"couriers": [{"courier": "a", "after": "5"}]}], "[0].couriers[0].after: give seconds"),
        ([{"couriers": [{"courier": "a", "after": "1w"}]}], '"30s", "10m", "12h", "7d"'),
        ([{"couriers": [{"courier": "a", "after": -1}]}], "after: must be 0 to 31536000"),
        ([{"couriers": [{"courier": "a", "after": True}]}], "after: expected `int | str`"),
        ([{"couriers": [{"courier": "a", "after": 1.5}]}], "after: expected `int | str`"),
        ([{"digest": "366d"}], "[0].digest: must be 0 to 31536000 seconds"),
        ([{"quiet": {"from": "22:00"}}], "[0].quiet: object missing required field `to`"),
        ([{"quiet": {"from": "22:00", "to": "24:00"}}], "[0].quiet.to: give a time of day"),
        ([{"quiet": {"from": "9:00", "to": "10:00"}}], "[0].quiet.from: give a time of day"),
        ([{"quiet": {"from": "22:00", "to": "22:00"}}], "[0].quiet: begins when it ends"),
        ([{"caps": [{"count": 0, "per": 1}]}], "[0].caps[0].count: expected `int` >= 1"),
        ([{"caps": [{"count": 1, "per": 0}]}], "[0].caps[0].per: must be 1 to"),
        ([{"caps": [{"count": 1, "per": 1, "courier": "a"}]}], "caps[0].courier: is none of"),
        (
            [{"categories": ["a"], "caps": [{"count": 1, "per": 1, "category": "b"}]}],
            "[0].caps[0].category: is none of the plan's categories",
        ),
        ([{"total": 0}], "[0].total: expected `int` >= 1"),
        ([{"per_second": "5"}], "[0].per_second: expected `int | null`"),
        ([3], "[0]: expected `object`"),
        ({}, "expected `array`"),
    ],
)
def test_a_slip_is_refused_with_its_place(written: object, said: str) -> None:
    body = json.dumps(written).encode()
    for read in (partial(plans_of, written), partial(decode_plans, body)):
        with pytest.raises(ReddotError) as caught:
            read()
        assert caught.value.code == "field_invalid"
        assert said in caught.value.detail
        assert "\n" not in caught.value.detail


@pytest.mark.parametrize("body", [b"", b"[", b'[{"digest":"\xff"}]', b"[{]"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ReddotError) as caught:
        decode_plans(body)
    assert caught.value.code == "json_invalid"


def many(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"categories": [f"c{number}"]} | fields for number in range(count)]


@pytest.mark.parametrize(
    ("most", "write"),
    [
        (plans.PLANS_MAX, many),
        (plans.NAMES_MAX, lambda n: [{"categories": [str(i) for i in range(n)]}]),
        (plans.STEPS_MAX, lambda n: [{"couriers": [{"courier": str(i)} for i in range(n)]}]),
        (plans.CAPS_MAX, lambda n: [{"caps": [{"count": 1, "per": 1}] * n}]),
        (plans.USERS_MAX, lambda n: [{"allow": [str(i) for i in range(n)]}]),
        (plans.USERS_MAX, lambda n: [{"deny": [str(i) for i in range(n)]}]),
        (plans.KEYWORDS_MAX, lambda n: [{"keywords": [str(i) for i in range(n)]}]),
        (plans.COUNT_MAX, lambda n: [{"total": n}]),
        (plans.COUNT_MAX, lambda n: [{"per_second": n}]),
        (plans.SPAN_S_MAX, lambda n: [{"digest": n}]),
        (128, lambda n: [{"categories": ["x" * n]}]),
        (256, lambda n: [{"deny": ["x" * n]}]),
        (100, lambda n: [{"keywords": ["x" * n]}]),
    ],
)
def test_its_limits(most: int, write: Any) -> None:
    assert plans_of(write(most))
    with pytest.raises(ReddotError, match="field_invalid"):
        plans_of(write(most + 1))
