"""Descriptions of providers: what is refused when they are read, and that nothing breaks out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.couriers.template import (
    PROVIDERS,
    Rule,
    fill,
    fill_text,
    fill_url,
    load,
    pointed,
    shipped,
)
from reddot.errors import SettingsError

GOOD = """
title = "X"
documentation = "https://example.com"
address = { help = "a number", pattern = '[0-9]+' }
values = { url = { help = "where" } }
request = { url = "{url}" }
"""


def test_everything_shipped_is_sound() -> None:
    names = sorted(path.stem for path in PROVIDERS.glob("*.toml"))
    assert names == ["dingtalk", "feishu", "goeasy", "jpush", "slack"]
    for name in names:
        assert load(shipped(name)).documentation.startswith("https://")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "X"', "", "title"),
        ('title = "X"', 'title = "X"\nextra = 1', "unknown field"),
        ("title", "title = =", "nvalid"),
        ("[0-9]+", "[0-9", "unterminated"),
        ('{ url = "{url}" }', '{ url = "https://{address}/x" }', "only a value of the operator's"),
        ('{ url = "{url}" }', '{ url = "https://x.{user}.com" }', "only a value of the operator's"),
        ('{ url = "{url}" }', '{ url = "{address}/x" }', "not under"),
        ('{ url = "{url}" }', '{ url = "nowhere" }', "only a value of the operator's"),
        ('{ url = "{url}" }', '{ url = "{url}", body = { a = ["{nobody}"] } }', "{nobody}"),
        ('{ url = "{url}" }', '{ url = "{url}", body = { "$" = "nobody" } }', "{nobody}"),
        ('{ url = "{url}" }', '{ url = "{url}", body = "{provider_id}" }', "needs"),
        ('{ url = "{url}" }', '{ url = "{url}", headers = { "a b" = "x" } }', "name of a header"),
        ('{ url = "{url}" }', '{ url = "{url}", escape = { ab = "x" } }', "single"),
        ("values = { url", "values = { title", "every message"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(GOOD)
    load(path)
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_provider_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "x.toml")
    with pytest.raises(SettingsError, match="known are dingtalk, feishu"):
        shipped("../../etc/passwd")


def test_filling() -> None:
    values = {"title": "a{b}", "b": "never", "n": 7, "none": None, "o": {"x": [1]}, "long": "磁盘"}
    assert fill_text("{title}! {n} {none} {o} {o.x} {unknown} {}", values) == (
        'a{b}! 7  {"x":[1]} [1]  {}'
    )
    assert fill_text("{long|5}", values) == "磁"
    body = {"t": "{title}", "n": {"$": "n"}, "m": {"$": "n", "max": 3}, "o": [{"$": "o"}], "k": 1}
    assert fill(body, values) == {"t": "a{b}", "n": 7, "m": 3, "o": [{"x": [1]}], "k": 1}


HOSTILE = st.one_of(
    st.text(),
    st.sampled_from(['"}', '","x":"', "{title}", '{"$":"n"}', "\\", "\r\nX: 1", "/../?#&=@:%"]),
)


@given(title=HOSTILE, address=HOSTILE)
def test_a_message_cannot_change_the_shape_of_a_body(title: str, address: str) -> None:
    template = {"a": "<{title}>", "b": [{"c": "{address}"}], "d": {"$": "n"}}
    values = {"title": title, "address": address, "n": 1}
    sent: Any = msgspec.json.decode(msgspec.json.encode(fill(template, values)))
    assert sent == {"a": f"<{title}>", "b": [{"c": address}], "d": 1}


@given(address=HOSTILE)
def test_an_address_stays_one_part_of_a_url(address: str) -> None:
    values = {"url": "https://api.example.com/v1?k=1", "address": address}
    url = httpx.URL(fill_url("{url}&to={address}&x=1", values))
    assert (url.host, url.path, url.fragment) == ("api.example.com", "/v1", "")
    assert list(url.params.multi_items()) == [("k", "1"), ("to", address), ("x", "1")]
    path = httpx.URL(fill_url("https://api.example.com/send/{address}/x", {"address": address}))
    assert path.raw_path.count(b"/") == 3
    assert b"?" not in path.raw_path


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", [{"a": {"b/c": [1, None]}, "": 2}]),
        ("/a/b~1c/0", [1]),
        ("/a/b~1c/1", [None]),
        ("/a/b~1c/2", []),
        ("/a/b~1c/-", []),
        ("/x", []),
        ("/", [2]),
        ("/a/b~1c/0/deeper", []),
    ],
)
def test_pointers(pointer: str, found: list[object]) -> None:
    assert pointed({"a": {"b/c": [1, None]}, "": 2}, pointer) == found


def test_rules() -> None:
    rule = Rule(verdict="sent", status=(200, 201), pointer="/ok", equals=(0, "yes", None))
    assert rule.fits(200, {"ok": 0})
    assert rule.fits(201, {"ok": "yes"})
    assert rule.fits(201, {"ok": None})
    assert not rule.fits(201, {"ok": False})
    assert not rule.fits(202, {"ok": 0})
    assert not rule.fits(200, {})
    assert not rule.fits(200, None)
    assert Rule(verdict="sent", pointer="/ok", equals=(True,)).fits(500, {"ok": True})
    assert not Rule(verdict="sent", pointer="/ok", equals=(True,)).fits(500, {"ok": 1})
    assert Rule(verdict="sent").fits(500, None)
