"""An episode's row stays small, whatever its alerts carry."""

import json
from datetime import UTC, datetime, timedelta

from remediator.ledger.firing_alerts import MAX_ALERTS, MAX_DETAILED, ReceivedAlert, merge
from remediator.model.delivery import Alert

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)


def received(fingerprint: str, at: datetime = NOON, **labels: str) -> ReceivedAlert:
    alert = Alert(status="firing", labels={"alertname": "Slow", **labels}, startsAt=NOON, fingerprint=fingerprint)
    return ReceivedAlert(alert, at)


def test_label_that_changes_with_each_delivery_does_not_make_the_row_grow() -> None:
    entries = {}
    for number in range(200):
        at = NOON + number * INTERVAL
        alert = received(f"f{number}", at, text=f"{number}" + "x" * 900_000)
        entries = dict(merge([alert], entries, at - 3 * INTERVAL).entries)
    assert len(entries) <= 4
    assert len(json.dumps(entries)) < 10_000


def test_long_texts_and_many_labels_are_cut_and_counted() -> None:
    many = {f"label{number}": "x" for number in range(500)}
    alerts = merge([received("f1", text="x" * 5_000, **many), received("f2")], {})
    labels = alerts.entries["f1"]["labels"]
    assert alerts.cut == 1
    assert labels["alertname"] == "Slow"
    assert len(labels) == 40
    assert max(map(len, labels.values())) <= 1_001
    assert merge([received("f1", text="x" * 5_000)], alerts.entries).cut == 0, "it is counted once"


def test_alerts_beyond_the_limit_of_details_keep_their_identity() -> None:
    alerts = merge([received(f"f{number}") for number in range(MAX_DETAILED + 10)], {})
    assert len(alerts.entries) == MAX_DETAILED + 10
    assert sum(bool(entry["labels"]) for entry in alerts.entries.values()) == MAX_DETAILED
    assert alerts.cut == 10


def test_beyond_the_limit_of_alerts_the_oldest_are_forgotten() -> None:
    entries = merge([received(f"old{number}") for number in range(MAX_ALERTS)], {}).entries
    newer = [received(f"new{number}", NOON + INTERVAL) for number in range(10)]
    merged = merge(newer, entries).entries
    assert len(merged) == MAX_ALERTS
    assert sum(key.startswith("new") for key in merged) == 10


def test_alert_is_not_forgotten_while_nothing_is_delivered() -> None:
    entries = merge([received("f1"), received("f2")], {}).entries
    later = NOON + timedelta(hours=5)  # the remediator was down; the last confirmation is that of noon
    assert set(merge([received("f1", later)], entries, NOON - 2 * INTERVAL).entries) == {"f1", "f2"}


def test_late_delivery_does_not_make_an_alert_older() -> None:
    entries = merge([received("f1", NOON + INTERVAL)], {}).entries
    assert merge([received("f1", NOON)], entries).entries["f1"]["seen"] == entries["f1"]["seen"]
