"""The pages about couriers: tables that are not out of date, settings that start, code that runs.

Run this file as a script to write the generated tables anew.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from standardwebhooks import WebhookVerificationError

from reddot.courier_opening import given_once, open_couriers
from reddot.courier_settings import (
    AppriseTable,
    CourierTable,
    HttpTemplateTable,
    WebhookTable,
    WebPushTable,
)
from reddot.couriers.template import MESSAGE_NAMES, PROVIDERS, Value, load
from reddot.couriers.vapid import VapidKey
from reddot.couriers.webhook import WebhookCourier
from reddot.delivery import Message, Parcel, Verdict
from reddot.net.outbound import Guard, Outbound
from reddot.setting_sources import load as load_settings
from reddot.system import SystemClock
from reddot.testing import FakeClock
from tests.contract.couriers import KINDS
from tests.contract.standin import Reply, StandIn

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = DOCS / "reference" / "couriers.md"
HOWTOS: Final = ("web-push", "email", "webhooks", "dingtalk-feishu-slack", "jpush", "goeasy")
BEGIN: Final = "<!-- generated: begin -->\n"
END: Final = "<!-- generated: end -->\n"
TABLES: Final[tuple[type[CourierTable], ...]] = (
    WebPushTable,
    WebhookTable,
    AppriseTable,
    HttpTemplateTable,
)
KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def fields() -> str:
    blocks = ["### All of them\n\n" + _rows(CourierTable, CourierTable.model_fields)]
    for table in TABLES:
        (name,) = re.findall(r'type = "(\w+)"', table.__doc__ or "")
        own = [key for key in table.model_fields if key not in (*CourierTable.model_fields, "type")]
        blocks.append(f"### `{name}`\n\n" + _rows(table, own))
    return "\n".join(blocks)


def _rows(table: type[CourierTable], keys: Iterable[str]) -> str:
    told = textwrap.dedent((table.__doc__ or "").partition("Attributes:\n")[2])
    helped = {
        one[1]: re.sub(r"\s+", " ", one[2]).strip()
        for one in re.finditer(r"^(\w+): (.*?)(?=^\w+: |\Z)", told, re.M | re.S)
    }
    lines = ["| field | default | what it does |", "|---|---|---|"]
    for key in keys:
        field = table.model_fields[key]
        default = "required" if field.is_required() else f"`{field.default}`"
        default = "none" if field.default in (None, {}) else default
        also = f" May be a file: `{key}_file`." if key in table.secrets else ""
        lines.append(f"| `{key}` | {default} | {helped[key]}{also} |")
    return "\n".join(lines) + "\n"


def providers() -> str:
    lines = ["| provider | values | address |", "|---|---|---|"]
    for path in sorted(PROVIDERS.glob("*.toml")):
        description = load(path)
        values = "; ".join(
            f"`{name}`: {value.help}{_default(value)}" for name, value in description.values.items()
        )
        link = f"[`{path.stem}`]({description.documentation})"
        lines.append(f"| {link} | {values} | {_cell(description.address.help)} |")
    return "\n".join(lines) + "\n"


def _default(value: Value) -> str:
    if value.default is None:
        return ""
    return f" (`{str(value.default).lower()}`)" if value.default != "" else " (optional)"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def outcomes() -> str:
    statuses = sorted({status for kind in KINDS for status in kind.verdicts})
    names = [kind.name for kind in KINDS]
    lines = ["| answer | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for status in statuses:
        row = [_said(kind.verdicts.get(status), lost=kind.doubtful) for kind in KINDS]
        lines.append(f"| {status} | " + " | ".join(row) + " |")
    for answer, lost in (("no connection", False), ("connected, and no answer", True)):
        row = [_said(Verdict.RETRY, lost=lost or kind.doubtful) for kind in KINDS]
        lines.append(f"| {answer} | " + " | ".join(row) + " |")
    refused = ["failed" if kind.guarded else "" for kind in KINDS]
    lines.append("| the address is private or no URL | " + " | ".join(refused) + " |")
    return "\n".join(lines) + "\n"


def _said(verdict: Verdict | None, *, lost: bool) -> str:
    if verdict is Verdict.RETRY and lost:
        return "retry, unknown"
    return verdict.value if verdict else ""


def generated() -> str:
    return (
        f"\n## Fields\n\n{fields()}\n## Providers\n\n{providers()}\n## Outcomes\n\n"
        "What the contract suite shows for each. Providers have rules of their own in front.\n"
        "*Unknown*: the provider may have it; see [above](#when-nobody-knows).\n\n"
        f"{outcomes()}"
    )


def renewed() -> str:
    head, _, rest = PAGE.read_text().partition(BEGIN)
    return f"{head}{BEGIN}{generated()}{END}{rest.partition(END)[2]}"


def test_the_generated_part_is_not_out_of_date() -> None:
    assert PAGE.read_text() == renewed(), f"run: python {Path(__file__).name}"


def test_every_name_for_templates_is_documented() -> None:
    text = PAGE.read_text()
    assert [one for one in MESSAGE_NAMES - {"provider_id"} if f"`{one}`" not in text] == []


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """What the pages say is in /run/secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "vapid").write_bytes(VapidKey.make().pem())
    (folder / "webhook-keys").write_text(f"{KEY}\n")
    page = (DOCS / "howto" / "email.md").read_text()
    (mail,) = re.findall(r"^mailtos://\S+to=\S+$", page, re.M)
    (folder / "mail-url").write_text(mail)
    for name in ("dingtalk-token", "dingtalk-secret", "feishu-secret", "jpush", "goeasy", "sms"):
        (folder / name).write_text("secret")
    (folder / "feishu-url").write_text("https://open.feishu.cn/open-apis/bot/v2/hook/x")
    (folder / "slack-url").write_text("https://hooks.slack.com/services/T/B/x")
    return folder


@pytest.mark.parametrize("name", HOWTOS)
def test_the_settings_of_a_page_start_and_its_address_is_accepted(
    name: str, secrets: Path, tmp_path: Path
) -> None:
    page = DOCS / "howto" / f"{name}.md"
    found = blocks(page, "toml")
    assert found
    for block in found:
        path = tmp_path / "reddot.toml"
        head = f'dev = true\nstore_url = "sqlite:///{tmp_path}/reddot.db"\n'
        path.write_text(head + block.replace("/run/secrets", str(secrets)))
        settings = load_settings({}, {}, path)
        couriers = open_couriers(settings, clock=FakeClock())
        assert couriers
        for key, courier in couriers.items():
            if address := ADDRESSES.get(key):
                assert address in page.read_text()
                courier.check(msgspec.json.decode(address))
            asyncio.run(courier.aclose())


ADDRESSES: Final = {
    "mail": '"ann@example.com"',
    "hook": '"https://example.com/hooks/42"',
    "dingtalk": '"13800138000"',
    "slack": '"U012AB3CD"',
    "phone": '"user_42"',
    "goeasy": '"user_42"',
}


def test_the_description_of_the_page_is_sound_and_its_settings_start(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table, description = blocks(PAGE, "toml")
    Path("sms.toml").write_text(description)
    assert load(Path("sms.toml")).title == "Example SMS"
    Path("reddot.toml").write_text("dev = true\n" + table.replace("/run/secrets", str(secrets)))
    settings = load_settings({}, {}, Path("reddot.toml"))
    assert open_couriers(settings, clock=FakeClock()).keys() == {"sms"}
    assert given_once(settings) == {"sms"}


def test_the_receiver_of_the_page_takes_what_a_courier_sends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (program,) = blocks(DOCS / "howto" / "webhooks.md", "python")
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - our own page

    async def scenario() -> None:
        async with StandIn(Reply(204)) as server:
            courier = WebhookCourier(
                outbound=Outbound(Guard(["127.0.0.1"])), keys=[KEY], url=None, clock=SystemClock()
            )
            address = courier.check(server.url + "/hooks/42")
            parcel = Parcel(
                id="d1", user="42", address=address, message=Message(id="n1", title="Hi")
            )
            await courier.send(parcel)
            await courier.send(parcel)
            await courier.aclose()
        for seen in server.seen:
            assert names["receive"](seen.body, seen.headers) == 204
        with pytest.raises(WebhookVerificationError):
            names["receive"](seen.body + b" ", seen.headers)

    asyncio.run(scenario())
    assert capsys.readouterr().out == "Hi\n"


if __name__ == "__main__":
    PAGE.write_text(renewed())
