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


async def cut_at(harness: EngineHarness, cut: PowerCut) -> None:
    await harness.deliver()
    await harness.engine.tick()
    await asyncio.wait_for(cut.wait(), 20)
    await harness.cut_power()
    await asyncio.sleep(0)


async def test_crash_between_delivery_and_run_leads_to_one_run(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await harness.deliver()
    await harness.cut_power()
    await harness.work()
    assert harness.files.touched == ["a"]
    assert [run.state for run in await harness.runs()] == ["succeeded"]


@pytest.mark.parametrize(("point", "state"), [("before", ItemState.NOT_APPLIED), ("after", ItemState.APPLIED)])
async def test_crash_inside_an_effect_leads_to_a_read_of_its_outcome(
    harness: EngineHarness, point: str, state: ItemState
) -> None:
    cut = PowerCut()
    harness.files.fill("a", "b")
    setattr(harness.files, point, cut.here)
    await cut_at(harness, cut)
    setattr(harness.files, point, lambda: asyncio.sleep(0))
    touched = list(harness.files.touched)
    await harness.work()
    (run,) = await harness.runs()
    assert (run.state, run.reason, run.fence) == ("interrupted", "crash", 2), "it was taken over"
    assert [item.state for item in await harness.items(run)] == [state, ItemState.PLANNED]
    assert harness.files.touched == touched, "recovery touches nothing"
    async with harness.context.ledger.read() as connection:
        assert await first_break(connection) is None


async def test_next_delivery_after_a_crash_plans_again_without_a_cooldown(harness: EngineHarness) -> None:
    cut = PowerCut()
    harness.files.fill("a", "b")
    harness.files.after = cut.here
    await cut_at(harness, cut)
    harness.files.after = lambda: asyncio.sleep(0)
    await harness.work()
    await harness.deliver()
    await harness.work()
    assert [run.state for run in await harness.runs()] == ["interrupted", "succeeded"]
    assert harness.files.touched == ["a", "b"]


async def test_outcome_that_cannot_be_read_is_unknown_and_opens_the_breaker(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> None:
        raise OSError("gone")

    monkeypatch.setattr("remediator.runs.outcome.SETTLE_ATTEMPTS", 1)
    cut = PowerCut()
    harness.files.fill("a")
    harness.files.after = cut.here
    await cut_at(harness, cut)
    harness.files.before_reading = refuse
    await harness.work()
    run = await harness.last_run()
    assert run.state == "unknown"
    assert (await harness.items(run))[0].state is ItemState.UNKNOWN
    async with harness.context.ledger.read() as connection:
        assert [each.run for each in await switches.open_breakers(connection)] == [run.id]


async def test_crash_during_verification_repeats_the_proof(folder: Path) -> None:
    cut = PowerCut()
    async with engine_harness(folder, inventory(), FolderRemediation(folder, before_reading=cut.here)) as harness:
        harness.files.fill("a")
        await cut_at(harness, cut)
        harness.files.before_reading = no_fault
        await harness.work()
        assert [run.state for run in await harness.runs()] == ["succeeded"]
        assert harness.files.touched == ["a"]


async def test_run_admitted_without_an_intent_is_judged_again_after_a_crash(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = PowerCut()

    async def never(*_: object) -> None:
        await cut.here()

    harness.files.fill("a")
    with monkeypatch.context() as patch:
        patch.setattr("remediator.engine.run_driver.execute", never)
        await cut_at(harness, cut)
    before = await harness.last_run()
    assert before.state == "admitted"
    harness.clock.advance(seconds=5)
    await harness.work()
    after = await harness.last_run()
    assert after.state == "succeeded"
    assert after.fence == before.fence + 1
    assert before.admitted_at is not None
    assert after.admitted_at == before.admitted_at + timedelta(seconds=5), "the reservation counts from its effects"


async def test_shutdown_begins_no_further_effect_and_opens_no_breaker(folder: Path) -> None:
    async with engine_harness(folder, inventory(breaker={"failures": 1})) as harness:

        async def stop() -> None:
            harness.engine.request_shutdown()

        harness.files.fill("a", "b")
        harness.files.after = stop
        await harness.deliver()
        await harness.engine.tick()
        await harness.engine.wait_for_runs()
        run = await harness.last_run()
        assert (run.state, run.reason, harness.files.touched) == ("interrupted", "stopping", ["a"])
        assert await harness.breakers() == 0


async def test_effect_that_outlasts_a_shutdown_is_not_a_crash(folder: Path) -> None:
    cut = PowerCut()
    async with engine_harness(folder, inventory(breaker={"failures": 1})) as harness:
        harness.files.fill("a", "b")
        harness.files.after = cut.here
        await harness.deliver()
        await harness.engine.tick()
        await asyncio.wait_for(cut.wait(), 20)
        harness.engine.request_shutdown()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(harness.engine.wait_for_runs()), 0.5)
        await harness.cut_power()
        await asyncio.sleep(0)
        harness.files.after = lambda: asyncio.sleep(0)
        await harness.work()
        run = await harness.last_run()
        assert (run.state, run.reason, harness.files.touched) == ("interrupted", "stopping", ["a"])
        assert await harness.breakers() == 0


class CallsBackOnOpening(FolderRemediation):
    """Calls `opening` each time it is opened."""

    opening: Callable[[], None] = staticmethod(lambda: None)

    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        async with super().open(scope) as files:
            self.opening()
            yield files


async def test_shutdown_at_admission_does_not_hide_a_later_crash(folder: Path) -> None:
    files, cut = CallsBackOnOpening(folder), PowerCut()
    async with engine_harness(folder, inventory(breaker={"failures": 1}), files) as harness:
        harness.files.fill("a", "b")
        # The first opening is the plan's.
        files.opening = lambda: harness.engine.request_shutdown() if files.open_count == 2 else None
        await harness.deliver()
        await harness.engine.tick()
        await harness.engine.wait_for_runs()
        assert ((await harness.last_run()).state, harness.files.touched) == ("admitted", [])
        await harness.cut_power()
        harness.files.after = cut.here
        await cut_at(harness, cut)
        harness.files.after = lambda: asyncio.sleep(0)
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("interrupted", "crash")
        assert await harness.breakers() == 1


async def test_crash_returns_no_reservation(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 16: an admission counts, even if the run is refused when it is judged again."""
    cut = PowerCut()

    async def never(*_: object) -> None:
        await cut.here()

    harness.files.fill("a")
    with monkeypatch.context() as patch:
        patch.setattr("remediator.engine.run_driver.execute", never)
        await cut_at(harness, cut)
    before = await harness.last_run()
    await harness.pause()
    await harness.work()
    after = await harness.last_run()
    assert (after.state, after.reason, harness.files.touched) == ("refused", "kill_switch", [])
    assert before.admitted_at is not None
    assert after.admitted_at == before.admitted_at


async def test_crashed_run_ends_unknown_when_its_target_left_the_inventory(harness: EngineHarness) -> None:
    """Invariants 13 and 14: the target can no longer be read, so the outcome is unknown."""
    cut = PowerCut()
    harness.files.fill("a", "b")
    harness.files.after = cut.here
    await cut_at(harness, cut)
    shop = harness.context.inventory.stacks["shop"].model_copy(update={"postgres": {}})
    harness.context = replace(
        harness.context, inventory=harness.context.inventory.model_copy(update={"stacks": {"shop": shop}})
    )
    harness.engine = Engine(harness.context)
    await harness.work()
    run = await harness.last_run()
    assert (run.state, run.reason) == ("unknown", "lost")
    assert [item.state for item in await harness.items(run)] == [ItemState.UNKNOWN, ItemState.PLANNED]


async def test_run_interrupted_by_a_crash_counts_toward_the_rate(folder: Path) -> None:
    """Invariant 16."""
    cut = PowerCut()
    async with engine_harness(folder, inventory(max_runs_per_hour=1)) as harness:
        harness.files.fill("a", "b")
        harness.files.after = cut.here
        await cut_at(harness, cut)
        harness.files.after = no_fault
        await harness.work()
        await harness.deliver()
        await harness.work()
        outcomes = [(run.state, run.reason) for run in await harness.runs()]
        assert outcomes == [("interrupted", "crash"), ("deferred", "rate")]


async def test_run_refused_after_its_admission_counts_toward_the_rate(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 16."""
    cut = PowerCut()

    async def never(*_: object) -> None:
        await cut.here()

    async with engine_harness(folder, inventory(max_runs_per_hour=1, cooldown="0s")) as harness:
        harness.files.fill("a")
        with monkeypatch.context() as patch:
            patch.setattr("remediator.engine.run_driver.execute", never)
            await cut_at(harness, cut)
        await harness.pause()
        await harness.work()
        async with harness.context.ledger.write() as connection:
            await switches.resume(connection, harness.clock.now(), "oncall", None)
        await harness.deliver()
        await harness.work()
        outcomes = [(run.state, run.reason) for run in await harness.runs()]
        assert outcomes == [("refused", "kill_switch"), ("deferred", "rate")]
