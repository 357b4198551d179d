"""The commands about inboxes, on a store that nobody else has open."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reddot import cli
from reddot.cli_client import Exit
from reddot.core.inbox import Wanted
from reddot.node import SERVER
from reddot.testing import memory_node

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `reddot` with arguments on a store with mail; returns exit code, stdout, stderr."""
    for name in os.environ:
        if name.startswith("REDDOT_"):
            monkeypatch.delenv(name)
    # Logs are the process's, and would outlive the test.
    monkeypatch.setattr(cli, "configure_logs", lambda form, level: None)
    monkeypatch.setenv("REDDOT_STORE_URL", "sqlite:///mail.db")
    monkeypatch.chdir(tmp_path)
    asyncio.run(_deliver())

    def invoke(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["reddot", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return invoke


async def _deliver() -> None:
    """Two people have one notification each, and one has read theirs."""
    node = memory_node(store_url="sqlite:///mail.db")
    await node.start()
    for user in ("anna", "bert"):
        sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        wanted = Wanted(content=b'{"title":"Hello"}', users=(user,), id=f"to-{user}")
        node.inboxes.send(SERVER, wanted, sent.set_result)
        await sent
    await node.inboxes.mark("anna", "read", ids=("to-anna",))
    await node.stop()


def test_verify_finds_and_repairs_what_somebody_has_broken(run: Run) -> None:
    assert run("verify") == (0, "2 users, 0 badges differ\n", "")
    assert run("verify", "--user", "bert")[1] == "1 users, 0 badges differ\n"
    with sqlite3.connect("mail.db") as connection:
        connection.execute("UPDATE notification SET state = 2 WHERE id = 'to-bert'")
        connection.execute("UPDATE marks SET join_seq = 5, read_upto = 1")
    connection.close()
    code, _, err = run("verify")
    assert code == Exit.FAILED
    assert "wrong: 1 rows of inboxes are live" in err
    assert "wrong: 1 marks have read less than nothing" in err
    code, _, err = run("verify", "--repair")
    assert (code, err.count("repaired: ")) == (0, 2)
    assert run("verify")[0] == 0


def test_export_and_erase_of_a_user(run: Run) -> None:
    code, out, _ = run("export-user", "anna")
    told = json.loads(out)
    assert (code, told["inbox"][0]["data"]["title"], told["inbox"][0]["read"]) == (0, "Hello", True)
    code, out, _ = run("erase-user", "anna")
    assert (code, out) == (0, "erased: anna\n")
    assert json.loads(run("export-user", "anna")[1])["inbox"] == []
    assert run("verify")[1] == "1 users, 0 badges differ\n"


def test_what_cannot_be_a_user_is_refused(run: Run) -> None:
    code, _, err = run("erase-user", "a/b")
    assert (code, err.count("\n")) == (Exit.USAGE, 1)
    assert "cannot be a user's name" in err
