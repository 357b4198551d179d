"""Which address is answered by what: the hot routes on the transport, the cold ones over ASGI."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.routing import BaseRoute

from reddot.api.admission import Admission
from reddot.api.campaigns import CampaignRoutes
from reddot.api.console import ConsoleRoutes, console_pages
from reddot.api.credentials import DevTokenRequest, IssueDevToken, IssueTicket
from reddot.api.deliveries import DeliveryRoutes, Push
from reddot.api.diag import Probes
from reddot.api.inbox import InboxRoutes
from reddot.api.notifications import Notify, ShowBadge
from reddot.api.operating import Node, OperatingRoutes, TokenRequest
from reddot.api.ops import CountersCollector, ops_routes
from reddot.api.publish import Publish
from reddot.api.reception import Reception
from reddot.api.script import load_scripts, script_routes
from reddot.api.service import Asgi, build_service
from reddot.core.breaker import Circuit
from reddot.core.polling import Polling
from reddot.core.presence import Presence
from reddot.core.tokens import issue_token
from reddot.courier_opening import vapid_public_key, web_push_name
from reddot.net.exchange import Handler
from reddot.net.websocket import WebSocketLimits
from reddot.parts import Parts
from reddot.settings import MASK, SETTINGS, Settings, masked
from reddot.transports.iframe import Iframe
from reddot.transports.long_poll import LongPoll
from reddot.transports.short_poll import ShortPoll
from reddot.transports.sse import Sse
from reddot.transports.websocket import WebSocket

Routes = dict[str, Mapping[str, Handler]]
"""Path → method → handler."""


def admission(parts: Parts) -> Admission:
    """What stands before every hot route."""
    return Admission(
        gate=parts.gate,
        clock=parts.clock,
        counters=parts.counters,
        spawn=parts.spawn,
        boxes=parts.boxes,
    )


def attaching_routes(parts: Parts, admission: Admission) -> Routes:
    """Where clients attach: one address per transport."""
    return {**_poll_routes(parts, admission), **_stream_routes(parts, admission)}


def _poll_routes(parts: Parts, admission: Admission) -> Routes:
    settings, subscribing, counters = parts.settings, parts.subscribing, parts.counters
    polling = Polling(
        hub=parts.hub,
        recent=parts.recent,
        store=parts.store,
        clock=parts.clock,
        publications_max=settings.poll_publications_max,
    )
    short_poll = ShortPoll(
        subscribing=subscribing, counters=counters, polling=polling, spawn=parts.spawn
    )
    long_poll = LongPoll(
        subscribing=subscribing,
        counters=counters,
        polling=polling,
        spawn=parts.spawn,
        wait_s_max=settings.longpoll_wait_s_max,
        now=parts.clock.monotonic,
    )
    return {
        "/v1/poll": admission.get(short_poll.open),
        "/v1/longpoll": admission.get(long_poll.open),
    }


def _stream_routes(parts: Parts, admission: Admission) -> Routes:
    settings, subscribing, counters = parts.settings, parts.subscribing, parts.counters
    sse = Sse(subscribing=subscribing, counters=counters, heartbeat_s=settings.heartbeat_sse_s)
    iframe = Iframe(
        subscribing=subscribing,
        counters=counters,
        heartbeat_s=settings.heartbeat_sse_s,
        nonce=parts.entropy.secret(),
        rotate_bytes=settings.iframe_rotate_bytes,
        rotate_s=settings.iframe_rotate_s,
        allow_origin=parts.gate.allow_origin,
    )
    websocket = WebSocket(
        subscribing=subscribing,
        counters=counters,
        publishing=parts.publishing,
        gate=parts.gate,
        spawn=parts.spawn,
        heartbeat_s=settings.heartbeat_websocket_s,
        limits=WebSocketLimits(
            message_bytes_max=settings.ws_message_bytes_max,
            fragments_max=settings.ws_fragments_max,
            messages_per_s=settings.ws_commands_per_s,
        ),
        data_depth_max=settings.data_depth_max,
        auth_timeout_s=settings.ws_auth_timeout_s,
        inboxes=parts.inboxes,
    )
    return {
        "/v1/sse": admission.get(sse.open),
        "/v1/iframe": admission.get(iframe.open, refuse=iframe.refuse),
        "/v1/ws": admission.get(websocket.open),
        "/mqtt": admission.get(parts.mqtt.open),
    }


def command_routes(parts: Parts, admission: Admission, notify: Notify) -> Routes:
    settings, epoch = parts.settings, parts.store.epoch
    publish = Publish(
        publishing=parts.publishing,
        counters=parts.counters,
        epoch=epoch,
        data_depth_max=settings.data_depth_max,
    )
    badge = ShowBadge(boxes=parts.boxes, epoch=epoch)
    tickets = IssueTicket(tickets=parts.tickets, lifetime_s=settings.ticket_lifetime_s)
    routes = {
        "/v1/publish": admission.post(publish.open),
        "/v1/tickets": admission.post(tickets.open),
        "/v1/notifications": admission.post(notify.open, alone=False),
        "/v1/badge": admission.get(badge.open),
    }
    if settings.dev:
        dev_token = IssueDevToken(issue=partial(_dev_token, parts))
        routes["/v1/dev/token"] = admission.post(dev_token.open)
    return routes


def notifier(parts: Parts) -> Notify:
    """What makes a notification out of its JSON."""
    settings = parts.settings
    return Notify(
        inboxes=parts.inboxes,
        counters=parts.counters,
        epoch=parts.store.epoch,
        data_bytes_max=settings.data_bytes_max,
        data_depth_max=settings.data_depth_max,
        spawn=parts.spawn,
    )


def _dev_token(parts: Parts, request: DevTokenRequest) -> str:
    wanted = TokenRequest(
        user=request.user,
        subscribe=request.subscribe,
        publish=request.publish,
        admin=request.admin,
        since=request.since,
        lifetime_s=min(86_400, parts.settings.token_lifetime_s_max),
    )
    return _signed_token(parts, wanted)


def _signed_token(parts: Parts, wanted: TokenRequest) -> str:
    secret = parts.settings.jwt_secret
    assert secret is not None, "nothing to sign with"
    return issue_token(
        secret,
        user=wanted.user,
        subscribe=wanted.subscribe,
        publish=wanted.publish,
        admin=wanted.admin,
        since_s=wanted.since,
        lifetime_s=wanted.lifetime_s,
        clock=parts.clock,
        issuer=parts.settings.jwt_issuer,
        audience=parts.settings.jwt_audience,
    )


def _register_deliveries(parts: Parts, notify: Notify, reception: Reception) -> None:
    """Before the routes of inboxes, one of which takes whatever follows `/v1/notifications/`."""
    settings, queue = parts.settings, parts.store.deliveries
    name, key = web_push_name(parts.couriers), vapid_public_key(parts.couriers)
    DeliveryRoutes(
        queue=queue,
        couriers=parts.couriers,
        push=Push(name, key) if name and key else None,
        plans=parts.plans,
        clock=parts.clock,
        hint=parts.dispatcher.hint,
        address_bytes_max=settings.address_bytes_max,
        attributes_bytes_max=settings.attributes_bytes_max,
    ).register(reception)
    campaigns = CampaignRoutes(
        campaigns=parts.campaigns,
        queue=queue,
        counting=parts.counting,
        clock=parts.clock,
        entropy=parts.entropy,
        check=parts.campaigns.wanted,
    )
    campaigns.register(reception)
    notify.begin = campaigns.begin


def probes(parts: Parts) -> Probes:
    """The server part of the transport doctor."""
    return Probes(
        gate=parts.gate,
        counters=parts.counters,
        wall_ms=parts.clock.wall_ms,
        nonce=parts.entropy.secret,
        probes_max=parts.settings.diag_probes_max,
        spawn=parts.spawn,
    )


def cold_service(
    parts: Parts,
    unready: Callable[[], str | None],
    pages: Sequence[BaseRoute],
    notify: Notify,
) -> Asgi:
    """Everything that is not hot.

    Args:
        unready: why no new client is welcome, or None.
        pages: further routes, such as the demo page's.
    """
    gauges = {"head": ("Newest durable position.", lambda: float(parts.store.head))}

    def circuits() -> dict[str, bool]:
        return {
            courier: circuit is not Circuit.CLOSED
            for courier, circuit in parts.dispatcher.circuits.items()
        }

    routes = [
        *ops_routes(CountersCollector(parts.counters, gauges, circuits), unready),
        *script_routes(load_scripts()),
        *(console_pages() if parts.settings.console else ()),
        *pages,
    ]
    reception = Reception(gate=parts.gate, counters=parts.counters)
    _register_deliveries(parts, notify, reception)
    InboxRoutes(
        inboxes=parts.inboxes,
        store=parts.store,
        reached=parts.reached,
        policy=parts.policy,
        presence=Presence(subscribing=parts.subscribing, rules=parts.rules, policy=parts.policy),
    ).register(reception)
    _operating(parts, unready).register(reception)
    if parts.settings.console:
        ConsoleRoutes(
            access=parts.console, gate=parts.gate, clock=parts.clock, dev=parts.settings.dev
        ).register(reception)
    return build_service(routes, reception.router)


def _operating(parts: Parts, unready: Callable[[], str | None]) -> OperatingRoutes:
    settings = parts.settings
    return OperatingRoutes(
        node=Node(
            unready=unready,
            settings=_in_force(settings),
            store=parts.describe_store(),
            issue_token=partial(_signed_token, parts) if settings.jwt_secret else None,
            token_lifetime_s_max=settings.token_lifetime_s_max,
        ),
        hub=parts.hub,
        store=parts.store,
        subscribing=parts.subscribing,
        counters=parts.counters,
        readings=parts.readings,
        errors=parts.recent_errors,
        clock=parts.clock,
        entropy=parts.entropy,
    )


def _in_force(settings: Settings) -> list[dict[str, object]]:
    """All settings as rows for people to read; secrets and passwords in addresses are `***`."""
    values = masked(settings)
    return [
        {
            "name": row.name,
            "group": row.group,
            "value": _without_password(values[row.name]),
            "default": row.default,
            "unit": row.unit,
            "help": row.help,
        }
        for row in SETTINGS
    ]


def _without_password(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_password(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_password(one) for one in value]
    return re.sub(r"(?<=://)[^/@]*@", f"{MASK}@", value) if isinstance(value, str) else value
