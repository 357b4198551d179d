"""Real browsers: Debian's Chromium, and its Firefox over WebDriver BiDi; its WebKitGTK is in
`webkit.py`. No browser is downloaded.

An absent browser skips its tests; the global conftest makes that an error in CI. `ENGINES` narrows
the choice: `ENGINES=chromium pytest tests/browser`.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.browser.shop import THE_BELL, Open, Shop, wait
from tests.integration.conftest import server_factory, servers_of_module, shared_server, topic
from tests.integration.server import Server, ServerFactory

__all__ = ["server_factory", "servers_of_module", "shared_server", "topic"]

ENGINES: Final = os.environ.get("ENGINES", "chromium,firefox").split(",")
PATHS: Final = {"chromium": Path("/usr/bin/chromium"), "firefox": Path("/usr/bin/firefox-esr")}
START_S: Final = 20
STOP_S: Final = 20

# Firefox reports what the network or a digest has refused as if it were a script's error.
NO_SCRIPTS_ERROR: Final = re.compile(
    r"can.t establish a connection|connection to .* was interrupted|integrity attribute match"
    r"|CORS request did not succeed|Same Origin Policy disallows",
    re.IGNORECASE,
)
WATCH_POLICY: Final = """
    globalThis.policyViolations = [];
    addEventListener("securitypolicyviolation", (event) =>
        policyViolations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="session")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `reddot demo` prints; the server is a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reddot", "demo", "--port", "0"],
        cwd=tmp_path_factory.mktemp("demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = _printed_address(process)
        _wait_until_listening(urlsplit(address))
        yield address
    finally:
        process.terminate()
        process.wait(STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def _printed_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+/demo", line):
            return found[0]
    raise AssertionError(f"no address was printed; exit status {process.wait(STOP_S)}")


def _wait_until_listening(address: SplitResult) -> None:
    """The address is printed first: a server that cannot start says why below it."""
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((address.hostname, address.port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


class Running:
    """Playwright and the browsers that run, from the first test here to the last in a row.

    They take longer to start than most tests take. They end before a test of another folder:
    Playwright's event loop runs on in this thread, where other tests run theirs.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._playwright: Playwright | None = None
        self._browsers: dict[str, Browser] = {}

    def playwright(self) -> Playwright:
        if self._playwright is None:
            self._playwright = self._stack.enter_context(sync_playwright())
        return self._playwright

    def browser(self, engine: str) -> Browser:
        """The one with this engine; a new one if it has crashed."""
        found = self._browsers.get(engine)
        if found is None or not found.is_connected():
            found = self._browsers[engine] = launch(self.playwright(), engine)
        return found

    def end(self) -> None:
        for browser in self._browsers.values():
            browser.close()
        self._stack.close()
        self._browsers.clear()
        self._playwright = None


RUNNING: Final = Running()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        RUNNING.end()


@pytest.fixture(scope="module")
def playwright() -> Playwright:
    return RUNNING.playwright()


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: pytest.FixtureRequest) -> Browser:
    if request.param not in ENGINES:
        pytest.skip(f"{request.param} is not among ENGINES")
    return RUNNING.browser(request.param)


@pytest.fixture(scope="module")
def chromium() -> Browser:
    """For what Firefox cannot pretend over WebDriver BiDi, such as forced colours."""
    return RUNNING.browser("chromium")


def launch(
    playwright: Playwright, engine: str, preferences: dict[str, str | float | bool] | None = None
) -> Browser:
    """`preferences`: those of Firefox's profile, for what it is not told over WebDriver BiDi."""
    path = PATHS[engine]
    if not path.exists():
        pytest.skip(f"no {path}")
    if engine == "chromium":
        return playwright.chromium.launch(executable_path=path, chromium_sandbox=False)
    return playwright.firefox.launch(
        executable_path=path, channel="moz-firefox", firefox_user_prefs=preferences
    )


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile: storage and locks of its own. No script may fail or break the policy."""
    fresh = browser.new_context(viewport={"width": 1280, "height": 900})
    fresh.add_init_script(WATCH_POLICY)
    errors: list[str] = []
    fresh.on("weberror", lambda error: errors.append(str(error.error)))
    yield fresh
    violations = [one for page in fresh.pages for one in page.evaluate("policyViolations")]
    fresh.close()
    assert [error for error in errors if not NO_SCRIPTS_ERROR.search(error)] == []
    assert violations == []


@pytest.fixture
def page(context: BrowserContext, demo_url: str) -> Page:
    """The demo page, loaded."""
    opened = context.new_page()
    opened.goto(demo_url)
    return opened


@pytest.fixture(scope="module")
def shop_of_module() -> Iterator[Shop]:
    opened = Shop()
    yield opened
    opened.close()


@pytest.fixture
def shop(shop_of_module: Shop) -> Shop:
    """A page of another origin than the server's, under a strict policy."""
    shop_of_module.reset()
    return shop_of_module


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex}"


@pytest.fixture
def server(shop: Shop, shared_server: ServerFactory) -> Server:
    return shop.serve(shared_server)


@pytest.fixture
def own_server(server: Server, shop: Shop, server_factory: ServerFactory) -> Server:
    """One that a test may stop, or whose connections it counts."""
    return shop.serve(server_factory)


@pytest.fixture
def visit(shop: Shop, server: Server, user: str, context: BrowserContext) -> Open:
    """Open the shop in another tab; `body` is what it has in place of a bell."""

    def visit(body: str | None = None) -> Page:
        if body is not None:
            shop.body = body
        page = context.new_page()
        page.goto(f"{shop.url}/?user={user}")
        wait(page, f"!{THE_BELL} || {THE_BELL}.connected")
        return page

    return visit
