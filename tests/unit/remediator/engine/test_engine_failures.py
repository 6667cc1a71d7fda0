"""Unexpected faults: each costs one run or one delivery, is escalated, and everything else continues."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.intake import ingest
from remediator.ledger import episodes, runs, switches
from remediator.ledger.runs import Run
from remediator.model.delivery import parse_delivery
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import MalformedDelivery
from remediator.model.remediation import EffectOutcome, Item, ItemState, Plan, Scope, Verdict
from remediator.runs.approval import reject
from remediator.server import metrics
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.remediator.polling import becomes

SHELF = EpisodeKey("shop", "clear_shelf", "shop/postgres/main")


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.engine.run_driver.CRASH_RETRY_SECONDS", 0.01)
    for module in ("engine", "run_driver"):
        monkeypatch.setattr(f"remediator.engine.{module}.LEDGER_RETRY_SECONDS", 0.01)


async def pause(bench: EngineHarness) -> None:
    async with bench.context.ledger.write() as connection:
        await switches.pause_now(connection, bench.clock.now(), "oncall", "looking", None, None)


async def close_breaker(bench: EngineHarness) -> bool:
    async with bench.context.ledger.write() as connection:
        return await switches.close_breaker(connection, SHELF, bench.clock.now(), "oncall")


async def breakers(bench: EngineHarness) -> int:
    async with bench.context.ledger.read() as connection:
        return len(await switches.open_breakers(connection))


@pytest.mark.parametrize("starts", ["9999-12-31T23:59:59-01:00", "0001-06-01T00:00:00+14:00"])
def test_start_time_outside_the_calendar_is_refused_or_clamped(starts: str) -> None:
    if starts.startswith("0001"):
        assert parse_delivery(delivery(starts=starts)).alerts[0].started.year == 1970
        return
    with pytest.raises(MalformedDelivery, match="outside the calendar"):
        parse_delivery(delivery(starts=starts))


async def test_alert_from_the_future_fires_since_its_delivery(folder: Path) -> None:
    async with engine_harness(folder, inventory(min_firing="1m")) as bench:
        bench.shelf.fill("a")
        await bench.deliver(starts="9999-12-31T23:59:59Z")
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("deferred", "min_firing")


async def test_delivery_that_cannot_be_processed_is_set_aside(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_or_fail(body: bytes) -> Any:
        if b"poison" in body:
            raise ZeroDivisionError
        return parse_delivery(body)

    monkeypatch.setattr(ingest, "parse_delivery", parse_or_fail)
    bench.shelf.fill("a")
    await bench.deliver(fingerprint="poison")
    await bench.deliver()
    await bench.work()
    assert bench.shelf.touched == ["a"]
    async with bench.context.ledger.read() as connection:
        assert await first_break(connection) is None


async def test_engine_continues_after_an_internal_error(bench: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Any) -> None:
        raise UnicodeError("odd")

    async def fault() -> str | None:
        return bench.engine.fault

    async def touched() -> list[str]:
        return list(bench.shelf.touched)

    with monkeypatch.context() as patch:
        patch.setattr("remediator.intake.vanished.VanishedEpisodeDetector.check", fail)
        running = asyncio.create_task(bench.engine.run())
        await becomes(fault, "internal error: UnicodeError")
    bench.shelf.fill("a")
    await bench.deliver()
    bench.engine.wake()
    await becomes(touched, ["a"])
    bench.engine.request_shutdown()
    await running
    await bench.engine.wait_for_runs()


class UnserializableEvidence(FolderRemediation):
    async def verify(self, items: Sequence[Item]) -> Verdict:
        return Verdict(True, {"at": datetime.now(UTC)})


async def test_run_that_crashes_three_times_ends_unknown(folder: Path) -> None:
    async with engine_harness(folder, inventory(), UnserializableEvidence(folder)) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work(6)
        run = await bench.last_run()
        assert (run.state, run.reason, run.fence) == ("unknown", "lost", 2)
        assert "crashed 3 times; see the log" in run.evidence["error"]
        assert await breakers(bench) == 1
        assert len(await bench.notification_titles()) == 1


class FailsAtSecondOpening(FolderRemediation):
    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        self.open_count += 1
        if self.open_count == 2:
            raise ValueError("odd")
        yield self


async def test_run_fails_when_its_target_is_lost_before_the_first_effect(folder: Path) -> None:
    async with engine_harness(folder, inventory(), FailsAtSecondOpening(folder)) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, bench.shelf.touched) == ("failed", [])


class FailsAtSecondClosing(FolderRemediation):
    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        self.open_count += 1
        number = self.open_count
        yield self
        if number == 2:
            raise OSError("reset by peer at close")


async def test_error_on_closing_the_target_does_not_fail_the_run(folder: Path) -> None:
    async with engine_harness(folder, inventory(), FailsAtSecondClosing(folder)) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).state == "succeeded"


class CountsItemsButListsNone(FolderRemediation):
    async def plan(self) -> Plan:
        return Plan((), 3)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        raise AssertionError("there is nothing to apply")


@pytest.mark.parametrize("one_effect", [True, False])
async def test_plan_without_items_touches_nothing(folder: Path, one_effect: bool) -> None:
    async with engine_harness(folder, inventory(), CountsItemsButListsNone(folder, one_effect=one_effect)) as bench:
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("nothing_to_do", "nothing_listed")
        assert bench.shelf.open_count == 1


async def test_paused_run_is_interrupted_and_opens_no_breaker(bench: EngineHarness) -> None:
    bench.shelf.fill("a", "b")
    bench.shelf.after = lambda: pause(bench)
    await bench.deliver()
    await bench.work()
    run = await bench.last_run()
    assert (run.state, run.reason) == ("interrupted", "kill_switch")
    assert [item.state for item in await bench.items(run)] == [ItemState.APPLIED, ItemState.PLANNED]
    assert await breakers(bench) == 0


async def test_no_effect_begins_after_its_window_has_closed(folder: Path) -> None:
    async with engine_harness(folder, inventory(only_in="noon")) as bench:

        async def late() -> None:
            bench.clock.advance(minutes=40)

        bench.shelf.fill("a", "b")
        bench.shelf.after = late
        await bench.deliver()
        await bench.work()
        assert bench.shelf.touched == ["a"]
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("interrupted", "window")


@pytest.mark.parametrize(("minutes", "touched"), [(9, ["a", "b"]), (11, ["a"]), (-1, ["a"])])
async def test_no_effect_begins_for_an_unconfirmed_alert(
    bench: EngineHarness, minutes: int, touched: list[str]
) -> None:
    """Invariant 24: the machine slept during an effect, so Alertmanager could not deliver the end of the alert."""

    async def sleep() -> None:
        bench.clock.advance(minutes=minutes)

    bench.shelf.fill("a", "b")
    bench.shelf.after = sleep
    await bench.deliver()
    await bench.work(1)
    assert bench.shelf.touched == touched
    assert touched == ["a", "b"] or (await bench.last_run()).reason == "stale"


async def test_alert_confirmed_before_the_clock_was_set_back_is_stale(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    bench.clock.advance(hours=3)
    await bench.deliver()
    bench.clock.advance(hours=-1)
    await bench.work()
    assert ((await bench.last_run()).reason, bench.shelf.touched) == ("stale", [])


async def test_reservation_counts_from_the_last_admission(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def never(*_: Any) -> None:
        reached.set()
        await asyncio.get_running_loop().create_future()

    async with engine_harness(folder, inventory(max_runs_per_hour=1, cooldown="0s")) as bench:
        bench.shelf.fill("a")
        with monkeypatch.context() as patch:
            patch.setattr("remediator.engine.run_driver.execute", never)
            await bench.deliver()
            await bench.engine.tick()
            await asyncio.wait_for(reached.wait(), 5)
            await bench.cut_power()
            await asyncio.sleep(0)
        bench.clock.advance(minutes=61)
        await bench.deliver()
        await bench.work()
        bench.shelf.fill("b")
        bench.clock.advance(seconds=10)
        await bench.deliver()
        await bench.work()
        assert bench.shelf.touched == ["a"]
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("deferred", "rate")


async def test_every_ineffective_run_is_escalated(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    bench.shelf.refill = True
    for _ in range(2):
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
        assert await close_breaker(bench)
    assert [run.state for run in await bench.runs()] == ["ineffective"] * 2
    assert len(await bench.notification_titles()) == 2


async def test_bound_that_outlasts_each_deferral_is_escalated_once(folder: Path) -> None:
    """The window is a week away, and each hour a run expires."""
    async with engine_harness(folder, inventory(only_in="noon")) as bench:
        bench.shelf.fill("a")
        bench.clock.advance(hours=2)
        for _ in range(3):
            await bench.deliver()
            await bench.work()
            bench.clock.advance(minutes=61)
            await bench.deliver()
            await bench.work()
            bench.clock.advance(minutes=6)
        assert [(run.state, run.reason) for run in await bench.runs()] == [("expired", "window")] * 3
        assert await bench.notification_titles() == ["[shop] clear_shelf on shop/postgres/main: expired (window)"]


async def test_every_approval_request_is_escalated(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        for item in ("a", "b"):
            bench.shelf.fill(item)
            await bench.deliver()
            await bench.work()
            await reject(bench.context, (await bench.last_run()).id, "oncall")
            bench.clock.advance(minutes=6)
        assert len(await bench.notification_titles()) == 2


async def test_rejected_items_are_asked_about_again_only_when_they_change(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        await reject(bench.context, (await bench.last_run()).id, "oncall")
        bench.clock.advance(minutes=6)
        await bench.deliver()
        await bench.work()
        last_run = await bench.last_run()
        assert (last_run.state, last_run.reason) == ("rejected", "same_items")
        assert len(await bench.notification_titles()) == 1
        bench.shelf.fill("b")
        bench.clock.advance(minutes=6)
        await bench.deliver()
        await bench.work()
        assert (await bench.last_run()).state == "awaiting_approval"


async def test_closed_breaker_counts_failures_from_zero(bench: EngineHarness) -> None:
    bench.shelf.reachable = False
    for _ in range(2):
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
    assert await close_breaker(bench)
    await bench.deliver()
    await bench.work()
    assert (await bench.last_run()).state == "failed"
    assert await breakers(bench) == 0


async def test_shutdown_does_not_wait_for_the_proof(folder: Path) -> None:
    async with engine_harness(folder, inventory(settle="60s")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.engine.tick()

        async def state() -> str:
            return (await bench.last_run()).state

        await becomes(state, "verifying")
        bench.engine.request_shutdown()
        await asyncio.wait_for(bench.engine.wait_for_runs(), 2)


async def test_metrics_name_a_remediation_that_the_stack_does_not_list(folder: Path) -> None:
    stacks = inventory()
    shop = stacks.stacks["shop"].model_copy(update={"remediations": {}})
    async with engine_harness(folder, stacks.model_copy(update={"stacks": {"shop": shop}})) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        families = {family.name: family for family in (await metrics.collect(bench.context)).collect()}
        assert families["remediation_runs"].samples[0].labels == {
            "stack": "shop",
            "remediation": "clear_shelf",
            "outcome": "shadow",
        }


async def test_thousand_alerts_of_one_target_are_one_episode(bench: EngineHarness) -> None:
    body = delivery([alert(fingerprint=f"f{number}", note="x" * 400) for number in range(1_000)])
    await bench.context.ledger.accept(bench.clock.now(), body)
    await bench.engine.tick()
    async with bench.context.ledger.read() as connection:
        (episode,) = await episodes.all_open(connection)
    assert len(episode.alerts) == 1_000


async def test_run_that_ends_during_the_read_is_not_driven_again(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick read the run before its end, so its row is outdated."""
    began, may_end, read_unfinished = asyncio.Event(), asyncio.Event(), runs.unfinished

    async def hold() -> None:
        began.set()
        await may_end.wait()

    async def read_before_the_end(connection: AsyncConnection) -> Sequence[Run]:
        rows = await read_unfinished(connection)
        may_end.set()
        await bench.engine.wait_for_runs()
        return rows

    bench.shelf.fill("a")
    bench.shelf.before = hold
    await bench.deliver()
    await bench.engine.tick()
    await asyncio.wait_for(began.wait(), 5)
    driven: list[int] = []
    drive = bench.engine.driver.drive

    async def record_and_drive(run: Run) -> None:
        driven.append(run.id)
        await drive(run)

    monkeypatch.setattr(runs, "unfinished", read_before_the_end)
    monkeypatch.setattr(bench.engine.driver, "drive", record_and_drive)
    await bench.engine.tick()
    await bench.engine.wait_for_runs()
    assert ((await bench.last_run()).state, bench.engine.fault, driven) == ("succeeded", None, [])
