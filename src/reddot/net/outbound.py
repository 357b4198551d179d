"""Requests of ours to addresses that others chose: bounded, and never to a private network.

Net: one HTTP request at a time, no idea of couriers. A name is looked up once, every address it has
is checked, and the connection goes to one of those very addresses, so that a name that changes its
mind afterwards gains nothing; TLS still proves the name.
Invariants: nothing is connected to that `Guard` has not passed; redirects are not followed, and
proxies of the environment do not matter; a request takes at most `timeout_s`, and of an answer no
more than `answer_bytes_max` are kept.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import ssl
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpcore
import httpx

from reddot.net.resolving import Resolver

URL_BYTES_MAX: Final = 2048
PORTS_KNOWN: Final = (80, 443)
PORT_FREE: Final = 1024
IDLE_CONNECTIONS_MAX: Final = 20
IDLE_S: Final = 30

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# What is not of the public internet: IANA's registries of special addresses, multicast, and a host
# agent of one cloud that hides behind a public number. Not `is_global`: what that knows depends on
# Python's version.
_REFUSED_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
# Of IPv6 only global unicast, which leaves out what carries an IPv4 address (mapped, compatible,
# NAT64); and of that not Teredo and its neighbours, documentation, 6to4.
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED_6: Final = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)


class OutboundError(Exception):
    """A request that got no answer.

    Args:
        reason: `address_invalid`, `address_private`, `timeout` or `unreachable`.
        refused: it was not sent, and never will be.
    """

    def __init__(self, reason: str, detail: str = "", *, refused: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: Final = reason
        self.detail: Final = detail
        self.refused: Final = refused


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        headers: by their names in lower case; the last of a name holds.
        body: its beginning, if it is longer than may be kept or did not all come in time.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Guard:
    """Which hosts and addresses may be asked.

    Args:
        allowed: networks (`10.0.0.0/8`, `192.0.2.7`) and host names that may be, although they are
            private. Only they may be asked in plain HTTP or on a port below 1024.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._hosts: set[str] = set()
        self._networks: list[IPNetwork] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry))
            except ValueError:
                self._hosts.add(entry.lower().rstrip("."))

    def check_url(self, url: str) -> httpx.URL:
        """The parsed address, if it may be asked as far as can be seen without looking it up.

        Raises:
            OutboundError: refused.
        """
        if len(url.encode("utf-8", "replace")) > URL_BYTES_MAX:
            raise _refused("address_invalid", f"longer than {URL_BYTES_MAX} bytes")
        try:
            parsed = httpx.URL(url)
            host = parsed.raw_host.decode("ascii")
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise _refused("address_invalid", "not a URL") from None
        if parsed.scheme not in ("http", "https") or not host or parsed.userinfo:
            raise _refused("address_invalid", "must be https://HOST, without a user")
        address = _literal(host)
        if address is not None and not self.passes(host, address):
            raise _refused("address_private", host)
        if not self._listed(host, address):
            self._check_stranger(parsed)
        return parsed

    def _check_stranger(self, url: httpx.URL) -> None:
        if url.scheme != "https":
            raise _refused("address_invalid", "must begin with https://")
        if url.port is not None and url.port not in PORTS_KNOWN and url.port < PORT_FREE:
            raise _refused("address_invalid", f"port {url.port} is not for HTTP")

    def passes(self, host: str, address: IPAddress) -> bool:
        """Whether a host may be connected to at this address."""
        return self._listed(host, address) or _is_public(address)

    def _listed(self, host: str, address: IPAddress | None) -> bool:
        if host.lower().rstrip(".") in self._hosts:
            return True
        return address is not None and any(address in network for network in self._networks)


def _refused(reason: str, detail: str) -> OutboundError:
    return OutboundError(reason, detail, refused=True)


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host.rstrip("."))
    except ValueError:
        return None


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    return address in _PUBLIC_6 and not any(address in network for network in _REFUSED_6)


def parts_of(url: str) -> tuple[str, ...]:
    """A URL that is a secret, and what of it a server gets to see and may send back."""
    try:
        path = httpx.URL(url).raw_path.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return (url,)
    return (url, path) if len(path) > 1 else (url,)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to what the guard passes, and to nothing else.

    Args:
        dial: makes the connection to an address; another backend, which sees numbers only.
    """

    def __init__(self, guard: Guard, resolve: Resolve, dial: httpcore.AsyncNetworkBackend) -> None:
        self._guard: Final = guard
        self._resolve: Final = resolve
        self._dial: Final = dial

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's interface
        local_address: str | None = None,
        socket_options: typing.Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: httpcore.NetworkError | None = None
        for address in await self._addresses(host, port):
            try:
                stream = await self._dial.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
                return _Stream(stream)
            except httpcore.NetworkError as error:
                failure = error
        raise failure or OutboundError("unreachable", "the name has no address")

    async def _addresses(self, host: str, port: int) -> list[IPAddress]:
        """All addresses of the host. One that may not be asked speaks against all of them."""
        try:
            texts = await self._resolve(host, port)
        except OSError as error:
            raise OutboundError("unreachable", "the name is not known") from error
        addresses: list[IPAddress] = []
        for text in dict.fromkeys(texts):
            address = _literal(text)
            if address is None or not self._guard.passes(host, address):
                raise _refused("address_private", host)
            addresses.append(address)
        return addresses

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is given up, which the library forgets."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream: Final = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's interface
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._stream.aclose()
            raise


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        headers: beside `Host`, `Content-Length` and `User-Agent`.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Outbound:
    """The one HTTP client for addresses of others.

    Args:
        resolve: from a name and a port to addresses, raises `OSError`; None: the system's.
        dial: see `GuardedBackend`.
        tls: whom to trust; None: what httpx trusts, `SSL_CERT_FILE` included.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        timeout_s: float = 10,
        answer_bytes_max: int = 65_536,
        resolve: Resolve | None = None,
        dial: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.guard: Final = guard
        self._timeout_s: Final = timeout_s
        self._answer_bytes_max: Final = answer_bytes_max
        self._backend: Final = GuardedBackend(
            guard, resolve or Resolver(), dial or httpcore.AnyIOBackend()
        )
        self._tls: Final = tls
        self._pool: httpcore.AsyncConnectionPool | None = None

    def _opened(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or _system_tls(),
                max_connections=None,  # callers bound how many requests there are
                max_keepalive_connections=IDLE_CONNECTIONS_MAX,
                keepalive_expiry=IDLE_S,
                network_backend=self._backend,
            )
        return self._pool

    async def send(self, call: Call) -> Answer:
        """Ask, and read the answer as far as it may be.

        Raises:
            OutboundError: there is none.
        """
        url = self.guard.check_url(call.url)
        request = httpcore.Request(
            method=call.method,
            url=httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[*_headers(call, url)],
            content=call.body,
        )
        until = asyncio.get_running_loop().time() + self._timeout_s
        try:
            async with asyncio.timeout_at(until):
                response = await self._opened().handle_async_request(request)
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise OutboundError("timeout") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise OutboundError("unreachable", type(error).__name__) from error
        body = await self._read(response, until)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        return Answer(response.status, headers, body)

    async def _read(self, response: httpcore.Response, until: float) -> bytes:
        """What comes of the body. The status is known: a body that fails takes nothing back."""
        body = bytearray()
        parts = typing.cast("Any", response.stream)
        try:
            async with asyncio.timeout_at(until):
                async for part in parts:
                    body += part
                    if len(body) > self._answer_bytes_max:
                        break
        except (TimeoutError, httpcore.NetworkError, httpcore.ProtocolError):
            pass
        finally:
            await response.aclose()
        return bytes(body[: self._answer_bytes_max])

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()


@functools.cache
def _system_tls() -> ssl.SSLContext:
    """One for all couriers, made when the first needs it: it reads over a hundred certificates."""
    return httpx.create_ssl_context()


def _headers(call: Call, url: httpx.URL) -> Iterable[tuple[bytes, bytes]]:
    yield b"Host", url.netloc
    yield b"User-Agent", b"reddot"
    yield b"Accept-Encoding", b"identity"
    yield b"Content-Length", str(len(call.body)).encode()
    for name, value in call.headers.items():
        yield name.encode("ascii"), value.encode()
