"""Shared subscriptions: which filters are shared, and which only look so."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import MqttError, split_shared


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("$share/g/a", ("g", "a")),
        ("$share/g/a/#", ("g", "a/#")),
        ("$share/g//a", ("g", "/a")),
        ("$share", None),
        ("$shared/g/a", None),
        ("a/$share/g", None),
    ],
)
def test_shared_filters(text: str, parts: tuple[str, str] | None) -> None:
    assert split_shared(text) == parts


@pytest.mark.parametrize("text", ["$share/", "$share//a", "$share/g", "$share/g/", "$share/+/a"])
def test_what_looks_shared_and_is_not_valid(text: str) -> None:
    with pytest.raises(MqttError) as raised:
        split_shared(text)
    assert raised.value.reason == 0x8F
