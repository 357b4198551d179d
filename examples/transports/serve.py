"""One page per transport, each about thirty lines: docs/start/transports.md walks through them.

    cd examples/transports
    reddot serve --dev --app serve:app

Open `/`. `/sse.html?user=anna` is another person's page.
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

app = Starlette(routes=[Mount("/", StaticFiles(directory=Path(__file__).parent, html=True))])
