"""Apprise: e-mail through a real mail server of this machine, and its URLs for chats."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import socket
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import apprise
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from reddot.couriers.apprise import AppriseCourier
from reddot.delivery import Message, Outcome, Parcel, Verdict
from reddot.errors import ReddotError, SettingsError
from tests.contract.standin import Reply, StandIn
from tests.integration.certificates import free_port


class Mailbox:
    """What the mail server took. It refuses recipients that begin with `no`."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("no"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 OK"

    def message(self) -> EmailMessage:
        (envelope,) = self.taken
        assert isinstance(envelope.content, bytes)
        return email.message_from_bytes(envelope.content, EmailMessage, policy=email.policy.default)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def mail_url(mailbox: Mailbox) -> Iterator[str]:
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield (
            f"mailto://127.0.0.1:{server.port}?from=Reddot<reddot@example.com>&to={{address}}"
            "&format=text&%2BX-Delivery={id}"
        )
    finally:
        server.stop()


def deliver(service: str, address: str, *, timeout_s: float = 10, **fields: Any) -> Outcome:
    async def scenario() -> Outcome:
        courier = AppriseCourier(url=service, timeout_s=timeout_s)
        message = Message(**({"id": "n1", "title": "Disk full", "body": "3 % left"} | fields))
        parcel = Parcel(id="d1", user="42", address=courier.check(address), message=message)
        try:
            return await courier.send(parcel)
        finally:
            await courier.aclose()

    return asyncio.run(scenario())


def test_a_mail_arrives(mail_url: str, mailbox: Mailbox) -> None:
    outcome = deliver(mail_url, "ann@example.com", url="https://example.com/1?a=b&c=d")
    assert outcome == Outcome(verdict=Verdict.SENT, reason="sent")
    (envelope,) = mailbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("reddot@example.com", ["ann@example.com"])
    message = mailbox.message()
    assert message["Subject"] == "Disk full"
    assert message["To"] == "ann@example.com"
    assert message["X-Delivery"] == "d1"
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().split() == ["3", "%", "left", "https://example.com/1?a=b&c=d"]


def test_words_of_the_world_arrive_as_they_are(mail_url: str, mailbox: Mailbox) -> None:
    assert (
        deliver(mail_url, "ann@example.com", title="磁盘已满 é", body="只剩 3 %\n👋").reason
        == "sent"
    )
    message = mailbox.message()
    assert message["Subject"] == "磁盘已满 é"
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().split() == ["只剩", "3", "%", "👋"]


@pytest.mark.parametrize(
    "title",
    [
        "Hi\r\nBcc: eve@example.com",
        "Hi\nBcc: eve@example.com",
        "Hi\r\n\r\nbody of mine",
        "Hi\rBcc: eve@example.com",
        "Hi\u2028Bcc: eve@example.com",
        "Hi\x85Bcc: eve@example.com",
        "é\r\nBcc: eve@example.com",
        "x" * 60 + "\r\n Bcc: eve@example.com",
    ],
)
def test_a_title_brings_no_header_and_no_recipient(
    title: str, mail_url: str, mailbox: Mailbox
) -> None:
    assert deliver(mail_url, "ann@example.com", title=title).verdict is Verdict.SENT
    assert mailbox.taken[0].rcpt_tos == ["ann@example.com"]
    message = mailbox.message()
    assert message["Bcc"] is None
    assert message["Subject"].startswith(("Hi ", "é ", "xxx"))


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com&cc=eve@example.com",
        "ann@example.com?bcc=eve@example.com",
        "ann@example.com#x",
        "ann@example.com/../eve@example.com",
        "ann+tag@example.com",
    ],
)
def test_an_address_means_at_most_one_recipient(
    address: str, mail_url: str, mailbox: Mailbox
) -> None:
    deliver(mail_url, address)
    for envelope in mailbox.taken:
        assert len(envelope.rcpt_tos) == 1
        assert "eve@example.com" not in envelope.rcpt_tos
    if address == "ann+tag@example.com":
        assert mailbox.taken[0].rcpt_tos == [address]


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com,eve@example.com",
        "ann@example.com eve@example.com",
        "ann@example.com;eve@example.com",
        "Ann <ann@example.com>",
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\x85",
        # The library decodes twice: without our check these would be mail to eve.
        "ann%2Ceve@example.com",
        "ann@example.com%0d%0aBcc:eve@example.com",
        "",
        7,
        "x" * 255,
    ],
)
def test_what_could_be_more_than_one_address_is_refused(address: object) -> None:
    courier = AppriseCourier(url="mailto://localhost?to={address}&from=a@b.example")
    with pytest.raises(ReddotError) as caught:
        courier.check(address)
    assert caught.value.code == "field_invalid"
    asyncio.run(courier.aclose())


def test_a_refusal_is_told_in_the_servers_words(mail_url: str, mailbox: Mailbox) -> None:
    outcome = deliver(mail_url, "nobody@example.com")
    assert (outcome.verdict, outcome.reason, outcome.blame) == (Verdict.RETRY, "not_sent", False)
    assert outcome.detail
    assert "nobody@example.com" not in outcome.detail
    assert mailbox.taken == []


def test_a_server_that_never_speaks_costs_the_time_limit_and_frees_its_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        outcome = deliver(
            f"mailto://127.0.0.1:{port}?from=a@b.example&to={{address}}&cto=1&rto=1",
            "ann@example.com",
            timeout_s=0.3,
        )
        assert (outcome.verdict, outcome.reason) == (Verdict.RETRY, "timeout")
        assert time.monotonic() - begun < 5
    while [one for one in threading.enumerate() if one.name.startswith("apprise")]:
        assert time.monotonic() - begun < 30
        time.sleep(0.05)


def test_who_waits_for_a_thread_in_vain_has_sent_nothing() -> None:
    async def scenario() -> None:
        async with StandIn(Reply(manner="hang")) as server:
            url = f"json://127.0.0.1:{server.port}/{{address}}?rto=1"
            courier = AppriseCourier(url=url, threads=1, timeout_s=0.3)
            message = Message(id="n1", title="T", body="B")
            parcels = [
                Parcel(id=name, user=name, address=courier.check(name), message=message)
                for name in ("first", "second")
            ]
            outcomes = await asyncio.gather(*map(courier.send, parcels))
            assert [one.reason for one in outcomes] == ["timeout"] * 2
            assert [one.unknown for one in outcomes] == [True, False]
            await courier.aclose()
        assert [seen.target for seen in server.seen] == ["/first"]

    asyncio.run(scenario())


# ---- chats ----


@pytest.mark.parametrize(
    ("url", "host", "holds"),
    [
        ("dingtalk://SECretsecret@abcdefgh12345678/{address}", "oapi.dingtalk.com", "13800138000"),
        ("feishu://abcdefgh12345678?x={address}", "open.feishu.cn", ""),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/{address}", "hooks.slack.com", ""),
    ],
)
def test_urls_of_chats_are_understood_and_asked_as_documented(
    url: str, host: str, holds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library fixes their hosts: what it would send is caught where it leaves the library."""
    asked: list[tuple[str, str]] = []

    def caught(self: Any, method: str, url: str, **more: Any) -> Any:
        asked.append((url, json.dumps(more.get("data"), default=str)))
        raise OSError("not from here")

    monkeypatch.setattr("requests.Session.request", caught)
    assert deliver(url, "13800138000").verdict is Verdict.RETRY
    assert asked
    assert f"https://{host}/" in asked[0][0]
    assert "3 % left" in asked[0][1]
    assert holds in asked[0][1]
    assert apprise.Apprise().add(url.replace("{address}", "x"))


def test_a_service_whose_host_is_ours_is_asked_for_real() -> None:
    async def scenario() -> None:
        async with StandIn(Reply(200)) as server:
            url = f"json://127.0.0.1:{server.port}/hook/{{address}}?:user={{user}}"
            courier = AppriseCourier(url=url)
            message = Message(id="n1", title="T", body="B")
            address = courier.check("ann/../x?y=1")
            sent = await courier.send(Parcel(id="d1", user="4 2", address=address, message=message))
            await courier.aclose()
        assert sent.verdict is Verdict.SENT
        assert server.seen[0].target.startswith("/hook/ann%2F..%2Fx%3Fy")
        assert json.loads(server.seen[0].body)["title"] == "T"

    asyncio.run(scenario())


def test_a_url_that_nobody_knows_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="does not know"):
        AppriseCourier(url="nosuch://host/{address}")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(SettingsError, match=r"pip install 'reddot\[apprise\]'"):
        AppriseCourier(url="mailto://localhost?to={address}")
