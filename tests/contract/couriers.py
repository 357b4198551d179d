"""Which couriers there are. A new one is one row of `KINDS` and passes the suite unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import http_ece  # type: ignore[import-untyped]
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reddot.couriers.apprise import AppriseCourier
from reddot.couriers.http_template import HttpTemplate
from reddot.couriers.template import load
from reddot.couriers.vapid import Vapid, VapidKey, encode
from reddot.couriers.web_push import WebPush
from reddot.couriers.webhook import WebhookCourier
from reddot.delivery import Message, Parcel, Verdict
from reddot.net.outbound import Guard, Outbound
from reddot.ports import Courier
from reddot.system import SystemClock
from tests.contract.standin import Seen

LOOPBACK = ("127.0.0.0/8",)
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "tok/en+with odd=characters"  # a canary: nothing may show it

S, R, F, G = Verdict.SENT, Verdict.RETRY, Verdict.FAILED, Verdict.GONE
HTTP = {200: S, 204: S, 400: F, 401: F, 403: F, 404: F, 408: R, 410: G, 413: F, 422: F, 429: R}
HTTP |= {301: F, 307: F, 500: R, 502: R, 503: R, 504: R}


@dataclass(frozen=True)
class Setup:
    """What a test chooses."""

    url: str
    folder: Path
    allowed: Iterable[str] = LOOPBACK
    timeout_s: float = 5
    answer_bytes_max: int = 4096

    def outbound(self) -> Outbound:
        return Outbound(
            Guard(self.allowed), timeout_s=self.timeout_s, answer_bytes_max=self.answer_bytes_max
        )


@dataclass(frozen=True)
class Kind:
    """One kind of courier.

    Attributes:
        address: of a person, as JSON would give it.
        id_of: the idempotency id in a request.
        verdicts: by the status of the answer.
        secrets: what must never be seen in an outcome or a log.
        takes_any: any JSON is an address.
        wrong: addresses that `check` has to refuse.
        guarded: never asks private addresses, follows no redirect. Apprise sends by itself, only to
            what the operator has configured.
        doubtful: says nothing by which a refusal could be told from an answer that was lost.
    """

    name: str
    make: Callable[[Setup], Courier]
    address: Callable[[Setup], object]
    id_of: Callable[[Seen], str]
    verdicts: dict[int, Verdict]
    secrets: tuple[str, ...]
    wrong: tuple[object, ...] = field(default=())
    guarded: bool = True
    takes_any: bool = False
    doubtful: bool = False


# ---- Web Push ----


class Browser:
    """A subscription, and what a browser does with what it gets."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.auth = bytes(range(16))
        point = self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.keys = {"p256dh": encode(point), "auth": encode(self.auth)}

    def subscription(self, url: str) -> dict[str, object]:
        return {
            "endpoint": f"{url}/push/abc-SECRET-endpoint",
            "expirationTime": None,
            "keys": self.keys,
        }

    def read(self, body: bytes) -> dict[str, object]:
        plain = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth)
        return msgspec.json.decode(plain, type=dict[str, object])


BROWSER = Browser()
VAPID_KEY = VapidKey.make()


def _web_push(setup: Setup) -> Courier:
    clock = SystemClock()
    vapid = Vapid(VAPID_KEY, subject="mailto:ops@example.com", clock=clock)
    return WebPush(outbound=setup.outbound(), vapid=vapid, clock=clock)


WEB_PUSH = Kind(
    "web_push",
    _web_push,
    address=lambda setup: BROWSER.subscription(setup.url),
    id_of=lambda seen: str(BROWSER.read(seen.body)["delivery"]),
    verdicts=HTTP | {201: S, 202: S, 404: G},
    secrets=("abc-SECRET-endpoint", "eyJ"),
    wrong=(
        None,
        "text",
        {},
        BROWSER.subscription("http://example.com"),
        BROWSER.subscription("https://10.0.0.1"),
        BROWSER.subscription("https://user:pw@example.com"),
        BROWSER.subscription("https://example.com/" + "x" * 2100),
        BROWSER.subscription("https://example.com") | {"keys": BROWSER.keys | {"auth": "AAAA"}},
        BROWSER.subscription("https://example.com")
        | {"keys": BROWSER.keys | {"p256dh": encode(b"\x04" + b"\x01" * 64)}},
        BROWSER.subscription("https://example.com")
        | {"keys": BROWSER.keys | {"p256dh": encode(b"\x04" + b"\x01" * 63)}},
    ),
)


# ---- the others ----


def _webhook(url: str | None) -> Callable[[Setup], Courier]:
    def make(setup: Setup) -> Courier:
        target = f"{setup.url}{url}" if url is not None else None
        return WebhookCourier(
            outbound=setup.outbound(), keys=[WHSEC], url=target, clock=SystemClock()
        )

    return make


DESCRIPTION = """
title = "Example"
documentation = "https://example.com"
address = { help = "a number", pattern = '\\+?[0-9]{5,15}' }
values = { url = { help = "where" }, token = { help = "proof", secret = true } }

[request]
url = "{url}/send/{address}"
bearer = "{token}"
query = { token = "{token}" }
headers = { Idempotency-Key = "{id}", X-Title = "{title}" }
body = { to = "{address}", text = "{lines}", badge = { "$" = "unread" }, again = "{token}" }
"""


def _http_template(setup: Setup) -> Courier:
    path = setup.folder / "example.toml"
    path.write_text(DESCRIPTION)
    return HttpTemplate(
        outbound=setup.outbound(),
        description=load(path),
        values={"url": setup.url, "token": TOKEN},
        clock=SystemClock(),
    )


def _apprise(setup: Setup) -> Courier:
    host = setup.url.removeprefix("http://")
    url = (
        f"json://someone:canarypassword@{host}/{{address}}?+X-Delivery={{id}}&rto={setup.timeout_s}"
    )
    return AppriseCourier(url=url, threads=50, timeout_s=setup.timeout_s)


KINDS = [
    WEB_PUSH,
    Kind(
        "webhook",
        _webhook(None),
        address=lambda setup: f"{setup.url}/hook?key=canary-of-a-person",
        id_of=lambda seen: seen.headers["webhook-id"],
        verdicts=HTTP,
        secrets=(WHSEC, WHSEC.removeprefix("whsec_"), "canary-of-a-person"),
        wrong=(
            7,
            "ftp://example.com",
            "http://example.com",
            "https://10.0.0.2.",
            "https://192.168.1.1/",
            "https://example.com/" + "x" * 2100,
        ),
    ),
    Kind(
        "webhook, one for all",
        _webhook("/fixed?key=canary-of-all"),
        address=lambda setup: {"mobile": "12345"},
        id_of=lambda seen: seen.headers["webhook-id"],
        verdicts=HTTP,
        secrets=(WHSEC, "canary-of-all"),
        takes_any=True,
        wrong=({"big": "x" * 3000},),
    ),
    Kind(
        "http_template",
        _http_template,
        address=lambda setup: "+4912345678",
        id_of=lambda seen: seen.headers["idempotency-key"],
        verdicts=HTTP | {410: F},
        secrets=(TOKEN, "tok%2Fen", "4912345678"),
        wrong=(12345, "12", "12345\n", "12345?x=1", "1" * 2000),
    ),
    Kind(
        "apprise",
        _apprise,
        address=lambda setup: "someone@example.com",
        id_of=lambda seen: seen.headers["x-delivery"],
        verdicts=dict.fromkeys(HTTP, R) | {200: S, 204: S},
        secrets=("canarypassword", "someone@example.com"),
        wrong=(7, "", "a@b.de,c@d.de", "a b@c.de", "a@b.de\r\nBcc: x@y.de", "x" * 300),
        guarded=False,
        doubtful=True,
    ),
]


def parcel(courier: Courier, address: object, **changes: object) -> Parcel:
    """A parcel to an address; `changes` are fields of the parcel."""
    message = Message(
        id="n1",
        title="Disk full\r\nBcc: all@example.com",
        body='Only 3 % left on "db-1" 磁盘',
        url="https://example.com/disks/1",
        category="alerts",
        collapse_key="disk:db-1",
        time_ms=1_767_225_600_000,
    )
    fields: dict[str, object] = {
        "id": "n1-42-push",
        "user": "42",
        "address": courier.check(address),
        "message": message,
        "unread": 3,
    }
    return msgspec.convert(fields | changes, Parcel, from_attributes=True)
