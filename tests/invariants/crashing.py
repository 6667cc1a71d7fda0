"""Run a remediator that kills itself with SIGKILL before or after a commit or an effect, and check the invariants.

Its clock advances one second per engine tick, so that the same number is always the same point.
"""

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger import deliveries, effects, runs, switches
from remediator.ledger.address import postgres_address
from remediator.ledger.postgresql import leader
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.postgresql.transactions import Fence
from remediator.ledger.run_list import list_runs
from remediator.ledger.runs import Run
from remediator.ledger.schema import audit as trail
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.model.remediation import EffectOutcome, ItemState
from remediator.model.run_state import ENDED, RunState
from remediator.runs import outcome
from remediator.runs.approval import approve, reject
from remediator.runs.questions import Request, ask, confirm
from tests.ledgers import leading, ledger_of, ledger_url
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import START, ManualClock, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import delivery

FAR_BEYOND = 10**9
MAX_ROUNDS = 40
LEASE = timedelta(seconds=1)  # which a killed process keeps
LEASE_TO_THE_END = timedelta(minutes=1)  # of a process that lives: even a busy machine renews it in time
EFFECT = timedelta(seconds=1)  # for which its effect may go on
STARTS = "2026-03-01T12:00:00Z"


@dataclass(frozen=True)
class Scenario:
    """One path of a run through the states; `react` is what an operator or Alertmanager does."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    files: str = "ab"
    faults: Mapping[str, Any] = field(default_factory=dict)
    react: Callable[[Context, Run], Awaitable[object]] | None = None
    pauses: bool = False
    is_started_by_an_operator: bool = False


async def _approve(context: Context, run: Run) -> None:
    if run.state is RunState.AWAITING_APPROVAL and run.approved_by is None:
        await approve(context, run.id, "oncall")


async def _reject(context: Context, run: Run) -> None:
    if run.state is RunState.AWAITING_APPROVAL:
        await reject(context, run.id, "oncall")


async def _repeat(context: Context, run: Run) -> None:
    if run.state is RunState.DEFERRED:
        await context.ledger.accept(context.clock.now(), delivery(starts=STARTS))


async def _resolve(context: Context, run: Run) -> None:
    if run.state is RunState.AWAITING_APPROVAL:
        await context.ledger.accept(context.clock.now(), delivery(starts=STARTS, status="resolved"))


SCENARIOS = {
    "fixed": Scenario(),
    "in one effect": Scenario(faults={"one_effect": True}),
    "approved": Scenario({"mode": "approve"}, react=_approve),
    "rejected": Scenario({"mode": "approve"}, react=_reject),
    "expired": Scenario({"mode": "approve", "approve_within": "2s"}),
    "resolved": Scenario({"mode": "approve"}, react=_resolve),
    "deferred": Scenario({"min_firing": "5s"}, react=_repeat),
    "refused": Scenario(files="abcdef"),
    "shadow": Scenario({"mode": "shadow"}),
    "nothing to do": Scenario(files=""),
    "ineffective": Scenario({"verify_within": "0s"}, faults={"refill": True}),
    "failed": Scenario(faults={"reachable": False}),
    "paused": Scenario(pauses=True),
    "started": Scenario({"mode": "approve"}, is_started_by_an_operator=True),
}


class CrashPoints:
    """A log of crash points, which kills the process at the chosen one: by its number, or the first of its name."""

    def __init__(self, log: Path, die_at: int | str) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._die_at = die_at
        self._count = 0

    def pass_point(self, name: str) -> None:
        self._count += 1
        self.log(name)
        if self._die_at in (self._count, name):
            os.kill(os.getpid(), signal.SIGKILL)

    def log(self, line: str) -> None:
        os.write(self._log, f"{line}\n".encode())


class Crashing:
    """What every kind of ledger gets: its crash points."""

    points: CrashPoints

    @asynccontextmanager
    async def _pass_points(self, write: AbstractAsyncContextManager[AsyncConnection]) -> AsyncIterator[AsyncConnection]:
        initialized = self._delivery_writer is not None  # earlier there may be no tables
        events = "the tables"
        async with write as connection:
            before = await _newest(connection) if initialized else 0
            yield connection
            if initialized:
                rows = await connection.execute(select(trail.c.event).where(trail.c.id > before).order_by(trail.c.id))
                events = "+".join(row.event for row in rows)
            self.points.pass_point(f"before commit of {events}")
        self.points.pass_point(f"after commit of {events}")

    async def accept(self, received_at: datetime, body: bytes) -> None:
        self.points.pass_point("before acceptance")
        await super().accept(received_at, body)
        self.points.log("accepted")
        self.points.pass_point("after acceptance")


class CrashingSqliteLedger(Crashing, SqliteLedger):
    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pass_points(super().write())


class CrashingPostgresLedger(Crashing, PostgresLedger):
    """It is migrated before, but has the same points."""

    def write_in(self, fence: Fence | None) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._pass_points(super().write_in(fence))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        self.points.pass_point("before commit of the tables")
        self.points.pass_point("after commit of the tables")
        async with super().open():
            yield self


def crashing_ledger(url: str, lease: timedelta = LEASE) -> CrashingSqliteLedger | CrashingPostgresLedger:
    address = postgres_address(url)
    return CrashingSqliteLedger(url) if address is None else CrashingPostgresLedger(address, lease)


async def _newest(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.coalesce(func.max(trail.c.id), 0)))).scalar_one())


@dataclass
class CrashingFolderRemediation(FolderRemediation):
    points: CrashPoints = field(kw_only=True)

    def _remove(self, name: str) -> EffectOutcome:
        self.points.pass_point(f"before effect on {name}")
        outcome = super()._remove(name)
        if outcome.state is ItemState.APPLIED:
            self.points.log(f"touched {name}")
        self.points.pass_point(f"after effect on {name}")
        return outcome


async def run_life(folder: Path, url: str, scenario: Scenario, life: int, die_at: int | str) -> None:
    """Run one process of the remediator until it is idle."""
    outcome.SETTLE_ATTEMPTS = 1
    leader.END_SECONDS = 0.1
    points = CrashPoints(folder / "points", die_at)
    points.log(f"life {life}")
    clock = ManualClock(START + life * timedelta(minutes=10))
    replica = crashing_ledger(url, LEASE_TO_THE_END if die_at == FAR_BEYOND else LEASE)
    replica.points = points
    files = CrashingFolderRemediation(folder / "files", timeout=EFFECT, points=points, **scenario.faults)
    async with replica.open(), leading(replica) as ledger:
        context = Context(inventory(**scenario.settings), ledger, clock, {"clear_folder": files.remediation()}, None)
        if scenario.pauses:
            files.after = lambda: _pause(context)
        if scenario.is_started_by_an_operator:
            await _start(context)
        else:
            await ledger.accept(clock.now(), delivery(starts=STARTS))
        await _drive(context, clock, scenario)


async def _start(context: Context) -> None:
    """Start a run as an operator does who sees after a crash whether it was started."""
    async with context.ledger.read() as connection:
        if (await list_runs(connection, limit=1)).runs:
            return
    asked = await ask(context, "oncall", Request("clear_folder", "shop/postgres/main"))
    await confirm(context, asked.question.id, "oncall", asked.question.plan_hash)


async def _pause(context: Context) -> None:
    async with context.ledger.write() as connection:
        await switches.pause_now(connection, context.clock.now(), "oncall", "looking", None, None)


async def _drive(context: Context, clock: ManualClock, scenario: Scenario) -> None:
    engine = Engine(context)
    engine.housekeeping.next_retention = 0.0  # due at once, so that its commits are among the points
    for _ in range(MAX_ROUNDS):
        await _wait_for_former_leader(context)
        await engine.tick()
        await engine.wait_for_runs()
        clock.advance(seconds=1)
        async with context.ledger.read() as connection:
            last = (await list_runs(connection, limit=1)).runs
            quiet = not await runs.unfinished(connection) and not await deliveries.count_unprocessed(connection)
        if quiet and last:
            return
        if last and scenario.react is not None:
            await scenario.react(context, last[0])
    raise AssertionError(f"a run has not ended after {MAX_ROUNDS} rounds")


async def _wait_for_former_leader(context: Context) -> None:
    """Wait until no effect of a killed leader can go on any more; the next one does not settle it before."""
    async with asyncio.timeout(60):
        while True:
            async with context.ledger.read() as connection:
                if not await context.ledger.acting_elsewhere(connection):
                    return
            await asyncio.sleep(0.1)


def _process(folder: str, url: str, name: str, life: int, die_at: int | str) -> None:
    asyncio.run(run_life(Path(folder), url, SCENARIOS[name], life, die_at))
    os._exit(0)


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.invariants.crashing"])


def crash_and_recover(folder: Path, name: str, deaths: Sequence[int | str]) -> list[str]:
    """Run one process per point in `deaths`, which dies there, then one to the end; return the points."""
    (folder / "files").mkdir()
    FolderRemediation(folder / "files").fill(*SCENARIOS[name].files)
    for life, die_at in enumerate([*deaths, FAR_BEYOND]):
        process = _FORKS.Process(target=_process, args=(str(folder), ledger_url(folder), name, life, die_at))
        process.start()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL), f"life {life} ended with {process.exitcode}"
    assert process.exitcode == 0
    asyncio.run(check_invariants(folder))
    return (folder / "points").read_text().splitlines()


async def check_invariants(folder: Path) -> None:
    """Check the invariants that hold after any number of crashes."""
    points = (folder / "points").read_text().splitlines()
    async with ledger_of(ledger_url(folder)).open() as ledger, ledger.read() as connection:
        assert await first_break(connection) is None
        all_runs = (await list_runs(connection, limit=1_000)).runs
        items = await effects.items_of(connection, [run.id for run in all_runs])
        delivery_count = (await connection.exec_driver_sql("SELECT count(*) FROM delivery")).scalar_one()
        events = [row.event for row in await connection.execute(select(trail.c.event))]
    assert delivery_count >= points.count("accepted"), "an accepted delivery is missing"
    assert all(run.state in ENDED for run in all_runs), "a run has not ended"
    assert RunState.UNKNOWN not in {run.state for run in all_runs}, "every outcome can be queried"
    _assert_nothing_twice(points, items)
    _assert_ledger_is_true(points, items)
    assert events.count("intended") == events.count("settled")


def _assert_nothing_twice(points: Sequence[str], items: Mapping[int, Any]) -> None:
    effects = Counter(line for line in points if line.startswith("touched "))
    assert not effects or max(effects.values()) == 1, effects
    intended = Counter(
        (run, each.position) for run, some in items.items() for each in some if each.state is not ItemState.PLANNED
    )
    assert not intended or max(intended.values()) == 1


def _assert_ledger_is_true(points: Sequence[str], items: Mapping[int, Any]) -> None:
    """Check that the effects in the ledger are exactly the real ones."""
    ledger_effects = Counter(
        each.item.identity["name"] for some in items.values() for each in some if each.state is ItemState.APPLIED
    )
    real_effects = Counter(line.removeprefix("touched ") for line in points if line.startswith("touched "))
    assert ledger_effects == real_effects
