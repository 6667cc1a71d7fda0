"""Let runs compete for a cap in several processes, each with several transactions at a time.

All processes write in one term, so that only the admitting transaction itself separates them. A mutant removes one of
its guards; the numbers of the audit trail, which two transactions cannot both give, would hide that, so mutants take
them from a sequence.
"""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import audit, runs
from remediator.ledger.address import postgres_address
from remediator.ledger.postgresql import connection as postgresql_connection
from remediator.ledger.postgresql import store, transactions
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.ledger.postgresql.transactions import Fence, Premises, Transactions
from remediator.model.errors import LedgerUnavailable
from remediator.model.remediation import Item, Plan
from remediator.model.target import ResolvedTarget, resolve_target
from remediator.runs import planning
from tests.invariants.test_contenders import inventory_with_cap
from tests.unit.remediator.conftest import ManualClock
from tests.unit.remediator.folder_remediation import FolderRemediation

PROCESSES = 3
PLAN = Plan((Item({"name": "a"}),), 1)


@dataclass(frozen=True)
class Contest:
    """The runs that compete, and the cap for which they do."""

    url: str
    fence: Fence
    folder: Path
    targets: Sequence[str]
    capped: str
    cap: dict[str, int]
    mutant: str = ""


class Unqueued(PostgresLedger):
    """A ledger whose writers do not queue in their process, as if each had a process of its own."""

    fence: Fence

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self._transactions.locked(Premises(self.fence)) as connection:
            audit.begin(connection)
            yield connection


async def _compete(contest: Contest, identifiers: Sequence[int]) -> int:
    """Decide the runs all at once; return how many could not be decided."""
    address = postgres_address(contest.url)
    assert address is not None
    ledger = Unqueued(address)
    ledger.fence = contest.fence
    files = FolderRemediation(contest.folder)
    inventory = inventory_with_cap(contest.capped, contest.targets, **contest.cap)
    context = Context(inventory, ledger, ManualClock(), {"clear_folder": files.remediation()}, None)
    answers = await asyncio.gather(*(_decide(context, each) for each in identifiers), return_exceptions=True)
    await ledger._engine.dispose()
    failures = [each for each in answers if isinstance(each, BaseException)]
    if any(not isinstance(each, LedgerUnavailable) for each in failures):
        raise failures[0]
    return len(failures)


async def _decide(context: Context, identifier: int) -> None:
    async with context.ledger.read() as connection:
        run = await runs.get(connection, identifier)
    target = resolve_target(context.inventory, context.remediations, run.key)
    assert isinstance(target, ResolvedTarget)
    await planning._decide(context, run, target, PLAN)


def _be_patient() -> None:
    """Let a busy machine decide two hundred runs: waiting is not what is tested."""
    patient = transactions._LIMITS.replace(f"'{transactions.LOCK_MILLISECONDS}'", "'90000'", 1)
    transactions._SET_LIMITS_AND_LOCK = text(f"{patient}, {transactions.LOCK}")
    postgresql_connection.POOL_WAIT_SECONDS = 90.0
    store.create_engine = partial(postgresql_connection.create_engine, answer_seconds=None)  # type: ignore[attr-defined]


def _use(mutant: str) -> None:
    """Remove a guard of the admitting transaction."""
    if not mutant:
        return
    audit.append = _append_with_sequence  # type: ignore[assignment]
    unlocked, locked = transactions._SET_LIMITS, transactions._SET_LIMITS_AND_LOCK
    if mutant == "repeatable read":
        transactions.require_settings = lambda *_: None
        Transactions.locked = _locked_on_a_snapshot  # type: ignore[method-assign]
    if mutant in ("no lock", "lock after the count"):
        transactions._SET_LIMITS_AND_LOCK = unlocked
    if mutant == "lock after the count":
        commit = AsyncConnection.commit

        async def lock_and_commit(connection: AsyncConnection) -> None:
            await connection.execute(locked)
            await commit(connection)

        AsyncConnection.commit = lock_and_commit  # type: ignore[method-assign]


@asynccontextmanager
async def _locked_on_a_snapshot(
    self: Transactions, premises: Premises = transactions.NONE
) -> AsyncIterator[AsyncConnection]:
    begin = partial(transactions._begin_locked, self.history, premises)
    async with self._transaction(begin, isolation_level="REPEATABLE READ") as connection:
        yield connection


async def _append_with_sequence(connection: AsyncConnection, at: datetime, event: str, **details: Any) -> None:
    row = {"at": at, "event": event, "actor": "remediator", "detail": {}, "hash": "", "run": details.get("run")}
    await connection.execute(audit.insert(audit.audit).values(**row))


def _process(contest: Contest, identifiers: Sequence[int], answer: Any) -> None:
    _be_patient()
    _use(contest.mutant)
    answer.send(asyncio.run(_compete(contest, identifiers)))
    answer.close()
    os._exit(0)


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.invariants.contending"])


def compete(contest: Contest, identifiers: Sequence[int]) -> int:
    """Let the runs compete in PROCESSES processes; return how many could not be decided."""
    pipes = []
    for number in range(PROCESSES):
        ours, theirs = _FORKS.Pipe(duplex=False)
        process = _FORKS.Process(target=_process, args=(contest, identifiers[number::PROCESSES], theirs))
        process.start()
        theirs.close()
        pipes.append((process, ours))
    failures = 0
    for process, ours in pipes:
        assert ours.poll(300), "a process has not decided its runs"
        failures += ours.recv()
        process.join(10)
    return failures
