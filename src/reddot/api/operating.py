"""The cold routes of who operates the server: what is going on, who is attached, what went wrong.

Everything here is for administrators; most is for servers' keys too. Reads cost what they show:
figures come from counters, sessions and topics are told a page at a time.
"""

from __future__ import annotations

import heapq
import resource
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec

import reddot
from reddot.api.inbox import user_in
from reddot.api.readings import Readings
from reddot.api.recent_errors import RecentErrors
from reddot.api.reception import Caller, Reception
from reddot.codecs.frames import encode_time
from reddot.core.access import is_user_name
from reddot.core.gate import make_api_key
from reddot.core.hub import Hub
from reddot.core.session import Session, State
from reddot.core.subscribing import Subscribing
from reddot.core.topics import check_filter, matches
from reddot.counters import TRANSPORTS, Counters, TransportCounters
from reddot.errors import ReddotError
from reddot.model import TopicState
from reddot.ports import Clock, Entropy, Store

SESSIONS_MAX: Final = 1_000
TOPICS_DEFAULT: Final = 50
TOPICS_MAX: Final = 500
LIFETIME_S_DEFAULT: Final = 3600
ORDERS: Final = ("age", "newest", "lag", "bytes")
_NUMBERS: Final = (
    "published_durable",
    "published_ephemeral",
    "duplicates",
    "ephemeral_dropped",
    "gaps",
    "notifications",
    "inbox_changes",
    "badges_pushed",
    "feed_holes",
    "catchup_memory",
    "catchup_store",
)


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /v1/tokens` takes."""

    user: str | None = None
    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    admin: bool = False
    since: int | None = None
    lifetime_s: Annotated[int, msgspec.Meta(ge=1)] = LIFETIME_S_DEFAULT


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes know of the node, besides its parts.

    Attributes:
        unready: why no new client is welcome, or None.
        settings: those in force, as rows to show; secrets are masked.
        store: what and where the log is, in words.
        issue_token: signs a token; None: no secret is configured to sign with.
        token_lifetime_s_max: the longest that may be signed; 0: any.
    """

    unready: Callable[[], str | None]
    settings: Sequence[dict[str, object]]
    store: str
    issue_token: Callable[[TokenRequest], str] | None
    token_lifetime_s_max: int


class OperatingRoutes:
    """Puts its routes into a reception."""

    def __init__(
        self,
        *,
        node: Node,
        hub: Hub,
        store: Store,
        subscribing: Subscribing,
        counters: Counters,
        readings: Readings,
        errors: RecentErrors,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._node = node
        self._hub = hub
        self._store = store
        self._subscribing = subscribing
        self._counters = counters
        self._readings = readings
        self._errors = errors
        self._clock = clock
        self._entropy = entropy

    def register(self, reception: Reception) -> None:
        add = reception.add
        add(
            *("GET", "/v1/stats", "operate", "What is going on", self.stats),
            description="Health, totals since the start, and a row of rates for each of the last "
            "300 seconds; `since` is the `samples.last` of the answer before.",
        )
        add(
            *("GET", "/v1/sessions", "operate", "Who is attached", self.sessions),
            description="Of a `user`, on a `transport`, hearing a `topic`; at most `limit`, by "
            "`order`: age, newest, lag, bytes. `lag`: publications of the whole log that the "
            "session has not come to yet.",
        )
        one = "/v1/sessions/{id}/disconnect"
        add("POST", one, "operate", "End one session", self.disconnect_one)
        user = "/v1/users/{user}/disconnect"
        add("POST", user, "operate", "End a user's sessions", self.disconnect)
        add(
            *("GET", "/v1/topics", "operate", "The topics of the log", self.topics),
            description="In order, those that begin with `prefix`, behind `after`; at most "
            "`limit`. `subscribers`: live sessions of this node that hear it.",
        )
        add("GET", "/v1/errors", "operate", "What went wrong lately", self.errors)
        add("GET", "/v1/settings", "operate", "The settings in force", self.settings)
        add(
            *("POST", "/v1/tokens", "access", "Sign a token", self.token),
            description="`user`, `subscribe`, `publish`, `admin`, `lifetime_s`. Needs the setting "
            "`jwt_secret`, and an administrator: an API key is not enough.",
        )
        add(
            *("POST", "/v1/keys", "access", "Make an API key", self.key),
            description="The key, which is told once and kept nowhere, and the `line` that lets "
            "it in once it is in the setting `api_key`. Needs an administrator.",
        )

    # ---- figures ----

    async def stats(self, caller: Caller) -> Any:
        caller.require_admin()
        reason = self._node.unready()
        return {
            "version": reddot.__version__,
            "time": encode_time(self._clock.wall_ms()).decode(),
            "uptime_s": round(self._clock.monotonic() - self._readings.began_at, 1),
            "ready": reason is None,
            "reason": reason,
            "store": self._node.store,
            "epoch": self._store.epoch,
            "head": self._store.head,
            "memory_bytes": _memory_bytes(),
            "counters": {name: getattr(self._counters, name) for name in _NUMBERS},
            "rejected": self._counters.rejected,
            "transports": {
                name: _transport_fields(self._counters.transports[name]) for name in TRANSPORTS
            },
            "samples": self._readings.since(caller.number("since", -1, 0, 2**53)),
        }

    async def errors(self, caller: Caller) -> Any:
        caller.require_admin()
        return {"items": self._errors.newest_first(), "rejected": self._counters.rejected}

    async def settings(self, caller: Caller) -> Any:
        caller.require_operator()
        return {"items": self._node.settings}

    # ---- sessions ----

    async def sessions(self, caller: Caller) -> Any:
        caller.require_admin()
        query = caller.query
        user, transport, topic = (query.get(name) for name in ("user", "transport", "topic"))
        order = query.get("order", ORDERS[0])
        if order not in ORDERS:
            raise ReddotError("field_invalid", f"'order' is one of {', '.join(ORDERS)}")
        if transport is not None and transport not in TRANSPORTS:
            raise ReddotError("field_invalid", f"'transport' is one of {', '.join(TRANSPORTS)}")
        limit = caller.number("limit", SESSIONS_MAX, 1, SESSIONS_MAX)
        found = [
            one
            for one in self._subscribing.sessions.values()
            if (user is None or one.actor.user == user)
            and (transport is None or one.transport == transport)
            and (topic is None or any(matches(text, topic) for text in one.filters))
        ]
        shown = self._ordered(found, order, limit)
        return {"sessions": [self._session_fields(one) for one in shown], "count": len(found)}

    def _ordered(self, found: list[Session], order: str, limit: int) -> list[Session]:
        if order == "lag":
            return heapq.nlargest(limit, found, key=self._lag)
        if order == "bytes":
            return heapq.nlargest(limit, found, key=lambda one: one.bytes_out)
        # They were opened in the order in which they are held.
        return found[:limit] if order == "age" else found[: -limit - 1 : -1]

    def _lag(self, session: Session) -> int:
        return 0 if session.state is State.LIVE else self._hub.position - session.position

    def _session_fields(self, session: Session) -> dict[str, object]:
        return {
            "id": session.id,
            "user": session.actor.user,
            "transport": session.transport,
            "state": session.state.value,
            "age_s": round(self._clock.monotonic() - session.opened_at, 1),
            "filters": session.filters,
            "lag": self._lag(session),
            "bytes_out": session.bytes_out,
        }

    async def disconnect_one(self, caller: Caller) -> None:
        caller.require_admin()
        session = self._subscribing.sessions.get(caller.place["id"])
        if session is None:
            raise ReddotError("not_found", "no such session")
        self._subscribing.move(session, "reauth")

    async def disconnect(self, caller: Caller) -> Any:
        caller.require_admin()
        user = user_in(caller)
        sessions = self._subscribing.sessions.values()
        theirs = [one for one in sessions if one.actor.user == user]
        for session in theirs:
            self._subscribing.move(session, "reauth")
        return {"sessions": len(theirs)}

    # ---- topics ----

    async def topics(self, caller: Caller) -> Any:
        caller.require_admin()
        limit = caller.number("limit", TOPICS_DEFAULT, 1, TOPICS_MAX)
        found = await self._store.topics(
            prefix=caller.query.get("prefix", ""), after=caller.query.get("after", ""), limit=limit
        )
        return {
            "items": [self._topic_fields(one) for one in found],
            "next": found[-1].topic if len(found) == limit else None,
        }

    def _topic_fields(self, state: TopicState) -> dict[str, object]:
        return {
            "topic": state.topic,
            "offset": state.offset,
            "kept": state.kept,
            "retained": state.retained,
            "time": None if state.time_ms is None else encode_time(state.time_ms).decode(),
            "subscribers": self._hub.listeners(state.topic),
        }

    # ---- credentials ----

    async def token(self, caller: Caller) -> Any:
        caller.require_operator()
        wanted = caller.wanted(TokenRequest)
        if self._node.issue_token is None:
            raise ReddotError("not_found", "there is no jwt_secret to sign with")
        if wanted.user is not None and not is_user_name(wanted.user):
            raise ReddotError("field_invalid", "'user' cannot be a user's name")
        if wanted.user is None and not (wanted.admin or wanted.subscribe or wanted.publish):
            raise ReddotError("field_invalid", "it names no 'user' and grants nothing")
        for text in (*wanted.subscribe, *wanted.publish):
            check_filter(text)
        longest_s = self._node.token_lifetime_s_max
        if longest_s and wanted.lifetime_s > longest_s:
            raise ReddotError("field_invalid", f"'lifetime_s' is at most {longest_s}")
        expires_ms = self._clock.wall_ms() + wanted.lifetime_s * 1000
        return {
            "token": self._node.issue_token(wanted),
            "expires": encode_time(expires_ms).decode(),
        }

    async def key(self, caller: Caller) -> Any:
        caller.require_operator()
        key, line = make_api_key(self._entropy.secret() + self._entropy.secret())
        return {"key": key, "line": line}


def _transport_fields(counters: TransportCounters) -> dict[str, int]:
    return {name: getattr(counters, name) for name in TransportCounters.__slots__}


def _memory_bytes() -> int | None:
    """Resident memory of this process; None where the kernel does not tell."""
    try:
        with open("/proc/self/statm", "rb") as figures:
            return int(figures.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None
