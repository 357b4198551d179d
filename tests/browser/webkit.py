"""WebKitGTK, as its own driver offers it: W3C WebDriver over HTTP. Playwright drives none of it.

`Driver` is the program and the display that it draws on; `Page` one browser with a fresh profile.
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

DRIVER: Final = Path("/usr/bin/WebKitWebDriver")
BROWSERS: Final = Path("/usr/lib/x86_64-linux-gnu")
START_S: Final = 20.0
ANSWER_S: Final = 30.0
ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
"""Its name in a reference, W3C WebDriver section 12.2."""


class Driver:
    """WebKitWebDriver on a free port, with a screen of its own.

    Skips the test where one of them is missing.
    """

    def __init__(self) -> None:
        browsers = sorted(BROWSERS.glob("webkit2gtk-4.*/MiniBrowser"))
        xvfb = shutil.which("Xvfb")
        if not DRIVER.exists() or not browsers or xvfb is None:
            pytest.skip("no webkit2gtk-driver or no xvfb")
        self.browser = browsers[-1]
        self._screen, number = _screen(xvfb)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._process = subprocess.Popen(
            [DRIVER, f"--port={port}"],
            env=os.environ | {"DISPLAY": f":{number}"},
            stderr=subprocess.DEVNULL,
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S)
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + START_S
        while True:
            try:
                self.http.get("/status").raise_for_status()
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.02)
            else:
                return

    def close(self) -> None:
        self.http.close()
        for process in (self._process, self._screen):
            process.terminate()
            process.wait(START_S)


def _screen(xvfb: str) -> tuple[subprocess.Popen[bytes], int]:
    """A display without a monitor, and its number, which it chooses."""
    read, write = os.pipe()
    arguments = [xvfb, "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    process = subprocess.Popen(arguments, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as chosen:
        return process, int(chosen.readline())


class Page:
    """A browser with one or more tabs. Scripts are expressions, as for Playwright's `evaluate`."""

    def __init__(self, driver: Driver) -> None:
        self._http = driver.http
        options = {"binary": str(driver.browser), "args": ["--automation"]}
        wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        session = _value(self._http.post("/session", json=wanted))
        self.version = str(session["capabilities"]["browserVersion"])
        self._path = f"/session/{session['sessionId']}"

    def goto(self, url: str) -> None:
        self._ask("url", url=url)

    def evaluate(self, expression: str, *arguments: object) -> Any:
        """The value of an expression, or of the promise that it is; `arguments` is what it has."""
        script = (
            "const done = arguments[arguments.length - 1];"
            f" Promise.resolve().then(() => ({expression}))"
            ".then((value) => done([true, value ?? null]), (error) => done([false, `${error}`]));"
        )
        fine, value = self._ask("execute/async", script=script, args=list(arguments))
        assert fine, f"{expression}: {value}"
        return value

    def wait(self, condition: str, timeout_s: float = 20.0) -> None:
        until = time.monotonic() + timeout_s
        while not self.evaluate(condition):
            assert time.monotonic() < until, f"{condition} is not true"
            time.sleep(0.02)

    def click(self, expression: str) -> None:
        """As a person does: the element that an expression is, wherever it is."""
        element = self._ask("execute/sync", script=f"return {expression}", args=[])
        self._ask(f"element/{element[ELEMENT]}/click")

    def press(self, key: str) -> None:
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._ask("actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def tab(self) -> str:
        """Open another tab and go there; returns its name."""
        name = str(self._ask("window/new", type="tab")["handle"])
        self.switch(name)
        return name

    @property
    def name(self) -> str:
        """Of the tab that is asked now."""
        return str(_value(self._http.get(f"{self._path}/window")))

    def switch(self, name: str) -> None:
        self._ask("window", handle=name)

    def close_tab(self) -> None:
        _value(self._http.delete(f"{self._path}/window"))

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(_value(self._http.get(f"{self._path}/screenshot"))))

    def close(self) -> None:
        _value(self._http.delete(self._path))

    def _ask(self, command: str, **body: object) -> Any:
        return _value(self._http.post(f"{self._path}/{command}", json=body))


def _value(answer: httpx.Response) -> Any:
    value = answer.json()["value"]
    assert answer.is_success, value
    return value
