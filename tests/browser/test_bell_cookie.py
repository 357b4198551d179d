"""The bell of a page that signs people in by a cookie: `user`, and no token in any script."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.shop import IN_ONE, ROWS, THE_BELL, Shop, bell, notify, wait, wait_for_badge
from tests.integration.server import Server
from tests.integration.tokens import user_token

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

ADD_A_BELL: Final = """
async (user) => {
  await import("/reddot.js");
  const bell = document.createElement("red-dot");
  bell.setAttribute("user", user);
  document.body.append(bell);
}
"""


def sign_in(context: BrowserContext, server: Server, user: str) -> None:
    """As the application does with its answer; a cookie knows no port."""
    context.add_cookies(
        [
            {
                "name": "reddot_token",
                "value": user_token(user),
                "url": server.url,
                "httpOnly": True,
                "sameSite": "Lax",
            }
        ]
    )


def use(page: Page, server: Server, user: str) -> None:
    """Live, told of what comes, and able to mark it."""
    wait(page, f"{THE_BELL}?.connected")
    assert page.evaluate("document.cookie") == ""
    notify(server, user, "To whom the cookie names")
    expect(bell(page)).to_have_accessible_name("Notifications, 1 unread")
    bell(page).click()
    row = page.locator(ROWS)
    expect(row).to_have_count(1)
    row.hover()
    with page.expect_response("**/v1/inbox/mark"):
        row.get_by_role("button", name="Mark as read").click()
    expect(bell(page)).to_have_accessible_name("Notifications")
    wait(page, f"{THE_BELL}.count === 0")
    wait_for_badge(server, user, unread=0)


def test_on_the_servers_own_origin(context: BrowserContext, server: Server, user: str) -> None:
    sign_in(context, server, user)
    page = context.new_page()
    page.goto(f"{server.url}/livez")
    page.evaluate(ADD_A_BELL, user)
    use(page, server, user)


def test_on_another_origin(context: BrowserContext, shop: Shop, server: Server, user: str) -> None:
    """Sent along, and answered, because the server lists the page's origin."""
    shop.body = f'<red-dot server="{{server}}" user="{user}"></red-dot>'
    sign_in(context, server, user)
    page = context.new_page()
    page.goto(shop.url)
    use(page, server, user)
    assert shop.tokens_given == 0


def test_tabs_share_one_connection(
    context: BrowserContext, shop: Shop, own_server: Server, user: str
) -> None:
    shop.body = f'<red-dot server="{{server}}" user="{user}"></red-dot>'
    sign_in(context, own_server, user)
    pages = [context.new_page() for _ in range(2)]
    for page in pages:
        page.goto(shop.url)
        wait(page, f"{THE_BELL}.connected")
    notify(own_server, user, "To both")
    for page in pages:
        expect(bell(page)).to_have_accessible_name("Notifications, 1 unread")
    assert own_server.metric("reddot_sessions") == 1


@IN_ONE
def test_an_origin_that_is_not_listed_gets_nothing(
    context: BrowserContext, shop: Shop, own_server: Server, user: str
) -> None:
    """The cookie goes with the request all the same: the server has to refuse it."""
    own_server.stop()
    own_server.settings["allowed_origins"] = "https://elsewhere.example"
    own_server.start()
    shop.body = f'<red-dot server="{{server}}" user="{user}"></red-dot>'
    sign_in(context, own_server, user)
    notify(own_server, user, "Not for this page")
    page = context.new_page()
    page.goto(shop.url)
    page.wait_for_timeout(1_500)
    assert page.evaluate(f"[{THE_BELL}.connected, {THE_BELL}.count]") == [False, 0]
    assert own_server.metric("reddot_sessions") == 0
