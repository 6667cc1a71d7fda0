"""Who has lost a run writes nothing more about it, and nothing is intended twice."""

from pathlib import Path

import pytest

from remediator.ledger import episodes, runs
from remediator.ledger.episodes import ReceivedAlert
from remediator.ledger.runs import Run, RunItem, StaleRun
from remediator.model.delivery import parse_delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import WrongState
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan
from remediator.model.run_state import RunState
from remediator.runs.approval import approve
from tests.unit.remediator.conftest import START, Bench, bench_with, inventory
from tests.unit.remediator.payloads import delivery

PLAN = Plan((Item({"name": "a"}), Item({"name": "b"})), 2)
KEY = EpisodeKey("shop", "clear_shelf", "shop/postgres/main")
HEARD = ReceivedAlert(parse_delivery(delivery()).alerts[0], START)


async def executing(bench: Bench) -> tuple[Run, list[RunItem]]:
    """A run that executes and has two items that are merely planned."""
    async with bench.world.ledger.write() as connection:
        await (await episodes.load_batch(connection, [KEY])).confirm(KEY, [HEARD], START)
        (episode,) = await episodes.all_open(connection)
        run = await runs.create(connection, episode, START)
        run = await runs.save_plan(connection, await runs.move(connection, run, RunState.PRECHECKED, START), PLAN)
        run = await runs.move(connection, run, RunState.ADMITTED, START, admitted_at=START)
        run = await runs.move(connection, run, RunState.EXECUTING, START)
        return run, list(await runs.items(connection, run.id))


async def lose(bench: Bench, run: Run) -> None:
    async with bench.world.ledger.write() as connection:
        await runs.take_over(connection, run)


async def test_who_has_lost_a_run_intends_nothing(bench: Bench) -> None:
    """Invariant 5."""
    run, items = await executing(bench)
    await lose(bench, run)
    async with bench.world.ledger.write() as connection:
        with pytest.raises(StaleRun, match="taken over"):
            await runs.intend(connection, run, items[:1], START)


async def test_who_has_lost_a_run_settles_nothing(bench: Bench) -> None:
    run, items = await executing(bench)
    async with bench.world.ledger.write() as connection:
        await runs.intend(connection, run, items[:1], START)
    await lose(bench, run)
    async with bench.world.ledger.write() as connection:
        with pytest.raises(StaleRun, match="taken over"):
            await runs.settle(connection, run, items[:1], [EffectOutcome(ItemState.APPLIED)], START)


async def test_who_has_lost_a_run_does_not_take_it_back(bench: Bench) -> None:
    run, _ = await executing(bench)
    await lose(bench, run)
    with pytest.raises(StaleRun, match="taken over"):
        await lose(bench, run)


async def test_a_run_that_has_moved_on_is_not_taken_over(bench: Bench) -> None:
    run, _ = await executing(bench)
    async with bench.world.ledger.write() as connection:
        await runs.move(connection, run, RunState.VERIFYING, START)
    with pytest.raises(StaleRun, match="no longer executing"):
        await lose(bench, run)


async def test_who_has_lost_a_run_moves_it_nowhere(bench: Bench) -> None:
    run, _ = await executing(bench)
    await lose(bench, run)
    async with bench.world.ledger.write() as connection:
        with pytest.raises(StaleRun):
            await runs.move(connection, run, RunState.VERIFYING, START)


async def test_an_item_is_intended_once(bench: Bench) -> None:
    """Invariant 6."""
    run, items = await executing(bench)
    async with bench.world.ledger.write() as connection:
        await runs.intend(connection, run, items[:1], START)
    async with bench.world.ledger.write() as connection:
        with pytest.raises(StaleRun, match="not merely planned"):
            await runs.intend(connection, run, items, START)


@pytest.mark.parametrize(("applied", "state", "reason"), [(1, "ineffective", "partly_applied"), (2, "succeeded", "")])
async def test_a_clean_proof_of_a_part_is_no_success(bench: Bench, applied: int, state: str, reason: str) -> None:
    """Invariant 14. However an item came to be left as planned: who only counts failures would not see it."""
    run, items = await executing(bench)
    async with bench.world.ledger.write() as connection:
        await runs.intend(connection, run, items[:applied], START)
        await runs.settle(connection, run, items[:applied], [EffectOutcome(ItemState.APPLIED)] * applied, START)
        await runs.move(connection, run, RunState.VERIFYING, START)
    await bench.work()
    assert ((await bench.last()).state, (await bench.last()).reason) == (state, reason)


async def test_no_way_leads_where_the_table_has_none(bench: Bench) -> None:
    run, _ = await executing(bench)
    async with bench.world.ledger.write() as connection:
        with pytest.raises(AssertionError, match="no way from executing to succeeded"):
            await runs.move(connection, run, RunState.SUCCEEDED, START)


async def test_a_yes_that_comes_too_late_is_none(folder: Path) -> None:
    """Invariant 12: the engine may not have looked since the plan ran out."""
    async with bench_with(folder, inventory(mode="approve", approve_within="5m")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        bench.clock.turn(minutes=6)
        with pytest.raises(WrongState, match="waited too long"):
            await approve(bench.world, (await bench.last()).id, "oncall")


async def test_a_run_that_has_moved_on_is_moved_by_nobody_else(bench: Bench) -> None:
    """Invariant 5."""
    run, _ = await executing(bench)
    async with bench.world.ledger.write() as connection:
        await runs.move(connection, run, RunState.VERIFYING, START)
        with pytest.raises(StaleRun, match="no longer executing"):
            await runs.move(connection, run, RunState.FAILED, START)
