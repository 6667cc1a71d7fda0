"""A task that has lost its run cannot write about it, and no item is intended twice."""

from datetime import timedelta
from pathlib import Path

import pytest

from remediator.ledger import effects, episodes, runs
from remediator.ledger.effects import RunItem
from remediator.ledger.firing_alerts import ReceivedAlert
from remediator.ledger.runs import Run, StaleRun
from remediator.model.delivery import parse_delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import WrongState
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan
from remediator.model.run_state import RunState
from remediator.runs.approval import approve
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import delivery

PLAN = Plan((Item({"name": "a"}), Item({"name": "b"})), 2)
KEY = EpisodeKey("shop", "clear_folder", "shop/postgres/main")
RECEIVED_ALERT = ReceivedAlert(parse_delivery(delivery()).alerts[0], START)


async def executing_run(harness: EngineHarness) -> tuple[Run, list[RunItem]]:
    """Create an executing run with two planned items."""
    async with harness.context.ledger.write() as connection:
        await (await episodes.load_batch(connection, [KEY], timedelta(hours=1))).confirm(KEY, [RECEIVED_ALERT], START)
        (episode,) = await episodes.all_open(connection)
        run = await runs.create(connection, episode, START)
        run = await effects.save_plan(connection, await runs.move(connection, run, RunState.PRECHECKED, START), PLAN)
        run = await runs.move(connection, run, RunState.ADMITTED, START, admitted_at=START)
        run = await runs.move(connection, run, RunState.EXECUTING, START)
        return run, list(await effects.items(connection, run.id))


async def take_over_run(harness: EngineHarness, run: Run) -> None:
    async with harness.context.ledger.write() as connection:
        await runs.take_over(connection, run)


async def test_stale_owner_cannot_intend_an_effect(harness: EngineHarness) -> None:
    """Invariant 5."""
    run, items = await executing_run(harness)
    await take_over_run(harness, run)
    async with harness.context.ledger.write() as connection:
        with pytest.raises(StaleRun, match="taken over"):
            await effects.intend(connection, run, items[:1], START)


async def test_stale_owner_cannot_settle_an_effect(harness: EngineHarness) -> None:
    run, items = await executing_run(harness)
    async with harness.context.ledger.write() as connection:
        await effects.intend(connection, run, items[:1], START)
    await take_over_run(harness, run)
    async with harness.context.ledger.write() as connection:
        with pytest.raises(StaleRun, match="taken over"):
            await effects.settle(connection, run, items[:1], [EffectOutcome(ItemState.APPLIED)], START)


async def test_stale_owner_cannot_take_the_run_back(harness: EngineHarness) -> None:
    run, _ = await executing_run(harness)
    await take_over_run(harness, run)
    with pytest.raises(StaleRun, match="taken over"):
        await take_over_run(harness, run)


async def test_run_in_a_later_state_cannot_be_taken_over(harness: EngineHarness) -> None:
    run, _ = await executing_run(harness)
    async with harness.context.ledger.write() as connection:
        await runs.move(connection, run, RunState.VERIFYING, START)
    with pytest.raises(StaleRun, match="no longer executing"):
        await take_over_run(harness, run)


async def test_stale_owner_cannot_move_the_run(harness: EngineHarness) -> None:
    run, _ = await executing_run(harness)
    await take_over_run(harness, run)
    async with harness.context.ledger.write() as connection:
        with pytest.raises(StaleRun):
            await runs.move(connection, run, RunState.VERIFYING, START)


async def test_item_is_intended_at_most_once(harness: EngineHarness) -> None:
    """Invariant 6."""
    run, items = await executing_run(harness)
    async with harness.context.ledger.write() as connection:
        await effects.intend(connection, run, items[:1], START)
    async with harness.context.ledger.write() as connection:
        with pytest.raises(StaleRun, match="no longer just planned"):
            await effects.intend(connection, run, items, START)


@pytest.mark.parametrize(("applied", "state", "reason"), [(1, "ineffective", "partly_applied"), (2, "succeeded", "")])
async def test_run_with_untouched_items_is_ineffective(
    harness: EngineHarness, applied: int, state: str, reason: str
) -> None:
    """Invariant 14. An untouched item is not a failure, so counting failures would miss it."""
    run, items = await executing_run(harness)
    async with harness.context.ledger.write() as connection:
        await effects.intend(connection, run, items[:applied], START)
        await effects.settle(connection, run, items[:applied], [EffectOutcome(ItemState.APPLIED)] * applied, START)
        await runs.move(connection, run, RunState.VERIFYING, START)
    await harness.work()
    assert ((await harness.last_run()).state, (await harness.last_run()).reason) == (state, reason)


async def test_transition_outside_the_table_is_refused(harness: EngineHarness) -> None:
    run, _ = await executing_run(harness)
    async with harness.context.ledger.write() as connection:
        with pytest.raises(AssertionError, match="no transition from executing to succeeded"):
            await runs.move(connection, run, RunState.SUCCEEDED, START)


async def test_approval_after_expiry_is_refused(folder: Path) -> None:
    """Invariant 12: the engine may not have expired the run yet."""
    async with engine_harness(folder, inventory(mode="approve", approve_within="5m")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=6)
        with pytest.raises(WrongState, match="has expired"):
            await approve(harness.context, (await harness.last_run()).id, "oncall")


async def test_run_in_a_later_state_cannot_be_moved_from_the_earlier_one(harness: EngineHarness) -> None:
    """Invariant 5."""
    run, _ = await executing_run(harness)
    async with harness.context.ledger.write() as connection:
        await runs.move(connection, run, RunState.VERIFYING, START)
        with pytest.raises(StaleRun, match="no longer executing"):
            await runs.move(connection, run, RunState.FAILED, START)
