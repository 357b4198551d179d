"""All that is kept of one person, as they may ask for it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from reddot.codecs import deliveries
from reddot.codecs import inbox as codec
from reddot.codecs.frames import encode_time
from reddot.codecs.preferences import wishes_of
from reddot.inbox import View
from reddot.outreach import Which
from reddot.ports import Store

PAGE: Final = 100
VIEWS: Final[tuple[View, ...]] = ("all", "archived", "snoozed")


async def export_user(store: Store, user: str) -> dict[str, Any]:
    """All that is kept of one person, as JSON values.

    Deleted notifications are not there, since nobody can see them; archived ones are.
    """
    inbox = store.inbox
    warm = await inbox.warm([user], [])
    person = warm.people.get(user)
    items: list[Any] = []
    for view in VIEWS:
        before: int | None = None
        while True:
            page = await inbox.page(user, view=view, category=None, before=before, limit=PAGE)
            items += [codec.item_of(item) for item in page.items]
            before = page.before
            if before is None:
                break
    marks = {} if person is None else person.marks
    since_ms = person.since_ms if person else 0
    known = store.deliveries
    addresses = await known.addresses(user)
    return {
        "user": user,
        "attributes": msgspec.Raw(await known.attributes(user)),
        "addresses": [deliveries.address_fields(one) for one in addresses],
        "deliveries": await _deliveries(store, user),
        "since": encode_time(since_ms).decode() if since_ms else None,
        "follows": sorted(topic for topic, one in marks.items() if one.followed),
        "preferences": None if person is None else wishes_of(person.preferences),
        "inbox": items,
    }


async def _deliveries(store: Store, user: str) -> list[Any]:
    found: list[Any] = []
    before, which = None, Which(user=user)
    while page := await store.deliveries.deliveries(which, before=before, limit=PAGE):
        found += [deliveries.delivery_of(one) for one in page]
        before = page[-1].id
    return found
