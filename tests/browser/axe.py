"""What axe has against a page."""

from __future__ import annotations

import time
from typing import Final

from playwright.sync_api import Page

from tests.integration.server import ROOT

AXE: Final = ROOT / "tests/node/node_modules/axe-core/axe.min.js"
AT_REST: Final = """
document.getAnimations().every(({ animationName, currentTime, effect, playState }) =>
  playState !== "running" || (animationName === "stay" && currentTime > 600) ||
  effect.getTiming().iterations === Infinity)
"""
"""Nothing moves but what always does, and what stays for a while and goes."""
REST_S: Final = 2.0
"""A page to which something comes all the time does not rest."""
_RUN: Final = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .flatMap(({ id, nodes }) => nodes.map((one) => `${id}: ${one.target} ${one.failureSummary}`))
"""


def violations(page: Page) -> list[str]:
    """Of the page as it is once it has come to rest: what is half faded in has no contrast yet."""
    assert AXE.exists(), "make tests/node/node_modules/.installed"
    end = time.monotonic() + REST_S
    while not page.evaluate(AT_REST) and time.monotonic() < end:
        page.wait_for_timeout(20)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found: list[str] = page.evaluate(_RUN)
    return found
