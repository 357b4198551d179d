"""Claim: MQTT costs no more than Mosquitto's, and an idle client a few kilobytes.

Reddot and Mosquitto run at the same time and take turns: fan-out at QoS 0 to 1,000 clients, one
message at a time; QoS 1 to one of 1,000 clients that acknowledge (a generator in Python, on the
other core, so rates are the generator's and CPU is the server's); idle memory; connect rate.
Reddot's QoS 1 is measured with its log in memory, as Mosquitto's queue is, and on the disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from bench import wire
from bench.generator import Result
from bench.laboratory import (
    SESSIONS,
    Laboratory,
    Line,
    Series,
    answers_per_s,
    us_per_delivery,
    us_per_request,
)
from bench.peers import API_KEY, Mosquitto, Peer, Reddot
from bench.processes import GENERATOR_CORE, NotMeasured, pinned
from bench.wire import Kind, Publish, Session

STEPS: Final = (1000, 5000)
KIB: Final = 1024
KIB_MAX: Final = 4
CONNECT: Final = wire.mqtt_connect("bench", API_KEY)


class ReddotMqtt(Reddot):
    """Reddot, spoken to in MQTT 3.1.1 on its HTTP port."""

    name = "Reddot MQTT"

    def session(self, kind: Kind, topic: str) -> Session:
        request = CONNECT + wire.mqtt_subscribe(topic)
        return Session(request, ready_bytes=wire.CONNACK_BYTES + wire.SUBACK_BYTES)

    def publish(self, topic: str, count: int = 1) -> Publish:
        request = wire.mqtt_publish(topic, wire.DATA) * count
        return Publish(request, answers=0, hello=CONNECT, hello_bytes=wire.CONNACK_BYTES)


def run(lab: Laboratory) -> list[Line]:
    def reddot() -> Peer:
        return ReddotMqtt(lab.folder())

    with lab.peers(reddot, lab.mosquitto) as (peers, absent):
        lines = [_fan_out(lab, peers, absent), *_to_one(lab, peers, absent)]
    lines += [_memory(lab, make) for make in (reddot, lab.mosquitto)]
    with lab.peers(reddot, lab.mosquitto) as (peers, absent):
        return [*lines, _connect(lab, peers, absent)]


def _fan_out(lab: Laboratory, peers: list[Peer], absent: list[str]) -> Line:
    cases: dict[str, Callable[[], Result]] = {
        peer.name: partial(lab.fan_out, peer, "mqtt") for peer in peers
    }
    found = lab.take_turns("mqtt_fanout", cases)
    return _compared(
        "MQTT QoS 0 fan-out to 1,000: CPU per delivery", found, absent, us_per_delivery
    )


def _compared(
    what: str, found: dict[str, Series], absent: list[str], metric: Callable[[Result], float]
) -> Line:
    own, other = found[ReddotMqtt.name], found.get(Mosquitto.name)
    mine = own.median(metric)
    beside, met = absent, None
    if other is not None:
        theirs = other.median(metric)
        beside = [f"{mine / theirs:.2f}x Mosquitto ({theirs:.2f} µs)"]
        met = mine <= theirs and not own.faults
    return Line(what, f"{mine:.2f} µs{own.faults}", "≤ 1x Mosquitto", "; ".join(beside), met)


# QoS 1 to one of many


def _to_one(lab: Laboratory, peers: list[Peer], absent: list[str]) -> list[Line]:
    cases: dict[str, Callable[[], Result]] = {
        peer.name: partial(_acknowledged, lab, peer) for peer in peers
    }
    with ReddotMqtt(lab.folder(), store_url="sqlite:///bench.db") as durable:
        cases["on disk"] = partial(_acknowledged, lab, durable)
        found = lab.take_turns("mqtt_qos1", cases)
    what = "MQTT QoS 1 to one of 1,000: CPU per message"
    disk = found.pop("on disk")
    lines = [_compared(what, found, absent, us_per_request)]
    rates = "; ".join(
        f"{name} {each.median(answers_per_s):,.0f}/s"
        for name, each in (found | {"on disk": disk}).items()
    )
    return [
        *lines,
        Line(f"{what}, fsync", f"{disk.median(us_per_request):.2f} µs", "", rates),
    ]


def _acknowledged(lab: Laboratory, peer: Peer) -> Result:
    """One run of the generator below, in a process of its own."""
    arguments = {
        "port": peer.port,
        "pids": peer.server.pids,
        "connect": (CONNECT if isinstance(peer, ReddotMqtt) else wire.MQTT_CONNECT).hex(),
        "sessions": SESSIONS,
        "seconds": lab.seconds(3),
    }
    command = pinned(GENERATOR_CORE, [sys.executable, "-m", "bench.mqtt_acks"])
    done = subprocess.run(
        command,
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(_root())},
    )
    if done.returncode:
        raise NotMeasured(f"{peer.name}: {done.stderr.strip()[-300:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _root() -> object:
    from bench.peers import ROOT

    return ROOT


# Idle memory and connecting


def _hold(lab: Laboratory, peer: Peer, idle_seconds: float) -> Result:
    session = peer.session("mqtt", wire.ONE)
    return lab.generator.hold(
        peer, session, steps=STEPS, users=STEPS[-1], idle_seconds=idle_seconds
    )


def _memory(lab: Laboratory, make: Callable[[], Peer]) -> Line:
    with make() as peer:
        own = isinstance(peer, ReddotMqtt)
        result = _hold(lab, peer, 2)
    lab.runs.append({"row": "mqtt_memory", "case": peer.name, "turn": 0, "result": result})
    low, high = result["steps"]
    kib = float((high["rss"] - low["rss"]) / (high["sessions"] - low["sessions"]) / KIB)
    return Line(
        f"idle memory per MQTT client, each its own topic: {peer.name}",
        f"{kib:.1f} KiB",
        f"≤ {KIB_MAX} KiB" if own else "",
        "",
        kib <= KIB_MAX if own else None,
    )


def _connect(lab: Laboratory, peers: list[Peer], absent: list[str]) -> Line:
    cases: dict[str, Callable[[], Result]] = {
        peer.name: partial(_hold, lab, peer, 0) for peer in peers
    }
    text = {}
    for name, series in lab.take_turns("mqtt_connect", cases).items():
        per_s = series.median(lambda r: r["steps"][-1]["opened"] / r["steps"][-1]["seconds"])
        us = series.median(
            lambda r: r["steps"][-1]["server_cpu_s"] / r["steps"][-1]["opened"] * 1e6
        )
        text[name] = f"{per_s:,.0f}/s, {us:.0f} µs CPU each"
    own = text.pop(ReddotMqtt.name)
    beside = [f"{name} {measured}" for name, measured in text.items()]
    return Line("connect rate, MQTT", own, "", "; ".join(beside + absent))
