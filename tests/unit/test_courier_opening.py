"""From tables to couriers, and where the key for push services is kept."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reddot.courier_opening import open_couriers, vapid_key, vapid_public_key, web_push_name
from reddot.couriers.vapid import VapidKey
from reddot.errors import SettingsError
from reddot.settings import Settings
from reddot.testing import FakeClock, dev_settings

PUSH = {"type": "web_push", "subject": "mailto:ops@example.com"}
TABLES: dict[str, dict[str, object]] = {
    "hook": {"type": "webhook", "keys": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
    "browser": dict(PUSH),
    "mail": {"type": "apprise", "url": "mailto://localhost?to={address}&from=a@b.example"},
    "phone": {
        "type": "http_template",
        "provider": "jpush",
        "values": {"app_key": "a", "master_secret": "b"},
    },
}


def beside(folder: Path, **couriers: object) -> Settings:
    return dev_settings(store_url=f"sqlite:///{folder}/reddot.db", couriers=couriers)


def test_every_type_opens_and_closes(tmp_path: Path) -> None:
    couriers = open_couriers(beside(tmp_path, **TABLES), clock=FakeClock())
    assert list(couriers) == list(TABLES)
    assert web_push_name(couriers) == "browser"
    assert (
        vapid_public_key(couriers)
        == VapidKey.parse((tmp_path / "reddot.db.vapid.pem").read_text()).public
    )

    async def close() -> None:
        for courier in couriers.values():
            await courier.aclose()
            await courier.aclose()

    asyncio.run(close())


def test_without_web_push_there_is_no_key(tmp_path: Path) -> None:
    couriers = open_couriers(beside(tmp_path, hook=TABLES["hook"]), clock=FakeClock())
    assert vapid_public_key(couriers) is web_push_name(couriers) is None
    assert vapid_public_key({}) is None
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_made_once_and_kept_beside_the_store(tmp_path: Path) -> None:
    settings = beside(tmp_path, browser=PUSH)
    first = vapid_public_key(open_couriers(settings, clock=FakeClock()))
    second = vapid_public_key(open_couriers(settings, clock=FakeClock()))
    assert first == second == vapid_key(settings)[0].public
    assert stat.S_IMODE((tmp_path / "reddot.db.vapid.pem").stat().st_mode) == 0o600


def test_a_key_of_the_settings_wins_and_nothing_is_kept(tmp_path: Path) -> None:
    key = VapidKey.make()
    given = PUSH | {"vapid_private_key": key.pem().decode()}
    couriers = open_couriers(beside(tmp_path, browser=given), clock=FakeClock())
    assert vapid_public_key(couriers) == key.public
    assert list(tmp_path.iterdir()) == []


def test_with_a_store_in_memory_the_key_is_new_each_time() -> None:
    settings = dev_settings(couriers={"browser": PUSH})
    first, second = (open_couriers(settings, clock=FakeClock()) for _ in range(2))
    assert vapid_public_key(first) != vapid_public_key(second)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (PUSH | {"vapid_private_key": "canary"}, "couriers.x: vapid_private_key is not base64url"),
        (
            TABLES["hook"] | {"url": "http://gw.example/?k=canary"},
            "couriers.x: url: address_invalid",
        ),
        (
            TABLES["hook"] | {"url": "https://10.0.0.1/?k=canary"},
            "couriers.x: url: address_private",
        ),
        ({"type": "http_template", "provider": "nobody"}, "couriers.x: unknown provider 'nobody'"),
        ({"type": "http_template", "description": "/no/where.toml"}, "couriers.x: /no/where.toml"),
        ({"type": "http_template", "provider": "slack"}, "couriers.x: values.url is missing"),
        ({"type": "apprise", "url": "nosuch://canary/{address}"}, "couriers.x: apprise does not"),
    ],
)
def test_what_cannot_be_opened_is_one_line(table: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        open_couriers(beside(tmp_path, x=table), clock=FakeClock())
    assert str(caught.value).startswith(said)
    assert "canary" not in str(caught.value)


def test_a_server_without_couriers_does_not_pay_for_them() -> None:
    """Neither the HTTP client nor the libraries are loaded."""
    program = (
        "import sys, reddot.courier_opening as o, reddot.testing as t;"
        "o.open_couriers(t.dev_settings(), clock=t.FakeClock());"
        "print([m for m in ('aiohttp','httpx','http_ece','apprise') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
