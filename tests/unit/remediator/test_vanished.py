"""An episode that nobody ends: it ends when it is missing, not when we could not have heard of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from remediator.ledger.schema import outbox
from tests.unit.remediator.conftest import Bench, bench_with, inventory
from tests.unit.remediator.payloads import alert
from tests.unit.remediator.test_ladder import Receiver, bench_telling, receiver

__all__ = ["receiver"]  # a fixture
SOME = 20  # looks: fewer than it takes


@pytest.fixture
async def waiting(folder: Path) -> AsyncIterator[Bench]:
    """A run waits for a yes; nobody can be asked what fires."""
    async with bench_with(folder, inventory(mode="approve")) as bench:
        bench.shelf.fill("a")
        await bench.deliver()
        await bench.work()
        yield bench


async def ends(bench: Bench) -> list[str]:
    """The notes that an episode has ended."""
    async with bench.world.ledger.read() as connection:
        titles = [row.title for row in await connection.execute(select(outbox.c.title).order_by(outbox.c.id))]
    return [title for title in titles if "vanished" in title]


async def test_an_unconfirmed_episode_vanishes(waiting: Bench) -> None:
    waiting.clock.turn(minutes=11)
    await waiting.look()
    assert ((await waiting.last()).state, (await waiting.last()).reason) == ("cancelled", "vanished")
    assert await ends(waiting) == ["[shop] vanished: clear_shelf on shop/postgres/main"]


async def test_not_before_two_repeat_intervals_are_over(waiting: Bench) -> None:
    waiting.clock.turn(minutes=9)
    await waiting.look()
    assert await ends(waiting) == []


@pytest.mark.parametrize("restart", [True, False])
async def test_an_outage_of_ours_ends_nothing(waiting: Bench, restart: bool) -> None:
    """It was down, or stopped, or the clock jumped: nobody could confirm anything, and a plan waits for its answer."""
    await waiting.look(SOME)
    if restart:
        await waiting.cut_power()
    waiting.clock.turn(minutes=30)
    await waiting.look(SOME)
    await waiting.deliver()
    await waiting.look()
    assert [run.state for run in await waiting.runs()] == ["awaiting_approval"]
    assert await ends(waiting) == []


async def test_an_alertmanager_that_has_just_started_ends_nothing(folder: Path, receiver: Receiver) -> None:
    """It comes back empty, and hears of what fires within a minute or two."""
    async with bench_telling(folder, receiver) as bench:
        bench.shelf.fill("a", "b")
        await bench.deliver()
        await bench.work()
        bench.clock.turn(minutes=11)
        receiver.alerts = "down"  # type: ignore[assignment]
        await bench.look()
        for known in ([], [alert()], []):
            receiver.alerts = known
            await bench.look(SOME)
        assert await ends(bench) == []
        await bench.look()
        assert len(await ends(bench)) == 1
