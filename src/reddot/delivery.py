"""The values of reaching people who are not there: plans, what a courier gets, what came of it.

Frozen, without behaviour. A *courier* is a way out of the house: Web Push, a webhook, e-mail. An
*address* is where one courier reaches one person. A *delivery* is one notification on its way to
one person by one courier. A *plan* says which couriers a category may use, in which order, and how
long the person has to look first.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

import msgspec

from reddot.inbox import Priority, Quiet

ANY_CATEGORY: Final = "*"


# ---- plans: what the operator has said ----


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One courier of a plan.

    Attributes:
        courier: its name in the settings.
        after_s: so long the person may look before; 0: at once.
    """

    courier: str
    after_s: int = 0


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """One person is sent at most `count` within any `window_s`.

    Attributes:
        courier: what is counted; None: all couriers together.
        category: as above.
    """

    count: int
    window_s: int
    courier: str | None = None
    category: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table of delivery rules; the first whose categories match holds.

    Attributes:
        categories: exact names, or `*` for every other.
        steps: couriers in their order.
        digest_s: what falls due within so long after the first becomes one delivery; 0: none.
        allow: only these people; empty: everybody. deny: never these.
        keywords: a text with one of them waits for an administrator.
        total_max: of one notification, over all people; None: no limit.
        per_s_max: of one notification, each second; None: no limit.
    """

    categories: tuple[str, ...] = (ANY_CATEGORY,)
    steps: tuple[Step, ...] = ()
    quiet: Quiet | None = None
    caps: tuple[Cap, ...] = ()
    digest_s: int = 0
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    keywords: tuple[str, ...] = ()
    total_max: int | None = None
    per_s_max: int | None = None


# ---- deliveries: what happens to one ----


class State(Enum):
    """Where a delivery is. The last five are final; a dead one may be sent again by hand."""

    PENDING = "pending"
    LEASED = "leased"
    HELD = "held"
    SENT = "sent"
    SKIPPED = "skipped"
    FOLDED = "folded"
    CANCELLED = "cancelled"
    DEAD = "dead"


TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.LEASED, State.HELD, State.CANCELLED}),
    State.LEASED: frozenset(
        {
            State.PENDING,
            State.HELD,
            State.SENT,
            State.SKIPPED,
            State.FOLDED,
            State.DEAD,
            State.CANCELLED,
        }
    ),
    State.HELD: frozenset({State.PENDING, State.SKIPPED, State.CANCELLED}),
    State.SENT: frozenset(),
    State.SKIPPED: frozenset(),
    State.FOLDED: frozenset(),
    State.CANCELLED: frozenset(),
    State.DEAD: frozenset({State.PENDING}),
}
"""PENDING waits for its time; LEASED: a node has it in hand until its lease ends; HELD waits for an
administrator; FOLDED: it went out as part of a digest."""


class Action(Enum):
    """What is to be done with a delivery that has fallen due."""

    SEND = "send"
    WAIT = "wait"
    HOLD = "hold"
    SKIP = "skip"
    FOLD = "fold"


Reason = Literal[
    "due",
    "seen",
    "dead",
    "muted",
    "denied",
    "not_allowed",
    "no_address",
    "quiet_hours",
    "capped",
    "total_reached",
    "rate",
    "digest",
    "keyword",
    "rejected",
    "paused",
    "cancelled",
]
"""Why: `dead` means that the notification has expired, or was retracted or replaced."""


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say about one delivery, and why.

    Attributes:
        until_ms: of WAIT: when to ask again.
        detail: which cap, which keyword; for people.
    """

    action: Action
    reason: Reason
    until_ms: int | None = None
    detail: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the rules look at, when a delivery has fallen due.

    Attributes:
        now_ms: wall time.
        timezone: of the person, an IANA name; unknown ones count as UTC.
        seen: on any device, by any way of seeing.
        live: the notification is neither expired nor retracted nor replaced.
        expires_ms: when it will be; None: never.
        muted: by the person: this category, this topic, or this category on this courier.
        quiet: hours in which the person does not want to be reached, beside the plan's.
        addressed: the courier knows where to find the person.
        paused: the campaign is.
        text: title and text, for keywords.
        approved: what an administrator has said; None: nothing yet.
        sent_ms: for each cap of the plan, when the person was sent what it counts, oldest first,
            at least the newest `count` of them.
        total: what was sent of this notification, over all people.
        second: what was sent of it in the second of `now_ms`.
        digest_ms: when the person's open digest falls due; None: there is none open.
        carries: this delivery is itself the first of the open digest, and goes out for all of it:
            it is `seen` if all of them are, `live` as long as one is, and expires with the last.
    """

    now_ms: int
    user: str
    courier: str
    category: str
    priority: Priority = "normal"
    timezone: str = "UTC"
    seen: bool = False
    live: bool = True
    expires_ms: int | None = None
    muted: bool = False
    quiet: Quiet | None = None
    addressed: bool = True
    paused: bool = False
    text: str = ""
    approved: bool | None = None
    sent_ms: tuple[tuple[int, ...], ...] = ()
    total: int = 0
    second: int = 0
    digest_ms: int | None = None
    carries: bool = False


# ---- couriers: what they are handed, what they answer ----


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said.

    Attributes:
        id: of the notification; of the first one, if it is a digest.
        actions, data: JSON, as they were sent.
        count: how many notifications it stands for; more than 1 in a digest.
    """

    id: str
    title: str
    body: str = ""
    url: str = ""
    icon: str = ""
    category: str = ""
    priority: Priority = "normal"
    actions: bytes = b"[]"
    data: bytes = b"null"
    collapse_key: str | None = None
    time_ms: int = 0
    count: int = 1


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one delivery, as a courier is handed it.

    Attributes:
        id: the same for every attempt; goes to the provider, who can tell doubles by it.
        address: where to, as JSON: what was registered for this person and courier.
        unread: the person's badge at this moment.
        ttl_s: how long the provider may keep trying.
        attempt: 1, 2, 3 …
    """

    id: str
    user: str
    address: bytes
    message: Message
    unread: int = 0
    ttl_s: int = 86_400
    attempt: int = 1


class Verdict(Enum):
    """What came of an attempt. GONE: the address is dead and is to be forgotten."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    GONE = "gone"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a courier answers.

    Attributes:
        reason: a short stable word: `http_429`, `timeout`, `address_private`.
        detail: the provider's own words, cut to 200 characters, without secrets.
        retry_after_s: what the provider asks to wait; None: it did not say.
        blame: whether it speaks against the provider as a whole (time-out, 5xx, 429), which the
            circuit breaker counts, or only against this parcel.
        unknown: of RETRY: the provider may have the parcel all the same. It was handed over, and
            no answer has come; an answer, whatever it says, is known.
    """

    verdict: Verdict
    reason: str = ""
    detail: str = ""
    retry_after_s: float | None = None
    blame: bool = False
    unknown: bool = False
