"""The client's file over HTTP: digest, caching, and a working copy without it."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode

import httpx
import pytest
from starlette.applications import Starlette

from reddot.api.script import FILES, WORKER, Script, load_scripts, make_script, script_routes

CONTENT = b"export const a = 1;"
INTEGRITY = "sha384-" + b64encode(hashlib.sha384(CONTENT).digest()).decode()


def client(script: Script | None) -> httpx.AsyncClient:
    app = Starlette(routes=script_routes({} if script is None else dict.fromkeys(FILES, script)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")


async def get(
    script: Script | None, query: str = "", name: str = "reddot.js", **headers: str
) -> httpx.Response:
    async with client(script) as http:
        return await http.get(f"/{name}{query}", headers={"accept-encoding": "identity"} | headers)


def run(
    script: Script | None, query: str = "", name: str = "reddot.js", **headers: str
) -> httpx.Response:
    return asyncio.run(get(script, query, name, **headers))


@pytest.mark.parametrize("name", FILES)
def test_it_is_a_script_that_any_page_may_load(name: str) -> None:
    answer = run(make_script(CONTENT), name=name)
    assert answer.content == CONTENT
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-cache"
    allowed = "/" if name == WORKER else None
    assert answer.headers.get("service-worker-allowed") == allowed


def test_its_etag_is_its_integrity() -> None:
    assert run(make_script(CONTENT)).headers["etag"] == f'"{INTEGRITY}"'
    again = run(make_script(CONTENT), **{"if-none-match": f'"{INTEGRITY}"'})
    assert (again.status_code, again.content) == (304, b"")
    assert run(make_script(CONTENT + b" "), **{"if-none-match": f'"{INTEGRITY}"'}).content


@pytest.mark.parametrize(("digest", "kept"), [(INTEGRITY, True), ("sha384-other", False)])
def test_with_its_digest_in_the_address_it_may_be_kept(digest: str, kept: bool) -> None:
    query = str(httpx.QueryParams({"v": digest}))
    answer = run(make_script(CONTENT), f"?{query}")
    assert ("immutable" in answer.headers["cache-control"]) is kept


def test_it_comes_compressed_to_whoever_accepts_that() -> None:
    script = make_script(CONTENT * 100)
    plain, packed = run(script), run(script, **{"accept-encoding": "br, gzip"})
    assert plain.content == packed.content
    assert (plain.headers.get("content-encoding"), plain.headers["vary"]) == (
        None,
        "accept-encoding",
    )
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == (
        "gzip",
        "accept-encoding",
    )
    assert int(packed.headers["content-length"]) == len(script.compressed) < len(plain.content) / 10
    etag = packed.headers["etag"]
    assert etag == f"W/{plain.headers['etag']}"
    again = run(script, **{"accept-encoding": "gzip", "if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("gzip; q=0.01", True),
        ("gzip;q=0", False),
        ("gzip ; q=0.000, br", False),
        ("identity", False),
        ("", False),
    ],
)
def test_who_refuses_the_compressed_one_gets_the_plain_one(accepted: str, packed: bool) -> None:
    answer = run(make_script(CONTENT), **{"accept-encoding": accepted})
    assert ("content-encoding" in answer.headers) is packed


def test_without_a_build_it_says_what_to_do() -> None:
    answer = run(None)
    assert answer.status_code == 404
    assert "make js" in answer.json()["detail"]


def test_the_built_files_are_what_they_are_called() -> None:
    scripts = load_scripts()
    assert set(scripts) == set(FILES), "run `make js`"
    assert b"as Reddot" in scripts["reddot.js"].content
    assert b"as mqtt" in scripts["reddot-mqtt.js"].content
    assert b"as diagnose" in scripts["reddot-diagnose.js"].content
    assert b"as Push" in scripts["reddot-push.js"].content
    # The one loads the other by its digest, and would refuse any other.
    assert scripts["reddot-inbox.js"].integrity.encode() in scripts["reddot.js"].content
    # What a page imports would not be a classic script, which a service worker has to be.
    assert not scripts[WORKER].content.startswith((b"import", b"export"))
    assert b"export{" not in scripts[WORKER].content


def test_what_a_page_loads_for_a_bell_is_small() -> None:
    assert len(load_scripts()["reddot.js"].compressed) <= 15 * 1024
