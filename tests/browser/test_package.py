"""The package out of a bundler that makes files: what is loaded later may come late, or never.

In the file that the server ships the client is all there; a page that bundles the package gets
files for the sharing of tabs, for all transports but WebSocket, and for what the elements show.
"""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.driving import expect_all, publish, wait
from tests.browser.shop import ROWS, THE_BELL, Shop, attribute, bell, notify
from tests.integration.server import ROOT, Server, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

NODE: Final = ROOT / "tests" / "node"
TOPIC: Final = "lines/1"
BODY: Final = (
    '<div id="app" data-server="{server}"></div>'
    '<script type="module" src="/scripts/split.js"></script>'
)
# A WebSocket that a test can cut and block.
CUT: Final = """
const Real = WebSocket, sockets = [];
window.WebSocket = class extends Real {
  constructor(...rest) {
    if (window.blocked) throw new Error("blocked");
    sockets.push(super(...rest));
  }
};
window.block = () => { window.blocked = true; for (const one of sockets) one.close(); };
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("bundle")
    how = ["--bundle", "--splitting", "--format=esm", "--minify", f"--outdir={folder}"]
    esbuild = NODE / "node_modules" / ".bin" / "esbuild"
    pages = [str(NODE / "pages" / name) for name in ("split.js", "bell.js")]
    command = [str(esbuild), *pages, "--log-level=error", *how]
    subprocess.run(command, check=True, capture_output=True)
    return {Path(file).name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def server(shop: Shop, shared_server: ServerFactory, files: dict[str, bytes]) -> Server:
    shop.scripts |= files
    shop.body = BODY
    return shop.serve(shared_server)


def visit(page: Page, shop: Shop) -> None:
    page.goto(f"{shop.url}/?user=user-{uuid.uuid4().hex}")
    wait(page, "client.state === 'live'")


def test_polling_alone_gets_through(context: BrowserContext, shop: Shop, server: Server) -> None:
    page = context.new_page()
    page.add_init_script(
        "window.WebSocket = class { constructor() { throw new Error('blocked'); } }"
    )
    page.route("**/v1/sse**", lambda route: route.abort())
    visit(page, shop)
    assert page.evaluate("client.transport") == "long_poll"
    publish(server, TOPIC, 0, 20)
    expect_all(page, 20)


def test_files_that_are_gone(context: BrowserContext, shop: Shop, server: Server) -> None:
    """A deployment has taken them away: the page has a connection, of its own."""
    page = context.new_page()
    for name in ("tabs", "loaded"):
        page.route(
            f"**/scripts/{name}-*",
            lambda route: route.fulfill(status=404, content_type="text/javascript"),
        )
    visit(page, shop)
    assert page.evaluate("[client.transport, client.leads]") == ["websocket", True]
    publish(server, TOPIC, 0, 20)
    expect_all(page, 20)


def test_they_are_there_before_they_are_needed(
    context: BrowserContext, shop: Shop, server: Server
) -> None:
    page = context.new_page()
    page.add_init_script(CUT)
    with page.expect_response("**/scripts/loaded-*"):
        visit(page, shop)
    publish(server, TOPIC, 0, 10)
    page.route("**/scripts/**", lambda route: route.abort())
    page.evaluate("block()")
    publish(server, TOPIC, 10, 10)
    wait(page, "client.transport === 'sse' && client.state === 'live'")
    expect_all(page, 20)


def test_a_second_tab_shares(context: BrowserContext, shop: Shop, server: Server) -> None:
    first, second = context.new_page(), context.new_page()
    visit(first, shop)
    second.goto(f"{shop.url}/")
    wait(second, "client.state === 'live'")
    assert [one.evaluate("client.leads") for one in (first, second)] == [True, False]
    publish(server, TOPIC, 0, 10)
    for page in (first, second):
        expect_all(page, 10)


def test_what_elements_show_comes_late(
    context: BrowserContext, shop: Shop, server: Server, user: str
) -> None:
    """A toast waits for it."""
    shop.script = "{shop}/scripts/bell.js"
    shop.body = attribute("") + "<red-dot-toast></red-dot-toast>"
    held: list[Route] = []
    page = context.new_page()
    page.route("**/scripts/inside-*", lambda route: held.append(route))
    with page.expect_request("**/scripts/inside-*"):
        # In Firefox a page is not loaded before what it imports is.
        page.goto(f"{shop.url}/?user={user}", wait_until="commit")
    wait(page, f"{THE_BELL}?.connected")
    notify(server, user, "One")
    expect(page.locator(".badge")).to_have_text("1")
    expect(page.locator(".toast")).to_have_count(0)
    (route,) = held
    route.continue_()
    expect(page.locator(".toast .title")).to_have_text(["One"])
    bell(page).click()
    expect(page.locator(ROWS)).to_have_count(1)
