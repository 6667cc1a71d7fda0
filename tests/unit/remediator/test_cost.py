"""What is done every second must not grow with what the ledger remembers: no statement reads a large table whole."""

import re
from collections.abc import AsyncIterator
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
from remediator.server import metrics
from runbookd.inventory import Inventory
from tests.unit.remediator.conftest import Bench, TurnedClock, inventory
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.remediator.shelf import Shelf

LARGE = {"delivery", "episode", "run", "item", "outbox", "audit"}
# Indexes of what is still to be done; however long the ledger has lived, they are short.
SHORT = {"delivery_open", "episode_one_open", "run_one_active", "run_one_open"}
SCAN = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
OLDEST_OR_NEWEST = re.compile(r"ORDER BY \w+\.id( DESC)?\s+LIMIT \?", re.DOTALL)


class Seen(list[tuple[str, Any]]):
    """The statements of a ledger, as they are executed."""

    def watch(self, ledger: SqliteLedger) -> None:
        event.listen(ledger._engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        self.append((statement, parameters[0] if many else parameters))


def with_a_ladder() -> Inventory:
    plain = inventory().model_dump(mode="python", exclude_unset=True)
    steps = {"first": {"contacts": ["oncall"]}, "second": {"after": "30m", "contacts": ["oncall"]}}
    plain["stacks"]["shop"]["escalation"] = steps
    return Inventory.model_validate(plain)


@pytest.fixture
async def watched(folder: Path) -> AsyncIterator[tuple[Bench, Seen]]:
    ledger, seen, shelf = SqliteLedger(f"sqlite:///{folder.parent}/ledger.db"), Seen(), Shelf(folder)
    seen.watch(ledger)
    async with ledger.open():
        world = Context(with_a_ladder(), ledger, TurnedClock(), {"clear_shelf": shelf.remediation()}, None)
        yield Bench(world, shelf, world.clock), seen


async def everything_that_is_done_again_and_again(bench: Bench) -> None:
    bench.shelf.fill("a")
    for status in ("firing", "firing", "resolved", "firing"):
        await bench.deliver(status=status)
        await bench.work()
        await escalate_due_steps(bench.world)
        await send_due(bench.world, Attachments(bench.world))
        await metrics.collect(bench.world)
        bench.clock.turn(minutes=31)
        bench.engine.housekeeping.next_vanished_check = bench.engine.housekeeping.next_retention = 0.0
        await VanishedEpisodeDetector(bench.world).check()


async def test_no_statement_reads_a_large_table_whole(watched: tuple[Bench, Seen]) -> None:
    bench, seen = watched
    seen.clear()
    await everything_that_is_done_again_and_again(bench)
    statements = {text: parameters for text, parameters in seen if not text.startswith(("BEGIN", "PRAGMA"))}
    assert len(statements) > 50, "nearly all there are"
    async with bench.world.ledger.read() as connection:
        plans = [
            (text, row[3])
            for text, parameters in statements.items()
            for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
        ]
    assert [(text, step) for text, step in plans if _reads_all(text, step)] == []


def _reads_all(statement: str, step: str) -> bool:
    found = SCAN.search(step)
    if found is None or found[2] in SHORT or OLDEST_OR_NEWEST.search(statement):
        return False
    return _table(found[1], statement) in LARGE


def _table(name: str, statement: str) -> str:
    """The table behind an alias."""
    known = re.search(rf"(\w+) AS {name}\b", statement)
    return known[1] if known else name


async def test_an_idle_round_is_a_few_statements_however_many_episodes_are_open(watched: tuple[Bench, Seen]) -> None:
    bench, seen = watched
    body = delivery([alert(fingerprint=f"f{number}", target=f"db{number}") for number in range(40)])
    await bench.world.ledger.accept(bench.clock.now(), body)
    await bench.work(5)
    seen.clear()
    await bench.engine.tick()
    await escalate_due_steps(bench.world)
    assert len([1 for statement, _ in seen if not statement.startswith("BEGIN")]) < 15


async def test_a_delivery_of_many_alerts_that_repeat_is_a_few_statements(watched: tuple[Bench, Seen]) -> None:
    bench, seen = watched
    body = delivery([alert(fingerprint=f"f{number}", target=f"db{number}") for number in range(40)])
    await bench.world.ledger.accept(bench.clock.now(), body)
    await bench.work(5)
    await bench.world.ledger.accept(bench.clock.now(), body)
    seen.clear()
    await bench.engine.tick()
    assert len([1 for statement, _ in seen if not statement.startswith("BEGIN")]) < 25
