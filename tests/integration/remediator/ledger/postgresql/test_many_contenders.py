"""Two hundred runs compete for three places, in three processes."""

import asyncio
from pathlib import Path

import pytest

from remediator.ledger import audit
from remediator.ledger.postgresql import transactions
from remediator.ledger.postgresql.leader import PostgresLeader
from remediator.ledger.protocol import Ledger
from remediator.model.errors import LedgerUnavailable
from remediator.model.run_state import ACTIVE, RunState
from tests.invariants.contending import Contest, compete
from tests.invariants.test_contenders import inventory_with_cap
from tests.ledgers import LedgerDatabases, ledger_in, ledger_url
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness
from tests.unit.remediator.payloads import alert, delivery

RATE, CONCURRENCY = "max_runs_per_hour", "concurrency"


async def plan_runs(harness: EngineHarness, targets: list[str]) -> list[int]:
    body = delivery([alert(target=name, fingerprint=name) for name in targets])
    await harness.context.ledger.accept(harness.clock.now(), body)
    await harness.engine._process_deliveries()
    await harness.engine._plan_due_episodes()
    return [run.id for run in await harness.runs()]


async def compete_for_three(folder: Path, number: int, capped: str, cap: str, mutant: str = "") -> tuple[int, int, int]:
    """Return how many runs were admitted, how many deferred, and how many could not be decided."""
    targets = [f"db{each}" for each in range(number)]
    async with engine_harness(folder, inventory_with_cap(capped, targets, **{cap: 3})) as harness:
        ledger = harness.context.ledger
        assert isinstance(ledger, PostgresLeader)
        identifiers = await plan_runs(harness, targets)
        assert len(identifiers) == number
        contest = Contest(ledger_url(folder.parent), ledger.term.fence, folder, targets, capped, {cap: 3}, mutant)
        failures = await asyncio.to_thread(compete, contest, identifiers)
        states = [run.state for run in await harness.runs()]
        if not mutant:
            async with ledger.read() as connection:
                assert await first_break(connection) is None
        return sum(state in ACTIVE for state in states), states.count(RunState.DEFERRED), failures


@pytest.mark.timeout(400)
@pytest.mark.parametrize("cap", [RATE, CONCURRENCY])
async def test_three_of_two_hundred_in_three_processes_are_admitted(folder: Path, cap: str) -> None:
    """Invariant 37."""
    assert await compete_for_three(folder, 200, "all", cap) == (3, 197, 0)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("capped", "cap"), [("remediation", RATE), ("stack", RATE), ("stack", CONCURRENCY)])
async def test_narrower_cap_holds_in_three_processes_too(folder: Path, capped: str, cap: str) -> None:
    """Invariant 37."""
    assert await compete_for_three(folder, 30, capped, cap) == (3, 27, 0)


@pytest.mark.parametrize("mutant", ["repeatable read", "no lock", "lock after the count"])
async def test_without_one_of_the_guards_more_are_admitted(
    folder: Path, mutant: str, ledger_databases: LedgerDatabases
) -> None:
    """The test above can fail: it would notice each of these."""
    url = ledger_url(folder.parent)
    ledger_databases.sql(url, "SELECT setval(pg_get_serial_sequence('audit', 'id'), 1000000)")
    admitted, _, failures = await compete_for_three(folder, 30, "all", RATE, mutant)
    assert failures == 0
    assert admitted > 3


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_other_isolation_level_is_refused(isolation: str) -> None:
    """Invariant 37."""
    with pytest.raises(LedgerUnavailable, match="not read committed; nothing is admitted"):
        transactions.require_settings(isolation, "on")


async def open_and_write(ledger: Ledger) -> str:
    try:
        async with ledger.open(), ledger.write() as connection:
            await audit.append(connection, START, "test")
    except LedgerUnavailable as error:
        return str(error)
    return "written"


async def test_role_with_another_isolation_level_admits_in_read_committed(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    url = ledger_url(tmp_path)
    name = url.rpartition("/")[2]
    setting = "default_transaction_isolation"
    ledger_databases.sql(url, f"ALTER DATABASE {name} SET {setting} = 'serializable'")
    try:
        assert await open_and_write(ledger_in(tmp_path)) == "written"
    finally:
        ledger_databases.sql(url, f"ALTER DATABASE {name} RESET {setting}")
