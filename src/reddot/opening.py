"""Settings made into parts: which store there is, what is said about topics and deliveries."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from pathlib import Path

from reddot.core.rules import TopicRule, TopicRules
from reddot.delivery import Plan
from reddot.errors import SettingsError
from reddot.inbox import Keep
from reddot.model import RetainedLimits
from reddot.outreach import DeliveryKeep
from reddot.ports import Clock, Store
from reddot.settings import Settings
from reddot.stores.memory import MemoryStore
from reddot.stores.sqlite import SqliteStore
from reddot.system import SystemClock


def topic_rules(settings: Settings) -> TopicRules:
    return TopicRules(
        [
            TopicRule(**rule.model_dump(exclude={"history_age"}), history_age_s=rule.history_age)
            for rule in settings.topics
        ]
    )


def delivery_plans(settings: Settings, couriers: Collection[str]) -> tuple[Plan, ...]:
    """How the operator wants people to be reached who are not there.

    Args:
        couriers: that there are.
    Raises:
        SettingsError: a plan names a courier that there is not.
    """
    for index, plan in enumerate(settings.deliveries):
        for step in plan.steps:
            if step.courier not in couriers:
                known = ", ".join(sorted(couriers)) or "none"
                raise SettingsError(
                    f"deliveries: [{index}] names the courier {step.courier!r}; there is {known}"
                )
    return settings.deliveries


def open_store(settings: Settings, *, clock: Clock | None = None) -> Store:
    """The store that the settings name, not opened yet."""
    clock = clock or SystemClock()
    rules = topic_rules(settings)
    url = settings.store_url
    idempotency_ms = settings.idempotency_s * 1000
    keep = Keep(
        count=settings.inbox_notifications_max,
        age_ms=settings.inbox_age_s * 1000,
        follows_max=settings.follows_max,
        categories_max=settings.categories_max,
        snoozed_max=settings.snoozed_max,
        locked=frozenset(settings.locked_categories),
    )
    keep_deliveries = DeliveryKeep(
        age_ms=settings.delivery_age_s * 1000, addresses_max=settings.addresses_max
    )
    retained = RetainedLimits(
        topics_max=settings.retained_topics_max,
        per_user_max=settings.retained_topics_per_user_max,
    )
    if url.startswith("memory:"):
        return MemoryStore(
            clock=clock,
            retention=rules.retention,
            epoch=_new_epoch(),
            idempotency_ms=idempotency_ms,
            keep=keep,
            keep_deliveries=keep_deliveries,
            retained=retained,
        )
    return SqliteStore(
        Path(url.removeprefix("sqlite:///")),
        clock=clock,
        retention=rules.retention,
        new_epoch=_new_epoch,
        queue_drafts_max=settings.append_queue_drafts_max,
        idempotency_ms=idempotency_ms,
        keep=keep,
        keep_deliveries=keep_deliveries,
        retained=retained,
    )


def _new_epoch() -> int:
    return secrets.randbits(32)
