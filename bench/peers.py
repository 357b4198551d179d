"""The servers that are compared: how each is started, listened to and published to.

Each runs on one core, with one worker, without access log, and with what it needs to be at its
best in this comparison. A peer that is missing is installed where that is possible, else it is
said to be missing; it never stops the other measurements.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from bench import wire
from bench.processes import NotMeasured, Server, answers, free_port, start
from bench.wire import Kind, Publish, Session

ROOT: Final = Path(__file__).parents[1]
API_KEY: Final = "rk_bench_onlyForMeasurementsOnThisMachine"
NCHAN_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
PATH: Final = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
FRAME_BYTES: Final = 272
"""What Reddot's SSE frame of `wire.DATA` has; the C loop sends as much."""

SETTINGS: Final = f"""\
api_key = ["{API_KEY}"]
log_level = "warning"
mqtt_port = 0

[[topics]]
filter = "bench/#"
subscribe = "anyone"
"""

NGINX: Final = """\
load_module {module};
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {files};
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ /pub/(.+)$ {{
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length {buffered};
      nchan_message_timeout 10s;
    }}
    location ~ /sub/(.+)$ {{
      nchan_subscriber eventsource websocket;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }}
  }}
}}
"""

MOSQUITTO: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_type none
set_tcp_nodelay true
max_queued_messages 0
"""


class Peer(ABC):
    """A running server. Use it in a `with`; it is stopped at the end."""

    name: ClassVar[str]
    server: Server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    @property
    def port(self) -> int:
        return self.server.port

    @abstractmethod
    def session(self, kind: Kind, topic: str) -> Session:
        """How a client of this kind listens to the topic."""

    @abstractmethod
    def publish(self, topic: str, count: int = 1) -> Publish:
        """How `count` ephemeral publications are handed over at once."""


class Reddot(Peer):
    """Started with the command line, in a folder of its own, as in production: API key, rules.

    Args:
        settings: of `reddot serve`, by name.
    """

    name = "Reddot"

    def __init__(self, folder: Path, *, store_url: str = "memory://", **settings: object) -> None:
        (folder / "bench.toml").write_text(SETTINGS)
        settings["store_url"] = store_url
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        port = free_port()
        command = [*reddot_command(), "serve", "--config", "bench.toml", f"--port={port}", *flags]
        self.server = start("reddot", command, port=port, folder=folder, ready=_ready)

    def session(self, kind: Kind, topic: str) -> Session:
        if kind == "websocket":
            return Session(wire.upgrade(f"/v1/ws?topic={topic}"), ready='"sync"')
        return Session(wire.get(f"/v1/sse?topic={topic}"), ready='"sync"')

    def publish(self, topic: str, count: int = 1) -> Publish:
        one = f'{{"topic":"{topic}","ephemeral":true,"data":{wire.DATA}}}'
        body = one if count == 1 else f"[{','.join([one] * count)}]"
        return Publish(self.post(body))

    @staticmethod
    def durable(topic: str) -> Publish:
        return Publish(Reddot.post(f'{{"topic":"{topic}","data":{wire.DATA}}}'), status="200")

    @staticmethod
    def post(body: str) -> bytes:
        fields = (f"Authorization: Bearer {API_KEY}", "Content-Type: application/json")
        return wire.post("/v1/publish", body, *fields)


def _ready(port: int) -> bool:
    return answers(port, "/readyz", "200")


def _works(port: int) -> bool:
    return answers(port, "/no-such-page", "404")


def reddot_command() -> list[str]:
    """The program under test: this Python's, or what BENCH_COMMAND says."""
    given = os.environ.get("BENCH_COMMAND")
    return given.split() if given else [sys.executable, "-m", "reddot"]


class SendLoop(Peer):
    """The floor: a C program that does nothing but one send per session and publication."""

    name = "C send loop"

    def __init__(self, folder: Path, binary: Path) -> None:
        port = free_port()
        command = [str(binary), str(port), str(FRAME_BYTES)]
        self.server = start("sendloop", command, port=port, folder=folder)

    def session(self, kind: Kind, topic: str) -> Session:
        return Session(wire.get("/"), ready="\r\n\r\n")

    def publish(self, topic: str, count: int = 1) -> Publish:
        return Publish(wire.post("/", wire.DATA * count))


class Nchan(Peer):
    """nginx with the Nchan module, one worker."""

    name = "Nchan"

    def __init__(self, folder: Path, *, buffered: int = 10) -> None:
        nginx = need_program("nginx", "nginx-light")
        need_nchan()
        port = free_port()
        text = NGINX.format(
            module=NCHAN_MODULE,
            user="user root;" if os.geteuid() == 0 else "",
            files=descriptors(),
            connections=descriptors() - 100,
            folder=folder,
            port=port,
            buffered=buffered,
        )
        (folder / "nginx.conf").write_text(text)
        command = [nginx, "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        # A worker answers; the port is open earlier, while there is only the master.
        self.server = start("nginx", command, port=port, folder=folder, ready=_works)

    def session(self, kind: Kind, topic: str) -> Session:
        path = f"/sub/{topic}"
        if kind == "websocket":
            return Session(wire.upgrade(path), ready="\r\n\r\n")
        return Session(wire.get(path, "Accept: text/event-stream"), ready="\r\n\r\n")

    def publish(self, topic: str, count: int = 1) -> Publish:
        return Publish(wire.post(f"/pub/{topic}", wire.DATA) * count, answers=count)


class Mosquitto(Peer):
    """The MQTT broker, QoS 0."""

    name = "Mosquitto"

    def __init__(self, folder: Path) -> None:
        program = need_program("mosquitto", "mosquitto")
        port = free_port()
        user = "user root\n" if os.geteuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(user + MOSQUITTO.format(port=port))
        command = [program, "-c", str(folder / "mosquitto.conf")]
        self.server = start("mosquitto", command, port=port, folder=folder)

    def session(self, kind: Kind, topic: str) -> Session:
        request = wire.MQTT_CONNECT + wire.mqtt_subscribe(topic)
        return Session(request, ready_bytes=wire.CONNACK_BYTES + wire.SUBACK_BYTES)

    def publish(self, topic: str, count: int = 1) -> Publish:
        request = wire.mqtt_publish(topic, wire.DATA) * count
        return Publish(request, answers=0, hello=wire.MQTT_CONNECT, hello_bytes=wire.CONNACK_BYTES)


# ---- what has to be on the machine ----


def descriptors() -> int:
    """The hard limit of open files, bounded."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 100_000 if hard == resource.RLIM_INFINITY else min(hard, 100_000)


def need_program(command: str, package: str) -> str:
    found = shutil.which(command, path=PATH)
    if found is None:
        _install(f"{package}={command}")
        found = shutil.which(command, path=PATH)
    if found is None:
        raise NotMeasured(f"Debian's package {package} is not installed")
    return found


def need_nchan() -> None:
    if not NCHAN_MODULE.exists():
        _install("libnginx-mod-nchan=no-such-command")
    if not NCHAN_MODULE.exists():
        raise NotMeasured("Debian's package libnginx-mod-nchan is not installed")


def _install(package: str) -> None:
    script = ROOT / "scripts" / "install_packages.sh"
    subprocess.run([script, package], check=False, stdout=sys.stderr)


@dataclass(frozen=True)
class Programs:
    """The two C programs of this folder, compiled."""

    loadgen: Path
    sendloop: Path


def compile_programs(folder: Path) -> Programs:
    """Compile what measures. Raises `NotMeasured` without a C compiler: nothing can be done."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotMeasured("a C compiler is needed: apt-get install gcc libc6-dev")
    paths = [folder / name for name in ("loadgen", "sendloop")]
    for path in paths:
        source = Path(__file__).with_name(path.name + ".c")
        subprocess.run([compiler, "-std=gnu11", "-O2", "-o", path, source], check=True)
    return Programs(*paths)
