"""What axe has against a page."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Page

from tests.browser.driving import until
from tests.integration.server import ROOT

AXE: Final = ROOT / "tests/node/node_modules/axe-core/axe.min.js"
AT_REST: Final = """
document.getAnimations().every(({ animationName, currentTime, effect, playState }) =>
  playState !== "running" || (animationName === "stay" && currentTime > 600) ||
  effect.getTiming().iterations === Infinity)
"""
"""Nothing moves but what always does, and what stays for a while and goes."""
_RUN: Final = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .flatMap(({ id, nodes }) => nodes.map((one) => `${id}: ${one.target} ${one.failureSummary}`))
"""


def violations(page: Page) -> list[str]:
    """Of the page as it is once it has come to rest: what is half faded in has no contrast yet."""
    assert AXE.exists(), "make tests/node/node_modules/.installed"
    until(lambda: page.evaluate(AT_REST))
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found: list[str] = page.evaluate(_RUN)
    return found
