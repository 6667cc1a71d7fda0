"""A crash at any point: nothing is applied twice, and the recorded outcome is true."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.engine.engine import Engine
from remediator.ledger import switches
from remediator.model.remediation import ItemState, Scope
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation, no_fault


class PowerCut(asyncio.Event):
    """A point at which the power fails: a task that reaches it never continues."""

    async def here(self) -> None:
        self.set()
        await asyncio.get_running_loop().create_future()


async def cut_at(bench: EngineHarness, cut: PowerCut) -> None:
    await bench.deliver()
    await bench.engine.tick()
    await asyncio.wait_for(cut.wait(), 5)
    await bench.cut_power()
    await asyncio.sleep(0)


async def test_crash_between_delivery_and_run_leads_to_one_run(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    await bench.deliver()
    await bench.cut_power()
    await bench.work()
    assert bench.shelf.touched == ["a"]
    assert [run.state for run in await bench.runs()] == ["succeeded"]


@pytest.mark.parametrize(("point", "state"), [("before", ItemState.NOT_APPLIED), ("after", ItemState.APPLIED)])
async def test_crash_inside_an_effect_leads_to_a_read_of_its_outcome(
    bench: EngineHarness, point: str, state: ItemState
) -> None:
    cut = PowerCut()
    bench.shelf.fill("a", "b")
    setattr(bench.shelf, point, cut.here)
    await cut_at(bench, cut)
    setattr(bench.shelf, point, lambda: asyncio.sleep(0))
    touched = list(bench.shelf.touched)
    await bench.work()
    (run,) = await bench.runs()
    assert (run.state, run.reason, run.fence) == ("interrupted", "crash", 2), "it was taken over"
    assert [item.state for item in await bench.items(run)] == [state, ItemState.PLANNED]
    assert bench.shelf.touched == touched, "recovery touches nothing"
    async with bench.context.ledger.read() as connection:
        assert await first_break(connection) is None


async def test_next_delivery_after_a_crash_plans_again_without_a_cooldown(bench: EngineHarness) -> None:
    cut = PowerCut()
    bench.shelf.fill("a", "b")
    bench.shelf.after = cut.here
    await cut_at(bench, cut)
    bench.shelf.after = lambda: asyncio.sleep(0)
    await bench.work()
    await bench.deliver()
    await bench.work()
    assert [run.state for run in await bench.runs()] == ["interrupted", "succeeded"]
    assert bench.shelf.touched == ["a", "b"]


async def test_outcome_that_cannot_be_read_is_unknown_and_opens_the_breaker(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> None:
        raise OSError("gone")

    monkeypatch.setattr("remediator.runs.outcome.SETTLE_ATTEMPTS", 1)
    cut = PowerCut()
    bench.shelf.fill("a")
    bench.shelf.after = cut.here
    await cut_at(bench, cut)
    bench.shelf.before_reading = refuse
    await bench.work()
    run = await bench.last_run()
    assert run.state == "unknown"
    assert (await bench.items(run))[0].state is ItemState.UNKNOWN
    async with bench.context.ledger.read() as connection:
        assert [each.run for each in await switches.open_breakers(connection)] == [run.id]


async def test_crash_during_verification_repeats_the_proof(folder: Path) -> None:
    cut = PowerCut()
    async with engine_harness(folder, inventory(), FolderRemediation(folder, before_reading=cut.here)) as bench:
        bench.shelf.fill("a")
        await cut_at(bench, cut)
        bench.shelf.before_reading = no_fault
        await bench.work()
        assert [run.state for run in await bench.runs()] == ["succeeded"]
        assert bench.shelf.touched == ["a"]


async def test_run_admitted_without_an_intent_is_judged_again_after_a_crash(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = PowerCut()

    async def never(*_: object) -> None:
        await cut.here()

    bench.shelf.fill("a")
    with monkeypatch.context() as patch:
        patch.setattr("remediator.engine.run_driver.execute", never)
        await cut_at(bench, cut)
    before = await bench.last_run()
    assert before.state == "admitted"
    bench.clock.advance(seconds=5)
    await bench.work()
    after = await bench.last_run()
    assert after.state == "succeeded"
    assert after.fence == before.fence + 1
    assert before.admitted_at is not None
    assert after.admitted_at == before.admitted_at + timedelta(seconds=5), "the reservation counts from its effects"


async def test_shutdown_begins_no_further_effect_and_opens_no_breaker(folder: Path) -> None:
    async with engine_harness(folder, inventory(breaker={"failures": 1})) as bench:

        async def stop() -> None:
            bench.engine.request_shutdown()

        bench.shelf.fill("a", "b")
        bench.shelf.after = stop
        await bench.deliver()
        await bench.engine.tick()
        await bench.engine.wait_for_runs()
        run = await bench.last_run()
        assert (run.state, run.reason, bench.shelf.touched) == ("interrupted", "stopping", ["a"])
        async with bench.context.ledger.read() as connection:
            assert await switches.open_breakers(connection) == []


async def test_effect_that_outlasts_a_shutdown_is_not_a_crash(folder: Path) -> None:
    cut = PowerCut()
    async with engine_harness(folder, inventory(breaker={"failures": 1})) as bench:
        bench.shelf.fill("a", "b")
        bench.shelf.after = cut.here
        await bench.deliver()
        await bench.engine.tick()
        await asyncio.wait_for(cut.wait(), 5)
        bench.engine.request_shutdown()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(bench.engine.wait_for_runs()), 0.5)
        await bench.cut_power()
        await asyncio.sleep(0)
        bench.shelf.after = lambda: asyncio.sleep(0)
        await bench.work()
        run = await bench.last_run()
        assert (run.state, run.reason, bench.shelf.touched) == ("interrupted", "stopping", ["a"])
        async with bench.context.ledger.read() as connection:
            assert await switches.open_breakers(connection) == []


class CallsBackOnOpening(FolderRemediation):
    """Calls `opening` each time it is opened."""

    opening: Callable[[], None] = staticmethod(lambda: None)

    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        async with super().open(scope) as shelf:
            self.opening()
            yield shelf


async def test_shutdown_at_admission_does_not_hide_a_later_crash(folder: Path) -> None:
    shelf, cut = CallsBackOnOpening(folder), PowerCut()
    async with engine_harness(folder, inventory(breaker={"failures": 1}), shelf) as bench:
        bench.shelf.fill("a", "b")
        # The first opening is the plan's.
        shelf.opening = lambda: bench.engine.request_shutdown() if shelf.open_count == 2 else None
        await bench.deliver()
        await bench.engine.tick()
        await bench.engine.wait_for_runs()
        assert ((await bench.last_run()).state, bench.shelf.touched) == ("admitted", [])
        await bench.cut_power()
        bench.shelf.after = cut.here
        await cut_at(bench, cut)
        bench.shelf.after = lambda: asyncio.sleep(0)
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("interrupted", "crash")
        async with bench.context.ledger.read() as connection:
            assert len(await switches.open_breakers(connection)) == 1


async def test_crash_returns_no_reservation(bench: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 16: an admission counts, even if the run is refused when it is judged again."""
    cut = PowerCut()

    async def never(*_: object) -> None:
        await cut.here()

    bench.shelf.fill("a")
    with monkeypatch.context() as patch:
        patch.setattr("remediator.engine.run_driver.execute", never)
        await cut_at(bench, cut)
    before = await bench.last_run()
    async with bench.context.ledger.write() as connection:
        await switches.pause_now(connection, bench.clock.now(), "oncall", "looking", None, None)
    await bench.work()
    after = await bench.last_run()
    assert (after.state, after.reason, bench.shelf.touched) == ("refused", "kill_switch", [])
    assert before.admitted_at is not None
    assert after.admitted_at == before.admitted_at


async def test_crashed_run_ends_unknown_when_its_target_left_the_inventory(bench: EngineHarness) -> None:
    """Invariants 13 and 14: the target can no longer be read, so the outcome is unknown."""
    cut = PowerCut()
    bench.shelf.fill("a", "b")
    bench.shelf.after = cut.here
    await cut_at(bench, cut)
    shop = bench.context.inventory.stacks["shop"].model_copy(update={"postgres": {}})
    bench.context = replace(
        bench.context, inventory=bench.context.inventory.model_copy(update={"stacks": {"shop": shop}})
    )
    bench.engine = Engine(bench.context)
    await bench.work()
    run = await bench.last_run()
    assert (run.state, run.reason) == ("unknown", "lost")
    assert [item.state for item in await bench.items(run)] == [ItemState.UNKNOWN, ItemState.PLANNED]


async def test_run_interrupted_by_a_crash_counts_toward_the_rate(folder: Path) -> None:
    """Invariant 16."""
    cut = PowerCut()
    async with engine_harness(folder, inventory(max_runs_per_hour=1)) as bench:
        bench.shelf.fill("a", "b")
        bench.shelf.after = cut.here
        await cut_at(bench, cut)
        bench.shelf.after = no_fault
        await bench.work()
        await bench.deliver()
        await bench.work()
        outcomes = [(run.state, run.reason) for run in await bench.runs()]
        assert outcomes == [("interrupted", "crash"), ("deferred", "rate")]


async def test_run_refused_after_its_admission_counts_toward_the_rate(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 16."""
    cut = PowerCut()

    async def never(*_: object) -> None:
        await cut.here()

    async with engine_harness(folder, inventory(max_runs_per_hour=1, cooldown="0s")) as bench:
        bench.shelf.fill("a")
        with monkeypatch.context() as patch:
            patch.setattr("remediator.engine.run_driver.execute", never)
            await cut_at(bench, cut)
        async with bench.context.ledger.write() as connection:
            await switches.pause_now(connection, bench.clock.now(), "oncall", "looking", None, None)
        await bench.work()
        async with bench.context.ledger.write() as connection:
            await switches.resume(connection, bench.clock.now(), "oncall", None)
        await bench.deliver()
        await bench.work()
        outcomes = [(run.state, run.reason) for run in await bench.runs()]
        assert outcomes == [("refused", "kill_switch"), ("deferred", "rate")]
