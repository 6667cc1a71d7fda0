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
from remediator.model.remediation import EffectOutcome, Item, Plan, Scope, Verdict
from remediator.server import metrics
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import alert, delivery
from tests.unit.remediator.polling import becomes

FOLDER = EpisodeKey("shop", "clear_folder", "shop/postgres/main")


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.engine.run_driver.CRASH_RETRY_SECONDS", 0.01)
    for module in ("engine", "run_driver"):
        monkeypatch.setattr(f"remediator.engine.{module}.LEDGER_RETRY_SECONDS", 0.01)


async def close_breaker(harness: EngineHarness) -> bool:
    async with harness.context.ledger.write() as connection:
        return await switches.close_breaker(connection, FOLDER, harness.clock.now(), "oncall")


@pytest.mark.parametrize("starts", ["9999-12-31T23:59:59-01:00", "0001-06-01T00:00:00+14:00"])
def test_start_time_outside_the_calendar_is_refused_or_clamped(starts: str) -> None:
    if starts.startswith("0001"):
        assert parse_delivery(delivery(starts=starts)).alerts[0].started.year == 1970
        return
    with pytest.raises(MalformedDelivery, match="outside the calendar"):
        parse_delivery(delivery(starts=starts))


async def test_alert_from_the_future_fires_since_its_delivery(folder: Path) -> None:
    async with engine_harness(folder, inventory(min_firing="1m")) as harness:
        harness.files.fill("a")
        await harness.deliver(starts="9999-12-31T23:59:59Z")
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("deferred", "min_firing")


async def test_delivery_that_cannot_be_processed_is_set_aside(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_or_fail(body: bytes) -> Any:
        if b"poison" in body:
            raise ZeroDivisionError
        return parse_delivery(body)

    monkeypatch.setattr(ingest, "parse_delivery", parse_or_fail)
    harness.files.fill("a")
    await harness.deliver(fingerprint="poison")
    await harness.deliver()
    await harness.work()
    assert harness.files.touched == ["a"]
    async with harness.context.ledger.read() as connection:
        assert await first_break(connection) is None


async def test_engine_continues_after_an_internal_error(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Any) -> None:
        raise UnicodeError("odd")

    async def fault() -> str | None:
        return harness.engine.fault

    async def touched() -> list[str]:
        return list(harness.files.touched)

    with monkeypatch.context() as patch:
        patch.setattr("remediator.intake.vanished.VanishedEpisodeDetector.check", fail)
        running = asyncio.create_task(harness.engine.run())
        await becomes(fault, "internal error: UnicodeError")
    harness.files.fill("a")
    await harness.deliver()
    harness.engine.wake()
    await becomes(touched, ["a"])
    harness.engine.request_shutdown()
    await running
    await harness.engine.wait_for_runs()


class UnserializableEvidence(FolderRemediation):
    async def verify(self, items: Sequence[Item]) -> Verdict:
        return Verdict(True, {"at": datetime.now(UTC)})


async def test_run_that_crashes_three_times_ends_unknown(folder: Path) -> None:
    async with engine_harness(folder, inventory(), UnserializableEvidence(folder)) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work(6)
        run = await harness.last_run()
        assert (run.state, run.reason, run.fence) == ("unknown", "lost", 2)
        assert "crashed 3 times; see the log" in run.evidence["error"]
        assert await harness.breakers() == 1
        assert len(await harness.notification_titles()) == 1


class FailsAtSecondOpening(FolderRemediation):
    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        self.open_count += 1
        if self.open_count == 2:
            raise ValueError("odd")
        yield self


async def test_run_fails_when_its_target_is_lost_before_the_first_effect(folder: Path) -> None:
    async with engine_harness(folder, inventory(), FailsAtSecondOpening(folder)) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).state, harness.files.touched) == ("failed", [])


class FailsAtSecondClosing(FolderRemediation):
    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        self.open_count += 1
        number = self.open_count
        yield self
        if number == 2:
            raise OSError("reset by peer at close")


async def test_error_on_closing_the_target_does_not_fail_the_run(folder: Path) -> None:
    async with engine_harness(folder, inventory(), FailsAtSecondClosing(folder)) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state == "succeeded"


class CountsItemsButListsNone(FolderRemediation):
    async def plan(self) -> Plan:
        return Plan((), 3)

    async def apply(self, items: Sequence[Item]) -> Sequence[EffectOutcome]:
        raise AssertionError("there is nothing to apply")


@pytest.mark.parametrize("one_effect", [True, False])
async def test_plan_without_items_touches_nothing(folder: Path, one_effect: bool) -> None:
    async with engine_harness(folder, inventory(), CountsItemsButListsNone(folder, one_effect=one_effect)) as harness:
        await harness.deliver()
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == (
            "nothing_to_do",
            "nothing_listed",
        )
        assert harness.files.open_count == 1


async def test_every_ineffective_run_is_escalated(harness: EngineHarness) -> None:
    harness.files.fill("a")
    harness.files.refill = True
    for _ in range(2):
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=6)
        assert await close_breaker(harness)
    assert [run.state for run in await harness.runs()] == ["ineffective"] * 2
    assert len(await harness.notification_titles()) == 2


async def test_closed_breaker_counts_failures_from_zero(harness: EngineHarness) -> None:
    harness.files.reachable = False
    for _ in range(2):
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=6)
    assert await close_breaker(harness)
    await harness.deliver()
    await harness.work()
    assert (await harness.last_run()).state == "failed"
    assert await harness.breakers() == 0


async def test_shutdown_does_not_wait_for_the_proof(folder: Path) -> None:
    async with engine_harness(folder, inventory(settle="60s")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.engine.tick()

        async def state() -> str:
            return (await harness.last_run()).state

        await becomes(state, "verifying")
        harness.engine.request_shutdown()
        await asyncio.wait_for(harness.engine.wait_for_runs(), 20)


async def test_metrics_name_a_remediation_that_the_stack_does_not_list(folder: Path) -> None:
    stacks = inventory()
    shop = stacks.stacks["shop"].model_copy(update={"remediations": {}})
    async with engine_harness(folder, stacks.model_copy(update={"stacks": {"shop": shop}})) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        families = {family.name: family for family in (await metrics.collect(harness.context)).collect()}
        assert families["remediation_runs"].samples[0].labels == {
            "stack": "shop",
            "remediation": "clear_folder",
            "outcome": "shadow",
        }


async def test_thousand_alerts_of_one_target_are_one_episode(harness: EngineHarness) -> None:
    body = delivery([alert(fingerprint=f"f{number}", note="x" * 400) for number in range(1_000)])
    await harness.context.ledger.accept(harness.clock.now(), body)
    await harness.engine.tick()
    async with harness.context.ledger.read() as connection:
        (episode,) = await episodes.all_open(connection)
    assert len(episode.alerts) == 1_000


async def test_run_that_ends_during_the_read_is_not_driven_again(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick read the run before its end, so its row is outdated."""
    began, may_end, read_unfinished = asyncio.Event(), asyncio.Event(), runs.unfinished

    async def hold() -> None:
        began.set()
        await may_end.wait()

    async def read_before_the_end(connection: AsyncConnection) -> Sequence[Run]:
        rows = await read_unfinished(connection)
        may_end.set()
        await harness.engine.wait_for_runs()
        return rows

    harness.files.fill("a")
    harness.files.before = hold
    await harness.deliver()
    await harness.engine.tick()
    await asyncio.wait_for(began.wait(), 20)
    driven: list[int] = []
    drive = harness.engine.driver.drive

    async def record_and_drive(run: Run) -> None:
        driven.append(run.id)
        await drive(run)

    monkeypatch.setattr(runs, "unfinished", read_before_the_end)
    monkeypatch.setattr(harness.engine.driver, "drive", record_and_drive)
    await harness.engine.tick()
    await harness.engine.wait_for_runs()
    assert ((await harness.last_run()).state, harness.engine.fault, driven) == ("succeeded", None, [])
