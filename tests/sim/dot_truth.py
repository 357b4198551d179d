"""The red dot by brute force: one record per notification and person, every one asked each time.

It shares no code with the server and knows neither masks nor watermarks, but for "seen", which is
defined as one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

Counts = tuple[int, int, dict[str, int]]


@dataclass
class Sent:
    """One notification on one topic; `origin`: where it was, if it has come back from a snooze."""

    id: str
    topic: str
    number: int
    position: int
    category: str
    expires_ms: int | None
    collapse_key: str | None
    dead: bool = False
    time_ms: int = 0
    origin: str = ""


@dataclass
class Held:
    """It in one inbox."""

    sent: Sent
    read: bool = False
    archived: bool = False
    deleted: bool = False
    until_ms: int | None = None


@dataclass
class Inbox:
    follows: dict[str, int] = field(default_factory=dict)
    held: dict[tuple[str, int], Held] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    muted_categories: frozenset[str] = frozenset()
    muted_topics: frozenset[str] = frozenset()
    muted_until: dict[str, int] = field(default_factory=dict)


class Truth:
    """Everything that was sent, and every inbox."""

    def __init__(self, users: Collection[str], *, locked: Collection[str] = ()) -> None:
        self.now_ms = 0
        self.locked = frozenset(locked)
        self.inboxes = {user: Inbox() for user in users}
        self.sent: list[Sent] = []

    def send(
        self,
        id: str,
        topics: Collection[str],
        position: int,
        category: str,
        expires_ms: int | None,
        collapse_key: str | None,
    ) -> None:
        for index, topic in enumerate(topics):
            same = [one for one in self.sent if one.topic == topic]
            if collapse_key is not None:
                for one in self.sent:
                    there = (one.origin or one.topic) == topic
                    one.dead |= there and one.collapse_key == collapse_key
            sent = Sent(
                id, topic, len(same) + 1, position + index, category, expires_ms, collapse_key
            )
            sent.time_ms = self.now_ms
            self.sent.append(sent)
            for user, inbox in self.inboxes.items():
                if topic in ("everyone", f"users/{user}") or topic in inbox.follows:
                    inbox.held[topic, sent.number] = Held(sent)

    def mark(self, user: str, state: str, ids: Collection[str]) -> None:
        for held in self.inboxes[user].held.values():
            if held.sent.id in ids:
                self._set(user, held, state)

    def mark_upto(self, user: str, state: str, upto: int, category: str | None) -> None:
        for held in self.inboxes[user].held.values():
            listed = held.until_ms is None or state == "seen"
            if listed and held.sent.position <= upto and category in (None, held.sent.category):
                self._set(user, held, state)

    def _set(self, user: str, held: Held, state: str) -> None:
        if state == "seen":
            seen = self.inboxes[user].seen
            seen[held.sent.topic] = max(seen.get(held.sent.topic, 0), held.sent.number)
        elif state in ("read", "unread"):
            held.read = state == "read" or held.until_ms is not None
        elif state == "unarchived":
            held.archived = False
        else:
            held.until_ms = None
            held.archived |= state == "archived"
            held.deleted |= state == "deleted"

    # ---- what is away for a while ----

    def is_there(self, user: str, id: str) -> bool:
        return id in (held.sent.id for held in self._there(user))

    def _there(self, user: str) -> list[Held]:
        """What is in an inbox, snoozed or not; the newest last."""
        held = sorted(self.inboxes[user].held.values(), key=lambda one: one.sent.position)
        return [one for one in held if not (self._gone(one.sent) or one.deleted)]

    def snooze(self, user: str, ids: Collection[str], until_ms: int) -> None:
        """Hide some; where they lie they are read."""
        for held in self._there(user):
            if held.sent.id in ids:
                held.until_ms, held.read, held.archived = until_ms, True, False

    def wake(self, user: str, ids: Collection[str] | None, positions: dict[str, int]) -> None:
        """Bring back what is due, or these; `positions` says where those are that come back."""
        inbox = self.inboxes[user]
        due = [
            held
            for held in inbox.held.values()
            if held.until_ms is not None
            and (held.sent.id in ids if ids is not None else held.until_ms <= self.now_ms)
        ]
        own = f"users/{user}"
        for held in sorted(due, key=lambda one: (one.until_ms or 0, one.sent.position)):
            held.until_ms, held.deleted = None, True
            old = held.sent
            if not self._gone(old):
                number = sum(one.topic == own for one in self.sent) + 1
                position, origin = positions.get(old.id, 0), old.origin or old.topic
                new = replace(old, topic=own, number=number, position=position, origin=origin)
                self.sent.append(new)
                inbox.held[own, number] = Held(new)

    def listed(self, user: str, *, snoozed: bool) -> list[str]:
        """The list, or what is snoozed; the newest first."""
        there = reversed(self._there(user))
        return [o.sent.id for o in there if (o.until_ms is not None) == snoozed and not o.archived]

    def retract(self, id: str) -> None:
        for sent in self.sent:
            sent.dead |= sent.id == id

    def follow(self, user: str, topic: str, backfill: int) -> None:
        inbox = self.inboxes[user]
        if topic in inbox.follows:
            return
        there = [one for one in self.sent if one.topic == topic]
        inbox.follows[topic] = backfill
        here = {held.sent.id for held in self._there(user)}
        for sent in there[len(there) - min(backfill, len(there)) :]:
            # What has come back from a snooze is the user's own, and is not there twice.
            inbox.held[topic, sent.number] = Held(sent, deleted=sent.id in here)
        inbox.seen[topic] = max(0, len(there) - backfill)

    def unfollow(self, user: str, topic: str) -> None:
        inbox = self.inboxes[user]
        if inbox.follows.pop(topic, None) is not None:
            inbox.held = {key: one for key, one in inbox.held.items() if key[0] != topic}
            inbox.seen.pop(topic, None)

    def join(self, user: str, since_ms: int) -> None:
        """What went to everyone before they were a user was never in their inbox."""
        inbox = self.inboxes[user]
        for sent in self.sent:
            if sent.topic == "everyone" and sent.time_ms < since_ms:
                inbox.held.pop((sent.topic, sent.number), None)

    def shown(self, user: str) -> list[str]:
        """What is in the inbox, archived, snoozed or neither; the newest last."""
        return [one.sent.id for one in self._there(user)]

    def of_topic(self, user: str, topic: str) -> list[str]:
        """The same, of what lies on one topic."""
        return [one.sent.id for one in self._there(user) if one.sent.topic == topic]

    def _gone(self, sent: Sent) -> bool:
        expired = sent.expires_ms is not None and sent.expires_ms <= self.now_ms
        return sent.dead or expired

    def _muted(self, inbox: Inbox, sent: Sent) -> bool:
        if sent.category in self.locked:
            return False
        timed = inbox.muted_until.get(sent.category, 0) > self.now_ms
        return timed or sent.category in inbox.muted_categories or sent.topic in inbox.muted_topics

    def counts(self, user: str) -> Counts:
        inbox = self.inboxes[user]
        unread = unseen = 0
        by_category: dict[str, int] = {}
        for held in inbox.held.values():
            sent = held.sent
            if (
                self._gone(sent)
                or self._muted(inbox, sent)
                or held.read
                or held.archived
                or held.deleted
            ):
                continue
            unread += 1
            unseen += sent.number > inbox.seen.get(sent.topic, 0)
            by_category[sent.category] = by_category.get(sent.category, 0) + 1
        return unread, unseen, by_category
