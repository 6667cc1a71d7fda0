"""Webhook bodies as Alertmanager sends them."""

import json
from typing import Any

LABELS = {"alertname": "FolderFull", "stack": "shop", "target": "main", "remediation": "clear_folder"}

NEVER = "0001-01-01T00:00:00Z"


def alert(
    status: str = "firing",
    fingerprint: str = "f1",
    starts: str = "2026-03-01T11:59:00Z",
    ends: str | None = NEVER,
    **labels: str,
) -> Any:
    return {
        "status": status,
        "labels": {**LABELS, **labels},
        "annotations": {"summary": "the folder is full", "runbook_url": "https://runbooks.example/shop#folder"},
        "startsAt": starts,
        "endsAt": ends,
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": fingerprint,
    }


def delivery(alerts: list[Any] | None = None, **one: Any) -> bytes:
    body = {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "remediator",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": [alert(**one)] if alerts is None else alerts,
    }
    return json.dumps(body).encode()
