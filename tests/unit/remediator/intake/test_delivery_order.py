"""Deliveries arrive late, twice and in any order; episodes follow what the alert really did."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from remediator.intake.ingest import BATCH_SIZE
from remediator.ledger import episodes
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.payloads import NEVER

FIRST, SECOND = "2026-03-01T11:50:00Z", "2026-03-01T11:58:00Z"
FIRES = {"status": "firing", "starts": FIRST}
ENDS = {"status": "resolved", "starts": FIRST}
FIRES_AGAIN = {"status": "firing", "starts": SECOND}


async def open_episodes(harness: EngineHarness) -> int:
    async with harness.context.ledger.read() as connection:
        return len(await episodes.all_open(connection))


async def test_late_duplicate_of_an_ended_alert_opens_no_episode(harness: EngineHarness) -> None:
    for message in (FIRES, ENDS, FIRES):
        await harness.deliver(**message)
        await harness.work()
    assert await open_episodes(harness) == 0
    assert len(await harness.runs()) == 1


async def test_alert_that_continues_after_a_gap_opens_an_episode(harness: EngineHarness) -> None:
    """Alertmanager ends an alert that Prometheus did not repeat in time; it comes back with the same start."""
    harness.files.fill("a")
    for message in (FIRES, ENDS):
        await harness.deliver(**message)
    await harness.work()
    harness.clock.advance(minutes=5)
    await harness.deliver(**FIRES)
    await harness.work()
    assert await open_episodes(harness) == 1
    assert harness.files.touched == ["a"]


@pytest.mark.parametrize("order", list(permutations([FIRES, FIRES, ENDS, ENDS])))
async def test_ended_alert_stays_ended_in_any_order(folder: Path, order: tuple[Any, ...]) -> None:
    """Invariants 2 and 23, in one round: an alert that ended before the round touches nothing."""
    async with engine_harness(folder, inventory()) as harness:
        harness.files.fill("a")
        for message in order:
            await harness.deliver(**message)
        await harness.work()
        assert await open_episodes(harness) == 0
        assert harness.files.touched == []
        assert len(await harness.runs()) == 0


@pytest.mark.parametrize("order", list(permutations([FIRES, ENDS, FIRES_AGAIN])))
async def test_newer_firing_counts_in_any_order(folder: Path, order: tuple[Any, ...]) -> None:
    async with engine_harness(folder, inventory()) as harness:
        for message in order:
            await harness.deliver(**message)
            await harness.work()
        assert await open_episodes(harness) == 1


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ("2026-03-01T11:59:00Z", 0),
        (SECOND, 0),
        ("2026-03-01T11:57:59Z", 1),
        (NEVER, 1),
        (None, 1),
    ],
)
async def test_resolution_counts_even_if_its_start_moved_back(
    harness: EngineHarness, ends: str | None, left: int
) -> None:
    """Two Prometheus servers send one alert: Alertmanager merges them to the earlier start after sending the later."""
    await harness.deliver(**FIRES_AGAIN)
    await harness.work()
    await harness.deliver(**ENDS, ends=ends)
    await harness.work()
    assert await open_episodes(harness) == left


@pytest.mark.parametrize("late", [FIRES, FIRES_AGAIN])
async def test_late_firing_from_before_the_end_opens_no_episode(harness: EngineHarness, late: Any) -> None:
    """The resolution carries the earlier start of two merged alerts; the firing with the later start follows it."""
    harness.files.fill("a")
    await harness.deliver(**ENDS, ends="2026-03-01T11:59:30Z")
    await harness.deliver(**late)
    await harness.work()
    assert await open_episodes(harness) == 0
    assert harness.files.touched == []


async def test_resolution_at_the_end_of_a_long_queue_counts(harness: EngineHarness) -> None:
    """Invariant 23, for deliveries accepted while none could be processed."""
    harness.files.fill("a")
    await harness.deliver(**FIRES)
    for _ in range(2 * BATCH_SIZE):
        await harness.deliver(remediation="another")
    await harness.deliver(**ENDS)
    await harness.work(1)
    assert (await open_episodes(harness), harness.files.touched) == (1, [])


async def test_deliveries_of_one_round_are_applied_in_order(harness: EngineHarness) -> None:
    harness.files.fill("a")
    for message in (FIRES, ENDS, FIRES_AGAIN):
        await harness.deliver(**message)
    await harness.work()
    assert await open_episodes(harness) == 1
    assert [run.state for run in await harness.runs()] == ["succeeded"]


async def test_end_of_the_newer_alert_is_remembered(harness: EngineHarness) -> None:
    """Invariant 2: the end of the older alert arrives late, followed by a firing of the ended newer one."""
    for message in (FIRES_AGAIN, {**ENDS, "starts": SECOND}, ENDS, FIRES_AGAIN):
        await harness.deliver(**message)
        await harness.work()
    assert await open_episodes(harness) == 0


async def test_episode_lasts_until_its_last_alert_ends(harness: EngineHarness) -> None:
    for name in ("f1", "f2"):
        await harness.deliver(fingerprint=name)
    await harness.work()
    left = []
    for name in ("f1", "f2"):
        await harness.deliver(fingerprint=name, status="resolved")
        await harness.work()
        left.append(await open_episodes(harness))
    assert left == [1, 0]


async def test_alert_that_continues_after_a_gap_counts_within_one_round(harness: EngineHarness) -> None:
    """Invariant 2: deliveries are processed in the order in which they came."""
    for message in (FIRES, ENDS):
        await harness.deliver(**message)
    harness.clock.advance(minutes=5)
    await harness.deliver(**FIRES)
    await harness.work()
    assert await open_episodes(harness) == 1
