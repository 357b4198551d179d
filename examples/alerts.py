"""Prometheus Alertmanager's webhook as notifications, inside the server: docs/howto/alerts.md.

    reddot serve --dev --app alerts:app

An alert is one notification to whoever follows `alerts/{severity}`. When it is resolved, that
notification is replaced, so a flapping alert is one item and not twenty.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

import reddot

RESOLVED_TTL_S = 3600
PRIORITIES = {"critical": "urgent", "warning": "high"}

app = FastAPI()


class Alert(BaseModel):
    """What Alertmanager says of one alert, as far as it is needed."""

    status: str
    fingerprint: str
    startsAt: datetime
    endsAt: datetime | None = None
    generatorURL: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Webhook(BaseModel):
    alerts: list[Alert]


@app.post("/alertmanager")
async def alertmanager(webhook: Webhook) -> dict[str, int]:
    for alert in webhook.alerts:
        await reddot.notify(**notification(alert))
    return {"notified": len(webhook.alerts)}


def notification(alert: Alert) -> dict[str, Any]:
    """One alert as a notification. Alertmanager repeats itself; the `id` makes that harmless."""
    severity = alert.labels.get("severity", "none")
    name = alert.labels.get("alertname", "alert")
    summary = alert.annotations.get("summary", name)
    resolved = alert.status == "resolved"
    more: dict[str, Any] = {"ttl": RESOLVED_TTL_S, "priority": "low"} if resolved else {}
    return {
        "topic": f"alerts/{severity}",
        "title": f"Resolved: {summary}" if resolved else summary,
        "body": alert.annotations.get("description", ""),
        "url": alert.generatorURL,
        "category": "alert",
        "priority": PRIORITIES.get(severity, "normal"),
        "collapse_key": alert.fingerprint,
        "id": f"{alert.fingerprint}-{alert.status}-{alert.startsAt.isoformat()}",
        "data": {"labels": alert.labels},
    } | more
