"""The firing alerts of an episode, as its row keeps them: few and short, whatever the sender writes.

The row is rewritten with every delivery, so a label that changes each time or a text of a megabyte must not make it
grow: alerts that are no longer delivered are forgotten, and long texts are cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remediator.ledger.schema import to_microseconds
from remediator.model.delivery import Alert

MAX_ALERTS = 1_000  # per episode; beyond it, those that were delivered longest ago are forgotten
MAX_DETAILED = 50  # alerts per episode that keep their labels and annotations
MAX_PAIRS, MAX_CHARACTERS = 40, 1_000  # labels or annotations per alert, and characters of each
_KEPT_FIRST = ("alertname", "severity", "priority", "stack", "target", "queue", "remediation", "runbook_url", "summary")


@dataclass(frozen=True)
class ReceivedAlert:
    """An alert, and when its delivery was received."""

    alert: Alert
    received_at: datetime


@dataclass(frozen=True)
class FiringAlerts:
    """The entries of an episode by the key of their alert; `cut` new ones have lost some of their text."""

    entries: Mapping[str, Any]
    cut: int = 0


def merge(
    firing: Sequence[ReceivedAlert], known_entries: Mapping[str, Any], forget_before: datetime | None = None
) -> FiringAlerts:
    """Add the alerts of deliveries to the known ones, and forget those not delivered since `forget_before`.

    An alert keeps its latest start: late deliveries must not make it older.
    """
    limit = to_microseconds(forget_before) if forget_before is not None else 0
    entries = {key: entry for key, entry in known_entries.items() if entry.get("seen", limit) >= limit}
    cut = 0
    for received_alert in firing:
        alert, known = received_alert.alert, entries.get(received_alert.alert.key, {})
        entry, is_cut = _entry(received_alert, known, detailed=bool(known.get("labels")) or len(entries) < MAX_DETAILED)
        cut += is_cut and not known
        entries[alert.key] = entry
    return FiringAlerts(_newest(entries), cut)


def _entry(
    received_alert: ReceivedAlert, known: Mapping[str, Any], *, detailed: bool
) -> tuple[Mapping[str, Any], bool]:
    alert = received_alert.alert
    received = to_microseconds(received_alert.received_at)
    times = {
        "joined": known.get("joined", known.get("seen", received)),
        "started": max(to_microseconds(alert.started), known.get("started", 0)),
        "seen": max(received, known.get("seen", 0)),
    }
    if not detailed:
        return {"labels": {}, "annotations": {}} | times, True
    details = {"labels": _shorten(alert.labels), "annotations": _shorten(alert.annotations)}
    return details | times, details != {"labels": alert.labels, "annotations": alert.annotations}


def _shorten(texts: Mapping[str, str]) -> Mapping[str, str]:
    names = [name for name in _KEPT_FIRST if name in texts] + sorted(texts.keys() - set(_KEPT_FIRST))
    kept = {name[:MAX_CHARACTERS]: texts[name] for name in names[:MAX_PAIRS]}
    return {name: text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…" for name, text in kept.items()}


def _newest(entries: dict[str, Any]) -> Mapping[str, Any]:
    if len(entries) <= MAX_ALERTS:
        return entries
    newest = sorted(entries, key=lambda key: entries[key].get("seen", 0), reverse=True)[:MAX_ALERTS]
    return {key: entries[key] for key in newest}
