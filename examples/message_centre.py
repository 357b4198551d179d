"""A message centre: bell, list, mark all. One page without a library: docs/howto/message-centre.md.

    reddot serve --dev --app message_centre:app

Open `/` and `/?user=bert` in a few tabs. The page is `message_centre.html` beside this file.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

import reddot

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")

app = FastAPI()


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


@app.post("/hello/{user}")
async def hello(user: str, title: str = "Hello") -> dict[str, str]:
    """What your application does when something happens to somebody."""
    return {"id": await reddot.notify(users=[user], title=title, url="/")}
