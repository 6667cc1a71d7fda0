"""Two replicas in one process: what a leader that stood still still does, and when the next one settles its effects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.context import Context, LeaderContext
from remediator.engine.engine import Engine
from remediator.leadership import Leadership
from remediator.ledger.address import postgres_address
from remediator.ledger.postgresql import leader as leader_module
from remediator.ledger.postgresql import lease
from remediator.ledger.postgresql.leader import PostgresLeader
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from remediator.runs.approval import approve
from runbookd.inventory import Inventory
from tests.ledgers import LedgerDatabases, leading, ledger_url
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, ManualClock, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.polling import becomes

TTL = timedelta(seconds=0.6)
EFFECT = timedelta(seconds=2)


@dataclass
class Replica:
    """A process: its ledger and, while it leads, its engine."""

    ledger: PostgresLedger
    files: FolderRemediation
    clock: ManualClock

    @asynccontextmanager
    async def leading(self, **settings: object) -> AsyncIterator[EngineHarness]:
        async with asyncio.timeout(60), leading(self.ledger) as leader:
            remediations = {"clear_folder": self.files.remediation()}
            context = LeaderContext(inventory(**settings), leader, self.clock, remediations, None)
            yield EngineHarness(context, self.files, self.clock)

    def following(self, **settings: object) -> Context:
        remediations = {"clear_folder": self.files.remediation()}
        return Context(inventory(**settings), self.ledger, self.clock, remediations, None)


@pytest.fixture
async def replicas(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Replica, Replica]]:
    monkeypatch.setattr(leader_module, "END_SECONDS", 0.1)
    monkeypatch.setattr("remediator.engine.run_driver.LEDGER_RETRY_SECONDS", 0.05)
    clock, address = ManualClock(), postgres_address(ledger_url(folder.parent))
    assert address is not None
    async with PostgresLedger(address, TTL).open() as first, PostgresLedger(address, TTL).open() as second:
        yield tuple(Replica(each, FolderRemediation(folder, timeout=EFFECT), clock) for each in (first, second))


def term_of(harness: EngineHarness) -> lease.Term:
    assert isinstance(harness.context.ledger, PostgresLeader)
    return harness.context.ledger.term


async def test_leader_that_stood_still_for_three_leases_begins_no_further_effect_and_writes_no_row(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariants 36 and 52. It stands still within its first of two effects; the other replica takes over."""
    first, second = replicas
    is_still, goes_on = asyncio.Event(), asyncio.Event()

    async def stand_still() -> None:
        is_still.set()
        await goes_on.wait()

    first.files.fill("a", "b")
    first.files.after = stand_still
    async with first.leading() as stopped:
        await stopped.deliver()
        work = asyncio.create_task(stopped.work(1))
        await is_still.wait()
        monkeypatch.setattr(term_of(stopped), "renew", asyncio.Event().wait)
        async with second.leading() as successor:
            await asyncio.sleep(3 * TTL.total_seconds())
            goes_on.set()
            await work
            assert (first.files.touched, first.files.names()) == (["a"], ["b"])
            assert term_of(stopped).is_lost

            async def run_state() -> RunState:
                await successor.work(1)
                return (await successor.last_run()).state

            await becomes(run_state, RunState.INTERRUPTED)
            states = [each.state for each in await successor.items(await successor.last_run())]
            assert states == [ItemState.APPLIED, ItemState.PLANNED]
            assert second.files.touched == []
            async with second.ledger.read() as connection:
                assert await first_break(connection) is None


async def test_effect_of_the_last_leader_is_settled_only_when_it_must_have_ended(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Invariant 52: before, a look-up would find nothing applied, and the effect would come later."""
    first, second = replicas
    first.files.fill("a")
    first.files.before = asyncio.Event().wait  # the effect is under way, and has done nothing yet
    async with first.leading() as stopped:
        await stopped.deliver()
        await stopped.engine.tick()
        await asyncio.sleep(0.3)
        begun = lease.seconds_awake_or_asleep()
        monkeypatch.setattr(term_of(stopped), "renew", asyncio.Event().wait)
        async with second.leading() as successor:
            await successor.engine.tick()
            await successor.engine.wait_for_runs()
            assert (await successor.last_run()).state is RunState.EXECUTING
            assert successor.engine.housekeeping._sweep is None, "it would drop what a drill under way uses"

            async def is_settled() -> bool:
                await successor.work(1)
                return (await successor.last_run()).state is RunState.INTERRUPTED

            await becomes(is_settled, True)
            assert capfd.readouterr().out.count("an effect of the last leader may still be under way") == 1
            await successor.engine.tick()
            assert successor.engine.housekeeping._sweep is not None
            assert lease.seconds_awake_or_asleep() - begun > EFFECT.total_seconds() - 0.5
        await stopped.cut_power()


async def test_effect_does_not_begin_if_the_lease_may_have_ended_since_its_intent(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 52: the process stood still between the commit of the intent and the effect."""
    first, _ = replicas
    permit, now = PostgresLeader.permit_effect, lease.seconds_awake_or_asleep

    async def permit_and_stand_still(*arguments: object) -> object:
        permitted = await permit(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(lease, "seconds_awake_or_asleep", lambda: now() + TTL.total_seconds())
        return permitted

    monkeypatch.setattr(PostgresLeader, "permit_effect", permit_and_stand_still)
    first.files.fill("a")
    async with first.leading() as harness:
        await harness.deliver()
        await harness.work(1)
        run = await harness.last_run()
        assert (run.state, first.files.touched) == (RunState.EXECUTING, [])
        assert [each.state for each in await harness.items(run)] == [ItemState.INTENDED]


async def test_renewal_since_the_intent_does_not_prolong_its_permit(replicas: tuple[Replica, Replica]) -> None:
    """Invariant 52: the next leader counts from the record, which names the lease as it was."""
    first, _ = replicas
    async with first.leading() as harness:
        ledger = harness.context.ledger
        async with ledger.write() as connection:
            permitted = await ledger.permit_effect(connection, 1, EFFECT)
        assert permitted.trusted_until == pytest.approx(term_of(harness).trusted_until, abs=TTL.total_seconds() / 3)
        await asyncio.sleep(TTL.total_seconds())
        assert term_of(harness).is_trusted
        with pytest.raises(lease.Fenced):
            permitted.require()


async def test_pause_on_a_follower_stops_the_leader_before_its_next_effect(
    replicas: tuple[Replica, Replica],
) -> None:
    """Invariant 7: the switch is read in the transaction that records the intent."""
    first, second = replicas
    follower = EngineHarness(second.following(), second.files, second.clock)  # type: ignore[arg-type]
    first.files.fill("a", "b")
    first.files.after = follower.pause
    async with first.leading() as harness:
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).reason, first.files.touched) == ("kill_switch", ["a"])


async def test_approval_on_a_follower_is_carried_out_by_the_leader(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    first.files.fill("a")
    async with first.leading(mode="approve") as harness:
        await harness.deliver()
        await harness.work()
        await approve(second.following(mode="approve"), (await harness.last_run()).id, "oncall")
        await harness.work()
        assert ((await harness.last_run()).state, first.files.touched) == (RunState.SUCCEEDED, ["a"])


async def test_replica_that_lost_its_term_follows_and_is_elected_again_without_a_restart(
    replicas: tuple[Replica, Replica], ledger_databases: LedgerDatabases, folder: Path
) -> None:
    first, _ = replicas
    leadership = Leadership(first.following())
    task = asyncio.create_task(leadership.run())
    try:

        async def leads() -> bool:
            return leadership.leads

        await becomes(leads, True)
        engine = leadership._engine
        far_ahead = "expires_at + 3600000000"
        taken = f"UPDATE leader SET term = term + 1, holder = 'another', expires_at = {far_ahead}"
        ledger_databases.sql(ledger_url(folder.parent), taken)

        await becomes(leads, False)
        await asyncio.sleep(1.2)
        assert (leadership.leads, leadership.fault, leadership._engine) == (False, None, None)
        ledger_databases.sql(ledger_url(folder.parent), "UPDATE leader SET holder = NULL")
        await becomes(leads, True)
        assert leadership._engine is not engine
        assert isinstance(leadership._engine, Engine)
    finally:
        leadership.request_shutdown()
        await asyncio.wait_for(task, 60)


async def test_follower_warns_once_of_a_leader_with_another_inventory(
    replicas: tuple[Replica, Replica], capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = replicas
    async with first.leading() as harness:
        await harness.context.ledger.announce("another")
        follower = Leadership(second.following())
        for _ in range(2):
            await follower._take_turn()
        assert capfd.readouterr().out.count("the leader has another inventory") == 1
        follower._context.inventory = Inventory()
        await follower._take_turn()
        assert capfd.readouterr().out.count("the leader has another inventory") == 1
