"""The one table of settings: names, types, defaults, ranges, help.

Above codecs and ports; imports only errors and its types. Only `app`, `node`, `cli` and `testing`
read it. The class `Settings` is the table. Each field is a key of
`reddot.toml`, an environment variable `REDDOT_<NAME>` and a flag of `reddot serve`; the
documentation is generated from it. An unknown, wrong or out-of-range value stops the start with
one line.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final, Literal

from pydantic import Field, JsonValue
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from reddot.courier_settings import Couriers, shown
from reddot.setting_types import (
    DAY_S,
    PREFIX,
    ApiKeys,
    Application,
    BusUrl,
    JwksUrl,
    JwtSecret,
    Origins,
    OutboundAllowed,
    Plans,
    PublicKey,
    ReadableFile,
    StoreUrl,
    Texts,
    TopicRules,
)
from reddot.setting_types import Setting as Setting
from reddot.setting_types import TopicRuleSetting as TopicRuleSetting

MASK: Final = "***"

_KIB: Final = 1024
_MIB: Final = 1024 * 1024


# ---- the table ----


def _value(group: str, default: Any, help_text: str, *, secret: bool = False) -> Any:
    extra: dict[str, JsonValue] = {"group": group, "secret": secret}
    return Field(default, description=help_text, json_schema_extra=extra, repr=not secret)


def _number(group: str, default: float, low: float, high: float, help_text: str) -> Any:
    extra: dict[str, JsonValue] = {"group": group, "secret": False}
    return Field(default, ge=low, le=high, description=help_text, json_schema_extra=extra)


_net = partial(_number, "Network")
_http = partial(_number, "HTTP limits")
_size = partial(_number, "Publication limits")
_ws = partial(_number, "WebSocket limits")
_mqtt = partial(_number, "MQTT")
_session = partial(_number, "Sessions")
_stream = partial(_number, "Streams and polls")
_keep = partial(_number, "Memory and store")
_proof = partial(_number, "Credentials")
_console = partial(_number, "Console")
_inbox = partial(_number, "Inbox")
_courier = partial(_number, "Couriers")
_deliver = partial(_number, "Deliveries")
_life = partial(_number, "Start and stop")


class Settings(BaseSettings):
    """All settings of one server; frozen. Made by `load`, or in tests from keyword values."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, env_prefix=PREFIX, env_ignore_empty=True
    )

    host: str = _value("Network", "127.0.0.1", "Address to listen on.")
    port: int = _net(8000, 0, 65_535, "Port for HTTP and WebSocket; 0 picks a free one.")
    backlog: int = _net(2048, 1, 65_535, "Connections the kernel may hold before they are taken.")
    tls_certfile: ReadableFile | None = _value("Network", None, "Certificate chain, a PEM file.")
    tls_keyfile: ReadableFile | None = _value(
        "Network", None, "Private key of the certificate, a PEM file."
    )
    allowed_origins: Origins = _value(
        "Network",
        (),
        "Web origins that may use cookies and cross-origin requests, such as https://example.com "
        "or https://*.example.com. Empty: only the server's own.",
    )
    app: Application | None = _value(
        "Network", None, "Your own ASGI application, module:app, for all other addresses."
    )

    store_url: StoreUrl = _value(
        "Memory and store", "sqlite:///reddot.db", "The durable log: sqlite:///PATH or memory://."
    )
    bus_url: BusUrl = _value(
        "Memory and store", "local://", "How nodes hear of each other: local:// is one node."
    )
    topics: TopicRules = _value(
        "Memory and store",
        (),
        "Rules for topics, first match wins: [[topics]] tables, or JSON in a variable or flag.",
    )

    dev: bool = _value(
        "Credentials", False, "Development: loopback only, anonymous access, POST /v1/dev/token."
    )
    jwt_secret: JwtSecret | None = _value(
        "Credentials", None, "Secret of people's tokens (HS256), 32 bytes or more.", secret=True
    )
    jwt_public_key: PublicKey | None = _value(
        "Credentials", None, "Public key of people's tokens (RS256, ES256, EdDSA): PEM or its path."
    )
    jwt_jwks_url: JwksUrl | None = _value(
        "Credentials", None, "Where the public keys of people's tokens are published (JWKS)."
    )
    jwt_issuer: str | None = _value("Credentials", None, "Required `iss` of people's tokens.")
    jwt_audience: str | None = _value("Credentials", None, "Required `aud` of people's tokens.")
    api_key: ApiKeys = _value(
        "Credentials",
        (),
        "Keys of the servers that publish: rk_… or the hashed line of `reddot apikey`; "
        "several are separated by commas.",
        secret=True,
    )
    jwt_leeway_s: int = _proof(30, 0, 300, "How far the issuer's clock may be ahead.")
    token_lifetime_s_max: int = _proof(
        86_400,
        0,
        365 * DAY_S,
        "Longest time from a token's `iat` to its `exp`; 0: any. Beyond: 401.",
    )
    ticket_lifetime_s: int = _proof(30, 1, 600, "How long a one-time ticket may be used; then 401.")
    tickets_max: int = _proof(100_000, 1, 10_000_000, "Unused tickets at once; beyond: 503.")

    console: bool = _value("Console", True, "Whether there is a console at /console.")
    console_setup_s: int = _console(
        900, 30, DAY_S, "How long a one-time link to the console may be used; then 401."
    )
    console_session_s: int = _console(
        28_800, 60, 30 * DAY_S, "How long one stays signed in, if what one signed in with lasts."
    )
    console_attempts_per_min: int = _console(
        10, 1, 10_000, "Failed attempts to sign in, of everybody together; beyond: 429."
    )

    diag_probes_max: int = _http(
        50, 0, 10_000, "Probes of the transport doctor at a time; beyond: 429. 0: there are none."
    )
    header_bytes_max: int = _http(16_384, _KIB, _MIB, "Request line and header; beyond: 431.")
    header_fields_max: int = _http(64, 8, 1000, "Header fields of a request; beyond: 431.")
    url_bytes_max: int = _http(8192, 256, 65_536, "Path and query; beyond: 414.")
    body_bytes_max: int = _http(_MIB, _KIB, 64 * _MIB, "Request body; beyond: 413.")
    header_timeout_s: float = _http(10, 0.1, 300, "For a whole header to arrive; then 408.")
    body_timeout_s: float = _http(20, 0.1, 3600, "For a whole body to arrive; then 408.")
    idle_timeout_s: float = _http(30, 0.1, 3600, "Between two requests; then closed.")

    data_bytes_max: int = _size(65_536, 64, _MIB, "`data` of one publication; beyond: 413.")
    data_depth_max: int = _size(32, 1, 128, "Nesting of `data`; beyond: 400.")
    publish_batch_max: int = _size(100, 1, 10_000, "Publications in one request; beyond: 413.")
    topic_bytes_max: int = _size(1024, 16, 65_535, "A topic or filter, as UTF-8; beyond: 400.")
    topic_levels_max: int = _size(32, 2, 200, "Levels of a topic or filter; beyond: 400.")
    retained_topics_max: int = _size(
        100_000, 0, 10_000_000, "Topics with a retained publication; beyond: 400, MQTT 0x97."
    )
    retained_topics_per_user_max: int = _size(
        1000, 0, 10_000_000, "The same, of one user; beyond: 400, MQTT 0x97."
    )

    ws_message_bytes_max: int = _ws(65_536, _KIB, 16 * _MIB, "One message; beyond: close 1009.")
    ws_fragments_max: int = _ws(128, 1, 10_000, "Frames of one message; beyond: close 1009.")
    ws_commands_per_s: int = _ws(
        50, 1, 100_000, "Of one session, bursts of twice as many; beyond: 4429."
    )
    ws_auth_timeout_s: float = _ws(10, 0.1, 300, "For the `auth` command; then close 4401.")

    mqtt_port: int = _mqtt(
        1883, 0, 65_535, "Port for MQTT; 0: none. The HTTP port speaks MQTT as well."
    )
    mqtts_port: int = _mqtt(
        8883, 0, 65_535, "Port for MQTT over TLS, if there is a certificate; 0: none."
    )
    mqtt_proxy_protocol: bool = _value(
        "MQTT", False, "Each connection to mqtt_port begins with a PROXY header (v1 or v2)."
    )
    mqtt_connect_timeout_s: float = _mqtt(10, 0.1, 300, "For CONNECT to arrive; then closed.")
    mqtt_pending_max: int = _mqtt(
        1000, 1, 1_000_000, "Connections that have not sent CONNECT; beyond: closed."
    )
    mqtt_connect_bytes_max: int = _mqtt(
        16_384, 256, _MIB, "CONNECT, its will included; beyond: reason 0x95."
    )
    mqtt_packet_bytes_max: int = _mqtt(
        131_072, _KIB, 16 * _MIB, "Any other packet of a client; beyond: reason 0x95."
    )
    mqtt_properties_bytes_max: int = _mqtt(
        8192, 256, 65_536, "Properties of one packet; beyond: reason 0x95."
    )
    mqtt_user_properties_max: int = _mqtt(
        32, 0, 1000, "User properties of one packet; beyond: reason 0x95."
    )
    mqtt_filters_per_packet_max: int = _mqtt(
        100, 1, 100_000, "Filters of one SUBSCRIBE or UNSUBSCRIBE; beyond: reason 0x97."
    )
    mqtt_client_id_bytes_max: int = _mqtt(256, 23, 4096, "A client id; beyond: reason 0x85.")
    mqtt_takeovers_per_min: int = _mqtt(
        30, 1, 1_000_000, "Connections of one client that end its last one; beyond: refused."
    )
    mqtt_packets_per_s: int = _mqtt(
        10_000,
        1,
        1_000_000,
        "Packets of a client that no acknowledgement slows down, as at QoS 0; beyond: reason 0x96.",
    )
    mqtt_receive_max: int = _mqtt(
        20, 1, 65_535, "Publications of a client that wait for an answer; beyond: reason 0x93."
    )
    mqtt_unreleased_max: int = _mqtt(
        1000, 1, 65_535, "QoS 2 publications of a 3.1.1 client that wait for PUBREL; then closed."
    )
    mqtt_inflight_max: int = _mqtt(
        20, 1, 65_535, "Publications that a client has not acknowledged; the others wait."
    )
    mqtt_topic_alias_max: int = _mqtt(16, 0, 65_535, "Topic aliases, each way; beyond: 0x94.")
    mqtt_keep_alive_s_max: int = _mqtt(
        300, 1, 65_535, "Keep-alive that a 5.0 client is told to use if it wants a longer one."
    )
    mqtt_session_expiry_s_max: int = _mqtt(
        7 * DAY_S, 0, 365 * DAY_S, "How long the session of a client that is away is kept."
    )
    mqtt_stored_sessions_max: int = _mqtt(
        100_000, 0, 10_000_000, "Sessions that outlive connections; beyond: reason 0x97."
    )
    mqtt_stored_sessions_per_user_max: int = _mqtt(
        100, 0, 1_000_000, "The same of one user; beyond: reason 0x97."
    )
    mqtt_will_delay_s_max: int = _mqtt(300, 0, DAY_S, "Longest delay of a will; a longer is cut.")

    sessions_max: int = _session(20_000, 1, 10_000_000, "Attached clients; beyond: 503.")
    sessions_per_user_max: int = _session(100, 1, 1_000_000, "Of one user; beyond: 429.")
    filters_max: int = _session(100, 1, 10_000, "Filters of one session; beyond: 400.")
    send_buffer_bytes: int = _session(65_536, 4096, 16 * _MIB, "Kernel's send buffer (SO_SNDBUF).")
    write_buffer_bytes_max: int = _session(
        65_536, _KIB, 16 * _MIB, "Unsent bytes in the process; beyond, the session is paused."
    )
    stall_timeout_s: float = _session(
        30, 0.1, 3600, "How long a session may stay paused; then it is cut off, and may resume."
    )
    tcp_user_timeout_s: float = _session(
        20, 1, 3600, "Sent bytes without an answer of the peer's kernel; then the connection ends."
    )
    reconnects_per_s: int = _session(2000, 1, 1_000_000, "Clients asked back per second, at most.")
    session_age_s: float = _session(
        1800, 1, 7 * DAY_S, "Age at which a session is asked to reconnect, give or take 20 %."
    )

    heartbeat_sse_s: float = _stream(15, 0.1, 300, "Between heartbeats on SSE and iframe.")
    heartbeat_websocket_s: float = _stream(25, 0.1, 300, "Between heartbeats on WebSocket.")
    longpoll_wait_s_max: float = _stream(60, 1, 300, "Longest `wait`; a longer one is cut to it.")
    poll_publications_max: int = _stream(500, 1, 100_000, "Publications in one poll answer.")
    iframe_rotate_bytes: int = _stream(
        1_000_000, 10_000, 100_000_000, "Sent on one iframe stream; then it is asked to reconnect."
    )
    iframe_rotate_s: float = _stream(
        600, 1, DAY_S, "Age of one iframe stream; then it is asked to reconnect."
    )

    recent_publications_max: int = _keep(
        20_000, 0, 10_000_000, "Latest publications kept in memory for those who resume."
    )
    recent_bytes_max: int = _keep(64 * _MIB, 0, 64 * 1024 * _MIB, "Their size in memory.")
    append_queue_drafts_max: int = _keep(
        10_000, 1, 10_000_000, "Publications waiting for the store; beyond: 503."
    )
    idempotency_s: int = _keep(86_400, 60, 30 * DAY_S, "How long a publication's id is known.")
    trim_interval_s: float = _keep(10, 0.1, 3600, "Between two deletions of what is too old.")

    notification_users_max: int = _inbox(1000, 1, 10_000, "Users of one notification; beyond: 413.")
    inbox_notifications_max: int = _inbox(
        200_000, 1, 10_000_000, "Notifications kept per topic; the oldest go first."
    )
    inbox_age_s: int = _inbox(
        90 * DAY_S, 60, 3650 * DAY_S, "How long a notification is kept, at least as its topic's."
    )
    follows_max: int = _inbox(200, 1, 10_000, "Topics that one user follows; beyond: 400.")
    mutes_max: int = _inbox(500, 1, 10_000, "Categories and topics one user mutes; beyond: 400.")
    snoozed_max: int = _inbox(200, 1, 10_000, "Notifications one user snoozes; beyond: 400.")
    snooze_s_max: int = _inbox(
        366 * DAY_S, 1, 3650 * DAY_S, "How far ahead to snooze; beyond: 400."
    )
    locked_categories: Texts = _value("Inbox", (), "Categories that nobody can mute.")
    categories_max: int = _inbox(256, 1, 10_000, "Different categories in use; beyond: 400.")
    category_bytes_max: int = _inbox(64, 1, 128, "Name of a category; beyond: 400.")
    backfill_max: int = _inbox(100, 0, 10_000, "Past notifications a new follow may ask for.")
    mark_ids_max: int = _inbox(1000, 1, 10_000, "Ids in one mark; beyond: 413.")
    badge_interval_s: float = _inbox(
        0.1, 0, 60, "Least time between two badge frames to one user; the last one is always sent."
    )
    inbox_people_cached_max: int = _inbox(20_000, 1, 10_000_000, "Users kept in memory.")
    inbox_masks_bytes_max: int = _inbox(64 * _MIB, _MIB, 64 * 1024 * _MIB, "Of topics, in memory.")

    couriers: Couriers = _value(
        "Couriers",
        {},
        "Ways to reach people who are not there: [couriers.NAME] tables, or JSON.",
        secret=True,
    )
    outbound_allowed: OutboundAllowed = _value(
        "Couriers",
        (),
        "Networks and hosts that couriers may ask although they are private, such as 10.0.0.0/8.",
    )
    outbound_timeout_s: float = _courier(10, 0.1, 60, "For one request of a courier; then retried.")
    outbound_answer_bytes_max: int = _courier(65_536, 256, _MIB, "Read of an answer to a courier.")
    deliveries: Plans = _value(
        "Deliveries",
        (),
        "Who is reached when, and by what, if they have not looked: [[deliveries]] tables.",
    )
    delivery_concurrency_max: int = _deliver(8, 1, 10_000, "Attempts of one courier at once.")
    delivery_attempts_per_s: int = _deliver(50, 0, 100_000, "Of one courier, evenly; 0: no limit.")
    delivery_attempts_max: int = _deliver(8, 1, 100, "Attempts of a delivery; then it is dead.")
    delivery_backoff_s: float = _deliver(5, 0.01, 3600, "Longest first wait; it doubles each time.")
    delivery_backoff_s_max: float = _deliver(3600, 0.01, 7 * DAY_S, "Longest wait of all.")
    delivery_lease_s: float = _deliver(120, 0.1, 3600, "In hand; an attempt has half of it.")
    delivery_age_s: int = _deliver(90 * DAY_S, 60, 3650 * DAY_S, "How long a delivery is kept.")
    breaker_failures_max: int = _deliver(10, 1, 10_000, "In a row; then a provider is left alone.")
    breaker_open_s: float = _deliver(30, 0.1, 3600, "For so long; then one attempt decides.")
    addresses_max: int = _deliver(20, 1, 1000, "Of one person with one courier; beyond: 400.")
    address_bytes_max: int = _deliver(4096, 64, 65_536, "One address, as JSON; beyond: 413.")
    attributes_bytes_max: int = _deliver(8192, 64, _MIB, "Attributes of a person; beyond: 413.")
    audience_people_max: int = _deliver(1_000_000, 1, 10**8, "In a segment; beyond: cancelled.")

    drain_delay_s: float = _life(
        0, 0, 600, "Not ready, but serving, before clients are asked to go."
    )
    drain_timeout_s: float = _life(15, 0.1, 3600, "For clients and publishes to finish, then exit.")
    log_format: Literal["console", "json"] = _value("Start and stop", "console", "Form of the log.")
    log_level: Literal["debug", "info", "warning", "error"] = _value(
        "Start and stop", "info", "Least severe line that is logged."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: `load` asks the sources, and knows then where each value is from."""
        return (init_settings,)


_LISTS: Final = ("allowed_origins", "api_key", "locked_categories", "outbound_allowed")
_TABLES: Final = {"deliveries": "tables", "topics": "tables", "couriers": "named tables"}


def _kind(name: str, annotation: Any) -> str:
    if name in _TABLES:
        return _TABLES[name]
    if name in _LISTS:
        return "list"
    if getattr(annotation, "__origin__", None) is Literal:
        return "|".join(annotation.__args__)
    return {bool: "yes or no", int: "whole number", float: "number"}.get(annotation, "text")


def _unit(name: str, kind: str) -> str:
    if "number" not in kind:
        return ""
    if "_bytes" in name:
        return "bytes"
    if name.endswith("_per_s"):
        return "per second"
    return "seconds" if re.search(r"_s(_max)?$", name) else ""


def _row(name: str) -> Setting:
    field = Settings.model_fields[name]
    extra: Any = field.json_schema_extra
    kind = _kind(name, field.annotation)
    return Setting(
        name=name,
        kind=kind,
        default=field.default,
        unit=_unit(name, kind),
        low=next((one.ge for one in field.metadata if hasattr(one, "ge")), None),
        high=next((one.le for one in field.metadata if hasattr(one, "le")), None),
        help=field.description or "",
        secret=extra["secret"],
        group=extra["group"],
    )


SETTINGS: Final = tuple(_row(name) for name in Settings.model_fields)


def masked(settings: Settings) -> dict[str, object]:
    """All values by name, for printing: secrets that are set are `***`."""
    values = settings.model_dump() | {"couriers": shown(settings.couriers)}
    return {
        row.name: MASK
        if row.secret and row.name != "couriers" and values[row.name]
        else values[row.name]
        for row in SETTINGS
    }
