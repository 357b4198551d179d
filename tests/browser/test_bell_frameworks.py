"""The bell in React 19, Vue 3 and Svelte 5 as they are: attributes, properties and events."""

from __future__ import annotations

import subprocess
import uuid
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.shop import IN_ONE, Shop, notify
from tests.integration.server import ROOT, ServerFactory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

NODE: Final = ROOT / "tests" / "node"


def bundle(framework: str) -> bytes:
    command = ["node", str(NODE / "build_page.mjs"), framework]
    return subprocess.run(command, check=True, capture_output=True).stdout


@IN_ONE
@pytest.mark.parametrize("framework", ["react", "vue", "svelte"])
def test_no_wrapper(
    context: BrowserContext, shop: Shop, shared_server: ServerFactory, framework: str
) -> None:
    server = shop.serve(shared_server)
    user = f"user-{uuid.uuid4().hex}"
    shop.scripts["page.js"] = bundle(framework)
    shop.body = (
        '<div id="app" data-server="{server}"></div>'
        '<script type="module" src="/scripts/page.js"></script>'
    )
    page = context.new_page()
    page.goto(f"{shop.url}/?user={user}")
    for number in range(2):
        notify(server, user, f"Number {number}")
    bell = page.get_by_role("button", name="News, 2 unread")
    expect(bell).to_be_visible()
    expect(page.locator("output")).to_have_text("2")
    page.locator("#less").click()
    expect(page.locator(".badge")).to_have_text("1+")
    bell.click()
    expect(page.locator("article")).to_have_count(2)
