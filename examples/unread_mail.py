"""An unread mail count that is right in every tab: docs/howto/unread-mail.md.

    python unread_mail.py http://127.0.0.1:8000

Against `reddot serve --dev`. `Postman` is what a mail server does when mail comes; `Mailbox` is
what a webmail page does: ask for the number, mark what was opened.
"""

from __future__ import annotations

import sys
from typing import Any

import httpx

CATEGORY = "mail"


class Postman:
    """The server's side. In production it carries an API key."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})

    def deliver(self, user: str, message_id: str, sender: str, subject: str) -> None:
        """Tell the user of a mail. The message's own id makes a repeated delivery harmless."""
        answer = self._http.post(
            "/v1/notifications",
            json={
                "to": {"users": [user]},
                "id": message_id,
                "title": subject,
                "body": f"from {sender}",
                "url": f"/mail/{message_id}",
                "category": CATEGORY,
            },
        )
        answer.raise_for_status()

    def deleted(self, message_id: str) -> None:
        """The mail is gone, by whatever program: so is its notification."""
        self._http.delete(f"/v1/notifications/{message_id}").raise_for_status()


class Mailbox:
    """The page's side: the number, kept by its `as_of`, and asked for with an ETag."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})
        self._etag = ""
        self._badge: dict[str, Any] = {"as_of": -1, "by_category": {}}

    @property
    def unread(self) -> int:
        count: int = self._badge["by_category"].get(CATEGORY, 0)
        return count

    def look(self) -> int:
        """Ask for the number; costs next to nothing while it has not changed."""
        answer = self._http.get("/v1/badge", headers={"If-None-Match": self._etag})
        if answer.status_code != 304:
            self._take(answer.raise_for_status().json())
            self._etag = answer.headers["ETag"]
        return self.unread

    def opened(self, message_id: str) -> int:
        """A mail was opened: it is read here and in every other tab."""
        answer = self._http.post("/v1/inbox/mark", json={"ids": [message_id], "as": "read"})
        self._take(answer.raise_for_status().json())
        return self.unread

    def _take(self, badge: dict[str, Any]) -> None:
        if badge["as_of"] > self._badge["as_of"]:
            self._badge = badge


def main(url: str) -> None:
    def token(**claims: Any) -> str:
        issued: str = httpx.post(f"{url}/v1/dev/token", json=claims).json()["token"]
        return issued

    postman, mailbox = (
        Postman(url, token(user="postman", admin=True)),
        Mailbox(url, token(user="anna")),
    )
    print("at first:", mailbox.look())
    postman.deliver("anna", "m1", "Bert", "Lunch?")
    postman.deliver("anna", "m2", "Carl", "The report")
    postman.deliver("anna", "m2", "Carl", "The report")  # A retry, after a lost answer.
    print("two mails:", mailbox.look())
    print("one opened:", mailbox.opened("m1"))
    postman.deleted("m2")
    print("the other deleted:", mailbox.look())


if __name__ == "__main__":
    main(sys.argv[1])
