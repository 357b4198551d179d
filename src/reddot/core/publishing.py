"""The use case of publishing: names, size, rights, time; store; answer; announce.

The publisher is answered when the store says it is durable. The bus is told afterwards and can
neither delay nor fail the answer. Ephemeral publications skip the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Final

import msgspec

from reddot.core.access import Policy
from reddot.core.retaining import NOBODY, retainer_of
from reddot.core.rules import TOPICS_CACHED_MAX, TopicRule, TopicRules
from reddot.core.topics import check_topic
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import (
    EVENT_DEFAULT,
    QOS_DEFAULT,
    Actor,
    Appended,
    ClientRow,
    Draft,
    Publication,
)
from reddot.ports import AppendDone, Bus, Clock, Entropy, Store

EVENTS_RESERVED: Final = frozenset(
    ("sync", "publication", "badge", "gap", "reconnect", "heartbeat", "error", "ok")
)
NAME_BYTES_MAX: Final = 128
TTL_S_MAX: Final = 366 * 86_400


class PublishLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of publishing; the defaults are those of the settings table."""

    data_bytes_max: int = 65_536
    publish_batch_max: int = 100
    topic_bytes_max: int = 1024
    topic_levels_max: int = 32


def check_name(text: str, what: str, bytes_max: int = NAME_BYTES_MAX) -> str:
    """Return `text`; event names and ids stand in `event:` and `id` fields of a line protocol."""
    if not text or not text.isprintable():
        raise ReddotError("field_invalid", f"'{what}' must be printable and not empty")
    if len(text.encode()) > bytes_max:
        raise ReddotError("field_invalid", f"'{what}' is longer than {bytes_max} bytes")
    return text


def _ephemeral(draft: Draft) -> Publication:
    return Publication(
        topic=draft.topic,
        id=draft.id,
        data=draft.data,
        time_ms=draft.time_ms,
        event=draft.event,
        binary=draft.binary,
        expires_ms=draft.expires_ms,
        qos=0,
        properties=draft.properties,
        source=draft.source,
    )


def _in_order(drafts: Sequence[Draft], stored: Sequence[Appended]) -> Sequence[Appended]:
    """The answers to all drafts, of which the durable ones have been stored."""
    following = iter(stored)
    return [
        Appended(_ephemeral(draft), duplicate=False) if draft.ephemeral else next(following)
        for draft in drafts
    ]


class Publishing:
    """One per node.

    Attributes:
        busy: appends that have not been answered yet.
        permit: from an actor and a topic to the topic's rule, if it may publish there. Raises
            `topic_invalid`, `unauthorized`, `forbidden`.
    """

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        policy: Policy,
        rules: TopicRules,
        clock: Clock,
        entropy: Entropy,
        counters: Counters,
        limits: PublishLimits,
    ) -> None:
        self.limits = limits
        self.busy = 0
        # Rules and rights do not change, but topics come from outside: what is remembered about
        # them must be bounded.
        self.permit = lru_cache(maxsize=TOPICS_CACHED_MAX)(self._permit)
        self._store = store
        self._bus = bus
        self._policy = policy
        self._rules = rules
        self._clock = clock
        self._entropy = entropy
        self._counters = counters

    def _permit(self, actor: Actor, topic: str) -> TopicRule:
        check_topic(
            topic, bytes_max=self.limits.topic_bytes_max, levels_max=self.limits.topic_levels_max
        )
        self._policy.check_publish(actor, topic)
        return self._rules.of(topic)

    def draft(
        self,
        actor: Actor,
        *,
        topic: str,
        data: bytes,
        rule: TopicRule | None = None,
        event: str | None = None,
        id: str | None = None,
        ephemeral: bool | None = None,
        ttl_s: float | None = None,
        retain: bool = False,
        binary: bool = False,
        qos: int = QOS_DEFAULT,
        properties: bytes = b"",
        source: str = "",
    ) -> Draft:
        """Check one publication. `data` has been checked to be JSON, unless `binary`.

        Args:
            rule: what `permit` has answered for this actor and topic; None: it is asked.
            ephemeral: None means what the topic's rule says.
            ttl_s: seconds until it is not delivered any more.

        Raises:
            ReddotError: `topic_invalid`, `field_invalid`, `data_too_large`, `unauthorized`,
                `forbidden`.
        """
        if rule is None:
            rule = self.permit(actor, topic)
        if len(data) > self.limits.data_bytes_max:
            raise ReddotError("data_too_large", f"{self.limits.data_bytes_max} bytes are allowed")
        if event is None:
            event = EVENT_DEFAULT
        elif check_name(event, "event") in EVENTS_RESERVED:
            raise ReddotError("field_invalid", f"the event name '{event}' is reserved")
        if ephemeral is None:
            ephemeral = not (retain or rule.durable is not False)
        if ephemeral and retain:
            raise ReddotError("field_invalid", "an ephemeral publication cannot be retained")
        now = self._clock.wall_ms()
        return Draft(
            topic=topic,
            id=check_name(id, "id") if id is not None else self._entropy.publication_id(),
            data=data,
            time_ms=now,
            event=event,
            keyed=id is not None,
            expires_ms=None if ttl_s is None else now + ttl_ms_of(ttl_s),
            retain=retain,
            ephemeral=ephemeral,
            binary=binary,
            qos=0 if ephemeral else qos,
            properties=properties,
            source=source,
            retainer=retainer_of(actor) if retain else NOBODY,
        )

    def announce(self, publication: Publication) -> None:
        """Tell everybody who is here something that is not stored."""
        self._bus.announce((publication,))

    def publish(
        self,
        drafts: Sequence[Draft],
        done: AppendDone,
        clients: Sequence[ClientRow] = (),
        *,
        in_turn: bool = False,
    ) -> None:
        """Publish all drafts or none. `done` is called when every durable one is durable.

        For drafts that are all ephemeral it is called before this returns, unless there are
        `clients`, which are stored in the same transaction, or they are to come `in_turn`: not
        before what was published earlier and is being stored.
        """
        if len(drafts) == 1 and not drafts[0].ephemeral:  # The common case, without a copy.
            durable = drafts
        else:
            durable = [draft for draft in drafts if not draft.ephemeral]
        if durable or clients or in_turn:
            self.busy += 1
            self._store.append(durable, partial(self._stored, drafts, done), clients)
        else:
            self._finish(_in_order(drafts, ()), done)

    def _stored(
        self, drafts: Sequence[Draft], done: AppendDone, results: Sequence[Appended] | ReddotError
    ) -> None:
        self.busy -= 1
        if isinstance(results, ReddotError):
            done(results)
        elif len(results) == len(drafts):
            self._finish(results, done)
        else:
            self._finish(_in_order(drafts, results), done)

    def _finish(self, results: Sequence[Appended], done: AppendDone) -> None:
        counters = self._counters
        news: list[Publication] = []
        for result in results:
            if result.duplicate:
                counters.duplicates += 1
                continue
            news.append(result.publication)
            if result.publication.position:
                counters.published_durable += 1
                news += result.others
            else:
                counters.published_ephemeral += 1
        try:
            done(results)
        finally:
            self._bus.announce(news)


def ttl_ms_of(ttl_s: float) -> int:
    """Milliseconds of a checked `ttl`."""
    if not 0 < ttl_s <= TTL_S_MAX:
        raise ReddotError("field_invalid", f"'ttl' must be above 0 and at most {TTL_S_MAX} seconds")
    return int(ttl_s * 1000)
