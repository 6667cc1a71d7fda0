"""The engine on a real ledger, with a clock that the tests set."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger import effects, switches
from remediator.ledger.effects import RunItem
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.schema import outbox
from remediator.model.delivery import MAX_BYTES
from runbookd.inventory import Inventory
from tests.ledgers import leading_in
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import delivery

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class ManualClock:
    """A clock that stands still until a test moves it."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class EngineHarness:
    """One engine with its ledger, its clock and its remediation. `cut_power` simulates a crash."""

    context: Context
    files: FolderRemediation
    clock: ManualClock
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.context)

    async def deliver(self, **alert: Any) -> None:
        body = delivery(**alert)
        assert len(body) < MAX_BYTES
        self.clock.advance(milliseconds=1)
        await self.context.ledger.accept(self.clock.now(), body)
        self.clock.advance(milliseconds=1)

    async def work(self, ticks: int = 3) -> None:
        for _ in range(ticks):
            await self.engine.tick()
            await self.engine.wait_for_runs()

    async def run_vanished_checks(self, checks: int = 31) -> None:
        """Run as many checks as a missing episode needs to vanish."""
        for _ in range(checks):
            self.engine.housekeeping.next_vanished_check = 0.0
            await self.work(1)

    async def cut_power(self) -> None:
        """Cancel every task; the new engine finds only what is in the ledger."""
        for task in list(self.engine._drive_tasks.values()):
            task.cancel()
        self.engine = Engine(self.context)

    async def runs(self) -> list[Run]:
        async with self.context.ledger.read() as connection:
            return list(reversed((await list_runs(connection, limit=1_000)).runs))

    async def last_run(self) -> Run:
        return (await self.runs())[-1]

    async def notifications(self) -> list[Any]:
        """Return the rows of the outbox, oldest first."""
        async with self.context.ledger.read() as connection:
            return list((await connection.execute(select(outbox).order_by(outbox.c.id))).all())

    async def notification_titles(self) -> list[str]:
        return [row.title for row in await self.notifications()]

    async def pause(self) -> None:
        """Pause all stacks, as an operator does."""
        async with self.context.ledger.write() as connection:
            await switches.pause_now(connection, self.clock.now(), "oncall", "looking", None, None)

    async def breakers(self) -> int:
        """Return the number of open breakers."""
        async with self.context.ledger.read() as connection:
            return len(await switches.open_breakers(connection))

    async def items(self, run: Run) -> list[RunItem]:
        async with self.context.ledger.read() as connection:
            return list(await effects.items(connection, run.id))


def inventory(**settings: Any) -> Inventory:
    remediation = {"mode": "auto", "settle": "0s", "verify_within": "1s", **settings}
    return Inventory.model_validate(
        {
            "contacts": {"oncall": {"url": "json://127.0.0.1:9"}},
            "stacks": {
                "shop": {
                    "runbook_url": "https://runbooks.example/shop",
                    "postgres": {"main": {"dsn": "postgresql://db/shop"}, "spare": {"dsn": "postgresql://db/spare"}},
                    "windows": {"noon": {"days": ["sun"], "from": "12:00", "to": "12:30"}},
                    "remediations": {"clear_folder": remediation},
                }
            },
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = tmp_path / "files"
    files.mkdir()
    return files


@asynccontextmanager
async def engine_harness(
    folder: Path, stacks: Inventory, files: FolderRemediation | None = None
) -> AsyncIterator[EngineHarness]:
    files, clock = files or FolderRemediation(folder), ManualClock()
    async with leading_in(folder.parent) as ledger:
        context = Context(stacks, ledger, clock, {"clear_folder": files.remediation()}, None)
        yield EngineHarness(context, files, clock)


@pytest.fixture
async def harness(folder: Path) -> AsyncIterator[EngineHarness]:
    async with engine_harness(folder, inventory()) as harness:
        yield harness
