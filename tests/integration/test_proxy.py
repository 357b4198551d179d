"""SSE behind a proxy that holds back what it is not told to pass on, and what an end looks like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.browser.nginx import Nginx
from tests.integration.server import Server, ServerFactory

HOLDING_BACK = """
      proxy_buffering on;
      proxy_ignore_headers X-Accel-Buffering;
"""
HTTP_1_1 = """
      proxy_http_version 1.1;
      proxy_set_header Connection "";
"""


@pytest.fixture
def shared(shared_server: ServerFactory) -> Server:
    return shared_server(dev=True)


@contextmanager
def streamed(url: str, timeout_s: float = 10) -> Iterator[Iterator[str]]:
    """The lines of a stream that is open."""
    address = f"{url}/v1/sse?topic=t&format=raw"
    with httpx.stream("GET", address, timeout=timeout_s) as answer:
        yield answer.iter_lines()


@contextmanager
def proxied(server: Server, folder: Path, directives: str) -> Iterator[str]:
    nginx = Nginx(folder, server.url, directives)
    yield nginx.url
    nginx.close()


def check_live(server: Server, url: str) -> None:
    """Each publication comes before the next one is made."""
    with streamed(url) as lines:
        for data in ("one", "two"):
            asked = {"topic": "t", "data": data}
            httpx.post(f"{server.url}/v1/publish", json=asked).raise_for_status()
            assert any(data in line for line in lines)


def test_a_proxy_that_holds_back_hands_on_chunks(shared: Server, tmp_path: Path) -> None:
    """It has nothing to wait for: it knows the length of a chunk."""
    with proxied(shared, tmp_path, HOLDING_BACK + HTTP_1_1) as url:
        check_live(shared, url)


def test_a_proxy_that_speaks_http_1_0_is_told_by_a_field(shared: Server, tmp_path: Path) -> None:
    with proxied(shared, tmp_path, "proxy_buffering on;") as url:
        check_live(shared, url)


def test_one_that_does_not_listen_waits_for_the_end(shared: Server, tmp_path: Path) -> None:
    """What the client is there for: it notices, and takes another transport."""
    with (
        proxied(shared, tmp_path, HOLDING_BACK) as url,
        pytest.raises(httpx.ReadTimeout),
        streamed(url, timeout_s=1),
    ):
        pass


def test_an_end_is_told_from_a_cut(server_factory: ServerFactory) -> None:
    server = server_factory(dev=True)
    with streamed(server.url) as lines:
        server.restart()
        assert any('"drain"' in line for line in lines)
        assert list(lines) == [""]  # And then it is over, with no complaint.
    with streamed(server.url) as lines:
        assert any("sync" in line for line in lines)
        server.kill9()
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            list(lines)


@pytest.mark.parametrize(("name", "coding"), [("sse", "chunked"), ("iframe", None)])
def test_the_doctors_probe_is_delimited_like_its_transport(
    shared: Server, name: str, coding: str | None
) -> None:
    """Or it would say that a way is open which is not."""
    for path in (f"/v1/{name}?topic=t", f"/v1/diag/{name}"):
        with httpx.stream("GET", f"{shared.url}{path}") as answer:
            assert answer.headers.get("transfer-encoding") == coding
            assert "content-length" not in answer.headers
