"""Hatch build hook: a wheel is never without the browser client.

A source distribution brings the built file along. A working copy has it after `make js`; if not, it
is built here, which needs node and npm.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CLIENT = Path("src/reddot/static/reddot.js")
WORKER = CLIENT.with_name("reddot-sw.js")


class BuildClient(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the client if it is missing; an editable installation can do without."""
        root = Path(self.root)
        if version == "editable" or all(one.exists() for one in (root / CLIENT, root / WORKER)):
            return
        try:
            subprocess.run(["npm", "--prefix", "js", "ci", "--silent"], cwd=root, check=True)
            subprocess.run(["node", "js/build.js", str(CLIENT)], cwd=root, check=True)
        except FileNotFoundError as error:
            raise RuntimeError(
                f"{error.filename} is needed to build {CLIENT}; a released wheel has it"
            ) from None
