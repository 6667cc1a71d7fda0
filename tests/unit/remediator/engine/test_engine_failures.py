"""What nobody expects: it costs one run or one delivery, people are told, and everything else goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.intake import ingest
from remediator.ledger import episodes, runs, switches
from remediator.ledger.runs import Run
from remediator.ledger.schema import outbox
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
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.engine.run_driver.CRASH_RETRY_SECONDS", 0.01)
    for module in ("engine", "run_driver"):
        monkeypatch.setattr(f"remediator.engine.{module}.LEDGER_RETRY_SECONDS", 0.01)


async def titles(bench: EngineHarness) -> list[str]:
    async with bench.context.ledger.read() as connection:
        return [row.title for row in await connection.execute(select(outbox).order_by(outbox.c.id))]


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
def test_a_moment_outside_the_calendar_never_gets_past_the_door(starts: str) -> None:
    if starts.startswith("0001"):
        assert parse_delivery(delivery(starts=starts)).alerts[0].started.year == 1970
        return
    with pytest.raises(MalformedDelivery, match="outside the calendar"):
        parse_delivery(delivery(starts=starts))


async def test_an_alert_from_the_future_fires_since_it_came(folder: Path) -> None:
    async with engine_harness(folder, inventory(min_firing="1m")) as bench:
        bench.shelf.fill("a")
        await bench.deliver(starts="9999-12-31T23:59:59Z")
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("deferred", "min_firing")


async def test_a_delivery_that_can_not_be_worked_off_is_set_aside(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(body: bytes) -> Any:
        if b"poison" in body:
            raise ZeroDivisionError
        return parse_delivery(body)

    monkeypatch.setattr(ingest, "parse_delivery", trip)
    bench.shelf.fill("a")
    await bench.deliver(fingerprint="poison")
    await bench.deliver()
    await bench.work()
    assert bench.shelf.touched == ["a"]
    async with bench.context.ledger.read() as connection:
        assert await first_break(connection) is None


async def test_the_engine_survives_its_own_errors(bench: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    tripped = asyncio.Event()

    async def trip(_: Any) -> None:
        tripped.set()
        raise UnicodeError("odd")

    with monkeypatch.context() as patch:
        patch.setattr("remediator.intake.vanished.VanishedEpisodeDetector.check", trip)
        running = asyncio.create_task(bench.engine.run())
        await asyncio.wait_for(tripped.wait(), 5)
        await asyncio.sleep(0.05)
        assert bench.engine.fault == "internal error: UnicodeError"
    bench.shelf.fill("a")
    await bench.deliver()
    bench.engine.wake()
    for _ in range(100):
        if bench.shelf.touched:
            break
        await asyncio.sleep(0.1)
    bench.engine.request_shutdown()
    await running
    await bench.engine.wait_for_runs()
    assert bench.shelf.touched == ["a"]


class UnserializableEvidence(FolderRemediation):
    async def verify(self, items: Sequence[Item]) -> Verdict:
        return Verdict(True, {"at": datetime.now(UTC)})


async def test_a_run_that_stops_again_and_again_ends_unknown_and_others_go_on(folder: Path) -> None:
    async with engine_harness(folder, inventory(), UnserializableEvidence(folder)) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work(6)
        run = await bench.last_run()
        assert (run.state, run.reason, run.fence) == ("unknown", "lost", 2)
        assert "crashed 3 times; see the log" in run.evidence["error"]
        assert await breakers(bench) == 1
        assert len(await titles(bench)) == 1


class FailsAtSecondOpening(FolderRemediation):
    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[FolderRemediation]:
        self.open_count += 1
        if self.open_count == 2:
            raise ValueError("odd")
        yield self


async def test_a_target_lost_before_the_first_effect_is_a_failure(folder: Path) -> None:
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


async def test_trouble_on_leaving_the_target_does_not_undo_what_was_done(folder: Path) -> None:
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
async def test_a_plan_that_lists_nothing_touches_nothing(folder: Path, one_effect: bool) -> None:
    async with engine_harness(folder, inventory(), CountsItemsButListsNone(folder, one_effect=one_effect)) as bench:
        await bench.deliver()
        await bench.work()
        assert ((await bench.last_run()).state, (await bench.last_run()).reason) == ("nothing_to_do", "nothing_listed")
        assert bench.shelf.open_count == 1


async def test_what_a_person_stops_is_interrupted_and_no_mark_against_the_remediation(bench: EngineHarness) -> None:
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
async def test_no_effect_begins_for_an_alert_that_nothing_confirms(
    bench: EngineHarness, minutes: int, touched: list[str]
) -> None:
    """Invariant 24: the machine slept in an effect, and whoever would have told of the alert's end had no answer."""

    async def sleep() -> None:
        bench.clock.advance(minutes=minutes)

    bench.shelf.fill("a", "b")
    bench.shelf.after = sleep
    await bench.deliver()
    await bench.work(1)
    assert bench.shelf.touched == touched
    assert touched == ["a", "b"] or (await bench.last_run()).reason == "stale"


async def test_a_clock_that_was_set_back_makes_nothing_fresh(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    bench.clock.advance(hours=3)
    await bench.deliver()
    bench.clock.advance(hours=-1)
    await bench.work()
    assert ((await bench.last_run()).reason, bench.shelf.touched) == ("stale", [])


async def test_a_reservation_counts_from_when_the_run_acts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_every_ineffective_run_is_told(bench: EngineHarness) -> None:
    bench.shelf.fill("a")
    bench.shelf.refill = True
    for _ in range(2):
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=6)
        assert await close_breaker(bench)
    assert [run.state for run in await bench.runs()] == ["ineffective"] * 2
    assert len(await titles(bench)) == 2


async def test_a_bound_that_outlasts_each_deferral_is_told_once(folder: Path) -> None:
    """It is afternoon, the window is a week away, and each hour a run is given up."""
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
        assert await titles(bench) == ["[shop] clear_shelf on shop/postgres/main: expired (window)"]


async def test_every_request_for_a_yes_is_told(folder: Path) -> None:
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        for _ in range(2):
            await bench.deliver()
            await bench.work()
            await reject(bench.context, (await bench.last_run()).id, "oncall")
            bench.clock.advance(minutes=6)
        assert len(await titles(bench)) == 2


async def test_a_closed_breaker_begins_anew(bench: EngineHarness) -> None:
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


async def test_stopping_does_not_wait_for_the_proof(folder: Path) -> None:
    async with engine_harness(folder, inventory(settle="60s")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.engine.tick()

        async def state() -> str:
            return (await bench.last_run()).state

        await becomes(state, "verifying")
        bench.engine.request_shutdown()
        await asyncio.wait_for(bench.engine.wait_for_runs(), 2)


async def test_a_remediation_that_the_inventory_does_not_list_has_its_name_on_the_page(folder: Path) -> None:
    what = inventory()
    shop = what.stacks["shop"].model_copy(update={"remediations": {}})
    async with engine_harness(folder, what.model_copy(update={"stacks": {"shop": shop}})) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        families = {family.name: family for family in (await metrics.collect(bench.context)).collect()}
        assert families["remediation_runs"].samples[0].labels == {
            "stack": "shop",
            "remediation": "clear_shelf",
            "outcome": "shadow",
        }


async def test_a_thousand_alerts_of_one_thing_are_one_episode(bench: EngineHarness) -> None:
    body = delivery([alert(fingerprint=f"f{number}", note="x" * 400) for number in range(1_000)])
    await bench.context.ledger.accept(bench.clock.now(), body)
    await bench.engine.tick()
    async with bench.context.ledger.read() as connection:
        (episode,) = await episodes.all_open(connection)
    assert len(episode.alerts) == 1_000


async def test_a_run_that_ends_while_it_is_read_is_left_alone(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tick has read of it is old by then."""
    began, go_on, real = asyncio.Event(), asyncio.Event(), runs.unfinished

    async def hold() -> None:
        began.set()
        await go_on.wait()

    async def slow(connection: AsyncConnection) -> Sequence[Run]:
        read = await real(connection)
        go_on.set()
        await bench.engine.wait_for_runs()
        return read

    bench.shelf.fill("a")
    bench.shelf.before = hold
    await bench.deliver()
    await bench.engine.tick()
    await asyncio.wait_for(began.wait(), 5)
    driven: list[int] = []
    drive = bench.engine.driver.drive

    async def note(run: Run) -> None:
        driven.append(run.id)
        await drive(run)

    monkeypatch.setattr(runs, "unfinished", slow)
    monkeypatch.setattr(bench.engine.driver, "drive", note)
    await bench.engine.tick()
    await bench.engine.wait_for_runs()
    assert ((await bench.last_run()).state, bench.engine.fault, driven) == ("succeeded", None, [])
