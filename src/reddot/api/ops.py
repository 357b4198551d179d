"""For operators: `/livez`, `/readyz`, `/metrics`.

Live means that the event loop answers; it never asks the store, since restarting a server over a
store's hiccup only adds a storm of reconnects. Ready means that new clients are welcome.
Metrics have a `transport` label and never a topic: their number does not grow with use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from reddot.counters import Counters

TRANSPORT_COUNTERS: Mapping[str, str] = {
    "requests": "Requests and commands taken.",
    "refused": "Attempts to attach that were answered with an error.",
    "opened": "Sessions opened.",
    "resumed": "Sessions opened that went on from a cursor of this log.",
    "proven": "Sessions that lasted until their first heartbeat.",
    "deliveries": "Publications written to clients.",
    "bytes_in": "Bytes of requests and commands.",
    "bytes_out": "Bytes of answers and frames.",
    "paused": "Times a session's buffer was full and it left the live set.",
    "stalled": "Sessions closed because they did not read for too long.",
}
COUNTERS: Mapping[str, str] = {
    "published_durable": "Durable publications stored.",
    "published_ephemeral": "Ephemeral publications dispatched.",
    "duplicates": "Publishes answered as duplicates.",
    "ephemeral_dropped": "Ephemeral publications missed while paused or not begun.",
    "gaps": "Gaps told to clients.",
    "notifications": "Notifications sent, however many they were for.",
    "inbox_changes": "Marks, follows, preferences and other changes of inboxes.",
    "notifications_woken": "Notifications that came back after they were snoozed.",
    "badges_pushed": "Badge frames written to clients.",
    "reached_dropped": "People reached live that could not be counted: too much was to be written.",
    "courier_restarts": "Times the process that sends for couriers was started again.",
    "feed_holes": "Publications read from the store because the bus lost them.",
    "catchup_memory": "Resumes served from memory.",
    "catchup_store": "Resumes that had to read the store.",
    "mqtt_windows_full": "Times an MQTT client had too much unacknowledged and was held.",
    "mqtt_too_large": "Publications skipped because an MQTT client takes no such large packets.",
    "mqtt_takeovers": "MQTT connections ended because their client connected again.",
    "mqtt_wills": "Wills of MQTT clients published.",
    "mqtt_backlogs_lost": "MQTT sessions of which retention has taken publications.",
    "mqtt_shared_dropped": "QoS 0 publications that no member of a shared subscription could take.",
}


class CountersCollector(Collector):
    """Turns plain integers into metrics when somebody asks.

    Args:
        gauges: name to help and a function that reads it.
        circuits: whether the circuit of each courier is open.
    """

    def __init__(
        self,
        counters: Counters,
        gauges: Mapping[str, tuple[str, Callable[[], float]]],
        circuits: Callable[[], Mapping[str, bool]],
    ) -> None:
        self._counters = counters
        self._gauges = gauges
        self._circuits = circuits

    def collect(self) -> Iterable[Metric]:
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"reddot_{name}", text, getattr(self._counters, name))
        rejected = CounterMetricFamily(
            "reddot_rejected", "Requests and commands refused.", labels=["code"]
        )
        for code, count in self._counters.rejected.items():
            rejected.add_metric([code], count)
        yield rejected
        deliveries = CounterMetricFamily(
            "reddot_deliveries",
            "Deliveries that came into a state, by courier and reason.",
            labels=["courier", "state", "reason"],
        )
        for labels, count in self._counters.deliveries.items():
            deliveries.add_metric(list(labels), count)
        yield deliveries
        circuits = GaugeMetricFamily(
            "reddot_circuit_open",
            "1 while a courier is left alone because its provider fails, else 0.",
            labels=["courier"],
        )
        for courier, is_open in self._circuits().items():
            circuits.add_metric([courier], is_open)
        yield circuits
        yield from self._transports()
        for name, (text, read) in self._gauges.items():
            yield GaugeMetricFamily(f"reddot_{name}", text, read())

    def _transports(self) -> Iterable[Metric]:
        transports = self._counters.transports.items()
        sessions = GaugeMetricFamily("reddot_sessions", "Open sessions.", labels=["transport"])
        for transport, counters in transports:
            sessions.add_metric([transport], counters.sessions)
        yield sessions
        for name, text in TRANSPORT_COUNTERS.items():
            family = CounterMetricFamily(f"reddot_transport_{name}", text, labels=["transport"])
            for transport, counters in transports:
                family.add_metric([transport], getattr(counters, name))
            yield family
        closed = CounterMetricFamily(
            "reddot_transport_closed", "Sessions ended.", labels=["transport", "reason"]
        )
        for transport, counters in transports:
            for reason, count in counters.closed.items():
                closed.add_metric([transport, reason], count)
        yield closed


def ops_routes(collector: Collector, unready: Callable[[], str | None]) -> list[Route]:
    """The routes.

    Args:
        unready: why no new client is welcome, or None.
    """
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(collector)
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.GCCollector(registry=registry)

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        reason = unready()
        if reason is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "reason": reason}, status_code=503)

    async def metrics(_request: Request) -> Response:
        body = prometheus_client.generate_latest(registry)
        return Response(body, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
