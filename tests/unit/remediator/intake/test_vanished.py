"""An episode that nobody ends: it ends when it is missing, not when we could not have heard of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from remediator.ledger.schema import outbox
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory
from tests.unit.remediator.escalation.test_policy import NotificationReceiver, harness_with_receiver, receiver
from tests.unit.remediator.payloads import alert

__all__ = ["receiver"]  # a fixture
SOME = 20  # looks: fewer than it takes


@pytest.fixture
async def waiting(folder: Path) -> AsyncIterator[EngineHarness]:
    """A run waits for a yes; nobody can be asked what fires."""
    async with engine_harness(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        yield bench


async def vanished_notifications(bench: EngineHarness) -> list[str]:
    """The notes that an episode has ended."""
    async with bench.context.ledger.read() as connection:
        titles = [row.title for row in await connection.execute(select(outbox.c.title).order_by(outbox.c.id))]
    return [title for title in titles if "vanished" in title]


async def test_an_unconfirmed_episode_vanishes(waiting: EngineHarness) -> None:
    waiting.clock.advance(minutes=11)
    await waiting.run_vanished_checks()
    assert ((await waiting.last_run()).state, (await waiting.last_run()).reason) == ("cancelled", "vanished")
    assert await vanished_notifications(waiting) == ["[shop] vanished: clear_shelf on shop/postgres/main"]


async def test_not_before_two_repeat_intervals_are_over(waiting: EngineHarness) -> None:
    waiting.clock.advance(minutes=9)
    await waiting.run_vanished_checks()
    assert await vanished_notifications(waiting) == []


@pytest.mark.parametrize("restart", [True, False])
async def test_an_outage_of_ours_ends_nothing(waiting: EngineHarness, restart: bool) -> None:
    """It was down, or stopped, or the clock jumped: nobody could confirm anything, and a plan waits for its answer."""
    await waiting.run_vanished_checks(SOME)
    if restart:
        await waiting.cut_power()
    waiting.clock.advance(minutes=30)
    await waiting.run_vanished_checks(SOME)
    await waiting.deliver()
    await waiting.run_vanished_checks()
    assert [run.state for run in await waiting.runs()] == ["awaiting_approval"]
    assert await vanished_notifications(waiting) == []


async def test_an_alertmanager_that_has_just_started_ends_nothing(folder: Path, receiver: NotificationReceiver) -> None:
    """It comes back empty, and hears of what fires within a minute or two."""
    async with harness_with_receiver(folder, receiver) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        bench.clock.advance(minutes=11)
        receiver.alerts = "down"  # type: ignore[assignment]
        await bench.run_vanished_checks()
        for known in ([], [alert()], []):
            receiver.alerts = known
            await bench.run_vanished_checks(SOME)
        assert await vanished_notifications(bench) == []
        await bench.run_vanished_checks()
        assert len(await vanished_notifications(bench)) == 1
