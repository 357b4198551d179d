"""The values of the inbox: what makes a publication a notification, and what people do with it.

Frozen, without behaviour. A topic numbers its notifications 1, 2, 3 …: that is their `seq`. Bits
are Python integers: bit i stands for one seq, which one is said where the integer lives.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

INBOX_TOPIC: Final = "$inbox"
"""The server's topic on which every change of somebody's inbox takes its position."""
EVENT_NOTIFICATION: Final = "notification"
CATEGORY_DEFAULT: Final = "general"
STEP_ROWS: Final = 500
"""So many rows of inboxes die in one step, between which others write."""

As = Literal["seen", "read", "unread", "archived", "unarchived", "deleted"]
Asked = Literal[
    "seen", "read", "unread", "archived", "unarchived", "deleted", "snoozed", "unsnoozed"
]
"""What people may ask for: a state, or that something is away for a while."""
View = Literal["all", "unread", "archived", "snoozed"]
Priority = Literal["low", "normal", "high", "urgent"]


class Badge(msgspec.Struct, frozen=True, gc=False):
    """The red dot of one user.

    Attributes:
        as_of: position of the last change that could have altered it; the later one always wins.
        unread: live notifications that are neither read nor archived nor deleted nor muted.
        unseen: those of them that came after the last time the user looked.
        by_category: `unread` by category, without zeros.
    """

    as_of: int
    unread: int
    unseen: int
    by_category: dict[str, int]


class Snoozed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A notification of a topic that one user does not want to see before `until_ms`."""

    seq: int
    position: int
    until_ms: int


class Marks(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one user has done with one topic's notifications.

    Attributes:
        join: notifications up to this seq are not in the inbox; they came before the follow.
        read_upto: everything up to this seq is read (or not in the inbox).
        read: bit j: seq `read_upto + 1 + j` is read.
        archived, deleted: bit j: seq `join + 1 + j` is.
        seen_upto: everything up to this seq is seen.
        snoozed: hidden until their time, in the order of seqs. Each is read where it lies, so that
            `read_upto` does not wait for it: it comes back at another place.
        followed: whether the user follows the topic; False for their own and `everyone`, which
            are in every inbox.
    """

    join: int = 0
    read_upto: int = 0
    read: int = 0
    archived: int = 0
    deleted: int = 0
    seen_upto: int = 0
    snoozed: tuple[Snoozed, ...] = ()
    followed: bool = False


UNMARKED: Final = Marks()


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """Hours in which nobody is disturbed, by the person's own clock. `urgent` passes.

    Attributes:
        start_minute, end_minute: of the day, 0 to 1439; an end before the start is tomorrow's.
    """

    start_minute: int
    end_minute: int


class Preferences(msgspec.Struct, frozen=True, gc=False):
    """What a user does not want to be counted: categories, and whole topics.

    Attributes:
        couriers: `(courier, category)` by which they do not want to be reached; it counts.
        until: when the mute of a category ends; all of them are in `categories`.
        quiet: when they do not want to be reached.
        timezone: by whose clock, an IANA name; empty: they have not said.
    """

    categories: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    couriers: frozenset[tuple[str, str]] = frozenset()
    until: dict[str, int] = {}
    quiet: Quiet | None = None
    timezone: str = ""


NO_PREFERENCES: Final = Preferences()


class Person(msgspec.Struct, frozen=True):
    """Everything a badge needs to know of one user.

    Attributes:
        rev: position of the user's last own change.
        marks: by topic; a followed topic is always there, the own one and `everyone` may be.
        since_ms: what went to everyone before this time is not in the inbox.
    """

    rev: int
    marks: dict[str, Marks]
    preferences: Preferences = NO_PREFERENCES
    since_ms: int = 0


class Notes(msgspec.Struct, frozen=True):
    """The notifications of one topic, as a store hands them to memory.

    Attributes:
        base: bit i of the masks stands for seq `base + 1 + i`.
        top: the newest seq ever given.
        rev: position of the last change: a new one, or one that died.
        live: which of them are live: not expired, retracted, replaced or beyond retention.
        categories: the same by category; every live one is in exactly one.
        due: `(expires_ms, seq)` of live ones that will expire.
    """

    base: int
    top: int
    rev: int
    live: int
    categories: dict[str, int]
    due: tuple[tuple[int, int], ...] = ()


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How much a store keeps for inboxes.

    Attributes:
        count: notifications of one topic; the oldest go first.
        age_ms: how long a notification is kept, at least as long as its publication.
        follows_max: topics one user may follow; one more is `too_many_follows`.
        categories_max: different categories; one more is `too_many_categories`.
        snoozed_max: notifications one user snoozes at a time; one more is `too_many_snoozed`.
        locked: categories that nobody can mute; a mute of one counts for nothing.
    """

    count: int = 200_000
    age_ms: int = 90 * 86_400_000
    follows_max: int = 200
    categories_max: int = 256
    snoozed_max: int = 200
    locked: frozenset[str] = frozenset()


class Warm(msgspec.Struct, frozen=True):
    """People and topics as they are at one position of the log. Absent ones are empty."""

    position: int
    people: dict[str, Person]
    notes: dict[str, Notes]


# ---- what is asked for: `Draft.inbox` ----


class Note(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Makes a draft a notification. The draft's `data` is its whole content, as JSON.

    Attributes:
        topics: where to; the draft's own topic is the first. Each gets a publication.
        title, text: what a search looks at.
        collapse_key: replaces the live one with the same key on the same topic.
        identity: what has to be equal for a retry to be one.
        scheduled: publication of one that was stored for later; its `id` says which.
        plan: JSON of the plan by which it is delivered beside the inbox; empty: it is not.
        lane: of its campaign; 0: it is on its own.
    """

    topics: tuple[str, ...]
    category: str = CATEGORY_DEFAULT
    title: str = ""
    text: str = ""
    collapse_key: str | None = None
    identity: bytes = b""
    scheduled: bool = False
    plan: str = ""
    lane: int = 0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Keep a notification until `publish_ms`. It gets its positions when it goes live."""

    note: Note
    publish_ms: int
    ttl_ms: int | None
    identity: bytes = b""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Set a state: of the ids, or of everything up to a position.

    Attributes:
        upto: position the client has rendered; None: `ids` are meant.
        category: with `upto`, only these.
    """

    user: str
    state: As
    ids: tuple[str, ...] = ()
    upto: int | None = None
    category: str | None = None
    identity: bytes = b""


class Snooze(msgspec.Struct, frozen=True, kw_only=True):
    """Hide notifications until `until_ms`; then they come back as new ones.

    All of them or none: one that is not in the inbox is `not_found`, and a time that is over when
    it is stored `field_invalid`. Those that are snoozed get another time.
    """

    user: str
    ids: tuple[str, ...]
    until_ms: int
    identity: bytes = b""


class Wake(msgspec.Struct, frozen=True, kw_only=True):
    """Bring back what a user has snoozed: what is due, or these, whatever their time.

    Each that is still live gets a place of its own in the user's own topic, the next seq and the
    next position, and is in no other place of the inbox any more. The others are forgotten.
    """

    user: str
    ids: tuple[str, ...] | None = None
    identity: bytes = b""


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """Count a topic's notifications from now on, and the newest `backfill` of the past."""

    user: str
    topic: str
    backfill: int = 0
    identity: bytes = b""


class Unfollow(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    topic: str
    identity: bytes = b""


class Prefer(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    preferences: Preferences
    identity: bytes = b""


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Leave what went to everyone before `since_ms` out of a user's inbox, now and for good."""

    user: str
    since_ms: int
    identity: bytes = b""


class Retract(msgspec.Struct, frozen=True, kw_only=True):
    """Take a notification back, everywhere; one that is scheduled never goes out.

    Attributes:
        rows_max: how much of what has come back of it dies at once; the rest is for `Settle`.
    """

    id: str
    rows_max: int
    identity: bytes = b""


class Settle(msgspec.Struct, frozen=True, kw_only=True):
    """Let die what is dying and what has expired, end mutes, delete what is too old: in a step."""

    rows_max: int
    identity: bytes = b""


class Erase(msgspec.Struct, frozen=True, kw_only=True):
    """Forget a person: notifications, marks, follows, preferences."""

    user: str
    identity: bytes = b""


Change = (
    Schedule | Mark | Snooze | Wake | Follow | Unfollow | Prefer | Join | Retract | Settle | Erase
)


# ---- what came of it: `Publication.inbox` ----


class Noted(msgspec.Struct, frozen=True, gc=False):
    """A notification has gone live as `seq` of its topic.

    Attributes:
        replaced: seq that it replaces; 0 if none.
        again: it was snoozed, and has come back; it was sent before.
    """

    seq: int
    category: str
    expires_ms: int | None
    replaced: int = 0
    again: bool = False


class Effect(msgspec.Struct, frozen=True):
    """What a change has altered. Absent fields have not changed.

    Attributes:
        user: whose marks, preferences or `since_ms`.
        marks: new ones by topic; None: the topic is not in the inbox any more.
        died: topic → seqs that are not live any more.
        retracted: id → topics in which it has died because it was taken back.
        unmuted: user → preferences, of those with a mute that has ended.
        erased: nothing of the user is left.
        more: the step has stopped at its limit, and settling goes on.
    """

    user: str | None = None
    marks: dict[str, Marks | None] = {}
    preferences: Preferences | None = None
    since_ms: int | None = None
    died: dict[str, tuple[int, ...]] = {}
    retracted: dict[str, tuple[str, ...]] = {}
    unmuted: dict[str, Preferences] = {}
    erased: bool = False
    more: bool = False


# ---- what is read ----


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One notification in somebody's inbox. `data` is its content, as JSON.

    Attributes:
        snoozed_ms: when it comes back; None: it is not snoozed.
    """

    id: str
    topic: str
    position: int
    time_ms: int
    category: str
    data: bytes
    seen: bool
    read: bool
    archived: bool
    expires_ms: int | None = None
    snoozed_ms: int | None = None


class InboxPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first.

    Attributes:
        position: the inbox was read as it is at this position.
        before: where the next page begins; None: there are no more.
    """

    items: tuple[Item, ...]
    position: int
    before: int | None = None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A notification as its sender sees it.

    Attributes:
        state: `live`, `scheduled`, `expired`, `retracted` or `replaced`.
        seen, read: people who have, among its recipients; of a topic, among its followers who
            have marked anything; None in a list.
        reached: people who were connected, on any node, when it went live; None in a list.
    """

    id: str
    state: str
    time_ms: int
    category: str
    topics: tuple[str, ...]
    data: bytes
    position: int = 0
    expires_ms: int | None = None
    publish_ms: int | None = None
    collapse_key: str | None = None
    seen: int | None = None
    read: int | None = None
    reached: int | None = None


class Scheduled(msgspec.Struct, frozen=True):
    """A notification whose time has come."""

    id: str
    data: bytes
    schedule: Schedule


class Due(msgspec.Struct, frozen=True):
    """What waits for its time: whether something must be settled, and what goes live now.

    Attributes:
        waking: users of whom something that they have snoozed is due.
    """

    settle: bool
    scheduled: tuple[Scheduled, ...] = ()
    waking: tuple[str, ...] = ()


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One topic of an inbox, counted by looking at every notification: no masks, no memory.

    Attributes:
        total: notifications that are kept and belong to the inbox.
        unread, unseen, by_category: what the topic adds to the badge.
        deleted, snoozed, archived, read: live ones that do not count, by the first reason. What
            has come back from a snooze is deleted at its old place.
        muted: live ones that would count, but for the user's preferences.
        dead: expired, retracted or replaced.
    """

    topic: str
    followed: bool
    total: int = 0
    unread: int = 0
    unseen: int = 0
    by_category: dict[str, int] = {}
    read: int = 0
    archived: int = 0
    deleted: int = 0
    snoozed: int = 0
    muted: int = 0
    dead: int = 0
