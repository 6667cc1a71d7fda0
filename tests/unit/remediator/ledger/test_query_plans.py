"""The cost of recurring work does not grow with the ledger: no statement scans a large table."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from remediator.context import Context
from remediator.escalation.attachments import Attachments
from remediator.escalation.policy import escalate_due_steps
from remediator.escalation.sender import send_due
from remediator.intake.vanished import VanishedEpisodeDetector
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.reports.period_reading import read_report
from remediator.server import metrics
from runbookd.inventory import Inventory
from tests.inventory_data import data_of
from tests.unit.remediator.conftest import EngineHarness, ManualClock, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import alert, delivery

LARGE = {"delivery", "episode", "run", "item", "outbox", "audit"}
# Indexes of open work, which stay short in an old ledger.
SHORT = {"delivery_open", "episode_one_open", "run_one_active", "run_one_open"}
SCAN = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
OLDEST_OR_NEWEST = re.compile(r"ORDER BY \w+\.id( DESC)?\s+LIMIT \?", re.DOTALL)


class StatementLog(list[tuple[str, Any]]):
    """The statements of a ledger, as they are executed."""

    def attach(self, ledger: SqliteLedger) -> None:
        event.listen(ledger._engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        self.append((statement, parameters[0] if many else parameters))


def inventory_with_escalation() -> Inventory:
    plain = data_of(inventory())
    steps = {"first": {"contacts": ["oncall"]}, "second": {"after": "30m", "contacts": ["oncall"]}}
    plain["stacks"]["shop"]["escalation"] = steps
    return Inventory.model_validate(plain)


@pytest.fixture
async def watched(folder: Path) -> AsyncIterator[tuple[EngineHarness, StatementLog]]:
    ledger, seen, files = (
        SqliteLedger(f"sqlite:///{folder.parent}/ledger.db"),
        StatementLog(),
        FolderRemediation(folder),
    )
    seen.attach(ledger)
    async with ledger.open():
        context = Context(
            inventory_with_escalation(), ledger, ManualClock(), {"clear_folder": files.remediation()}, None
        )
        yield EngineHarness(context, files, context.clock), seen


async def do_all_recurring_work(harness: EngineHarness) -> None:
    harness.files.fill("a")
    for status in ("firing", "firing", "resolved", "firing"):
        await harness.deliver(status=status)
        await harness.work()
        await escalate_due_steps(harness.context)
        await send_due(harness.context, Attachments(harness.context))
        await metrics.collect(harness.context)
        harness.clock.advance(minutes=31)
        harness.engine.housekeeping.next_vanished_check = harness.engine.housekeeping.next_retention = 0.0
        await VanishedEpisodeDetector(harness.context).check()


async def test_no_statement_scans_a_large_table(watched: tuple[EngineHarness, StatementLog]) -> None:
    harness, seen = watched
    seen.clear()
    await do_all_recurring_work(harness)
    assert len(seen) > 50, "nearly all statements of the remediator"
    assert await scans_of_large_tables(harness, seen) == []


async def test_report_scans_no_large_table(watched: tuple[EngineHarness, StatementLog]) -> None:
    harness, seen = watched
    await do_all_recurring_work(harness)
    seen.clear()
    async with harness.context.ledger.read() as connection:
        await read_report(connection, harness.context, timedelta(days=7))
    assert len(seen) > 10
    assert await scans_of_large_tables(harness, seen) == []
    of_all = {text for text, _ in seen}
    seen.clear()
    async with harness.context.ledger.read() as connection:
        await read_report(connection, harness.context, timedelta(days=7), "shop")
    assert {text for text, _ in seen if text.startswith("SELECT run.")} <= of_all, (
        "an index of stacks would read all runs of one"
    )


async def scans_of_large_tables(harness: EngineHarness, seen: StatementLog) -> list[tuple[str, str]]:
    statements = {text: parameters for text, parameters in seen if not text.startswith(("BEGIN", "PRAGMA"))}
    async with harness.context.ledger.read() as connection:
        plans = [
            (text, row[3])
            for text, parameters in statements.items()
            for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
        ]
    return [(text, step) for text, step in plans if _reads_all(text, step)]


def _reads_all(statement: str, step: str) -> bool:
    match = SCAN.search(step)
    if match is None or match[2] in SHORT or OLDEST_OR_NEWEST.search(statement):
        return False
    return _table(match[1], statement) in LARGE


def _table(name: str, statement: str) -> str:
    """Return the table behind an alias."""
    match = re.search(rf"(\w+) AS {name}\b", statement)
    return match[1] if match else name


async def test_idle_round_takes_few_statements_for_many_open_episodes(
    watched: tuple[EngineHarness, StatementLog],
) -> None:
    harness, seen = watched
    body = delivery([alert(fingerprint=f"f{number}", target=f"db{number}") for number in range(40)])
    await harness.context.ledger.accept(harness.clock.now(), body)
    await harness.work(5)
    seen.clear()
    await harness.engine.tick()
    await escalate_due_steps(harness.context)
    assert len([1 for statement, _ in seen if not statement.startswith("BEGIN")]) < 15


async def test_delivery_of_many_repeated_alerts_takes_few_statements(
    watched: tuple[EngineHarness, StatementLog],
) -> None:
    harness, seen = watched
    body = delivery([alert(fingerprint=f"f{number}", target=f"db{number}") for number in range(40)])
    await harness.context.ledger.accept(harness.clock.now(), body)
    await harness.work(5)
    await harness.context.ledger.accept(harness.clock.now(), body)
    seen.clear()
    await harness.engine.tick()
    assert len([1 for statement, _ in seen if not statement.startswith("BEGIN")]) < 25
