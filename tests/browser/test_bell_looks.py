"""How the bell looks in Chromium and in Firefox, and what axe says of it.

`SHOTS=folder pytest tests/browser/test_bell_looks.py` leaves the pictures there, to be looked at.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize

from tests.browser.axe import AT_REST, violations
from tests.browser.conftest import ENGINES, RUNNING, launch
from tests.browser.shop import BELL, COURIERS, THE_BELL, Shop, notify, wait
from tests.integration.server import Server, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

NOTICES: Final = json.loads(Path(__file__).with_name("notices.json").read_text("utf-8"))


@dataclass(frozen=True, kw_only=True)
class Look:
    name: str
    state: Literal[
        "closed", "open", "menu", "snooze", "preferences", "pill", "offline", "error", "toast"
    ] = "open"
    many: int | None = 5
    scheme: Literal["light", "dark"] = "light"
    lang: str = "en"
    direction: str = "ltr"
    width: int = 900
    forced: bool = False


LOOKS: Final = [
    Look(name="closed-light", state="closed"),
    Look(name="closed-dark", state="closed", scheme="dark"),
    Look(name="open-light"),
    Look(name="open-dark", scheme="dark"),
    Look(name="empty", many=0),
    Look(name="empty-dark", many=0, scheme="dark"),
    Look(name="many", many=40, state="pill"),
    Look(name="narrow", width=390),
    Look(name="narrow-dark-zh", width=390, scheme="dark", lang="zh-CN"),
    Look(name="zh", lang="zh-CN"),
    Look(name="rtl", direction="rtl"),
    Look(name="menu-dark", state="menu", scheme="dark"),
    Look(name="menu-narrow-rtl", state="menu", width=320, direction="rtl"),
    Look(name="preferences", state="preferences"),
    Look(name="preferences-dark", state="preferences", scheme="dark"),
    Look(name="preferences-narrow", state="preferences", width=320),
    Look(name="preferences-zh", state="preferences", scheme="dark", lang="zh-CN", width=390),
    Look(name="preferences-rtl", state="preferences", direction="rtl"),
    Look(name="snooze", state="snooze"),
    Look(name="snooze-narrow-dark-zh", state="snooze", width=390, scheme="dark", lang="zh-CN"),
    Look(name="snooze-rtl", state="snooze", direction="rtl", many=1),
    Look(name="error", state="error"),
    Look(name="offline", state="offline"),
    Look(name="toast", state="toast"),
    Look(name="toast-dark", state="toast", scheme="dark"),
    Look(name="forced-colors", forced=True),
]
# States are the same everywhere; colours, fonts, popovers and layout are not.
IN_FIREFOX: Final = (
    *("closed-light", "closed-dark", "open-light", "open-dark", "narrow-dark-zh"),
    *("rtl", "preferences-dark", "toast-dark"),
)
FIREFOX: Final[dict[str, str | float | bool]] = {"ui.prefersReducedMotion": 1}
FIREFOX_SCHEME: Final = "layout.css.prefers-color-scheme.content-override"


def fill(server: Server, user: str, look: Look, count: int) -> None:
    notices = NOTICES[look.lang]
    for number in range(count):
        notify(server, user, **notices[number % len(notices)])


def bring(page: Page, server: Server, user: str, look: Look) -> None:
    """Into the state that the look is of."""
    if look.state == "error":
        page.route("**/v1/inbox**", lambda route: route.abort())
    if look.state not in ("closed", "toast"):
        page.locator("button.bell").click()
        page.locator("article, .empty").first.wait_for()
    if look.state == "menu":
        page.locator(".others").click()
        page.get_by_role("menuitem").first.wait_for()
    elif look.state == "preferences":
        zh = look.lang == "zh-CN"
        page.get_by_role("button", name="设置" if zh else "Preferences").click()
        page.locator("[data-by=email]").first.wait_for()
        page.locator("select").nth(1).select_option("tomorrow")
        page.locator("[do=quiet]").click()
        page.locator("[type=time]").first.wait_for()
    elif look.state == "snooze":
        page.locator("article").last.focus()
        page.keyboard.press("s")
        page.locator(".menu").wait_for()
    elif look.state == "pill":
        page.locator(".list").evaluate("(list) => list.scrollTo(0, 500)")
        fill(server, user, look, 3)
        page.locator(".pill").wait_for()
    elif look.state == "offline":
        server.kill9()
        page.locator(".banner").wait_for()
    elif look.state == "toast":
        fill(server, user, look, 3)
        page.locator(".toast").nth(2).wait_for()


Painter = Callable[[str, Look], BrowserContext]


@pytest.fixture(scope="module")
def painter(playwright: Playwright) -> Iterator[Painter]:
    """Opens an engine's context with a look. Firefox is told by its profile, one per scheme."""
    firefoxes: dict[str, Browser] = {}

    def paint(engine: str, look: Look) -> BrowserContext:
        if engine not in ENGINES:
            pytest.skip(f"{engine} is not among ENGINES")
        viewport: ViewportSize = {"width": look.width, "height": 720}
        if engine == "chromium":
            return RUNNING.browser(engine).new_context(
                viewport=viewport,
                color_scheme=look.scheme,
                reduced_motion="reduce",
                forced_colors="active" if look.forced else "none",
                bypass_csp=True,
            )
        if look.scheme not in firefoxes:
            scheme = {FIREFOX_SCHEME: 0 if look.scheme == "dark" else 1}
            firefoxes[look.scheme] = launch(playwright, engine, FIREFOX | scheme)
        return firefoxes[look.scheme].new_context(viewport=viewport)

    yield paint
    for firefox in firefoxes.values():
        firefox.close()


CASES: Final = [
    pytest.param(engine, look, id=f"{engine}-{look.name}")
    for engine in ("chromium", "firefox")
    for look in LOOKS
    if engine == "chromium" or look.name in IN_FIREFOX
]


@pytest.mark.parametrize(("engine", "look"), CASES)
def test_looks(
    painter: Painter,
    engine: str,
    shop: Shop,
    shared_server: ServerFactory,
    server_factory: ServerFactory,
    tmp_path: Path,
    look: Look,
) -> None:
    settings = COURIERS if look.state == "preferences" else {}
    factory = server_factory if look.state == "offline" else shared_server
    server = shop.serve(factory, **settings)
    user = f"user-{uuid.uuid4().hex}"
    shop.lang, shop.direction = look.lang, look.direction
    shop.body = BELL + "<red-dot-toast></red-dot-toast>"
    fill(server, user, look, look.many or 0)
    context = painter(engine, look)
    page = context.new_page()
    page.goto(f"{shop.url}/?user={user}")
    wait(page, f"{THE_BELL}.connected")
    assert page.evaluate(f"matchMedia('(prefers-color-scheme: {look.scheme})').matches")
    bring(page, server, user, look)
    wait(page, AT_REST)
    folder = Path(os.environ.get("SHOTS", tmp_path))
    page.screenshot(path=folder / f"{engine}-{look.name}.png")
    found = violations(page)
    context.close()
    assert found == []
