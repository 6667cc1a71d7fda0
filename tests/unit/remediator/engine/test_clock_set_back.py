"""The clock was ahead and is set back: waiting runs continue, and no bound is passed."""

from pathlib import Path
from typing import Any

import pytest

from remediator.ledger import episodes
from runbookd.inventory import Limits
from tests.unit.remediator.conftest import START, EngineHarness, engine_harness, inventory
from tests.unit.remediator.engine.test_engine_failures import close_breaker

# Alerts have their own clock.
STARTS = START.isoformat()


async def hours_pass(harness: EngineHarness, hours: int) -> None:
    """Let hours pass while the alert keeps firing."""
    for _ in range(2 * hours):
        harness.clock.advance(minutes=30)
        await harness.deliver(starts=STARTS)
        await harness.work(2)


@pytest.mark.parametrize("settings", [{"min_firing": "10m"}, {"mode": "approve", "approve_within": "1h"}])
@pytest.mark.parametrize("days", [2, 900])
async def test_waiting_run_expires_after_the_clock_was_set_back(folder: Path, days: int, settings: Any) -> None:
    """Invariant 13."""
    async with engine_harness(folder, inventory(**settings)) as harness:
        harness.clock.advance(days=days)
        harness.files.fill("a")
        await harness.deliver(starts=harness.clock.now().isoformat())
        await harness.work()
        harness.clock.advance(days=-days)
        await hours_pass(harness, 2)
        first, *later = await harness.runs()
        assert first.state == "expired"
        assert later[0].created_at < START.replace(hour=23), "the alert gets a new run"


async def test_episode_confirmed_while_the_clock_was_ahead_vanishes(harness: EngineHarness) -> None:
    harness.clock.advance(days=2)
    await harness.deliver()
    await harness.work()
    harness.clock.advance(days=-2)
    await harness.run_vanished_checks()
    async with harness.context.ledger.read() as connection:
        assert await episodes.all_open(connection) == []


async def test_breaker_closed_while_the_clock_was_ahead_opens_again(harness: EngineHarness) -> None:
    """Invariant 15."""
    harness.files.reachable = False
    harness.clock.advance(days=1)
    for number in range(2):
        await harness.deliver(fingerprint=f"f{number}")
        await harness.work()
        harness.clock.advance(minutes=6)
    assert await close_breaker(harness)
    for number in range(2):
        await harness.deliver(fingerprint=f"f{number}", status="resolved")
    await harness.work()
    harness.clock.advance(days=-1)
    for number in range(2, 5):
        await harness.deliver(fingerprint=f"f{number}")
        await harness.work()
        harness.clock.advance(minutes=6)
    assert await harness.breakers() == 1


async def test_alert_confirmed_before_the_clock_was_set_back_is_stale(harness: EngineHarness) -> None:
    harness.files.fill("a")
    harness.clock.advance(hours=3)
    await harness.deliver()
    harness.clock.advance(hours=-1)
    await harness.work()
    assert ((await harness.last_run()).reason, harness.files.touched) == ("stale", [])


@pytest.mark.parametrize("days", [1, 900])
async def test_alert_that_fires_on_is_judged_again_and_its_contacts_learn_that_it_waits(
    harness: EngineHarness, days: int
) -> None:
    """Its last run has ended in the future, as far as the clock shows."""
    harness.files.fill("a")
    harness.clock.advance(days=days)
    await harness.deliver(starts=STARTS)
    await harness.work()
    harness.clock.advance(days=-days)
    harness.files.fill("b")
    await hours_pass(harness, 2)
    second = (await harness.runs())[1]
    assert (second.state, second.reason) == ("expired", "cooldown")
    assert "in the future: the clock has been set back" in second.evidence["bounds"]["deferred_by"]["cooldown"]
    assert (await harness.notification_titles())[0].endswith("expired (cooldown)")
    assert harness.files.touched == ["a"]


async def fire_on_both(harness: EngineHarness, name: str, **alert: Any) -> None:
    for target in ("main", "spare"):
        await harness.deliver(fingerprint=f"{name} {target}", target=target, **alert)
    await harness.work()


async def test_storm_that_was_seen_while_the_clock_was_ahead_hides_no_later_one(folder: Path) -> None:
    limits = Limits.model_validate({"storm": {"targets": 1}})
    async with engine_harness(folder, inventory().model_copy(update={"limits": limits})) as harness:
        harness.files.fill("a")
        harness.clock.advance(days=1)
        await fire_on_both(harness, "first", starts=harness.clock.now().isoformat())
        await fire_on_both(harness, "first", status="resolved", ends=harness.clock.now().isoformat())
        harness.clock.advance(days=-1)
        await harness.deliver(fingerprint="alone", starts=STARTS)
        await harness.work()
        assert harness.files.touched == ["a"], "a storm of tomorrow stops nothing today"
        harness.files.fill("b")
        await fire_on_both(harness, "second", starts=STARTS)
        storms = [title for title in await harness.notification_titles() if "refused (storm)" in title]
        assert len(storms) == 2, "each storm has its message"
