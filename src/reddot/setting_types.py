"""Types of settings that are more than a number or a text: URLs, keys, origins, rules, plans.

Beside `settings`, which alone uses them; a row of the table is here too. Each validator raises
`ValueError` with one line that never holds the value of a secret.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
)
from pydantic_settings import NoDecode

from reddot.codecs.plans import plans_fields, plans_of
from reddot.delivery import Plan
from reddot.errors import ReddotError

PREFIX: Final = "REDDOT_"
JWT_SECRET_BYTES_MIN: Final = 32
DAY_S: Final = 86_400

_PEM: Final = "-----BEGIN"
_AGE: Final = re.compile(r"(\d+)([smhd])")
_AGE_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY_S}
_ORIGIN: Final = re.compile(r"https?://((\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_NUMBERS: Final = re.compile(r"[0-9./]+")
_API_KEY: Final = re.compile(r"rk_[A-Za-z0-9_-]+(:sha256:[0-9a-f]{64})?")


def _list_from_text(value: object) -> object:
    """A comma separated text is a list; everything else is left to the type."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def tables_from_text(value: object) -> object:
    """Tables come from TOML as they are, and as JSON from a variable or a flag."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("is not valid JSON") from None
    return value


def _age_seconds(value: object) -> object:
    if isinstance(value, str):
        found = _AGE.fullmatch(value)
        if found is None:
            raise ValueError('give seconds, or a number with a unit: "30m", "12h", "7d"')
        return int(found[1]) * _AGE_UNITS_S[found[2]]
    return value


def _store_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if value == "memory://" or (scheme == "sqlite" and rest.startswith("/") and len(rest) > 1):
        return value
    raise ValueError("known are sqlite:///PATH and memory://")


def _bus_url(value: str) -> str:
    if value != "local://":
        raise ValueError("known is local://")
    return value


def _jwt_secret(value: str) -> str:
    if len(value.encode()) < JWT_SECRET_BYTES_MIN:
        raise ValueError(f"must have at least {JWT_SECRET_BYTES_MIN} bytes (RFC 7518 section 3.2)")
    return value


def _public_key(value: str) -> str:
    """The PEM text, read from the file if `value` is a path."""
    try:
        text = value if _PEM in value else Path(value).read_text(encoding="ascii")
    except (OSError, ValueError):
        raise ValueError("is neither a PEM text nor a file that can be read") from None
    if "PRIVATE KEY" in text:
        raise ValueError("is a private key; the server needs only the public one")
    if _PEM not in text:
        raise ValueError("is not a PEM text")
    return text


def _jwks_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return value
    raise ValueError("must begin with https://")


def _api_keys(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if _API_KEY.fullmatch(value) is None:
            raise ValueError("must be rk_…, or the hashed line that `reddot apikey` printed")
    return values


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Origins compare as texts (RFC 6454 section 6.2), so they are kept in the browsers' form."""
    lowered = tuple(value.lower() for value in values)
    for value in lowered:
        if _ORIGIN.fullmatch(value) is None:
            raise ValueError(f"{value!r} is not an origin such as https://example.com")
    return lowered


def _application(value: str) -> str:
    if re.fullmatch(r"[\w.]+:[\w.]+", value) is None:
        raise ValueError("must look like module:app")
    return value


def _outbound(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            if _HOST.fullmatch(value) is None or _NUMBERS.fullmatch(value):
                raise ValueError(f"{value!r} is neither a network nor a host name") from None
    return values


def _readable(value: str) -> str:
    read_file(value)
    return value


def read_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise ValueError(f"cannot read the file {path}: {reason}") from None


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table, for flags and documentation.

    Attributes:
        name: the key in `reddot.toml`.
        kind: `text`, `whole number`, `number`, `yes or no`, `list`, `tables`, or the choices.
        default: what holds when nobody says.
        unit: of a number; empty if it counts or names something.
        low, high: the range of a number, both allowed.
        help: one line.
        secret: never printed; may come as a file.
        group: heading under which it is shown.
    """

    name: str
    kind: str
    default: object
    unit: str
    low: float | None
    high: float | None
    help: str
    secret: bool
    group: str

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def _plans(value: object) -> tuple[Plan, ...]:
    """Written as in the API, which has them without this library."""
    try:
        return plans_of(tables_from_text(value))
    except ReddotError as error:
        raise ValueError(error.detail) from None


Rule = Literal["grant", "anyone", "deny"]


class TopicRuleSetting(BaseModel):
    """One `[[topics]]` table; the first whose filter selects a topic holds for it.

    Attributes:
        filter: which topics.
        durable: the default for publications that do not say whether they are ephemeral. Without
            it they are durable, except what MQTT brings at quality of service 0.
        history_count: how many publications of a topic are kept.
        history_age: how long one is kept, seconds.
        conflate: a slow reader may be given only the latest publication of a topic.
        presence: who is attached is kept and may be asked for.
        subscribe, publish: who may; `grant` asks the credential.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    filter: str = Field(min_length=1)
    durable: bool | None = None
    history_count: int = Field(default=1000, ge=0, le=1_000_000_000)
    history_age: Annotated[int, BeforeValidator(_age_seconds)] = Field(
        default=7 * DAY_S, ge=1, le=3650 * DAY_S
    )
    conflate: bool = False
    presence: bool = False
    subscribe: Rule = "grant"
    publish: Rule = "grant"


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list_from_text)]
Origins = Annotated[Texts, AfterValidator(_origins)]
OutboundAllowed = Annotated[Texts, AfterValidator(_outbound)]
ApiKeys = Annotated[Texts, AfterValidator(_api_keys)]
TopicRules = Annotated[tuple[TopicRuleSetting, ...], NoDecode, BeforeValidator(tables_from_text)]
Plans = Annotated[tuple[Plan, ...], NoDecode, PlainValidator(_plans), PlainSerializer(plans_fields)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
BusUrl = Annotated[str, AfterValidator(_bus_url)]
JwtSecret = Annotated[str, AfterValidator(_jwt_secret)]
PublicKey = Annotated[str, AfterValidator(_public_key)]
JwksUrl = Annotated[str, AfterValidator(_jwks_url)]
Application = Annotated[str, AfterValidator(_application)]
ReadableFile = Annotated[str, AfterValidator(_readable)]
