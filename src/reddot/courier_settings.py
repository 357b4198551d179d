"""The types of `[couriers.NAME]` tables, one for each type of courier.

Beside `settings`, which alone uses them together with the composition root. A secret may also come
as the path of a file, under its name with `_file`. Each validator raises `ValueError` with one line
that never holds the value of a secret.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import NoDecode

from reddot.setting_types import read_file, tables_from_text

MASK: Final = "***"
COURIERS_MAX: Final = 50
SIGNING_KEYS_MAX: Final = 5
VALUES_MAX: Final = 50

_FILE: Final = "_file"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SUBJECT: Final = re.compile(r"mailto:[^\s@]+@[^\s@]+|https://\S+")
_AUTHORITY: Final = re.compile(r"[a-z0-9]+://[^/?]*")


def _subject(value: str) -> str:
    if _SUBJECT.fullmatch(value) is None:
        raise ValueError("must be mailto:… or https://…, where push services can reach you")
    return value


def _signing_keys(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for value in values:
        text = value.get_secret_value()
        try:
            key = b64decode(text.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("each must be whsec_ and base64 of 24 to 64 bytes")
    return values


def _apprise_url(value: SecretStr) -> SecretStr:
    """Where a person's address may stand: it must not choose the host."""
    text = value.get_secret_value()
    head = _AUTHORITY.match(text)
    if head is None:
        raise ValueError("must be a URL of Apprise such as mailto://…")
    if "{address}" not in text:
        raise ValueError("must have {address} where the person's address belongs")
    if "{" in head[0]:
        raise ValueError("a placeholder must not be in the host or in front of it")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


class CourierTable(BaseModel):
    """What all types have: unknown fields are refused, secrets may be files.

    Attributes:
        unknown_outcome: when nobody knows whether the provider has it: `retry` sends it again,
            under its id; `dead` makes it a dead letter, so that nothing is sent twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    secrets: ClassVar[tuple[str, ...]] = ()

    unknown_outcome: Literal["retry", "dead"] = "retry"

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        found = dict(given)
        for name in cls.secrets:
            path = found.pop(name + _FILE, None)
            if path is None:
                continue
            if name in found:
                raise ValueError(f"{name} and {name}{_FILE} are both set: keep one")
            text = read_file(str(path)).strip()
            found[name] = text.split() if name == "keys" else text
        return found


class WebPushTable(CourierTable):
    """`type = "web_push"`.

    Attributes:
        subject: how push services reach you, `mailto:` or `https:`.
        vapid_private_key: PEM, or 32 bytes in base64url; without it the server makes and keeps one.
    """

    secrets = ("vapid_private_key",)

    type: Literal["web_push"]
    subject: Annotated[str, AfterValidator(_subject)]
    vapid_private_key: SecretStr | None = None


class WebhookTable(CourierTable):
    """`type = "webhook"`.

    Attributes:
        keys: `whsec_…` to sign with, the newest first; receivers accept any of them.
        url: where all requests go; without it each person's address is a URL.
    """

    secrets = ("keys",)

    type: Literal["webhook"]
    keys: Annotated[
        tuple[SecretStr, ...],
        Field(strict=False, min_length=1, max_length=SIGNING_KEYS_MAX),
        AfterValidator(_signing_keys),
    ]
    url: str | None = None


class AppriseTable(CourierTable):
    """`type = "apprise"`.

    Attributes:
        url: of the library, with `{address}` for the person's, and `{user}` and `{id}` if wanted.
        address_pattern: what an address has to look like beyond being one word; a regular
            expression for all of it.
        threads: how many deliveries at once.
        timeout_s: for one; then it is tried again.
    """

    secrets = ("url",)

    type: Literal["apprise"]
    url: Annotated[SecretStr, AfterValidator(_apprise_url)]
    address_pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    threads: int = Field(default=4, ge=1, le=64)
    timeout_s: float = Field(default=30, ge=0.1, le=300, strict=False)


class HttpTemplateTable(CourierTable):
    """`type = "http_template"`.

    Attributes:
        provider: a description that comes with Reddot.
        description: or the path of your own.
        values: what the description asks for; each may be `NAME_file` instead.
    """

    type: Literal["http_template"]
    provider: str | None = None
    description: str | None = None
    values: dict[str, str | int | bool] = Field(default={}, max_length=VALUES_MAX, repr=False)

    @model_validator(mode="after")
    def _one_description(self) -> HttpTemplateTable:
        if (self.provider is None) == (self.description is None):
            raise ValueError("give either provider or description")
        return self

    @model_validator(mode="before")
    @classmethod
    def _values_from_files(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("values"), dict):
            return given
        values = {}
        for name, value in given["values"].items():
            if name.endswith(_FILE):
                values[name.removesuffix(_FILE)] = read_file(str(value)).strip()
            else:
                values[name] = value
        return given | {"values": values}


Table = Annotated[
    WebPushTable | WebhookTable | AppriseTable | HttpTemplateTable, Field(discriminator="type")
]


def _tables(tables: dict[str, Table]) -> dict[str, Table]:
    for name in tables:
        if _NAME.fullmatch(name) is None:
            raise ValueError(
                f"{name!r:.40} is not a name: small letters, digits, _ and -, up to 32"
            )
    if len([one for one in tables.values() if one.type == "web_push"]) > 1:
        raise ValueError("there can be only one web_push: a browser has one subscription")
    if len(tables) > COURIERS_MAX:
        raise ValueError(f"more than {COURIERS_MAX} couriers")
    return tables


Couriers = Annotated[
    dict[str, Table], NoDecode, BeforeValidator(tables_from_text), AfterValidator(_tables)
]


def shown(couriers: Mapping[str, Table]) -> dict[str, dict[str, object]]:
    """All values for printing: secrets are `***`, and so are the values of a provider."""
    return {
        name: {key: _shown(key, value) for key, value in table.model_dump().items()}
        for name, table in couriers.items()
    }


def _shown(key: str, value: object) -> object:
    if isinstance(value, SecretStr):
        return MASK
    if key == "keys":
        return MASK
    if isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    return value
