"""A provider described by a file: what it is asked, and what its answers mean. Pure.

Texts hold placeholders: `{title}`, or `{title|600}` for at most 600 bytes of it. Where a number or
an object is wanted, a table stands in the place of the value: `{"$" = "unread", max = 99}`. A body
is filled value by value and encoded afterwards, so nothing in a message can break out of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from reddot.couriers.outcomes import cut
from reddot.delivery import Verdict
from reddot.errors import SettingsError

PROVIDERS: Final = Path(__file__).with_name("providers")
Word = Literal["sent", "retry", "failed", "gone"]

MESSAGE_NAMES: Final = frozenset(
    {
        "id",
        "user",
        "address",
        "notification",
        "title",
        "body",
        "text",
        "lines",
        "json",
        "link",
        "icon",
        "category",
        "priority",
        "actions",
        "data",
        "time_ms",
        "count",
        "unread",
        "ttl_s",
        "provider_id",
    }
)
"""What a message brings; `text` is the body, or the title if there is none; `lines` title, body and
`link`; `json` all that an app needs, as one text."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)(?:\|(\d{1,6}))?\}")


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator fills in, under `[couriers.NAME.values]`.

    Attributes:
        default: None: it must be given.
    """

    help: str
    secret: bool = False
    default: str | int | bool | None = None


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person's address is: a text that all of `pattern` matches."""

    help: str
    pattern: str


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent.

    Attributes:
        url: a placeholder at its very beginning is a value of the operator's and stays as it is;
            everywhere else they are percent-encoded.
        basic: user and password (RFC 7617). bearer: a token.
        body: sent as JSON. form: sent as a form, if there is no body.
        escape: what replaces single characters of what a message or an address brings.
        signer: a key of `signers.SIGNERS`.
    """

    url: str
    method: Literal["POST", "PUT", "GET"] = "POST"
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    basic: tuple[str, str] | None = None
    bearer: str | None = None
    body: Any = None
    form: dict[str, str] | None = None
    escape: dict[str, str] = {}
    signer: str | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer means; the first rule that fits holds.

    Attributes:
        status: any of these; None: any.
        pointer: JSON pointer (RFC 6901) into the answer; `equals`: what has to be there.
        reason: the stable word of the outcome; none: `http_` and the status.
        wait_s: before the next attempt, if the provider does not say how long.
        blame: see `Outcome`.
    """

    verdict: Word
    status: tuple[int, ...] | None = None
    pointer: str | None = None
    equals: tuple[str | int | bool | None, ...] = ()
    reason: str = ""
    wait_s: float | None = None
    blame: bool = False

    def fits(self, status: int, body: Any) -> bool:
        if self.status is not None and status not in self.status:
            return False
        return self.pointer is None or any(
            # 0 is not false here, and 1 not true.
            found == one and isinstance(found, bool) == isinstance(one, bool)
            for found in pointed(body, self.pointer)
            for one in self.equals
        )

    @property
    def outcome(self) -> Verdict:
        return Verdict(self.verdict)


class Ids(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the provider hands out the ids by which it tells doubles: `{provider_id}`."""

    url: str
    pointer: str


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider.

    Attributes:
        retry_after: the header in which the provider says how many seconds to wait.
    """

    title: str
    documentation: str
    address: Address
    request: Request
    values: dict[str, Value] = {}
    answers: tuple[Rule, ...] = ()
    retry_after: str = "Retry-After"
    ids: Ids | None = None


def load(path: Path) -> Description:
    """A description and everything that can be wrong in it.

    Raises:
        SettingsError: one line.
    """
    try:
        description = msgspec.toml.decode(path.read_bytes(), type=Description)
        _check(description)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (ValueError, re.error, msgspec.MsgspecError) as error:
        raise SettingsError(f"{path}: {error}") from None
    return description


def shipped(name: str) -> Path:
    """The description that comes with Reddot under this name. Raises `SettingsError`."""
    known = sorted(path.stem for path in PROVIDERS.glob("*.toml"))
    if name not in known:
        raise SettingsError(f"unknown provider {name!r}; known are {', '.join(known)}")
    return PROVIDERS / f"{name}.toml"


def _check(description: Description) -> None:
    re.compile(description.address.pattern)
    values = description.values.keys()
    if clash := MESSAGE_NAMES & values:
        raise ValueError(f"values: {sorted(clash)[0]!r} is a name of every message")
    used = set(_names(msgspec.to_builtins(description.request)))
    if description.ids is not None:
        used |= set(_names(description.ids.url))
    for name in sorted(used):
        if name.partition(".")[0] not in MESSAGE_NAMES | values:
            raise ValueError(f"request: nobody knows {{{name}}}")
    if "provider_id" in used and description.ids is None:
        raise ValueError("request: {provider_id} needs [ids]")
    head = re.match(r"\{([a-z0-9_]+)\}", description.request.url)
    authority = description.request.url.partition("://")[2].partition("/")[0]
    if head is None and ("{" in authority or not authority):
        raise ValueError("request.url: only a value of the operator's can name the host")
    if head is not None and head[1] not in values:
        raise ValueError(f"request.url: {{{head[1]}}} is not under [values]")
    if wrong := [one for one in description.request.headers if not _TOKEN.fullmatch(one)]:
        raise ValueError(f"request.headers: {wrong[0]!r} is not the name of a header")
    if any(len(one) != 1 for one in description.request.escape):
        raise ValueError("request.escape: single characters only")


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield from (found[1] for found in _PLACEHOLDER.finditer(node))
    elif isinstance(node, dict):
        if isinstance(node.get("$"), str):
            yield node["$"]
        for one in node.values():
            yield from _names(one)
    elif isinstance(node, (list, tuple)):
        for one in node:
            yield from _names(one)


# ---- filling ----


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """The value of a name; `address.x` is a part of an address that is an object. None: none."""
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def fill_text(text: str, values: Mapping[str, Any], encode: Callable[[str], str] = str) -> str:
    """The text with its placeholders replaced, each by what `encode` makes of its value."""

    def one(found: re.Match[str]) -> str:
        value = _as_text(lookup(values, found[1]))
        return encode(cut(value, int(found[2])) if found[2] else value)

    return _PLACEHOLDER.sub(one, text)


def fill_url(url: str, values: Mapping[str, Any]) -> str:
    """Only what the operator has said, at the beginning, can have more than one part of a URL."""
    head = re.match(r"\{([a-z0-9_]+)\}", url)
    start = _as_text(lookup(values, head[1])) if head else ""
    rest = url[head.end() :] if head else url
    return start + fill_text(rest, values, _quoted)


def _quoted(value: str) -> str:
    # `.` and `..` as a part of a path would change the path.
    return quote(value, safe="") if value.strip(".") else value.replace(".", "%2E")


def fill(node: Any, values: Mapping[str, Any]) -> Any:
    """A body with all of its placeholders replaced; the structure stays as it is."""
    if isinstance(node, str):
        return fill_text(node, values)
    if isinstance(node, list):
        return [fill(one, values) for one in node]
    if isinstance(node, dict):
        if isinstance(node.get("$"), str):
            return _typed(node, values)
        return {key: fill(one, values) for key, one in node.items()}
    return node


def _typed(node: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    value = lookup(values, node["$"])
    most = node.get("max")
    return min(value, most) if isinstance(value, int) and isinstance(most, int) else value


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


# ---- reading answers ----


def pointed(document: Any, pointer: str) -> list[Any]:
    """What a JSON pointer (RFC 6901) finds: one value or none."""
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return []
    return [found]
