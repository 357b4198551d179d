"""Requests of ours to addresses that others chose: bounded, and never to a private network.

Net: one HTTP request at a time, no idea of couriers. A name is looked up once, every address it has
is checked, and the connection goes to one of those very addresses, so that a name that changes its
mind afterwards gains nothing; TLS still proves the name.
Invariants: nothing is connected to that `Guard` has not passed; redirects are not followed, and
proxies of the environment do not matter; a request takes at most `timeout_s`, and of an answer no
more than `answer_bytes_max` are kept; a request is handed to one connection at most, and whether it
was is told where there is no answer.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import httpx
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

from reddot.net.resolving import Resolver

URL_BYTES_MAX: Final = 2048
URLS_PARSED_MAX: Final = 256
PORTS_KNOWN: Final = (80, 443)
PORT_FREE: Final = 1024
CONNECTIONS_KEPT_MAX: Final = 20
IDLE_S: Final = 30

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Dial = Callable[..., Awaitable[tuple[Any, ResponseHandler]]]

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
        handed_over: a connection had it, so the server may have it too.
    """

    def __init__(
        self, reason: str, detail: str = "", *, refused: bool = False, handed_over: bool = False
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: Final = reason
        self.detail: Final = detail
        self.refused: Final = refused
        self.handed_over: Final = handed_over


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
            parsed = _parsed(url)
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


@functools.lru_cache(URLS_PARSED_MAX)
def _parsed(url: str) -> httpx.URL:
    """Kept for the addresses that are asked again and again: parsing takes longer than sending."""
    return httpx.URL(url)


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
        path = _parsed(url).raw_path.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return (url,)
    return (url, path) if len(path) > 1 else (url,)


class _Passage:
    """Attributes:
    begun: a connection has been given the request.
    """

    begun = False


_passage: Final[ContextVar[_Passage]] = ContextVar("passage")
"""Of the request that this task waits for: its connector is deep inside the library."""


class _Connector(aiohttp.BaseConnector):
    """Connects to what the guard passes, and to nothing else.

    Args:
        dial: as `loop.create_connection`; sees numbers only.
    """

    def __init__(self, guard: Guard, resolve: Resolve, dial: Dial, tls: ssl.SSLContext) -> None:
        # Callers bound how many requests there are.
        super().__init__(limit=0, keepalive_timeout=IDLE_S)
        self._guard: Final = guard
        self._resolve: Final = resolve
        self._dial: Final = dial
        self._tls: Final = tls
        self._open: list[ResponseHandler] = []

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the library's interface
    ) -> Connection:
        """A connection for a request, once: the library would ask again with PUT and GET."""
        passage = _passage.get()
        if passage.begun:
            raise aiohttp.ServerDisconnectedError
        connection = await super().connect(req, traces, timeout)
        passage.begun = True
        return connection

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        """Keep the connection, unless there are too many: the library has no limit for that."""
        if len(self._open) > CONNECTIONS_KEPT_MAX:
            should_close |= len(self._alive()) > CONNECTIONS_KEPT_MAX
        super()._release(key, protocol, should_close=should_close)

    def _alive(self) -> list[ResponseHandler]:
        self._open = [one for one in self._open if one.is_connected()]
        return self._open

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the library's interface
    ) -> ResponseHandler:
        """The library's own way to bring one's own connections, as its `UnixConnector` does."""
        host, port = req.url.raw_host or "", req.url.port or 0
        tls: dict[str, Any] = {}
        if req.is_ssl():
            tls = {"ssl": self._tls, "server_hostname": host}
        failure: OSError | None = None
        for address in await self._addresses(host, port):
            try:
                _, protocol = await self._dial(self._factory, str(address), port, **tls)
            except OSError as error:
                failure = error
            else:
                self._alive().append(protocol)
                return protocol
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
        dial: makes the connection to an address, as `loop.create_connection`.
        tls: whom to trust; None: what OpenSSL trusts, `SSL_CERT_FILE` included.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        timeout_s: float = 10,
        answer_bytes_max: int = 65_536,
        resolve: Resolve | None = None,
        dial: Dial | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.guard: Final = guard
        self._timeout_s: Final = timeout_s
        self._answer_bytes_max: Final = answer_bytes_max
        self._resolve: Final = resolve or Resolver()
        self._dial: Final = dial
        self._tls: Final = tls
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            dial = self._dial or asyncio.get_running_loop().create_connection
            tls = self._tls or _system_tls()
            self._session = aiohttp.ClientSession(
                connector=_Connector(self.guard, self._resolve, dial, tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(),  # none: ours is for everything
                skip_auto_headers=("Accept", "Content-Type"),
            )
        return self._session

    async def send(self, call: Call) -> Answer:
        """Ask, and read the answer as far as it may be.

        Raises:
            OutboundError: there is none.
        """
        url = self.guard.check_url(call.url)
        passage = _Passage()
        _passage.set(passage)
        until = asyncio.get_running_loop().time() + self._timeout_s
        try:
            async with asyncio.timeout_at(until):
                response = await self._opened().request(
                    call.method,
                    _target(url),
                    headers=_headers(call, url),
                    data=call.body,
                    allow_redirects=False,
                )
        except TimeoutError as error:
            raise OutboundError("timeout", handed_over=passage.begun) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = type(error).__name__
            raise OutboundError("unreachable", what, handed_over=passage.begun) from error
        body = await self._read(response, until)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, body)

    async def _read(self, response: aiohttp.ClientResponse, until: float) -> bytes:
        """What comes of the body. The status is known: a body that fails takes nothing back."""
        body = bytearray()
        try:
            async with asyncio.timeout_at(until):
                while len(body) <= self._answer_bytes_max and (
                    part := await response.content.readany()
                ):
                    body += part
        except (TimeoutError, aiohttp.ClientError):
            pass
        finally:
            # What was not read to its end is not used again; the library sees to that.
            response.release()
        return bytes(body[: self._answer_bytes_max])

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


@functools.cache
def _system_tls() -> ssl.SSLContext:
    """One for all couriers, made when the first needs it: it reads over a hundred certificates."""
    return httpx.create_ssl_context()


def _target(url: httpx.URL) -> yarl.URL:
    """The same address for the client, which must not write it in another way: it may be signed."""
    raw = url.netloc + url.raw_path
    return yarl.URL(f"{url.scheme}://{raw.decode('ascii')}", encoded=True)


def _headers(call: Call, url: httpx.URL) -> dict[str, str]:
    return {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "reddot",
        "Accept-Encoding": "identity",
        "Content-Length": str(len(call.body)),
        **call.headers,
    }
