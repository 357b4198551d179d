"""Tables of couriers: what is refused in one line, where secrets come from, what is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reddot.courier_settings import COURIERS_MAX, SIGNING_KEYS_MAX
from reddot.errors import SettingsError
from reddot.setting_sources import load
from reddot.settings import Settings, masked

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TABLES = f"""
dev = true
outbound_allowed = ["10.0.0.0/8", "hooks.internal"]

[couriers.push]
type = "web_push"
subject = "mailto:ops@example.com"

[couriers.hook]
type = "webhook"
keys = ["{KEY}"]

[couriers.mail]
type = "apprise"
url = "mailtos://user:canary@smtp.example.com?to={{address}}"

[couriers.phone]
type = "http_template"
provider = "jpush"
values = {{ app_key = "canary", master_secret = "canary", apns_production = false }}
"""


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "reddot.toml"
    path.write_text(text)
    return load({}, environ or {}, path)


def test_tables_of_all_types(tmp_path: Path) -> None:
    couriers = read(tmp_path, TABLES).couriers
    assert [one.type for one in couriers.values()] == [
        "web_push",
        "webhook",
        "apprise",
        "http_template",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('subject = "mailto:ops@example.com"', "", "couriers.push.web_push.subject"),
        ("mailto:ops@example.com", "ops@example.com", "must be mailto:"),
        ('type = "web_push"', 'type = "pigeon"', "couriers.push"),
        ('type = "web_push"', 'type = "web_push"\nsubjekt = "x"', "couriers.push.web_push.subjekt"),
        ("couriers.push]", "couriers.Push]", "not a name"),
        ("couriers.push]", f"couriers.{'p' * 33}]", "not a name"),
        (f'["{KEY}"]', "[]", "couriers.hook.webhook.keys"),
        (f'["{KEY}"]', '["whsec_canary"]', "whsec_ and base64"),
        (f'["{KEY}"]', f'["{KEY[6:]}"]', "whsec_ and base64"),
        (f'["{KEY}"]', json.dumps([KEY] * (SIGNING_KEYS_MAX + 1)), "couriers.hook.webhook.keys"),
        (
            '"webhook"',
            '"webhook"\nunknown_outcome = "bury"',
            "couriers.hook.webhook.unknown_outcome",
        ),
        ("?to={address}", "", "must have {address}"),
        ("smtp.example.com?to=", "smtp.{address}?to=", "not be in the host"),
        ("mailtos://user", "mailtos:user", "must be a URL"),
        ('?to={address}"', '?to={address}"\nthreads = 65', "couriers.mail.apprise.threads"),
        ('?to={address}"', '?to={address}"\nthreads = "4"', "couriers.mail.apprise.threads"),
        ('?to={address}"', '?to={address}"\naddress_pattern = "["', "regular expression"),
        ('?to={address}"', '?to={address}"\nurl_file = "/x"', "both set"),
        ('provider = "jpush"', "", "either provider or description"),
        ('provider = "jpush"', 'provider = "jpush"\ndescription = "x"', "either provider or"),
        (
            "[couriers.mail]",
            '[couriers.push2]\ntype = "web_push"\nsubject = "mailto:a@b"\n\n[couriers.mail]',
            "only one web_push",
        ),
        ("10.0.0.0/8", "10.0.0.1/8", "neither a network nor a host name"),
        ("10.0.0.0/8", "10.0.0.0/33", "neither a network nor a host name"),
        ("10.0.0.0/8", "https://x", "neither a network nor a host name"),
    ],
)
def test_what_is_wrong_is_one_line_without_a_secret(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in TABLES
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, TABLES.replace(old, new, 1))
    message = str(caught.value)
    assert said in message, message
    assert "\n" not in message
    assert "canary" not in message
    assert "MfKQ9r8G" not in message


def test_so_many_couriers_and_no_more() -> None:
    table = {"type": "webhook", "keys": [KEY]}
    several = {f"c{number}": table for number in range(COURIERS_MAX)}
    assert len(load({"couriers": json.dumps(several), "dev": True}, {}, None).couriers) == 50
    with pytest.raises(SettingsError, match="more than 50"):
        load({"couriers": json.dumps(several | {"more": table}), "dev": True}, {}, None)


def test_secrets_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n{KEY}\n")
    (tmp_path / "url").write_text("mailto://u:canary@h?to={address}\n")
    (tmp_path / "master").write_text(" canary \n")
    text = TABLES.replace(f'keys = ["{KEY}"]', f'keys_file = "{tmp_path}/keys"')
    text = text.replace(
        'url = "mailtos://user:canary@smtp.example.com?to={address}"',
        f'url_file = "{tmp_path}/url"',
    )
    text = text.replace('master_secret = "canary"', f'master_secret_file = "{tmp_path}/master"')
    couriers = read(tmp_path, text).couriers
    hook, mail, phone = couriers["hook"], couriers["mail"], couriers["phone"]
    assert hook.type == "webhook"
    assert [one.get_secret_value() for one in hook.keys] == [KEY, KEY]
    assert mail.type == "apprise"
    assert mail.url.get_secret_value() == "mailto://u:canary@h?to={address}"
    assert phone.type == "http_template"
    assert phone.values["master_secret"] == "canary"
    with pytest.raises(SettingsError, match="cannot read the file /nowhere"):
        read(tmp_path, text.replace(f"{tmp_path}/keys", "/nowhere"))


def test_tables_come_from_variables_and_files_as_json(tmp_path: Path) -> None:
    text = json.dumps({"hook": {"type": "webhook", "keys": [KEY]}})
    assert "hook" in read(tmp_path, "dev = true", {"REDDOT_COURIERS": text}).couriers
    (tmp_path / "couriers.json").write_text(text)
    files = {"REDDOT_COURIERS_FILE": str(tmp_path / "couriers.json")}
    assert "hook" in read(tmp_path, "dev = true", files).couriers
    with pytest.raises(SettingsError, match="not valid JSON"):
        read(tmp_path, "dev = true", {"REDDOT_COURIERS": "{"})


def test_what_is_shown_has_no_secret(tmp_path: Path) -> None:
    settings = read(tmp_path, TABLES)
    shown = masked(settings)["couriers"]
    assert isinstance(shown, dict)
    assert shown["push"]["subject"] == "mailto:ops@example.com"
    assert shown["hook"]["keys"] == "***"
    assert shown["mail"]["url"] == "***"
    assert shown["phone"]["values"] == dict.fromkeys(
        ("app_key", "master_secret", "apns_production"), "***"
    )
    for text in (repr(shown), repr(settings), repr(settings.couriers)):
        assert "canary" not in text
        assert "MfKQ9r8G" not in text
