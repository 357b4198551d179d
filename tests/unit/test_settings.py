"""The settings table: precedence, ranges, refusals in one line, secrets that stay secret."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from reddot.delivery import Step
from reddot.errors import SettingsError
from reddot.inbox import Quiet
from reddot.opening import delivery_plans
from reddot.setting_sources import gather, load, read
from reddot.settings import (
    MASK,
    SETTINGS,
    Setting,
    Settings,
    TopicRuleSetting,
    masked,
)

SECRET = "s" * 32
KEY = {"REDDOT_API_KEY": "rk_0123456789ab_" + "x" * 43}
NUMBERS = [row for row in SETTINGS if "number" in row.kind]
PEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"


def toml(folder: Path, text: str) -> Path:
    path = folder / "reddot.toml"
    path.write_text(text)
    return path


def refusal(environ: dict[str, str], toml_path: Path | None = None, **flags: object) -> str:
    """The message of the refused start, which is always one line."""
    with pytest.raises(SettingsError) as caught:
        load(flags, environ, toml_path)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


# ---- the table ----


def test_the_names_that_outside_tools_rely_on() -> None:
    names = {row.name for row in SETTINGS}
    assert names >= {
        "host", "port", "store_url", "bus_url", "jwt_secret", "jwt_public_key", "jwt_jwks_url",
        "jwt_issuer", "jwt_audience", "api_key", "allowed_origins", "dev", "app", "topics",
    }  # fmt: skip
    defaults = Settings()
    assert (defaults.host, defaults.port) == ("127.0.0.1", 8000)
    assert (defaults.store_url, defaults.bus_url) == ("sqlite:///reddot.db", "local://")


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_every_row_is_complete(row: Setting) -> None:
    assert row.help.endswith(".") and "\n" not in row.help
    assert row.group
    if "number" in row.kind:
        assert row.low is not None and row.high is not None
        assert isinstance(row.default, int | float) and row.low <= row.default <= row.high
    if row.name.endswith(("_s", "_s_max")) and not row.name.endswith("_per_s"):
        assert row.unit == "seconds"
    if "_bytes" in row.name:
        assert row.unit == "bytes"


def test_settings_do_not_read_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDOT_PORT", "9")
    assert Settings().port == 8000
    assert load({}, KEY, None).port == 8000


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 9


# ---- ranges: every number at both ends and one beyond ----


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_the_ends_of_the_range_are_allowed(row: Setting) -> None:
    for end in (row.low, row.high):
        settings = load({}, KEY | {row.variable: f"{end}"}, None)
        assert getattr(settings, row.name) == end


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_beyond_the_range_stops_the_start(row: Setting) -> None:
    assert row.low is not None and row.high is not None
    step = 1 if row.kind == "whole number" else 0.001
    for beyond in (row.low - step, row.high + step):
        message = refusal(KEY | {row.variable: f"{beyond}"})
        assert row.name in message and row.variable in message and f"{beyond}" in message


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_numbers_are_finite(text: str) -> None:
    assert "header_timeout_s" in refusal(KEY | {"REDDOT_HEADER_TIMEOUT_S": text})


# ---- precedence ----


def test_flag_beats_variable_beats_file_beats_default(tmp_path: Path) -> None:
    path = toml(tmp_path, "port = 1\nbacklog = 1\nsessions_max = 1\n")
    environ = KEY | {"REDDOT_PORT": "2", "REDDOT_BACKLOG": "2"}
    settings = load({"port": "3", "backlog": None}, environ, path)
    assert (settings.port, settings.backlog, settings.sessions_max) == (3, 2, 1)
    assert settings.filters_max == 100
    origins = {name: one.origin for name, one in gather({"port": "3"}, environ, path).items()}
    assert origins["port"] == "--port"
    assert origins["backlog"] == "REDDOT_BACKLOG"
    assert origins["sessions_max"] == str(path)
    assert "filters_max" not in origins


def test_a_flag_hides_a_wrong_variable() -> None:
    assert load({"port": "3"}, KEY | {"REDDOT_PORT": "x"}, None).port == 3


def test_an_empty_variable_is_none() -> None:
    assert load({}, KEY | {"REDDOT_PORT": "", "REDDOT_JWT_SECRET": ""}, None).port == 8000


# ---- what is unknown or of a wrong type ----


def test_unknown_names_stop_the_start_and_are_guessed(tmp_path: Path) -> None:
    assert "did you mean REDDOT_PORT?" in refusal(KEY | {"REDDOT_PROT": "1"})
    message = refusal(KEY, toml(tmp_path, "prot = 1"))
    assert "'prot'" in message and "reddot.toml" in message and "did you mean port?" in message
    assert "'prot'" in refusal(KEY, prot="1")


def test_variables_of_others_and_of_the_client_do_not_matter() -> None:
    load({}, KEY | {"PORT": "x", "REDDOT_TOKEN": "t", "REDDOT_URL": "u", "HOME": "/"}, None)


@pytest.mark.parametrize(
    "line",
    [
        'port = "8000"',
        "port = true",
        "port = 8000.5",
        "dev = 1",
        'dev = "yes"',
        "host = 1",
        "api_key = 1",
        "api_key = [1]",
        "allowed_origins = [true]",
        'header_timeout_s = "10"',
        "header_timeout_s = false",
        "log_level = 1",
        'topics = "a"',
    ],
)
def test_toml_has_types(tmp_path: Path, line: str) -> None:
    environ = {"REDDOT_JWT_SECRET": SECRET}
    assert line.split(" ")[0] in refusal(environ, toml(tmp_path, line))


@pytest.mark.parametrize("text", ["x", "1.5", "1,000", "0x10", ""])
def test_a_flag_that_is_no_number(text: str) -> None:
    assert "--port" in refusal(KEY, port=text)


def test_choices() -> None:
    assert load({}, KEY | {"REDDOT_LOG_FORMAT": "json"}, None).log_format == "json"
    message = refusal(KEY | {"REDDOT_LOG_FORMAT": "xml"})
    assert "log_format" in message and "'xml'" in message


def test_a_file_that_is_not_toml_or_not_there(tmp_path: Path) -> None:
    assert "reddot.toml" in refusal(KEY, toml(tmp_path, "port = = 1"))
    assert "no file" in refusal(KEY, tmp_path / "other.toml")
    binary = tmp_path / "reddot.toml"
    binary.write_bytes(b"\xff\xfe")
    assert "reddot.toml" in refusal(KEY, binary)


# ---- the start rule ----


def test_without_a_credential_there_is_no_start() -> None:
    assert "no credential" in refusal({})
    assert read({}, {}, None).port == 8000


@pytest.mark.parametrize(
    "environ",
    [
        KEY,
        {"REDDOT_JWT_SECRET": SECRET},
        {"REDDOT_JWT_PUBLIC_KEY": PEM},
        {"REDDOT_JWT_JWKS_URL": "https://example.com/jwks.json"},
        {"REDDOT_DEV": "true"},
    ],
)
def test_one_credential_or_dev_is_enough(environ: dict[str, str]) -> None:
    load({}, environ, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_dev_on_loopback(host: str) -> None:
    assert load({"dev": True, "host": host}, {}, None).dev


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.1", "example.com", "localhost.example.com", ""]
)
def test_dev_anywhere_else_is_refused(host: str) -> None:
    assert "loopback" in refusal(KEY, dev=True, host=host)


def test_tls_needs_both_files(tmp_path: Path) -> None:
    pem = tmp_path / "tls.pem"
    pem.write_text("x")
    assert "belong together" in refusal(KEY, tls_certfile=str(pem))
    assert "cannot read" in refusal(KEY, tls_certfile=str(tmp_path / "none"), tls_keyfile=str(pem))
    both = load({"tls_certfile": str(pem), "tls_keyfile": str(pem)}, KEY, None)
    assert both.tls_keyfile == str(pem)


# ---- values with a form ----


def test_lists_from_text_and_from_toml(tmp_path: Path) -> None:
    keys = ("rk_a_1", "rk_b:sha256:" + "0" * 64)
    assert load({}, {"REDDOT_API_KEY": f" {keys[0]} ,{keys[1]},"}, None).api_key == keys
    assert load({"api_key": ",".join(keys)}, {}, None).api_key == keys
    path = toml(tmp_path, f'api_key = ["{keys[0]}", "{keys[1]}"]')
    assert load({}, {}, path).api_key == keys
    path = toml(tmp_path, f'api_key = "{keys[0]}"')
    assert load({}, {}, path).api_key == keys[:1]


@pytest.mark.parametrize("key", ["x", "rk_", "rk_a:sha256:0", "rk_a:md5:" + "0" * 64, "rk_a b"])
def test_api_keys_have_a_form_and_are_not_repeated(key: str) -> None:
    assert key not in refusal({"REDDOT_API_KEY": key}).replace("rk_…", "")


@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "http://localhost:3000", "https://*.example.com", "http://[::1]:80"],
)
def test_origins(origin: str) -> None:
    environ = KEY | {"REDDOT_ALLOWED_ORIGINS": origin}
    assert load({}, environ, None).allowed_origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "example.com", "https://example.com/", "https://a.*.com", "ftp://example.com",
     "https://user@example.com", "https://", "https://*"],
)  # fmt: skip
def test_what_is_no_origin(origin: str) -> None:
    assert "allowed_origins" in refusal(KEY | {"REDDOT_ALLOWED_ORIGINS": origin})


def test_origins_are_kept_as_browsers_send_them() -> None:
    environ = KEY | {"REDDOT_ALLOWED_ORIGINS": "HTTPS://Example.COM"}
    assert load({}, environ, None).allowed_origins == ("https://example.com",)


@pytest.mark.parametrize("url", ["sqlite:///a.db", "sqlite:////var/a.db", "memory://"])
def test_store_urls(url: str) -> None:
    assert load({"store_url": url}, KEY, None).store_url == url


@pytest.mark.parametrize("url", ["", "a.db", "sqlite://a.db", "sqlite:///", "mysql://h/d"])
def test_other_stores_are_refused(url: str) -> None:
    assert "store_url" in refusal(KEY, store_url=url)


def test_other_buses_are_refused() -> None:
    assert "bus_url" in refusal(KEY, bus_url="nats://localhost")


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://example.com/jwks", True),
        ("http://127.0.0.1:9/jwks", True),
        ("http://example.com/jwks", False),
        ("file:///etc/passwd", False),
    ],
)
def test_jwks_urls(url: str, good: bool) -> None:
    environ = {"REDDOT_JWT_JWKS_URL": url}
    if good:
        assert load({}, environ, None).jwt_jwks_url == url
    else:
        assert "https" in refusal(environ)


@pytest.mark.parametrize("app", ["a:b", "pkg.module:app.inner"])
def test_applications(app: str) -> None:
    assert load({"app": app}, KEY, None).app == app


@pytest.mark.parametrize("app", ["a", "a:", ":b", "a.py:b c", "a/b:c"])
def test_what_is_no_application(app: str) -> None:
    assert "module:app" in refusal(KEY, app=app)


# ---- secrets ----


def test_a_secret_has_32_bytes_at_least() -> None:
    assert load({}, {"REDDOT_JWT_SECRET": "é" * 16}, None).jwt_secret == "é" * 16
    message = refusal({"REDDOT_JWT_SECRET": "s" * 31})
    assert "32 bytes" in message and "sss" not in message


def test_a_secret_may_come_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    environ = {"REDDOT_JWT_SECRET_FILE": str(path)}
    assert load({}, environ, None).jwt_secret == SECRET
    assert gather({}, environ, None)["jwt_secret"].origin == "REDDOT_JWT_SECRET_FILE"
    both = refusal(environ | {"REDDOT_JWT_SECRET": SECRET})
    assert "REDDOT_JWT_SECRET_FILE" in both and SECRET not in both
    assert "cannot read" in refusal({"REDDOT_JWT_SECRET_FILE": str(tmp_path / "none")})


def test_only_secrets_come_as_files(tmp_path: Path) -> None:
    assert "unknown" in refusal(KEY | {"REDDOT_PORT_FILE": str(tmp_path)})


def test_a_public_key_is_text_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(PEM)
    for value in (PEM, str(path)):
        assert load({"jwt_public_key": value}, {}, None).jwt_public_key == PEM
    path.write_text("nothing")
    assert "PEM" in refusal({}, jwt_public_key=str(path))
    private = PEM.replace("PUBLIC", "PRIVATE")
    message = refusal({}, jwt_public_key=private)
    assert "private key" in message and "MCow" not in message
    message = refusal({}, jwt_public_key="MCowBQYDK2VwAyEA")
    assert "MCow" not in message


def test_secrets_are_masked_everywhere() -> None:
    settings = load({}, KEY | {"REDDOT_JWT_SECRET": SECRET}, None)
    shown = masked(settings)
    assert shown["jwt_secret"] == shown["api_key"] == MASK
    assert set(shown) == {row.name for row in SETTINGS}
    for text in (repr(settings), str(settings), repr(shown)):
        assert SECRET not in text and "rk_0123456789ab" not in text
    assert masked(read({"dev": True}, {}, None))["jwt_secret"] is None


def test_development_gets_a_secret_of_its_own_unless_it_has_one() -> None:
    one, two = (load({"dev": True}, {}, None).jwt_secret for _ in range(2))
    assert one and two and len(one) >= 32 and one != two
    assert load({"dev": True}, {"REDDOT_JWT_SECRET": SECRET}, None).jwt_secret == SECRET
    assert load({}, KEY, None).jwt_secret is None


# ---- topic rules ----

RULES = """
[[topics]]
filter = "sensors/#"
durable = false
history_count = 10
history_age = "12h"
conflate = true
presence = true
subscribe = "anyone"
publish = "deny"

[[topics]]
filter = "#"
history_age = 90
"""


def test_topic_rules_from_toml(tmp_path: Path) -> None:
    first, second = load({}, KEY, toml(tmp_path, RULES)).topics
    assert first == TopicRuleSetting(
        filter="sensors/#",
        durable=False,
        history_count=10,
        history_age=43_200,
        conflate=True,
        presence=True,
        subscribe="anyone",
        publish="deny",
    )
    assert second == TopicRuleSetting(filter="#", history_age=90)
    assert (second.durable, second.subscribe, second.publish) == (None, "grant", "grant")


def test_topic_rules_from_a_variable_and_a_flag() -> None:
    rules = '[{"filter": "a/+", "history_age": "7d"}]'
    expected = (TopicRuleSetting(filter="a/+", history_age=7 * 86_400),)
    assert load({}, KEY | {"REDDOT_TOPICS": rules}, None).topics == expected
    assert load({"topics": rules}, KEY, None).topics == expected


@pytest.mark.parametrize(("age", "seconds"), [("45s", 45), ("30m", 1800), ("7d", 604_800), (1, 1)])
def test_ages(tmp_path: Path, age: object, seconds: int) -> None:
    path = toml(tmp_path, f"[[topics]]\nfilter = 'a'\nhistory_age = {age!r}")
    assert load({}, KEY, path).topics[0].history_age == seconds


@pytest.mark.parametrize(
    "line",
    [
        "history_age = '7w'",
        "history_age = ''",
        "history_age = 0",
        "history_age = 1.5",
        "history_age = true",
        "history_count = -1",
        "history_count = '5'",
        "durable = 1",
        "subscribe = 'all'",
        "filtr = 'a'",
        "retain = true",
    ],
)
def test_wrong_topic_rules(tmp_path: Path, line: str) -> None:
    message = refusal(KEY, toml(tmp_path, f"[[topics]]\nfilter = 'a'\n{line}"))
    assert f"topics[0].{line.split(' ')[0]}" in message


def test_a_rule_needs_a_filter() -> None:
    assert "topics[0].filter" in refusal(KEY, topics="[{}]")
    assert "topics[1].filter" in refusal(KEY, topics='[{"filter":"a"},{"filter":""}]')
    assert "not valid JSON" in refusal(KEY, topics="[")
    assert "topics" in refusal(KEY, topics='{"filter":"a"}')
    assert "topics[0]" in refusal(KEY, topics='["a"]')


# ---- deliveries: what a plan may be is tested beside its codec ----

PLANS = """
[couriers.web_push]
type = "web_push"
subject = "mailto:ops@example.com"

[couriers.email]
type = "apprise"
url = "mailto://example.com?to={address}"

[[deliveries]]
categories = ["mention"]
couriers = [{ courier = "web_push", after = "30s" }, { courier = "email", after = "10m" }]
quiet = { from = "22:00", to = "08:00" }

[[deliveries]]
couriers = [{ courier = "email", after = "1d" }]
"""


def test_deliveries_from_toml_a_variable_and_a_flag(tmp_path: Path) -> None:
    settings = load({}, KEY, toml(tmp_path, PLANS))
    first, second = delivery_plans(settings, settings.couriers)
    assert first.steps[1] == Step(courier="email", after_s=600)
    assert first.quiet == Quiet(start_minute=1320, end_minute=480)
    assert (second.categories, second.steps) == (("*",), (Step(courier="email", after_s=86_400),))
    written = json.dumps(masked(settings)["deliveries"])
    assert load({}, KEY | {"REDDOT_DELIVERIES": written}, None).deliveries == (first, second)
    assert load({"deliveries": written}, KEY, None).deliveries == (first, second)


def test_a_plan_names_couriers_that_there_are(tmp_path: Path) -> None:
    settings = load({}, KEY, toml(tmp_path, PLANS))
    with pytest.raises(SettingsError, match=r"\[0\] names the courier 'email'; there is mail, web"):
        delivery_plans(settings, ["web_push", "mail"])
    with pytest.raises(SettingsError, match="there is none"):
        delivery_plans(settings, ())


def test_a_wrong_delivery_is_one_line(tmp_path: Path) -> None:
    path = toml(tmp_path, PLANS.replace('"1d"', '"1w"'))
    assert refusal(KEY, path) == (
        f"deliveries ({path}): [1].couriers[0].after: "
        'give seconds, or a number with a unit: "30s", "10m", "12h", "7d"'
    )
    assert "[[deliveries]] tables" in refusal(KEY, toml(tmp_path, "deliveries = 'x'"))
    assert "not valid JSON" in refusal(KEY, deliveries="[")
    assert "`array`" in refusal(KEY, deliveries="{}")


def test_toml_and_table_agree_on_defaults(tmp_path: Path) -> None:
    """A file that spells out every default is the same as none."""
    lines = [
        f"{row.name} = {json.dumps(row.default)}"
        for row in SETTINGS
        if row.default not in (None, ())
    ]
    path = toml(tmp_path, "\n".join(lines))
    assert len(tomllib.loads(path.read_text())) == len(lines)
    assert read({}, {}, path) == Settings()
