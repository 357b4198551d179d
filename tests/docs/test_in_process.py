"""The application of docs/howto/in-process.md runs inside the server and publishes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx
import pytest

import reddot

PAGE: Final = Path(__file__).parents[2] / "docs" / "howto" / "in-process.md"
REDDOT: Final = Path(sys.executable).with_name("reddot")


def test_the_application_publishes(tmp_path: Path) -> None:
    found = re.search(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert found
    (tmp_path / found[1]).write_text(found[2])
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [REDDOT, "serve", "--dev", "--app", "shop:app", "--port", "0"],
            cwd=tmp_path,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 20
        while not (at := re.search(r"http://\S+:\d+", (tmp_path / "log").read_text())):
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with httpx.Client(base_url=at[0], trust_env=False) as client:
            sent = client.post("/orders/7/ship")
            polled = client.get("/v1/poll", params={"topic": "orders/#"}).json()
            assert client.get("/nowhere").json() == {"detail": "Not Found"}
    finally:
        server.terminate()
        code = server.wait(20)
    assert code == 0, (tmp_path / "log").read_text()
    assert [p["id"] for p in polled["publications"]] == [sent.json()["id"]]
    assert polled["publications"][0]["data"] == {"state": "shipped"}


def test_without_a_node_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="no Reddot node"):
        reddot.publish("a", 1).send(None)
