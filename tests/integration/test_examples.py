"""The examples do what their pages say, against real servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.integration.server import ROOT, Server, ServerFactory

EXAMPLES = ROOT / "examples"


def token(server: Server, **claims: Any) -> str:
    issued: str = httpx.post(f"{server.url}/v1/dev/token", json=claims).json()["token"]
    return issued


def client(server: Server, **claims: Any) -> httpx.Client:
    bearer = {"Authorization": f"Bearer {token(server, **claims)}"}
    return httpx.Client(base_url=server.url, headers=bearer, trust_env=False)


def test_unread_mail(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "unread_mail.py", server.url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "at first: 0",
        "two mails: 2",
        "one opened: 1",
        "the other deleted: 0",
    ]


def alert(status: str, **annotations: str) -> Mapping[str, object]:
    """What Alertmanager sends, shortened."""
    return {
        "version": "4",
        "status": status,
        "alerts": [
            {
                "status": status,
                "fingerprint": "c4f3a1",
                "labels": {"alertname": "DiskFull", "severity": "critical", "instance": "db1"},
                "annotations": annotations,
                "startsAt": "2026-11-25T03:00:00.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus/graph",
            }
        ],
    }


def test_alerts(server_factory: ServerFactory, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    server = server_factory(dev=True, app="alerts:app")
    with client(server, user="anna") as anna:
        anna.put("/v1/follows/alerts/critical").raise_for_status()
        firing = alert("firing", summary="Disk full on db1")
        for _ in range(2):  # Alertmanager repeats itself.
            sent = httpx.post(f"{server.url}/alertmanager", json=firing)
            assert sent.json() == {"notified": 1}
        page = anna.get("/v1/inbox").json()
        assert [item["data"]["title"] for item in page["items"]] == ["Disk full on db1"]
        assert page["badge"]["by_category"] == {"alert": 1}
        assert page["items"][0]["data"]["priority"] == "urgent"
        resolved = alert("resolved", summary="Disk full on db1")
        httpx.post(f"{server.url}/alertmanager", json=resolved).raise_for_status()
        page = anna.get("/v1/inbox").json()
        assert [item["data"]["title"] for item in page["items"]] == ["Resolved: Disk full on db1"]
        assert page["badge"]["unread"] == 1


def test_the_pages_of_the_examples_are_there() -> None:
    howto = ROOT / "docs" / "howto"
    for name in ("alerts", "unread_mail", "message_centre"):
        page: Path = howto / f"{name.replace('_', '-')}.md"
        assert f"examples/{name}.py" in page.read_text()
