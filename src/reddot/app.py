"""Run one node until it is told to stop: listener, uvicorn, signals."""

from __future__ import annotations

import asyncio
import errno
import gc
import resource
import socket
import sys
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, cast

import structlog
import uvicorn
import uvloop
from uvicorn.importer import import_from_string

from reddot.api.service import Asgi
from reddot.errors import SettingsError, StoreError
from reddot.net.edge import Door, Edge
from reddot.net.proxy import Proxied
from reddot.net.server import FrontServer, open_listener
from reddot.net.tcp import Accepted, listen, tls_context
from reddot.node import Reddot
from reddot.opening import open_store as open_store
from reddot.settings import Settings
from reddot.system import LOG_WATCH, configure_logs

_log = structlog.get_logger("reddot")

MqttListener = tuple[socket.socket, bool]
"""A listening socket, and whether it is for TLS."""

DESCRIPTORS_RESERVED: Final = 256
GC_THRESHOLDS: Final = (20_000, 20, 20)
"""Kept for the store, the listener and connections that are no sessions."""


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns: the exit code: 0 after a drained stop, 1 if the start failed (one line says why).
    """
    configure_logs(settings.log_format, settings.log_level)
    settings = _fit_descriptors(settings)
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(_open(settings, settings.port))
            mqtt = _open_mqtt(settings, stack)
        except SettingsError as error:
            _log.error("cannot_listen", reason=str(error))
            return 1
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        try:
            runner.run(_serve(settings, listener, mqtt))
        except (SettingsError, StoreError) as error:
            _log.error("cannot_start", reason=str(error))
            return 1
    return 0


def _open(settings: Settings, port: int) -> socket.socket:
    """A listening socket. Raises `SettingsError` if it cannot be."""
    try:
        return open_listener(
            settings.host,
            port,
            backlog=settings.backlog,
            send_buffer_bytes=settings.send_buffer_bytes,
            tcp_user_timeout_s=settings.tcp_user_timeout_s,
        )
    except OSError as error:
        reason = "in use" if error.errno == errno.EADDRINUSE else str(error)
        raise SettingsError(f"{settings.host}:{port}: {reason}") from None


def _open_mqtt(settings: Settings, stack: ExitStack) -> list[MqttListener]:
    """The listeners of MQTT. In development a port that is in use is only said: somebody tries
    Reddot beside another broker, and MQTT is on the HTTP port as well."""
    ports = [(settings.mqtt_port, False)]
    if settings.tls_certfile:
        ports.append((settings.mqtts_port, True))
    found: list[MqttListener] = []
    for port, encrypted in ports:
        if port:
            try:
                found.append((stack.enter_context(_open(settings, port)), encrypted))
            except SettingsError as error:
                if not settings.dev:
                    raise
                _log.warning("mqtt_port_skipped", reason=str(error))
    return found


async def _serve_mqtt(
    settings: Settings, node: Reddot, listeners: list[MqttListener]
) -> list[asyncio.Server]:
    servers = []
    for listener, encrypted in listeners:
        tls = None
        # A header before TLS would have to be read before the handshake: whoever sends one has
        # ended TLS already.
        accepted = Proxied if settings.mqtt_proxy_protocol and not encrypted else Accepted
        if encrypted:
            assert settings.tls_certfile and settings.tls_keyfile
            tls = tls_context(settings.tls_certfile, settings.tls_keyfile)
        server = await listen(
            listener,
            partial(accepted, node.mqtt.take, settings.write_buffer_bytes_max),
            backlog=settings.backlog,
            tls=tls,
        )
        servers.append(server)
        host, port = listener.getsockname()[:2]
        _log.info("listening", url=f"{'mqtts' if tls else 'mqtt'}://{host}:{port}")
    return servers


def _load_application(settings: Settings) -> Asgi | None:
    if settings.app is None:
        return None
    # As `python -m` would: the application lies where the server is started.
    sys.path.insert(0, "")
    try:
        return cast("Asgi", import_from_string(settings.app))
    except Exception as error:
        raise SettingsError(f"app: cannot import {settings.app!r}: {error}") from error


async def _serve(settings: Settings, listener: socket.socket, mqtt: list[MqttListener]) -> None:
    node = Reddot(settings)
    LOG_WATCH.listener = node.recent_errors.logged
    application = _load_application(settings)
    try:
        await node.start()
        door = node.door()
        config = uvicorn.Config(
            node.asgi(application),
            http=cast("Any", partial(Edge, door=door)),
            ws="websockets-sansio",
            lifespan="auto" if application else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            backlog=settings.backlog,
            ssl_certfile=settings.tls_certfile,
            ssl_keyfile=settings.tls_keyfile,
            timeout_keep_alive=int(settings.idle_timeout_s),
            timeout_graceful_shutdown=int(settings.drain_timeout_s),
            proxy_headers=False,
        )
        # What the start made stays; the collector need not walk it again. A collection goes through
        # what is young, and hot routes make no cycles: rarely is often enough.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        ticker = asyncio.create_task(_tick(door))
        servers = await _serve_mqtt(settings, node, mqtt)

        async def drain() -> None:
            for each in servers:
                each.close()
            await node.drain()

        server = FrontServer(config, drain=drain)
        host, port = listener.getsockname()[:2]
        scheme = "https" if settings.tls_certfile else "http"
        url = f"{scheme}://{host}:{port}"
        _log.info("listening", url=url)
        if settings.console:
            _log.info("console", **_console_link(node, url))
        await server.serve(sockets=[listener])
        ticker.cancel()
    finally:
        LOG_WATCH.listener = None
        await node.stop()


def _console_link(node: Reddot, url: str) -> dict[str, object]:
    """Where the console is, and for a short time and once, the way into it."""
    if node.settings.dev:
        return {"url": f"{url}/console"}
    secret = node.console.make_link()
    return {"url": f"{url}/console#setup={secret}", "good_for_s": node.settings.console_setup_s}


def _fit_descriptors(settings: Settings) -> Settings:
    """Use the hard limit of file descriptors, and allow no more sessions than it can hold."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY or settings.sessions_max + DESCRIPTORS_RESERVED <= hard:
        return settings
    sessions_max = max(1, hard - DESCRIPTORS_RESERVED)
    _log.info("few_descriptors", limit=hard, sessions_max=sessions_max)
    return settings.model_copy(update={"sessions_max": sessions_max})


async def _tick(door: Door) -> None:
    while True:
        await asyncio.sleep(1)
        door.tick()
