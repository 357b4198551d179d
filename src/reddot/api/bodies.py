"""What goes into the routes of inboxes and notifications and comes out, for the OpenAPI document.

The schemas are those of the values that the codecs decode and encode: there is no second copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Final

import msgspec

from reddot.codecs import deliveries, inbox, preferences
from reddot.inbox import Badge

Json = dict[str, Any]


class Bodies(msgspec.Struct, frozen=True, kw_only=True):
    """Of one operation; None: it has none.

    Attributes:
        takes: what is asked.
        gives: what every success is answered with.
    """

    takes: Any = None
    gives: Any = None


BODIES: Final[Mapping[tuple[str, str], Bodies]] = {
    ("get", "/v1/badge"): Bodies(gives=Badge),
    ("get", "/v1/inbox"): Bodies(gives=inbox.InboxAnswer),
    ("post", "/v1/inbox/mark"): Bodies(takes=inbox.MarkCommand, gives=Badge),
    ("get", "/v1/follows"): Bodies(gives=inbox.FollowsAnswer),
    ("put", "/v1/follows/{topic}"): Bodies(gives=Badge),
    ("delete", "/v1/follows/{topic}"): Bodies(gives=Badge),
    ("get", "/v1/users/{user}/follows"): Bodies(gives=inbox.FollowsAnswer),
    ("put", "/v1/users/{user}/follows/{topic}"): Bodies(gives=Badge),
    ("delete", "/v1/users/{user}/follows/{topic}"): Bodies(gives=Badge),
    ("get", "/v1/preferences"): Bodies(gives=preferences.PreferencesAnswer),
    ("put", "/v1/preferences"): Bodies(
        takes=preferences.PreferencesCommand, gives=preferences.PreferencesAnswer
    ),
    ("post", "/v1/notifications"): Bodies(
        takes=inbox.NotificationCommand, gives=inbox.ReceiptAnswer
    ),
    ("get", "/v1/notifications"): Bodies(gives=inbox.SentPageAnswer),
    ("get", "/v1/notifications/{id}"): Bodies(gives=inbox.SentAnswer),
    ("delete", "/v1/notifications/{id}"): Bodies(),
    ("get", "/v1/notifications/{id}/deliveries"): Bodies(gives=deliveries.DeliveriesAnswer),
    ("post", "/v1/notifications/{id}/review"): Bodies(takes=deliveries.Review),
}


def describe(paths: Json, refused: Json) -> Json:
    """Put the bodies into the operations of a document; the schemas they refer to, by name.

    Args:
        refused: what every refusal looks like.
    """
    kinds = [kind for one in BODIES.values() for kind in (one.takes, one.gives) if kind is not None]
    template = "#/components/schemas/{name}"
    schemas, components = msgspec.json.schema_components(kinds, ref_template=template)
    content = {
        kind: {"content": {"application/json": {"schema": schema}}}
        for kind, schema in zip(kinds, schemas, strict=True)
    }
    for (method, path), bodies in BODIES.items():
        operation = paths[path][method]
        if bodies.takes is not None:
            operation["requestBody"] = {"required": True} | content[bodies.takes]
        if bodies.gives is None:
            operation["responses"] = {"204": {"description": "Done."}}
        for status, answer in operation["responses"].items():
            if status in ("200", "201", "202"):
                answer |= content[bodies.gives]
        operation["responses"]["default"] = refused
    for schema in components.values():
        schema["description"] = cleandoc(schema.get("description", schema["title"]))
    return components
