"""Requests to addresses of others: what is refused, what is connected to, how much is read."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from reddot.net.outbound import (
    CONNECTIONS_KEPT_MAX,
    URL_BYTES_MAX,
    Answer,
    Call,
    Guard,
    Outbound,
    OutboundError,
)
from reddot.net.resolving import Resolver
from tests.contract.standin import Manner, Reply, StandIn
from tests.integration.certificates import certificate

PUBLIC = "93.184.216.34"


class Recorder:
    """Writes down what is connected to, and connects to nothing."""

    def __init__(self) -> None:
        self.dialled: list[tuple[str, int]] = []

    async def __call__(self, _factory: object, host: str, port: int, **_tls: object) -> Any:
        self.dialled.append((host, port))
        raise OSError("recorded")


NAMES: dict[str, Sequence[str]] = {
    "public.example": [PUBLIC],
    "private.example": ["10.1.2.3"],
    "metadata.google.internal": ["169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "both.example": [PUBLIC, "127.0.0.1"],
    "both6.example": [PUBLIC, "fd00::1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "scoped.example": ["fe80::1%lo"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
}


async def resolve(host: str, port: int) -> Sequence[str]:
    """Names of the tests; numbers in any form as the operating system reads them."""
    if host.lower().rstrip(".") in NAMES:
        return NAMES[host.lower().rstrip(".")]
    if host[0].isdigit() or ":" in host:
        return await Resolver()(host, port)
    raise OSError("no such name")


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


async def ask(outbound: Outbound, call: Call | str) -> Answer | OutboundError:
    try:
        return await outbound.send(call if isinstance(call, Call) else Call(call))
    except OutboundError as error:
        return error
    finally:
        await outbound.aclose()


# ---- the corpus: {port} is a port of this machine on which somebody listens ----

HOSTS = (
    # this machine, written in every way that a resolver understands
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST.",
    "localhost.localdomain",
    "127.0.0.1.nip.example",
    "127。0。0。1",
    "\uff11\uff12\uff17.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::1%25lo]",
    # networks of somebody
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.0.192",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2001::7f00:1]",
    "[2001:db8::1]",
    "[100::1]",
    # names that lead there
    "private.example",
    "metadata.google.internal",
    "both.example",
    "both6.example",
    "mapped.example",
    "scoped.example",
)
URLS = (
    *(f"{scheme}://{host}:{{port}}/" for host in HOSTS for scheme in ("http", "https")),
    "https://public.example@127.0.0.1:{port}/",
    "https://public.example:pw@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@public.example/",
    "https://127.0.0.1:{port}#@public.example/",
    "https://127.0.0.1:{port}?@public.example/",
    "https://public.example%40127.0.0.1:{port}/",
    "https:127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "https://127.0.0.1%00.public.example:{port}/",
    "https://127.0.0.1\t:{port}/",
    "https://[::1]:{port}\r\nHost: public.example/",
    "gopher://127.0.0.1:{port}/_POST",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "unix:///run/docker.sock",
    "",
    "https://",
)


def test_the_corpus_reaches_no_private_address() -> None:
    """Counted at a listening socket, and at the place where connections are made."""
    assert len(URLS) >= 40

    async def scenario() -> None:
        async with StandIn() as machine:
            for template in URLS:
                url = template.format(port=machine.port)
                assert isinstance(await ask(Outbound(Guard(), resolve=resolve), url), OutboundError)
                recorder = Recorder()
                outbound = Outbound(Guard(), resolve=resolve, dial=recorder)
                await ask(outbound, url)
                assert not [a for a, _ in recorder.dialled if not ipaddress.ip_address(a).is_global]
        assert machine.connections == 0

    run(scenario)


def test_the_corpus_would_reach_this_machine_if_it_might() -> None:
    """The count of the test above means something: the same forms connect when they are allowed."""

    async def scenario() -> None:
        async with StandIn() as machine:
            for host in (
                "127.0.0.1",
                "127.1",
                "2130706433",
                "0x7f000001",
                "localhost",
                "127。0。0。1",
            ):
                outbound = Outbound(Guard(["127.0.0.0/8", "::1"]), resolve=resolve)
                answer = await ask(outbound, f"http://{host}:{machine.port}/")
                # Plain HTTP is for what is listed, and a short form is no address yet.
                plain = host in ("127.0.0.1", "127。0。0。1")
                assert isinstance(answer, Answer) == plain, host
                https = await ask(
                    Outbound(Guard(["127.0.0.0/8", "::1"]), resolve=resolve, timeout_s=0.2),
                    f"https://{host}:{machine.port}/",
                )
                assert isinstance(https, OutboundError)
                assert not https.refused, host
        assert machine.connections >= 8

    run(scenario)


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC,
        "172.15.255.255",
        "172.32.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "2606:4700::1111",
        "2001:4860:4860::8888",
    ],
)
def test_public_addresses_are_asked(address: str) -> None:
    async def scenario() -> None:
        recorder = Recorder()
        host = f"[{address}]" if ":" in address else address
        await ask(Outbound(Guard(), resolve=resolve, dial=recorder), f"https://{host}/")
        assert recorder.dialled == [(address, 443)]

    run(scenario)


def test_a_name_that_changes_its_mind_is_connected_where_it_was_looked_up() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    asked = 0

    async def rebinding(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return next(answers)

    async def scenario() -> None:
        recorder = Recorder()
        outbound = Outbound(Guard(), resolve=rebinding, dial=recorder)
        await ask(outbound, "https://rebinding.example/")
        assert (asked, recorder.dialled) == (1, [(PUBLIC, 443)])
        second = await ask(
            Outbound(Guard(), resolve=rebinding, dial=recorder), "https://x.example/"
        )
        assert isinstance(second, OutboundError)
        assert second.reason == "address_private"
        assert recorder.dialled == [(PUBLIC, 443)]

    run(scenario)


def test_the_next_address_is_tried_if_one_does_not_answer() -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return [PUBLIC, PUBLIC, "8.8.8.8"]

    async def scenario() -> None:
        recorder = Recorder()
        error = await ask(Outbound(Guard(), resolve=two, dial=recorder), "https://a.example/")
        assert isinstance(error, OutboundError)
        assert (error.reason, error.refused) == ("unreachable", False)
        assert recorder.dialled == [(PUBLIC, 443), ("8.8.8.8", 443)]

    run(scenario)


@pytest.mark.parametrize(
    ("url", "allowed", "reason"),
    [
        ("http://public.example/", (), "address_invalid"),
        ("http://public.example/", ("public.example",), "unreachable"),
        ("https://public.example:25/", (), "address_invalid"),
        ("https://public.example:25/", ("public.example",), "unreachable"),
        ("https://public.example:8443/", (), "unreachable"),
        ("https://private.example/", ("private.example",), "unreachable"),
        ("https://private.example/", ("PRIVATE.example.",), "unreachable"),
        ("https://private.example/", ("10.1.2.0/24",), "unreachable"),
        ("https://private.example/", ("10.1.3.0/24",), "address_private"),
        ("https://both.example/", ("127.0.0.1",), "unreachable"),
        ("https://nowhere.example/", (), "unreachable"),
    ],
)
def test_what_is_listed_may_be_private_plain_and_on_any_port(
    url: str, allowed: tuple[str, ...], reason: str
) -> None:
    async def scenario() -> None:
        error = await ask(Outbound(Guard(allowed), resolve=resolve, dial=Recorder()), url)
        assert isinstance(error, OutboundError)
        assert error.reason == reason

    run(scenario)


def test_a_url_may_be_so_long_and_no_longer() -> None:
    start = "https://public.example/"
    guard = Guard()
    guard.check_url(start + "x" * (URL_BYTES_MAX - len(start)))
    with pytest.raises(OutboundError, match="longer"):
        guard.check_url(start + "x" * (URL_BYTES_MAX - len(start) + 1))


def test_of_an_answer_so_much_is_kept_and_no_more() -> None:
    async def scenario() -> None:
        for length, kept in ((1000, 1000), (1001, 1000)):
            async with StandIn(Reply(200, b"x" * length)) as server:
                outbound = Outbound(Guard(["127.0.0.1"]), answer_bytes_max=1000)
                answer = await ask(outbound, server.url)
                assert isinstance(answer, Answer)
                assert len(answer.body) == kept

    run(scenario)


def test_time_is_for_all_of_it() -> None:
    """Also for a name that is looked up for ever."""

    async def slow(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    async def scenario() -> None:
        begun = time.monotonic()
        error = await ask(Outbound(Guard(), resolve=slow, timeout_s=0.2), "https://a.example/")
        assert isinstance(error, OutboundError)
        assert (error.reason, error.handed_over) == ("timeout", False)
        assert time.monotonic() - begun < 5

    run(scenario)


class Dialled:
    """Connects, or hangs while it should."""

    def __init__(self, *, hangs: bool) -> None:
        self._hangs = hangs

    async def __call__(self, factory: Any, host: str, port: int, **tls: Any) -> Any:
        if self._hangs:
            await asyncio.sleep(60)
        return await asyncio.get_running_loop().create_connection(factory, host, port, **tls)


@pytest.mark.parametrize(
    ("scheme", "hangs", "manner", "reason", "handed_over"),
    [
        ("http", True, "whole", "timeout", False),
        ("https", False, "whole", "timeout", False),  # nobody answers the greeting of TLS
        ("http", False, "hang", "timeout", True),
        ("http", False, "drop", "unreachable", True),
        ("http", False, "garbage", "unreachable", True),
        ("http", False, "endless_head", "unreachable", True),
    ],
)
def test_who_gets_no_answer_is_told_whether_the_request_was_handed_over(
    scheme: str, hangs: bool, manner: Manner, reason: str, handed_over: bool
) -> None:
    async def scenario() -> None:
        async with StandIn(Reply(manner=manner)) as server:
            dial = Dialled(hangs=hangs)
            outbound = Outbound(Guard(["127.0.0.1"]), dial=dial, timeout_s=0.3)
            error = await ask(outbound, Call(f"{scheme}://127.0.0.1:{server.port}/", body=b"x"))
            assert isinstance(error, OutboundError)
            assert (error.reason, error.handed_over) == (reason, handed_over)
            assert len(server.seen) == handed_over

    run(scenario)


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_a_request_goes_out_once_also_where_a_connection_that_was_kept_breaks(method: str) -> None:
    replies = iter([Reply(), Reply(manner="drop"), Reply()])

    async def scenario() -> None:
        async with StandIn(lambda seen: next(replies)) as server:
            outbound = Outbound(Guard(["127.0.0.1"]))
            await outbound.send(Call(server.url, method=method))
            with pytest.raises(OutboundError) as caught:
                await outbound.send(Call(server.url, method=method))
            assert caught.value.handed_over
            assert (len(server.seen), server.connections) == (2, 1)
            assert (await outbound.send(Call(server.url, method=method))).status == 200
            await outbound.aclose()

    run(scenario)


def test_proxies_of_the_environment_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with StandIn() as proxy, StandIn(Reply(200, b"direct")) as server:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            answer = await ask(Outbound(Guard(["127.0.0.1"])), server.url)
            assert isinstance(answer, Answer)
            assert answer.body == b"direct"
            assert proxy.connections == 0

    run(scenario)


def test_a_connection_is_used_again_and_only_the_named_headers_go_out() -> None:
    async def scenario() -> None:
        async with StandIn() as server:
            outbound = Outbound(Guard(["127.0.0.1"]))
            for _ in range(3):
                await outbound.send(Call(server.url + "/a?b=1", headers={"X-A": "é"}, body=b"hi"))
            await outbound.aclose()
        assert server.connections == 1
        assert {*server.seen[0].headers} == {
            "host",
            "user-agent",
            "accept-encoding",
            "content-length",
            "x-a",
        }
        assert server.seen[0].headers["host"] == f"127.0.0.1:{server.port}"
        assert (server.seen[0].target, server.seen[0].body) == ("/a?b=1", b"hi")

    run(scenario)


def test_so_many_connections_are_kept_and_no_more() -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(StandIn()) for _ in range(23)]
            outbound = Outbound(Guard(["127.0.0.1"]))
            for server in servers:
                await outbound.send(Call(server.url))
            while sum(server.open for server in servers) > CONNECTIONS_KEPT_MAX:
                await asyncio.sleep(0.001)
            assert [server.open for server in servers] == [1] * CONNECTIONS_KEPT_MAX + [0] * 3
            await outbound.send(Call(servers[0].url))
            assert servers[0].connections == 1
            await outbound.aclose()

    run(scenario)


def test_who_gives_up_reading_leaves_nothing_open() -> None:
    async def scenario() -> None:
        async with StandIn(Reply(manner="hang_body")) as server:
            outbound = Outbound(Guard(["127.0.0.1"]))
            sending = asyncio.create_task(outbound.send(Call(server.url)))
            while not server.sent_bytes:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            while server.open:
                await asyncio.sleep(0.001)
            await outbound.aclose()

    run(scenario)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
def test_a_header_cannot_bring_another(value: str) -> None:
    async def scenario() -> None:
        async with StandIn() as server:
            outbound = Outbound(Guard(["127.0.0.1"]))
            error = await ask(outbound, Call(server.url, headers={"X-A": value}))
            assert isinstance(error, OutboundError)
        assert server.seen == []

    run(scenario)


def test_tls_proves_the_name_and_not_the_address(tmp_path: Path) -> None:
    """The certificate is for `localhost`: that name passes, another with the same address fails."""
    pem, key = certificate(tmp_path)
    trust = ssl.create_default_context(cafile=pem)

    async def here(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        guard = Guard(["127.0.0.1"])
        good = await ask(Outbound(guard, resolve=here, tls=trust), f"https://localhost:{port}/")
        bad = await ask(Outbound(guard, resolve=here, tls=trust), f"https://other.example:{port}/")
        server.close()
        assert isinstance(good, Answer), good
        assert isinstance(bad, OutboundError)
        assert bad.reason == "unreachable"

    run(scenario)
