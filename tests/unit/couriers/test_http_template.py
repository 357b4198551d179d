"""The shipped providers against stand-ins that check requests as the providers' pages say."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from reddot.couriers import http_template
from reddot.couriers.http_template import HttpTemplate
from reddot.couriers.template import load, shipped
from reddot.delivery import Message, Outcome, Parcel, Verdict
from reddot.errors import ReddotError, SettingsError
from reddot.net.outbound import Guard, Outbound
from reddot.testing import FakeClock
from tests.contract.standin import Reply, Seen, StandIn

NOW_MS = 1_767_225_600_000
MESSAGE = Message(
    id="n1",
    title="Disk <full>",
    body='Only "3 %" left 磁盘\nNow.',
    url="https://example.com/d?a=1&b=2",
    category="alerts",
    time_ms=NOW_MS,
)
S, R, F = Verdict.SENT, Verdict.RETRY, Verdict.FAILED


def deliver(
    provider: str | Path,
    values: dict[str, str | int | bool],
    address: str,
    answer: Callable[[Seen], Reply],
    *,
    path: str = "",
    attempts: int = 1,
    message: Message = MESSAGE,
) -> tuple[list[Outcome], list[Seen]]:
    """So many attempts of one parcel; the provider's `url` is the stand-in."""

    async def scenario() -> tuple[list[Outcome], list[Seen]]:
        async with StandIn(answer) as server:
            courier = HttpTemplate(
                outbound=Outbound(Guard(["127.0.0.1"])),
                description=load(provider if isinstance(provider, Path) else shipped(provider)),
                values={"url": server.url + path} | values,
                clock=FakeClock(NOW_MS),
            )
            parcel = Parcel(
                id="d1",
                user="42",
                address=courier.check(address),
                message=message,
                unread=120,
                ttl_s=9_999_999,
            )
            outcomes = [await courier.send(parcel) for _ in range(attempts)]
            await courier.aclose()
        return outcomes, server.seen

    return asyncio.run(scenario())


# ---- JPush ----

APP_KEY, MASTER = "7d431e42dfa6a6d693ac2d04", "5e987ac6d2e04d95a9d8f0d1"
BASIC = "Basic N2Q0MzFlNDJkZmE2YTZkNjkzYWMyZDA0OjVlOTg3YWM2ZDJlMDRkOTVhOWQ4ZjBkMQ=="
"""The pair and the header that JPush's page has as its example."""


class JPush:
    """What docs.jiguang.cn says of `POST /v3/push` and `GET /v3/push/cid`.

    Attributes:
        pushed: `cid` of every push that was not a repetition.
    """

    def __init__(self) -> None:
        self.handed_out: list[str] = []
        self.pushed: list[str] = []
        self.broken: list[Reply] = []

    def __call__(self, seen: Seen) -> Reply:
        if seen.headers.get("authorization") != BASIC:
            return self.error(401, 1004, "Authen failed")
        target = urlsplit(seen.target)
        if (seen.method, target.path) == ("GET", "/v3/push/cid"):
            return self._cids(int(dict(parse_qsl(target.query))["count"]))
        if (seen.method, seen.target) != ("POST", "/v3/push"):
            return self.error(405, 1001, "only POST")
        if seen.headers["content-type"] != "application/json":
            return self.error(400, 1003, "not JSON")
        if self.broken:
            return self.broken.pop(0)
        return self._push(json.loads(seen.body))

    def _cids(self, count: int) -> Reply:
        assert 1 <= count <= 10
        start = len(self.handed_out)
        new = [f"{APP_KEY}-00000000-0000-0000-0000-{start + n:012d}" for n in range(count)]
        self.handed_out += new
        return Reply(200, json.dumps({"cidlist": new}).encode())

    def _push(self, push: dict[str, Any]) -> Reply:
        if unknown := push.keys() - {"cid", "platform", "audience", "notification", "options"}:
            return self.error(400, 1009, f"unknown {unknown}")
        if push["cid"] not in self.handed_out:
            return self.error(400, 1003, "this cid was not handed out")
        (alias,) = push["audience"]["alias"]
        if not 0 < len(alias.encode()) <= 40:
            return self.error(400, 1003, "alias")
        ios = json.dumps(push["notification"]["ios"], ensure_ascii=False).encode()
        if len(ios) > 2000 or len(json.dumps(push["notification"]).encode()) > 9000:
            return self.error(400, 1005, "too large")
        if not 0 <= push["options"]["time_to_live"] <= 864_000:
            return self.error(400, 1003, "time_to_live")
        if alias == "nobody":
            return self.error(400, 1011, "cannot find user by this audience")
        if push["cid"] not in self.pushed:
            self.pushed.append(push["cid"])
        return Reply(200, b'{"sendno":"0","msg_id":"1828256757"}')

    @staticmethod
    def error(status: int, code: int, text: str) -> Reply:
        return Reply(status, json.dumps({"error": {"code": code, "message": text}}).encode())


def jpush(alias: str = "user_42", *, stand_in: JPush, master: str = MASTER, **more: Any) -> Any:
    values: dict[str, str | int | bool] = {"app_key": APP_KEY, "master_secret": master}
    return deliver("jpush", values, alias, stand_in, path="/v3/push", **more)


def test_jpush_byte_for_byte() -> None:
    outcomes, (ids, push) = jpush(stand_in=JPush())
    assert outcomes == [Outcome(verdict=S, reason="http_200")]
    assert (ids.method, ids.target, ids.body) == ("GET", "/v3/push/cid?count=10", b"")
    assert push.body.decode() == (
        '{"cid":"7d431e42dfa6a6d693ac2d04-00000000-0000-0000-0000-000000000000",'
        '"platform":["android","ios"],'
        '"audience":{"alias":["user_42"]},'
        '"notification":{'
        '"android":{"alert":"Only \\"3 %\\" left 磁盘\\nNow.","title":"Disk <full>",'
        '"badge_set_num":99,'
        '"extras":{"id":"n1","url":"https://example.com/d?a=1&b=2","category":"alerts"}},'
        '"ios":{"alert":{"title":"Disk <full>","body":"Only \\"3 %\\" left 磁盘\\nNow."},'
        '"sound":"default","badge":120,'
        '"extras":{"id":"n1","url":"https://example.com/d?a=1&b=2","category":"alerts"}}},'
        '"options":{"time_to_live":864000,"apns_production":true}}'
    )


def test_jpush_pushes_once_however_often_it_is_asked() -> None:
    """The answer to the first attempt is lost; the second one carries the same `cid`."""
    stand_in = JPush()

    def forgetful(seen: Seen) -> Reply:
        reply = stand_in(seen)
        lost = seen.method == "POST" and len(stand_in.pushed) == 1 and not lost_once
        if lost:
            lost_once.append(True)
            return Reply(500)
        return reply

    lost_once: list[bool] = []
    values: dict[str, str | int | bool] = {"app_key": APP_KEY, "master_secret": MASTER}
    outcomes, seen = deliver("jpush", values, "a", forgetful, path="/v3/push", attempts=2)
    assert [one.verdict for one in outcomes] == [R, S]
    first, second = (json.loads(one.body)["cid"] for one in seen if one.method == "POST")
    assert first == second
    assert len(stand_in.pushed) == 1
    assert len(stand_in.handed_out) == 10


@pytest.mark.parametrize(
    ("status", "code", "verdict", "reason", "blame"),
    [
        (500, 1000, R, "provider_error", True),
        (405, 1001, F, "refused", False),
        (400, 1002, F, "refused", False),
        (400, 1003, F, "refused", False),
        (401, 1004, F, "not_allowed", True),
        (400, 1005, F, "too_large", False),
        (400, 1008, F, "not_allowed", True),
        (400, 1009, F, "refused", False),
        (400, 1011, F, "no_device", False),
        (404, 1020, F, "refused", False),
        (503, 1030, R, "provider_error", True),
        (429, 2002, R, "rate_limited", True),
        (403, 2003, F, "not_allowed", True),
        (403, 2004, F, "not_allowed", True),
        (403, 2005, F, "refused", False),
        (410, 9999, F, "http_410", True),
        (502, 9999, R, "http_502", True),
    ],
)
def test_jpush_errors(status: int, code: int, verdict: Verdict, reason: str, blame: bool) -> None:
    stand_in = JPush()
    stand_in.broken.append(stand_in.error(status, code, "why"))
    (outcome,), _ = jpush(stand_in=stand_in)
    assert (outcome.verdict, outcome.reason, outcome.blame) == (verdict, reason, blame)
    assert "why" in outcome.detail


def test_jpush_says_how_long_to_wait_in_its_own_header() -> None:
    stand_in = JPush()
    error = stand_in.error(429, 2002, "rate")
    stand_in.broken += [Reply(429, error.body, {"X-Rate-Limit-Reset": "37"}), error]
    outcomes, _ = jpush(stand_in=stand_in, attempts=2)
    assert [one.retry_after_s for one in outcomes] == [37, 60]


def test_jpush_with_a_wrong_secret_gets_no_ids_and_shows_no_secret() -> None:
    (outcome,), seen = jpush(stand_in=JPush(), master="wrong-master-secret")
    assert (outcome.verdict, outcome.reason, outcome.blame) == (F, "no_ids", True)
    assert len(seen) == 1
    assert "wrong-master-secret" not in outcome.detail


@pytest.mark.parametrize(
    ("reply", "verdict"), [(Reply(200, b"{}"), R), (Reply(200, b"?"), R), (Reply(503), R)]
)
def test_jpush_without_ids_is_tried_again(reply: Reply, verdict: Verdict) -> None:
    values: dict[str, str | int | bool] = {"app_key": "a", "master_secret": "b"}
    (outcome,), _ = deliver("jpush", values, "a", lambda seen: reply)
    assert (outcome.verdict, outcome.reason) == (verdict, "no_ids")


def test_jpush_long_texts_fit() -> None:
    long = Message(
        id="n" * 36, title="磁" * 500, body="盘" * 5000, url="https://e.com/" + "x" * 500
    )
    (outcome,), _ = jpush(stand_in=JPush(), message=long)
    assert outcome.verdict is S
    (nobody,), _ = jpush("nobody", stand_in=JPush())
    assert (nobody.verdict, nobody.reason) == (F, "no_device")


@pytest.mark.parametrize("alias", ["", "a b", "a-b", "x" * 41, 'a"]}'])
def test_jpush_aliases_are_checked(alias: str) -> None:
    with pytest.raises(ReddotError, match="alias"):
        jpush(alias, stand_in=JPush())


def test_ids_of_jpush_are_kept_for_so_many_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_template, "PROVIDER_IDS_KEPT_MAX", 2)

    async def scenario() -> None:
        async with StandIn(JPush()) as server:
            courier = HttpTemplate(
                outbound=Outbound(Guard(["127.0.0.1"])),
                description=load(shipped("jpush")),
                values={
                    "url": server.url + "/v3/push",
                    "app_key": APP_KEY,
                    "master_secret": MASTER,
                },
                clock=FakeClock(NOW_MS),
            )
            for id in ("a", "b", "b", "a", "c", "b", "a"):
                parcel = Parcel(id=id, user="42", address=b'"x"', message=MESSAGE)
                assert (await courier.send(parcel)).verdict is S
            await courier.aclose()
        pushes = [json.loads(one.body)["cid"] for one in server.seen if one.method == "POST"]
        a, b, b2, a2, c, b3, a3 = pushes
        assert (a, b) == (a2, b2)
        assert b == b3
        assert a3 not in (a, b, c)  # the oldest of three was forgotten

    asyncio.run(scenario())


# ---- GoEasy ----


def goeasy(seen: Seen) -> Reply:
    """What docs.goeasy.io says of `POST /v2/pubsub/publish`."""
    assert (seen.method, seen.target) == ("POST", "/v2/pubsub/publish")
    assert seen.headers["content-type"] == "application/json"
    body = json.loads(seen.body)
    assert body.keys() == {"appkey", "channel", "content"}
    assert isinstance(body["content"], str)
    if body["appkey"] != "BC-key":
        return Reply(200, b'{"code":401,"content":"Unauthorized"}')
    return Reply(200, b'{"code" : 200,"content" : "OK"}')


def test_goeasy_byte_for_byte() -> None:
    (outcome,), (seen,) = deliver(
        "goeasy", {"appkey": "BC-key"}, "user_42", goeasy, path="/v2/pubsub/publish"
    )
    assert outcome.verdict is S
    assert seen.body.decode() == (
        '{"appkey":"BC-key","channel":"user_42","content":'
        '"{\\"id\\":\\"d1\\",\\"notification\\":\\"n1\\",\\"title\\":\\"Disk <full>\\",'
        '\\"body\\":\\"Only \\\\\\"3 %\\\\\\" left 磁盘\\\\nNow.\\",'
        '\\"url\\":\\"https://example.com/d?a=1&b=2\\",\\"category\\":\\"alerts\\",'
        '\\"unread\\":120,\\"count\\":1}"}'
    )


@pytest.mark.parametrize(
    ("reply", "verdict", "reason"),
    [
        (Reply(200, b'{"code":401,"content":"no"}'), F, "not_allowed"),
        (Reply(200, b'{"code":400,"content":"no"}'), F, "refused"),
        (Reply(200, b'{"code":500,"content":"no"}'), R, "provider_error"),
        (Reply(200, b"<html>"), F, "refused"),
        (Reply(503), R, "http_503"),
        (Reply(400), F, "http_400"),
    ],
)
def test_goeasy_answers(reply: Reply, verdict: Verdict, reason: str) -> None:
    (outcome,), _ = deliver("goeasy", {"appkey": "BC-key"}, "c", lambda seen: reply)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)


# ---- chats ----

DINGTALK_SECRET = "SEC19dd84be8c7f3cf71761974f1ed3ef77"


def dingtalk(seen: Seen) -> Reply:
    """What open.dingtalk.com says of custom robots with a signing secret."""
    query = dict(parse_qsl(urlsplit(seen.target).query, strict_parsing=True))
    text = f"{query['timestamp']}\n{DINGTALK_SECRET}".encode()
    digest = hmac.new(DINGTALK_SECRET.encode(), text, hashlib.sha256).digest()
    if query["access_token"] != "tok" or query["sign"] != b64encode(digest).decode():
        return Reply(200, b'{"errcode":310000,"errmsg":"sign not match"}')
    body = json.loads(seen.body)
    assert f"@{body['at']['atMobiles'][0]}" in body["text"]["content"]
    return Reply(200, b'{"errcode":0,"errmsg":"ok"}')


def test_dingtalk() -> None:
    values: dict[str, str | int | bool] = {"access_token": "tok", "secret": DINGTALK_SECRET}
    (outcome,), (seen,) = deliver("dingtalk", values, "13800138000", dingtalk, path="/robot/send")
    assert outcome.verdict is S
    assert seen.body.decode() == (
        '{"msgtype":"text","text":{"content":"Disk <full>\\nOnly \\"3 %\\" left 磁盘\\nNow.\\n'
        'https://example.com/d?a=1&b=2\\n@13800138000"},'
        '"at":{"atMobiles":["13800138000"],"isAtAll":false}}'
    )
    values["secret"] = "SECwrong"
    (wrong,), _ = deliver("dingtalk", values, "13800138000", dingtalk)
    assert (wrong.verdict, wrong.reason, wrong.blame) == (F, "not_allowed", True)
    del values["secret"]
    _, (plain,) = deliver("dingtalk", values, "13800138000", lambda seen: Reply(200))
    assert plain.target == "/?access_token=tok"


@pytest.mark.parametrize(
    ("code", "verdict", "wait_s"), [(130101, R, 600), (-1, R, None), (400013, F, None)]
)
def test_dingtalk_errors(code: int, verdict: Verdict, wait_s: float | None) -> None:
    reply = Reply(200, json.dumps({"errcode": code, "errmsg": "x"}).encode())
    (outcome,), _ = deliver("dingtalk", {"access_token": "tok"}, "13800138000", lambda seen: reply)
    assert (outcome.verdict, outcome.retry_after_s) == (verdict, wait_s)


def feishu(seen: Seen) -> Reply:
    """What open.feishu.cn says of custom bots with a signing secret."""
    body = json.loads(seen.body)
    key = f"{body['timestamp']}\nhidden-secret".encode()
    if b64decode(body["sign"]) != hmac.new(key, b"", hashlib.sha256).digest():
        return Reply(200, b'{"code":19021,"msg":"sign match fail","data":{}}')
    return Reply(
        200, b'{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}'
    )


def test_feishu() -> None:
    values: dict[str, str | int | bool] = {"secret": "hidden-secret"}
    hostile = Message(id="n1", title='<at user_id="all"></at>', body="b")
    outcomes, (seen,) = deliver("feishu", values, "ou_42", feishu, path="/hook/x", message=hostile)
    assert outcomes[0].verdict is S
    body = json.loads(seen.body)
    assert body["timestamp"] == str(NOW_MS // 1000)
    assert body["msg_type"] == "text"
    assert body["content"]["text"] == '<at user_id="ou_42"></at> ' + (
        '<at user_id="all"></at>'.replace("<", "\uff1c") + "\nb"
    )
    values["secret"] = "another"
    (wrong,), _ = deliver("feishu", values, "ou_42", feishu)
    assert (wrong.verdict, wrong.reason) == (F, "not_allowed")
    busy = Reply(200, b'{"code":11232,"msg":"frequency limited"}')
    (limited,), _ = deliver("feishu", values, "ou_42", lambda seen: busy)
    assert (limited.verdict, limited.retry_after_s) == (R, 60)


def given_nothing(seen: Seen) -> Reply:
    return Reply()


def given(reply: Reply, seen: Seen) -> Reply:
    return reply


def test_slack() -> None:
    hostile = Message(id="n1", title="<!channel> a&b", body="c")
    outcomes, (seen,) = deliver(
        "slack",
        {},
        "U012AB3CD",
        lambda seen: Reply(200, b"ok"),
        path="/services/T/B/x",
        message=hostile,
    )
    assert outcomes[0].verdict is S
    assert json.loads(seen.body) == {"text": "<@U012AB3CD> &lt;!channel&gt; a&amp;b\nc"}
    for status in (403, 404, 410):
        reply = Reply(status, b"no_service")
        (outcome,), _ = deliver("slack", {}, "U012AB3CD", partial(given, reply))
        assert (outcome.verdict, outcome.reason, outcome.blame) == (F, "not_allowed", True)


def test_an_address_that_is_a_secret_stays_one() -> None:
    """Slack gets to see only a part of it, and may send that back."""
    (outcome,), _ = deliver(
        "slack",
        {},
        "U012AB3CD",
        lambda seen: Reply(400, f"bad {seen.target} of {seen.headers['host']}".encode()),
        path="/services/T/B/canary",
    )
    assert outcome.detail.startswith("bad *** of 127.0.0.1:")


def test_nobody_waits_for_ids_longer_than_a_request_takes() -> None:
    """Twenty parcels at once, and a provider that hangs when it is asked for ids."""

    async def scenario() -> None:
        async with StandIn(Reply(manner="hang")) as server:
            courier = HttpTemplate(
                outbound=Outbound(Guard(["127.0.0.1"]), timeout_s=0.3),
                description=load(shipped("jpush")),
                values={"url": server.url, "app_key": "a", "master_secret": "b"},
                clock=FakeClock(NOW_MS),
            )
            parcels = [
                Parcel(id=f"d{n}", user="42", address=b'"x"', message=MESSAGE) for n in range(20)
            ]
            begun = time.monotonic()
            outcomes = await asyncio.gather(*map(courier.send, parcels))
            assert time.monotonic() - begun < 3
            assert {one.reason for one in outcomes} == {"timeout"}
            assert not any(one.unknown for one in outcomes), "no parcel has gone out"
            await courier.aclose()

    asyncio.run(scenario())


# ---- your own ----

SMS = """
title = "SMS"
documentation = "https://sms.example.com"
address = { help = "a mobile number such as +4912345678", pattern = '\\+[0-9]{6,15}' }
values = { url = { help = "where" }, token = { help = "proof", secret = true } }

[request]
url = "{url}/{user}"
bearer = "{token}"
headers = { Idempotency-Key = "{id}", X-Title = "{title}" }
form = { to = "{address}", text = "{lines|160}" }

[[answers]]
status = [202]
pointer = "/messages/0/state"
equals = ["queued"]
verdict = "sent"

[[answers]]
pointer = "/error"
equals = ["unknown_subscriber"]
verdict = "gone"
reason = "unknown_number"
"""


def test_a_description_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / "sms.toml"
    path.write_text(SMS)
    replies = itertools.chain(
        [
            Reply(202, b'{"messages":[{"state":"queued"}]}'),
            Reply(422, b'{"error":"unknown_subscriber"}'),
        ]
    )
    outcomes, (seen, _) = deliver(
        path, {"token": "t0ken"}, "+4912345678", lambda seen: next(replies), attempts=2
    )
    assert [one.verdict for one in outcomes] == [S, Verdict.GONE]
    assert outcomes[1].reason == "unknown_number"
    assert seen.target == "/42"
    assert seen.headers["authorization"] == "Bearer t0ken"
    assert seen.headers["idempotency-key"] == "d1"
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    sent = dict(parse_qsl(seen.body.decode(), strict_parsing=True))
    assert sent["to"] == "+4912345678"
    assert sent["text"] == MESSAGE.title + "\n" + MESSAGE.body + "\n" + MESSAGE.url


@pytest.mark.parametrize("signer", ["nobody", "dingtalk"])
def test_a_signer_that_cannot_sign_stops_the_start(tmp_path: Path, signer: str) -> None:
    path = tmp_path / "sms.toml"
    path.write_text(SMS.replace("[request]", f'[request]\nsigner = "{signer}"'))
    with pytest.raises(SettingsError, match="known are dingtalk, feishu, with a value"):
        deliver(path, {"token": "x"}, "+4912345678", given_nothing)


@pytest.mark.parametrize(
    ("values", "said"),
    [({}, "values.token is missing: proof"), ({"token": "x", "tokn": 1}, "values.tokn")],
)
def test_values_are_complete_and_no_more(
    tmp_path: Path, values: dict[str, str | int | bool], said: str
) -> None:
    path = tmp_path / "sms.toml"
    path.write_text(SMS)
    with pytest.raises(SettingsError, match=said):
        deliver(path, values, "+4912345678", lambda seen: Reply())
