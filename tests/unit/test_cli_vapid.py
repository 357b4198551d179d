"""`reddot vapid`: the key by which push services know this server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reddot import cli
from reddot.cli_client import Exit
from reddot.couriers.vapid import VapidKey, decode

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `reddot` in an empty folder; returns exit code, stdout, stderr."""
    for name in os.environ:
        if name.startswith("REDDOT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["reddot", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return invoke


def test_the_key_beside_the_store_is_made_and_stays(run: Run, tmp_path: Path) -> None:
    code, out, err = run("vapid")
    assert code == 0
    assert len(decode(out.strip(), 65)) == 65
    assert "reddot.db.vapid.pem" in err
    assert run("vapid")[1] == out
    assert VapidKey.parse((tmp_path / "reddot.db.vapid.pem").read_text()).public == out.strip()


def test_a_new_pair_is_printed_and_kept_nowhere(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("vapid", "--new")
    assert code == 0
    pem, _, public = out.strip().rpartition("\n")
    assert VapidKey.parse(pem).public == public
    assert list(tmp_path.iterdir()) == []
    assert run("vapid", "--new")[1] != out


def test_the_key_of_the_settings_is_shown(run: Run, tmp_path: Path) -> None:
    key = VapidKey.make()
    (tmp_path / "vapid.pem").write_bytes(key.pem())
    (tmp_path / "reddot.toml").write_text(
        '[couriers.push]\ntype = "web_push"\nsubject = "mailto:a@example.com"\n'
        'vapid_private_key_file = "vapid.pem"\n'
    )
    assert run("vapid")[1] == key.public + "\n"
    assert not (tmp_path / "reddot.db.vapid.pem").exists()


def test_a_store_in_memory_keeps_no_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDOT_STORE_URL", "memory://")
    code, out, err = run("vapid")
    assert (code, out) == (Exit.USAGE, "")
    assert "vapid_private_key" in err
