"""What the core asks of the world. Each Protocol states its contract; each kind has one suite.

Contract suites live in `tests/contract/`; a new store or bus passes them unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from reddot.delivery import Outcome, Parcel
from reddot.errors import ReddotError
from reddot.inbox import Audit, Due, InboxPage, Sent, View, Warm
from reddot.model import Appended, ClientRow, Draft, Page, Publication, TopicState
from reddot.outreach import (
    ANY,
    Address,
    Campaign,
    Case,
    Delivery,
    Figures,
    Lease,
    Progress,
    Settled,
    Which,
)

AppendDone = Callable[[Sequence[Appended] | ReddotError], None]


class Clock(Protocol):
    """Time. Wall time for what people see, monotonic time for every wait."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class Entropy(Protocol):
    """Randomness and ids, so that a simulation can replay them from a seed."""

    def publication_id(self) -> str:
        """A new UUIDv7 (RFC 9562)."""
        ...

    def secret(self) -> str:
        """128 random bits, URL-safe, not guessable: tickets and session names."""
        ...

    def fraction(self) -> float:
        """A number in [0, 1) for jitter; needs not be unguessable."""
        ...


class Store(Protocol):
    """The durable log. The truth: what it acknowledged is there after `kill -9`.

    Positions are 1, 2, 3 … over the whole log in commit order, without a hole that could still be
    filled. Offsets are 1, 2, 3 … per topic. A trimmed publication leaves its numbers unused.
    All methods are called from the event loop's thread; none blocks it for long.
    """

    @property
    def epoch(self) -> int:
        """The log's incarnation, 32 bits, random at creation, the same after a restart."""
        ...

    @property
    def head(self) -> int:
        """The last durable position; 0 for an empty log."""
        ...

    @property
    def inbox(self) -> Inbox:
        """The inboxes, which are in the same transactions as the log."""
        ...

    async def open(self) -> None:
        """Open or create. Raises `StoreError` with one clear line if it cannot."""
        ...

    @property
    def clients(self) -> ClientRows:
        """What clients left behind, which is in the same transactions as the log."""
        ...

    @property
    def deliveries(self) -> Deliveries:
        """The queue of deliveries, whose rows begin in the transactions of notifications."""
        ...

    def append(
        self, drafts: Sequence[Draft], done: AppendDone, clients: Sequence[ClientRow] = ()
    ) -> None:
        """Store all drafts or none, durably, in this order; then call `done` once, in the loop.

        `done` gets one `Appended` per draft, or a `ReddotError`: `id_conflict` (an id was stored
        within 24 h with other content), `too_many_retained`, `overloaded` (too many appends wait),
        `store_unavailable`.
        A keyed draft whose id is stored with the same content is answered as a duplicate.
        Calls to `done` come in the order of the appends, and publications of earlier appends have
        lower positions. `done` is never called before `append` has returned.

        A draft with `inbox` comes alone. A notification gets one publication per topic, in their
        order and at contiguous positions; a change gets one on `$inbox`, whose `inbox` says what it
        has altered. After that come, of a `Wake`, those that it brings back, on the user's own
        topic; and of one that replaces what has come back, one more on `$inbox`. Both may also be
        refused with `not_found`, `field_invalid` (a `Snooze` whose time is over),
        `too_many_follows`, `too_many_snoozed` or `too_many_categories`.

        `clients` replace what was stored of the same clients, if and only if the drafts are stored
        or are duplicates. They may come without drafts.
        """
        ...

    async def read(
        self, filters: Sequence[str] | None, *, after: int, upto: int, limit: int
    ) -> Page:
        """Publications on the filters with `after` < position <= `upto`, lowest first.

        At most `limit` of them; the page's `upto` says how far it is complete, and is above
        `after` whenever `upto` is, so that a reader always makes progress. `filters` None means
        every topic. Retention by count and age holds at the moment of the read, whatever has been
        deleted so far. Gaps are told only for what lies after `after`.
        """
        ...

    async def at(self, position: int) -> Publication | None:
        """The publication at a position, expired or not; None if retention has taken it.

        For what a client has been sent already and may be sent again (MQTT 5.0 section 4.3.3).
        """
        ...

    async def history(self, topic: str, *, before: int | None, limit: int) -> Sequence[Publication]:
        """The newest publications of one topic with offset < `before`, newest first."""
        ...

    async def topics(self, *, prefix: str, after: str, limit: int) -> Sequence[TopicState]:
        """Topics that begin with `prefix` and come behind `after`, in order, at most `limit`.

        The order is that of their UTF-8 bytes. A topic stays known when all of it is trimmed.
        """
        ...

    @property
    def retained_count(self) -> int:
        """How many topics hold a retained publication; lets a subscribe skip `retained`."""
        ...

    async def retained(
        self, filters: Sequence[str], *, after: int, upto: int, limit: int
    ) -> Sequence[Publication]:
        """Retained publications on the filters with `after` < position <= `upto`, unexpired.

        Lowest position first, at most `limit`; an empty answer means there are no more.
        """
        ...

    async def trim(self, *, rows_max: int) -> int:
        """Delete up to `rows_max` rows beyond retention, and stale idempotency keys.

        Returns how many; 0 means done.
        """
        ...

    async def aclose(self) -> None:
        """Finish what was appended, then close. Safe to call twice."""
        ...


class Inbox(Protocol):
    """Inboxes, in the same store as the log. They are changed by `Store.append` alone.

    Which notifications are live and what people have marked are those of the last position,
    except that what has expired stays live until a `Settle` is appended, and mutes in force.

    Attributes:
        locked: categories that nobody can mute; a mute of one counts for nothing.
    """

    locked: frozenset[str]

    async def warm(self, users: Collection[str], topics: Collection[str]) -> Warm:
        """What badges are derived from, all at one position, which may be above `head`."""
        ...

    async def page(
        self,
        user: str,
        *,
        view: View,
        category: str | None,
        before: int | None,
        limit: int,
        text: str | None = None,
    ) -> InboxPage:
        """What a user's inbox shows below the position `before`, newest first, at most `limit`.

        `text`: only those whose title or text has words that begin with all of its words.
        """
        ...

    async def due(self, *, limit: int) -> Due:
        """What has to be appended now: at most `limit` scheduled ones, the earliest first.

        And at most `limit` users whose snoozed ones are due.
        """
        ...

    async def sent(self, *, id: str | None, before: int | None, limit: int) -> Sequence[Sent]:
        """One notification with its counts, or the newest below position `before`."""
        ...

    async def reached(self, counts: Mapping[str, int]) -> None:
        """Add to how many people notifications have reached live, by id; unknown ones are let be.

        Not one change of the log: a few rows that nobody waits for.
        """
        ...

    async def scheduled(self, *, limit: int) -> Sequence[Sent]:
        """Notifications that wait for their time, the earliest first, at most `limit`."""
        ...

    async def audit(self, user: str) -> Sequence[Audit]:
        """A user's inbox counted the slow way, topic by topic."""
        ...

    async def verify(self, *, repair: bool) -> Sequence[str]:
        """What is wrong in the tables, in words; with `repair`, what was until now."""
        ...

    async def users(self, *, after: str, limit: int) -> Sequence[str]:
        """Users with notifications, marks or follows of their own, in order, above `after`."""
        ...


class ClientRows(Protocol):
    """Rows of clients that are away or attached. They are changed by `Store.append` alone."""

    async def load(self, owner: str, client: str) -> ClientRow | None:
        """The last row that was stored and has not been forgotten."""
        ...

    async def woken(self, *, first_ms: int, last_ms: int, limit: int) -> Sequence[ClientRow]:
        """At most `limit` rows with `first_ms` <= `wake_ms` <= `last_ms`, the earliest first."""
        ...


class Deliveries(Protocol):
    """The queue of deliveries, in the same store as the log.

    A notification whose `Note` has a plan stands in it once it is durable. What is answered here is
    durable too. Every method may raise `store_unavailable`. Times are those of the store's clock.
    """

    async def expand(self, *, rows_max: int) -> bool:
        """Work out whom some notifications are to reach; True: there is more to be worked out.

        Makes at most about `rows_max` deliveries: one per person and courier of the plan, for
        people in whose inbox it is and who have an address there. A step that is done again makes
        the same ones. No notification waits for another one to be finished.
        """
        ...

    async def lease(self, courier: str, *, limit: int, until_ms: int) -> Sequence[Lease]:
        """Take what is due for one courier: PENDING ones, and those whose lease has ended.

        Lanes take turns: of those that have something due, each gets about the same share, whatever
        they hold. Lanes that are paused or cancelled get none.
        """
        ...

    async def lease_digest(
        self, user: str, courier: str, *, limit: int, until_ms: int
    ) -> Sequence[Lease]:
        """Take what else of a person's digest is due, whatever its lane's turn is."""
        ...

    async def cases(self, leases: Sequence[Lease], *, since_ms: int) -> Sequence[Case]:
        """What is known of each now, all at one position; those that are gone are left out.

        Args:
            since_ms: what was sent to the people before that does not matter.
        """
        ...

    async def grant(self, leases: Sequence[Lease]) -> None:
        """Count these as sent from now on, because they are about to be."""
        ...

    async def hand_over(self, unknown: Mapping[int, Sequence[str]]) -> Collection[int]:
        """Note that nobody will know what came of these, unless they are settled.

        Args:
            unknown: delivery → slots of addresses, as their next `Lease` will have them.

        Returns those that are leased still; of the others nothing is noted.
        """
        ...

    async def settle(
        self, results: Sequence[Settled], holds: Mapping[int, int] | None = None
    ) -> None:
        """Say what has become of leased deliveries. Those that are not leased any more stay.

        SENT counts as sent now; SKIPPED, FOLDED, HELD and DEAD do not count any more, unless it is
        unknown what came of them; a PENDING one counts if an attempt has ended.

        Args:
            holds: lane → when it may be leased again.
        """
        ...

    async def next_ms(self, couriers: Collection[str]) -> int | None:
        """When something of these couriers is to be leased; None: nothing waits for a time."""
        ...

    async def couriers(self) -> Sequence[str]:
        """The couriers, by name, for which something is PENDING."""
        ...

    async def upkeep(self, *, rows_max: int) -> int:
        """A small step of what can wait: cancelled and reviewed deliveries, and old ones.

        Returns how many rows there were to change, at most `rows_max`; 0: nothing is left to do.
        """
        ...

    # people

    async def put_address(self, address: Address) -> None:
        """Know an address, in place of the one in its slot. Raises `too_many_addresses`."""
        ...

    async def drop_address(self, user: str, courier: str, slot: str | None = None) -> bool:
        """Forget one or all of a person's with a courier; whether there was one."""
        ...

    async def addresses(self, user: str) -> Sequence[Address]:
        """All of a person's, by courier and slot."""
        ...

    async def put_attributes(self, user: str, attributes: bytes) -> None:
        """Know a person by a JSON object; an empty one forgets."""
        ...

    async def attributes(self, user: str) -> bytes:
        """A JSON object; an empty one of somebody unknown."""
        ...

    async def audience(self, topic: str | None) -> int:
        """How many follow a topic now; None: how many people are known.

        Known is who has a notification of their own, marks, follows, preferences, attributes or an
        address.
        """
        ...

    async def people(self, *, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """People with attributes, in order, above `after`."""
        ...

    # operators

    async def deliveries(
        self, which: Which = ANY, *, before: int | None = None, limit: int
    ) -> Sequence[Delivery]:
        """The newest first, below `before`. Without notification and person, only HELD or DEAD."""
        ...

    async def retry(self, id: int) -> None:
        """Send a dead one again, at once, also where it is unknown whether it was sent before.

        Raises `not_found`, `not_possible`.
        """
        ...

    async def retry_all(self, ids: Collection[int]) -> int:
        """Send them again, at once, as far as they are dead and not cancelled; how many were."""
        ...

    async def click(self, user: str, courier: str, notifications: Collection[str]) -> None:
        """Somebody has clicked what a courier has brought them; the first time counts.

        What was not sent to them, or is not known, is let be.
        """
        ...

    async def lane(self, notification: str) -> int:
        """The lane of a notification that has deliveries. Raises `not_found`."""
        ...

    async def control(
        self,
        lane: int,
        *,
        paused: bool | None = None,
        cancelled: bool | None = None,
        approved: bool | None = None,
    ) -> None:
        """Change a lane; None leaves as it is. What is in hand goes on. Raises `not_found`."""
        ...

    async def progress(self, lane: int) -> Sequence[Progress]:
        """What has happened in a lane, by minute."""
        ...

    async def waiting(self, lane: int) -> bool:
        """Whether anything of a lane has still to be worked out, is due, in hand or held."""
        ...

    async def plans(self) -> bytes | None:
        """The table of plans that was put, as JSON; None: there was none."""
        ...

    async def put_plans(self, plans: bytes | None) -> None: ...

    # campaigns

    async def put_campaign(
        self,
        campaign: Campaign,
        part: Sequence[str] | None = None,
        figures: Sequence[Figures] | None = None,
    ) -> Campaign:
        """Store a campaign, in place of the one with its id.

        With it one more part of its members, and figures in place of those that it had; None leaves
        them. A new one gets its number. Raises `id_conflict` for a new one with a known id.
        """
        ...

    async def campaign(self, id: str) -> Campaign | None: ...

    async def campaigns(self, *, before: int | None, limit: int) -> Sequence[Campaign]:
        """The newest first, with a number below `before`."""
        ...

    async def due_campaigns(self, *, limit: int) -> Sequence[Campaign]:
        """Those that are to be looked at: SCHEDULED and due, STARTING, or RUNNING."""
        ...

    async def due_counts(self, *, limit: int) -> Sequence[Campaign]:
        """Those whose `count_ms` has come, the earliest first."""
        ...

    async def figures(self, campaign: Campaign) -> Sequence[Figures]:
        """What was put last; nothing if nothing was."""
        ...

    async def part(self, campaign: Campaign, index: int) -> Sequence[str]:
        """The people of one part, in order."""
        ...


class Courier(Protocol):
    """One way to reach somebody who is not there. At least once; doubles carry the same id.

    Never raises for what a provider or an address does: that is an `Outcome`, which says so if the
    provider may have the parcel although it has not answered. Bounded in time and in what it reads.
    Calls may overlap; the caller bounds how many.
    """

    async def send(self, parcel: Parcel) -> Outcome:
        """Hand one parcel to the provider."""
        ...

    def check(self, address: object) -> bytes:
        """A decoded JSON address in the form that `Parcel.address` has.

        Raises:
            ReddotError: `field_invalid`, with what is wrong with it.
        """
        ...

    async def aclose(self) -> None: ...


Hint = Callable[[Sequence[Publication]], None]


class Bus(Protocol):
    """Tells every node, this one included, what was published. A hint: may lose, double, reorder.

    Never on the way of an acknowledgement and never blocks one.
    """

    def listen(self, hint: Hint) -> None:
        """Call `hint` in the loop with what arrives. One listener."""
        ...

    def announce(self, publications: Sequence[Publication]) -> None:
        """Hand publications, durable or ephemeral, to all nodes."""
        ...

    async def watch(self, add: Collection[str], drop: Collection[str]) -> None:
        """Tell the bus which filters this node listens to; returns when it holds."""
        ...

    async def aclose(self) -> None: ...
