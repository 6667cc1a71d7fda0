"""The bounds on the way of a run through the engine."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from remediator.model.remediation import ItemState
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.polling import becomes


async def test_plan_above_max_items_is_refused_and_escalated(harness: EngineHarness) -> None:
    harness.files.fill(*"abcdef")
    await harness.deliver()
    await harness.work()
    run = await harness.last_run()
    assert (run.state, run.reason, harness.files.touched) == ("refused", "max_items", [])
    (message,) = await harness.notifications()
    assert "max_items" in message.title
    assert "found 6, max_items is 5" in message.body
    assert "https://runbooks.example/shop#folder" in message.body


async def test_same_refusal_is_escalated_once_per_episode(harness: EngineHarness) -> None:
    harness.files.fill(*"abcdef")
    for _ in range(3):
        await harness.deliver()
        await harness.work()
        harness.clock.advance(minutes=6)
    assert [run.state for run in await harness.runs()] == ["refused"] * 3
    assert len(await harness.notifications()) == 1


async def test_kill_switch_is_checked_before_every_effect(harness: EngineHarness) -> None:
    harness.files.fill("a", "b")
    harness.files.after = harness.pause
    await harness.deliver()
    await harness.work()
    assert harness.files.touched == ["a"]
    harness.clock.advance(minutes=6)
    await harness.deliver()
    await harness.work()
    assert (await harness.last_run()).reason == "kill_switch"


@pytest.mark.parametrize(
    ("mode", "state"), [("off", "refused"), ("shadow", "shadow"), ("approve", "awaiting_approval")]
)
async def test_only_mode_auto_touches_items(folder: Path, mode: str, state: str) -> None:
    async with engine_harness(folder, inventory(mode=mode)) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state == state
        assert harness.files.touched == []


async def test_deferred_run_waits_for_its_bound_and_for_a_delivery(folder: Path) -> None:
    async with engine_harness(folder, inventory(min_firing="10m")) as harness:
        harness.files.fill("a")
        await harness.deliver(starts="2026-03-01T12:00:00Z")
        await harness.work()
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("deferred", "min_firing")
        harness.clock.advance(minutes=11)
        await harness.work()
        assert (await harness.last_run()).state == "deferred", "no delivery has confirmed the alert since"
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state == "succeeded"


async def test_rate_counts_the_runs_of_all_episodes(folder: Path) -> None:
    async with engine_harness(folder, inventory(max_runs_per_hour=2, cooldown="0s")) as harness:
        for _ in range(3):
            harness.files.fill("a")
            starts = harness.clock.now().isoformat()
            await harness.deliver(starts=starts)
            await harness.work()
            await harness.deliver(status="resolved", starts=starts)
            await harness.work()
            harness.clock.advance(minutes=1)
        assert [run.state for run in await harness.runs()] == ["succeeded", "succeeded", "cancelled"]
        assert harness.files.touched == ["a", "a"]


async def test_two_episodes_share_the_concurrency_limit(harness: EngineHarness) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        started.set()
        await may_end.wait()

    harness.files.fill("a")
    harness.files.before = hold
    await harness.deliver()
    await harness.engine.tick()
    await started.wait()
    await harness.deliver(target="spare", fingerprint="f2")
    await harness.engine.tick()

    async def runs() -> list[tuple[str, str]]:
        return [(run.state, run.reason) for run in await harness.runs()]

    await becomes(runs, [("executing", ""), ("deferred", "concurrency")])
    may_end.set()
    await harness.engine.wait_for_runs()


async def test_run_in_a_storm_is_refused(folder: Path) -> None:
    stacks = inventory()
    storm = stacks.limits.storm.model_copy(update={"alerts": 2})
    limits = stacks.limits.model_copy(update={"storm": storm})
    async with engine_harness(folder, stacks.model_copy(update={"limits": limits})) as harness:
        harness.files.fill("a")
        for fingerprint in ("f1", "f2", "f3"):
            await harness.deliver(fingerprint=fingerprint)
        await harness.work()
        run = await harness.last_run()
        assert (run.state, run.reason) == ("refused", "storm"), "not admitted and then cancelled at its first effect"


async def test_mode_off_does_not_read_the_target(folder: Path) -> None:
    """Invariant 10."""
    async with engine_harness(folder, inventory(mode="off")) as harness:
        await harness.deliver()
        await harness.work()
        assert harness.files.open_count == 0


async def test_repeatedly_deferred_run_expires_after_one_hour(folder: Path) -> None:
    """Invariant 13."""
    async with engine_harness(folder, inventory(block_on=["Failover"])) as harness:
        harness.files.fill("a")
        for _ in range(11):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=6)
        first, *_ = await harness.runs()
        assert (first.state, first.reason) == ("expired", "alertmanager_unreadable")


async def test_paused_run_is_interrupted_and_opens_no_breaker(harness: EngineHarness) -> None:
    harness.files.fill("a", "b")
    harness.files.after = harness.pause
    await harness.deliver()
    await harness.work()
    run = await harness.last_run()
    assert (run.state, run.reason) == ("interrupted", "kill_switch")
    assert [item.state for item in await harness.items(run)] == [ItemState.APPLIED, ItemState.PLANNED]
    assert await harness.breakers() == 0


async def test_no_effect_begins_after_its_window_has_closed(folder: Path) -> None:
    async with engine_harness(folder, inventory(only_in="noon")) as harness:

        async def late() -> None:
            harness.clock.advance(minutes=40)

        harness.files.fill("a", "b")
        harness.files.after = late
        await harness.deliver()
        await harness.work()
        assert harness.files.touched == ["a"]
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("interrupted", "window")


@pytest.mark.parametrize(("minutes", "touched"), [(9, ["a", "b"]), (11, ["a"]), (-1, ["a"])])
async def test_no_effect_begins_for_an_unconfirmed_alert(
    harness: EngineHarness, minutes: int, touched: list[str]
) -> None:
    """Invariant 24: the machine slept during an effect, so Alertmanager could not deliver the end of the alert."""

    async def sleep() -> None:
        harness.clock.advance(minutes=minutes)

    harness.files.fill("a", "b")
    harness.files.after = sleep
    await harness.deliver()
    await harness.work(1)
    assert harness.files.touched == touched
    assert touched == ["a", "b"] or (await harness.last_run()).reason == "stale"


async def test_reservation_counts_from_the_last_admission(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def never(*_: Any) -> None:
        reached.set()
        await asyncio.get_running_loop().create_future()

    async with engine_harness(folder, inventory(max_runs_per_hour=1, cooldown="0s")) as harness:
        harness.files.fill("a")
        with monkeypatch.context() as patch:
            patch.setattr("remediator.engine.run_driver.execute", never)
            await harness.deliver()
            await harness.engine.tick()
            await asyncio.wait_for(reached.wait(), 20)
            await harness.cut_power()
            await asyncio.sleep(0)
        harness.clock.advance(minutes=61)
        await harness.deliver()
        await harness.work()
        harness.files.fill("b")
        harness.clock.advance(seconds=10)
        await harness.deliver()
        await harness.work()
        assert harness.files.touched == ["a"]
        assert ((await harness.last_run()).state, (await harness.last_run()).reason) == ("deferred", "rate")


async def test_bound_that_outlasts_each_deferral_is_escalated_once(folder: Path) -> None:
    """The window is a week away, and each hour a run expires."""
    async with engine_harness(folder, inventory(only_in="noon")) as harness:
        harness.files.fill("a")
        harness.clock.advance(hours=2)
        for _ in range(3):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=61)
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=6)
        assert [(run.state, run.reason) for run in await harness.runs()] == [("expired", "window")] * 3
        assert await harness.notification_titles() == ["[shop] clear_folder on shop/postgres/main: expired (window)"]


async def test_long_cooldown_does_not_let_a_run_miss_its_window(folder: Path) -> None:
    async with engine_harness(folder, inventory(only_in="noon", cooldown="7d")) as harness:
        harness.files.fill("a")
        harness.clock.advance(minutes=-70)
        for minutes in (61, 6, 5):  # a deferral expires, the next run waits for the window, which opens
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=minutes)
        await harness.deliver()
        await harness.work()
        assert [run.state for run in await harness.runs()] == ["expired", "succeeded"]


async def test_cooldown_counts_from_a_run_that_has_acted(folder: Path) -> None:
    async with engine_harness(folder, inventory(cooldown="1h")) as harness:
        harness.files.fill("a")
        for minutes in (6, 55):
            await harness.deliver()
            await harness.work()
            harness.clock.advance(minutes=minutes)
            harness.files.fill("b")
        assert [run.state for run in await harness.runs()] == ["succeeded"]
        await harness.deliver()
        await harness.work()
        assert [run.state for run in await harness.runs()] == ["succeeded", "succeeded"]
