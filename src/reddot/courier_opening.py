"""Which couriers a server has: their tables made into parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reddot.courier_settings import (
    AppriseTable,
    HttpTemplateTable,
    Table,
    WebhookTable,
    WebPushTable,
)
from reddot.couriers.vapid import Vapid, VapidKey, keep
from reddot.errors import SettingsError
from reddot.net.resolving import Resolver
from reddot.ports import Clock, Courier
from reddot.settings import Settings

# What is imported further down is not here, because a server should not pay, in time and memory,
# for couriers that it does not have.
if TYPE_CHECKING:
    from reddot.couriers.web_push import WebPush
    from reddot.net.outbound import Outbound

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

VAPID_FILE: Final = ".vapid.pem"


def open_couriers(
    settings: Settings,
    *,
    clock: Clock,
    resolve: Resolve | None = None,
    start_threads: bool = False,
) -> dict[str, Courier]:
    """All couriers of the settings by name; each is closed by itself.

    Args:
        start_threads: those that work in threads start them now, not when they are needed.
    Raises:
        SettingsError: one line that names the courier.
    """
    couriers: dict[str, Courier] = {}
    # One for all, so that there is one limit.
    resolve = resolve or Resolver()
    for name, table in settings.couriers.items():
        try:
            couriers[name] = _open(settings, table, clock, resolve, start_threads)
        except SettingsError as error:
            raise SettingsError(f"couriers.{name}: {error}") from None
    return couriers


def vapid_public_key(couriers: Mapping[str, Courier]) -> str | None:
    """What a browser needs to subscribe (`applicationServerKey`); None: there is no Web Push."""
    return found[1].public_key if (found := _web_push(couriers)) else None


def web_push_name(couriers: Mapping[str, Courier]) -> str | None:
    """Under which name subscriptions of browsers are addresses; None: there is no Web Push."""
    return found[0] if (found := _web_push(couriers)) else None


def _web_push(couriers: Mapping[str, Courier]) -> tuple[str, WebPush] | None:
    if not couriers:
        return None
    from reddot.couriers.web_push import WebPush

    found = ((name, one) for name, one in couriers.items() if isinstance(one, WebPush))
    return next(found, None)


def vapid_key(settings: Settings) -> tuple[VapidKey, str | None]:
    """The server's key, and where it is kept, in words: in the settings or beside the store.

    A store in memory keeps none: then the key is a new one each time, and its place None.

    Raises:
        SettingsError: it cannot be read or made.
    """
    tables = [one for one in settings.couriers.values() if isinstance(one, WebPushTable)]
    if tables and (given := tables[0].vapid_private_key) is not None:
        try:
            return VapidKey.parse(given.get_secret_value()), "vapid_private_key of the settings"
        except ValueError as error:
            raise SettingsError(f"vapid_private_key {error}") from None
    if settings.store_url.startswith("memory:"):
        return VapidKey.make(), None
    store = Path(settings.store_url.removeprefix("sqlite:///"))
    path = store.with_name(store.name + VAPID_FILE)
    return keep(path), f"in {path}"


def for_another_process(settings: Settings, couriers: Mapping[str, Courier]) -> Settings:
    """Settings of which the same couriers can be opened elsewhere, without what only a node needs.

    With the key that Web Push has here, which may be kept nowhere, and without the secrets that
    make somebody an administrator: who talks to strangers had better not know them.
    """
    tables = dict(settings.couriers)
    if (found := _web_push(couriers)) is not None:
        name, web_push = found
        key = {"vapid_private_key": web_push.private_key}
        tables[name] = tables[name].model_copy(update=key)
    return settings.model_copy(update={"couriers": tables, "jwt_secret": None, "api_key": ()})


def given_once(settings: Settings) -> frozenset[str]:
    """The couriers that are to be given nothing twice."""
    tables = settings.couriers.items()
    return frozenset(name for name, one in tables if one.unknown_outcome == "dead")


def _open(
    settings: Settings, table: Table, clock: Clock, resolve: Resolve, start_threads: bool
) -> Courier:
    if isinstance(table, AppriseTable):
        return _open_apprise(table, start_threads)
    from reddot.net.outbound import Guard, Outbound

    outbound = Outbound(
        Guard(settings.outbound_allowed),
        timeout_s=settings.outbound_timeout_s,
        answer_bytes_max=settings.outbound_answer_bytes_max,
        resolve=resolve,
    )
    if isinstance(table, WebPushTable):
        from reddot.couriers.web_push import WebPush

        key, _ = vapid_key(settings)
        vapid = Vapid(key, subject=table.subject, clock=clock)
        return WebPush(outbound=outbound, vapid=vapid, clock=clock)
    if isinstance(table, WebhookTable):
        return _open_webhook(table, outbound, clock)
    return _open_template(table, outbound, clock)


def _open_webhook(table: WebhookTable, outbound: Outbound, clock: Clock) -> Courier:
    from reddot.couriers.webhook import WebhookCourier
    from reddot.net.outbound import OutboundError

    if table.url is not None:
        try:
            outbound.guard.check_url(table.url)
        except OutboundError as error:
            raise SettingsError(f"url: {error}; outbound_allowed lists exceptions") from None
    keys = [one.get_secret_value() for one in table.keys]
    return WebhookCourier(outbound=outbound, keys=keys, url=table.url, clock=clock)


def _open_apprise(table: AppriseTable, start_threads: bool) -> Courier:
    from reddot.couriers.apprise import AppriseCourier

    courier = AppriseCourier(
        url=table.url.get_secret_value(),
        pattern=table.address_pattern,
        threads=table.threads,
        timeout_s=table.timeout_s,
    )
    if start_threads:
        courier.start_threads()
    return courier


def _open_template(table: HttpTemplateTable, outbound: Outbound, clock: Clock) -> Courier:
    from reddot.couriers.http_template import HttpTemplate
    from reddot.couriers.template import load, shipped

    path = shipped(table.provider) if table.provider else Path(table.description or "")
    return HttpTemplate(outbound=outbound, description=load(path), values=table.values, clock=clock)
