"""How the bell looks, and what axe says of it.

`SHOTS=folder pytest tests/browser/test_bell_looks.py` leaves the pictures there, to be looked at.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.shop import BELL, Shop, notify
from tests.integration.server import ROOT, Server, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

AXE: Final = (ROOT / "tests/node/node_modules/axe-core/axe.min.js").read_text
RUN_AXE: Final = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .map(({ id, nodes }) => `${id}: ${nodes.map((one) => `${one.target} ${one.failureSummary}`).join(" | ")}`)
"""
WORDS: Final[dict[str, list[tuple[str, str, dict[str, Any]]]]] = {
    "en": [
        ("Deploy of api finished", "Version 2.31 is live in all regions.", {"category": "deploy"}),
        ("Your invoice for October is ready", "42.00 EUR, due on 30 November. It is attached, and "
         "there is a long story about it that does not fit in two lines of a panel.",
         {"category": "billing", "actions": [{"title": "Pay now", "url": "/pay"}, {"title": "Later"}]}),
        ("Bert mentioned you in #general", "@anna can you look at this before noon?",
         {"category": "mention", "url": "/general/7"}),
        ("Disk full on db1", "97 % used, 3 GB left", {"category": "alert", "priority": "urgent"}),
        ("A supercalifragilisticexpialidocious_title_without_a_single_place_to_break_it", "", {}),
    ],
    "zh-CN": [
        ("接口已发布", "2.31 版本已在所有区域上线。", {"category": "发布"}),
        ("您十月的账单已生成", "42.00 元，请于 11 月 30 日前支付。详情请查看附件，附件中有完整的说明以及历史记录，这里显示不完。",
         {"category": "账单", "actions": [{"title": "立即支付", "url": "/pay"}, {"title": "稍后"}]}),
        ("小王在 #常规 中提到了你", "@安娜 中午之前能看一下吗？", {"category": "提及", "url": "/general/7"}),
        ("db1 磁盘已满", "已使用 97%", {"category": "警报", "priority": "urgent"}),
    ],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Look:
    name: str
    state: Literal["closed", "open", "preferences", "pill", "offline", "error", "toast"] = "open"
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
    Look(name="preferences", state="preferences"),
    Look(name="preferences-dark", state="preferences", scheme="dark"),
    Look(name="error", state="error"),
    Look(name="offline", state="offline"),
    Look(name="toast", state="toast"),
    Look(name="toast-dark", state="toast", scheme="dark"),
    Look(name="forced-colors", forced=True),
]


def fill(server: Server, user: str, look: Look, count: int) -> None:
    words = WORDS[look.lang]
    for number in range(count):
        title, body, more = words[number % len(words)]
        notify(server, user, title, body=body, **more)


def bring(page: Page, server: Server, user: str, look: Look) -> None:
    """Into the state that the look is of."""
    if look.state == "error":
        page.route("**/v1/inbox**", lambda route: route.abort())
    if look.state not in ("closed", "toast"):
        page.locator("button.bell").click()
        page.locator("article, .empty").first.wait_for()
    if look.state == "preferences":
        page.get_by_role("button", name="Preferences").click()
        page.get_by_role("switch").nth(1).wait_for()
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


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_looks(
    browser: Browser, shop: Shop, server_factory: ServerFactory, tmp_path: Path, look: Look
) -> None:
    server = shop.serve(server_factory)
    user = f"user-{uuid.uuid4().hex}"
    shop.lang, shop.direction = look.lang, look.direction
    shop.body = BELL + "<red-dot-toast></red-dot-toast>"
    fill(server, user, look, look.many or 0)
    context = browser.new_context(
        viewport={"width": look.width, "height": 720},
        color_scheme=look.scheme,
        reduced_motion="reduce",
        forced_colors="active" if look.forced else "none",
        bypass_csp=True,
    )
    page = context.new_page()
    page.goto(f"{shop.url}/?user={user}")
    page.wait_for_timeout(500)
    bring(page, server, user, look)
    page.wait_for_timeout(400)
    folder = Path(os.environ.get("SHOTS", tmp_path))
    page.screenshot(path=folder / f"{browser.browser_type.name}-{look.name}.png")
    page.evaluate(AXE())
    violations = page.evaluate(RUN_AXE)
    context.close()
    assert violations == []
