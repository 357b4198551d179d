"""The client's file over HTTP: digest, caching, and a working copy without it."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode

import httpx
import pytest
from starlette.applications import Starlette

from reddot.api.script import Script, load_script, make_script, script_routes

CONTENT = b"export const a = 1;"
INTEGRITY = "sha384-" + b64encode(hashlib.sha384(CONTENT).digest()).decode()


def client(script: Script | None) -> httpx.AsyncClient:
    app = Starlette(routes=script_routes(script))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")


async def get(script: Script | None, query: str = "", **headers: str) -> httpx.Response:
    async with client(script) as http:
        return await http.get(f"/reddot.js{query}", headers=headers)


def run(script: Script | None, query: str = "", **headers: str) -> httpx.Response:
    return asyncio.run(get(script, query, **headers))


def test_it_is_a_module_that_any_page_may_load() -> None:
    answer = run(make_script(CONTENT))
    assert answer.content == CONTENT
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-cache"


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


def test_without_a_build_it_says_what_to_do() -> None:
    answer = run(None)
    assert answer.status_code == 404
    assert "make js" in answer.json()["detail"]


def test_the_built_file_is_the_client() -> None:
    script = load_script()
    assert script is not None, "run `make js`"
    assert b"as Reddot" in script.content
