"""The values of the delivery queue: what is leased, what is known of it, what came of it.

Frozen, without behaviour. An *outreach* is one notification whose category has a plan: whom it is
to reach beside inboxes is worked out behind it, in steps. A *lane* is what is limited, paused and
served in turn: the deliveries of one notification, or of one campaign.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from reddot.delivery import Message, State
from reddot.inbox import Quiet


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where one courier reaches one person.

    Attributes:
        slot: tells several addresses with one courier apart; empty if there is only one.
        value: JSON, as `Courier.check` has made it.
    """

    user: str
    courier: str
    value: bytes
    slot: str = ""
    time_ms: int = 0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery in the hands of a node.

    Attributes:
        id: its number in this store.
        notification: the id of what it delivers.
        lane: see above.
        plan: JSON of a `Plan`, as it was when the notification went live.
        attempts: how many came to an end before.
        granted: it counts as sent already, since an attempt may have gone out.
        done: slots of addresses that need no further attempt.
        digest: it belongs to a digest.
        unknown: slots of addresses that it was handed over for, and nobody knows what came of it;
            only where that matters, see `Deliveries.hand_over`.
    """

    id: int
    notification: str
    user: str
    courier: str
    lane: int
    plan: str
    due_ms: int
    attempts: int = 0
    granted: bool = False
    done: tuple[str, ...] = ()
    digest: bool = False
    unknown: tuple[str, ...] = ()


class Past(msgspec.Struct, frozen=True):
    """Something that was sent to a person, or may have been."""

    time_ms: int
    courier: str
    category: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows of a leased delivery at one moment.

    Attributes:
        message: None if the notification is not kept any more.
        live, expires_ms, seen, muted, quiet: as in `Facts`.
        timezone: what the person has said; empty: nothing, the attribute holds.
        paused: its lane is.
        attributes: of the person, JSON.
        past: what else the person was sent since the moment that was asked for, oldest first.
        total: what of the lane was sent or may have been, this one not counted.
        approved: what an administrator said of the lane.
        digest_ms: when the person's open digest with this courier falls due.
    """

    lease: Lease
    message: Message | None = None
    live: bool = False
    expires_ms: int | None = None
    seen: bool = False
    muted: bool = False
    quiet: Quiet | None = None
    timezone: str = ""
    paused: bool = False
    attributes: bytes = b"{}"
    addresses: tuple[Address, ...] = ()
    past: tuple[Past, ...] = ()
    total: int = 0
    approved: bool | None = None
    digest_ms: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a leased delivery.

    Attributes:
        state: the next one; a move that `TRANSITIONS` does not have is ignored.
        due_ms: of PENDING: when it is to be leased again.
        attempts: how many have come to an end by now.
        digest: it belongs to a digest from now on.
        gone: addresses to forget.
        unknown: as in `Lease`, from now on.
    """

    lease: Lease
    state: State
    reason: str = ""
    detail: str = ""
    due_ms: int = 0
    attempts: int = 0
    done: tuple[str, ...] = ()
    digest: bool = False
    gone: tuple[Address, ...] = ()
    unknown: tuple[str, ...] = ()


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery as an operator sees it.

    Attributes:
        sent_ms: when it was sent, or when an attempt began that may have gone out.
        changed_ms: when the state was reached.
        clicked_ms: when the person clicked what the courier had brought; None: not that we know.
    """

    id: int
    notification: str
    user: str
    courier: str
    state: State
    due_ms: int
    changed_ms: int
    attempts: int = 0
    reason: str = ""
    detail: str = ""
    sent_ms: int | None = None
    clicked_ms: int | None = None


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries that an operator looks for; None: whatever it is."""

    notification: str | None = None
    lane: int | None = None
    user: str | None = None
    courier: str | None = None
    reason: str | None = None
    state: State | None = None


ANY: Final = Which()


# ---- campaigns ----


class Stage(Enum):
    """Where a campaign is. PAUSED holds its deliveries, or its start if that is still to come."""

    SCHEDULED = "scheduled"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


STAGES: Final[dict[Stage, frozenset[Stage]]] = {
    Stage.SCHEDULED: frozenset({Stage.STARTING, Stage.CANCELLED, Stage.PAUSED}),
    Stage.STARTING: frozenset({Stage.RUNNING, Stage.CANCELLED, Stage.PAUSED}),
    Stage.RUNNING: frozenset({Stage.PAUSED, Stage.CANCELLED, Stage.DONE}),
    Stage.PAUSED: frozenset({Stage.SCHEDULED, Stage.STARTING, Stage.RUNNING, Stage.CANCELLED}),
    Stage.CANCELLED: frozenset(),
    Stage.DONE: frozenset(),
}


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One notification to many, under control.

    Attributes:
        number: in this store; `lane_of` makes a lane of it.
        command: the notification as it was asked for, JSON, without `publish_at`.
        segment: expression that chooses its members when it starts; None: users, topic or everyone.
        start_ms: when it starts.
        paused_at: the stage that a pause has interrupted.
        place: up to which user members were looked at; None: all were.
        members: how many there are so far.
        parts: stored lists of members.
        sent: how many parts have gone live.
        error: why it was cancelled by the server, as a code and in words.
        count_ms: when whom it has reached is to be counted again; None: it is not.
    """

    id: str
    stage: Stage
    command: bytes
    start_ms: int
    time_ms: int
    number: int = 0
    segment: str | None = None
    paused_at: Stage | None = None
    place: str | None = ""
    members: int = 0
    parts: int = 0
    sent: int = 0
    error: str = ""
    count_ms: int | None = None


def lane_of(campaign: Campaign) -> int:
    """Lanes of campaigns are below zero, those of single notifications are their positions."""
    return -campaign.number


class Figures(msgspec.Struct, frozen=True, array_like=True):
    """How many people a campaign had reached in their inboxes at a time, since its start.

    Attributes:
        delivered: were connected when it went live.
    """

    time_ms: int
    delivered: int
    seen: int
    read: int


class Passage(Enum):
    """What is counted of deliveries and is no state of theirs."""

    MADE = "made"
    CLICKED = "clicked"


class Progress(msgspec.Struct, frozen=True):
    """How many deliveries of a lane came into a state within one minute.

    Attributes:
        minute: since the epoch; of CLICKED, that in which they were sent, so that clicks that come
            one by one for months make no rows of their own.
        count: negative for what has left it: what was held, what an operator has sent again.
    """

    minute: int
    courier: str
    state: State | Passage
    count: int


class DeliveryKeep(msgspec.Struct, frozen=True, kw_only=True):
    """How much a store keeps of deliveries.

    Attributes:
        age_ms: how long after its notification went live a delivery can be asked for, at least.
        addresses_max: of one person with one courier; one more is `too_many_addresses`.
    """

    age_ms: int = 90 * 86_400_000
    addresses_max: int = 20
