"""A replay takes as long as its statements: each is built once, and then executed as often as the past needs it."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Executable

from benchmarks.replay import TwoItems
from remediator.ledger.sqlite.prepared import PreparedStatement, PreparedStatements
from runbookctl.replay.history import History, PastAlert, Span
from runbookctl.replay.play import play
from runbookd.inventory import Inventory

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = {"alertname": "Idle", "stack": "shop", "remediation": "terminate_idle_transactions"}
TARGETS = ("db0", "db1", "unknown")


def inventory(mode: str) -> Inventory:
    stack = {
        "runbook_url": "https://runbooks.example/shop",
        "postgres": {name: {"dsn": "postgresql://db/shop"} for name in TARGETS[:-1]},
        "remediations": {NAMES["remediation"]: {"mode": mode}},
    }
    return Inventory.model_validate({"stacks": {"shop": stack}})


def past(hours: int) -> History:
    """Return alerts that fire for 25 minutes of each hour."""
    starts = [SINCE + timedelta(hours=hour, minutes=10) for hour in range(hours)]
    spans = [Span(start, start + timedelta(minutes=25)) for start in starts]
    return History(
        SINCE, SINCE + timedelta(hours=hours), [PastAlert({**NAMES, "target": target}, spans) for target in TARGETS]
    )


@pytest.mark.parametrize("mode", ["shadow", "auto", "approve"])
def test_a_replay_builds_each_statement_once(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built: Counter[str] = Counter()
    get = PreparedStatements.get

    def counting(
        prepared: PreparedStatements, statement: Executable, parameters: Mapping[str, Any]
    ) -> PreparedStatement | None:
        found = get(prepared, statement, parameters)
        if found is None:
            built[str(statement)] += 1
        return found

    monkeypatch.setattr(PreparedStatements, "get", counting)
    played = play(inventory(mode), past(3), TwoItems())
    assert len(played.runs) > 6
    assert {text: times for text, times in built.items() if times > 2} == {}, "build them once, as a constant"
