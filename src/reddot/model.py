"""The values everything else passes around. Frozen, slotted, without behaviour of any wire.

Structs are `msgspec.Struct` for the cost of making one (0.1 µs; a frozen dataclass takes 0.9).
Times are milliseconds since the Unix epoch, UTC, unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from reddot.inbox import Change, Effect, Note, Noted

USERS_ROOT: Final = "users"
EVERYONE: Final = "everyone"
EVENT_DEFAULT: Final = "message"
QOS_DEFAULT: Final = 2
"""What is stored may be delivered as surely as a subscriber asks for."""
ATTACHED_MS: Final = -1


class Cursor(msgspec.Struct, frozen=True, gc=False):
    """ "Everything on my filters up to here was delivered."

    Attributes:
        epoch: incarnation of the log, 32 bits.
        position: how far; embedded stores have one shard, so one number.
    """

    epoch: int
    position: int


class Draft(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A publication that has been checked and not yet stored.

    Attributes:
        topic: a valid topic name.
        id: unique name; `keyed` says whether the publisher chose it (idempotency key).
        event: event name for SSE and friends.
        data: JSON bytes as they came, checked once; with `binary`, any bytes.
        time_ms: when it was accepted.
        expires_ms: not delivered from then on; None: never expires.
        retain: the latest one is handed to new subscribers; `data` null or empty clears it.
        ephemeral: skips the store; has no offset and moves no cursor.
        inbox: what it means to inboxes, if anything.
        qos: the highest MQTT quality of service at which it may be delivered.
        properties: MQTT 5 properties that go with it unaltered, in their wire form.
        source: the client it came from, where the wire names one; for MQTT's No Local.
        retainer: for whom its topic is counted if it is retained; see `core.retaining`.
    """

    topic: str
    id: str
    data: bytes
    time_ms: int
    event: str = EVENT_DEFAULT
    keyed: bool = False
    expires_ms: int | None = None
    retain: bool = False
    ephemeral: bool = False
    binary: bool = False
    inbox: Note | Change | None = None
    qos: int = QOS_DEFAULT
    properties: bytes = b""
    source: str = ""
    retainer: str = ""


class Publication(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One message on one topic.

    Attributes:
        offset: 1, 2, 3 … per topic without a hole; 0 for an ephemeral one.
        position: place in the whole log, contiguous; 0 for an ephemeral one.
        inbox: what it has done to inboxes; only as it comes from `append`, never from a read.
        The others are those of `Draft`.
    """

    topic: str
    id: str
    data: bytes
    time_ms: int
    event: str = EVENT_DEFAULT
    offset: int = 0
    position: int = 0
    expires_ms: int | None = None
    retain: bool = False
    binary: bool = False
    inbox: Noted | Effect | None = None
    qos: int = QOS_DEFAULT
    properties: bytes = b""
    source: str = ""


class ClientRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a client that may come back leaves behind between its connections.

    Attributes:
        owner: whose client it is; names of clients are unique per owner.
        client: its name.
        state: what its transport made of it; None: forget it.
        wake_ms: when somebody has to look at it, at the latest; `ATTACHED_MS` while it is attached.
    """

    owner: str
    client: str
    state: bytes | None
    wake_ms: int


class Appended(msgspec.Struct, frozen=True, gc=False):
    """What the store answers for one draft: the publication as stored, now or earlier.

    Attributes:
        others: of a notification to several topics, the publications on the further ones.
    """

    publication: Publication
    duplicate: bool
    others: tuple[Publication, ...] = ()


GapReason = Literal["trimmed", "epoch"]


class Gap(msgspec.Struct, frozen=True, gc=False):
    """Continuity cannot be proven on one filter."""

    topic: str
    reason: GapReason


class Page(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a read answers.

    Attributes:
        publications: in position order, expired ones left out.
        upto: everything on the filters at or below this position is in this page or before it.
        gaps: filters on which something after the asked position has been trimmed.
    """

    publications: tuple[Publication, ...]
    upto: int
    gaps: tuple[Gap, ...] = ()


class TopicState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the log holds of one topic.

    Attributes:
        offset: of the newest publication it has ever had.
        kept: how many are stored still; those that are too old go a little later.
        retained: whether new subscribers are handed one.
        time_ms: when the newest was accepted; None: none is kept.
    """

    topic: str
    offset: int
    kept: int
    retained: bool
    time_ms: int | None = None


class Retention(msgspec.Struct, frozen=True, gc=False):
    """How much of a topic is kept: at most `count` publications, none older than `age_ms`."""

    count: int
    age_ms: int


class RetainedLimits(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How many topics may have a retained publication, of all and of one user; one more is
    `too_many_retained`."""

    topics_max: int = 100_000
    per_user_max: int = 1000


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, after the credential was checked.

    Attributes:
        user: the person, or None for anonymous and for servers with an API key.
        subscribe: filters the credential grants for subscribing.
        publish: filters it grants for publishing.
        admin: may do everything.
        bound: though an administrator, may not do what a topic rule denies: nothing was proven.
        service: an API key: may publish everywhere, people's topics included.
        expires_ms: when the credential ends; None: never.
        key: what to revoke it by (`jti` or API key prefix); empty if it has none.
        since_ms: when the user came to be one; None: not said.
    """

    user: str | None = None
    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    admin: bool = False
    bound: bool = False
    service: bool = False
    expires_ms: int | None = None
    key: str = ""
    since_ms: int | None = None


ANONYMOUS: Final = Actor()
