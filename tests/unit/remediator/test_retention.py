"""What is forgotten, what never is, and that the rest of the trail is still proved."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from remediator import metrics
from remediator.ledger import audit, control, retention
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import delivery, episode, item, resolution, run, storm
from tests.unit.remediator.conftest import Bench

LONG = timedelta(days=401)


async def count(bench: Bench, table: Any) -> int:
    async with bench.world.ledger.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def forget(bench: Bench) -> None:
    async with bench.world.ledger.write() as connection:
        while await retention.forget(connection, bench.clock.now()):
            pass


async def one_run(bench: Bench, starts: str) -> None:
    bench.shelf.fill("a")
    await bench.deliver(starts=starts)
    await bench.work()
    await bench.deliver(status="resolved", starts=starts)
    await bench.work()


async def lived_long(bench: Bench) -> None:
    await one_run(bench, "2026-03-01T11:59:00Z")
    bench.clock.turn(days=401)
    await one_run(bench, "2027-04-06T11:59:00Z")


async def test_deliveries_go_after_a_month_unless_nothing_was_made_of_them(bench: Bench) -> None:
    await bench.deliver()
    await bench.work()
    await bench.deliver()
    bench.clock.turn(days=31)
    await forget(bench)
    assert await count(bench, delivery) == 1


async def test_old_runs_and_episodes_go_and_the_counters_stay(bench: Bench) -> None:
    await lived_long(bench)
    await forget(bench)
    assert [await count(bench, table) for table in (run, item, episode)] == [1, 1, 1]
    assert await count(bench, resolution) == 1
    families = {family.name: family for family in (await metrics.collect(bench.world)).collect()}
    assert [sample.value for sample in families["remediation_runs"].samples] == [2]


async def test_what_keeps_a_breaker_open_stays(bench: Bench) -> None:
    bench.shelf.refill = True
    await one_run(bench, "2026-03-01T11:59:00Z")
    assert (await bench.last()).state == "ineffective"
    bench.clock.turn(days=401)
    await forget(bench)
    assert await count(bench, run) == 1


async def test_the_last_storm_stays_for_its_cooldown(bench: Bench) -> None:
    for days in (0, 1, 300):
        bench.clock.turn(days=days)
        async with bench.world.ledger.write() as connection:
            await control.note_storm(connection, bench.clock.now(), "a storm")
        await forget(bench)
    bench.clock.turn(days=20)
    await forget(bench)
    async with bench.world.ledger.read() as connection:
        assert await control.last_storm(connection) == bench.clock.now() - timedelta(days=20)
    assert await count(bench, storm) == 1


async def test_the_trail_is_cut_at_its_beginning_and_the_rest_is_proved(bench: Bench) -> None:
    """Invariant 21, over retention."""
    await lived_long(bench)
    async with bench.world.ledger.read() as connection:
        last_old = (
            await connection.execute(select(trail.c.hash).where(trail.c.at < bench.clock.now() - LONG / 2))
        ).all()
        head = await audit.head(connection)
    before = await count(bench, trail)
    await forget(bench)
    async with bench.world.ledger.read() as connection:
        assert await audit.first_break(connection) is None
        assert await audit.contains(connection, head), "what was noted lately is still proved"
        assert await audit.contains(connection, last_old[-1].hash), "the last row that went is known"
        assert not await audit.contains(connection, last_old[0].hash)
    assert await count(bench, trail) == before - len(last_old) + 1


@pytest.mark.parametrize("place", ["first", "middle", "last"])
async def test_a_row_that_is_changed_or_taken_is_noticed(bench: Bench, place: str) -> None:
    await lived_long(bench)
    await forget(bench)
    async with bench.world.ledger.read() as connection:
        ids = [row.id for row in await connection.execute(select(trail.c.id).order_by(trail.c.id))]
        head = await audit.head(connection)
    which = {"first": ids[0], "middle": ids[len(ids) // 2], "last": ids[-1]}[place]
    async with bench.world.ledger.write() as connection:
        await connection.execute(update(trail).where(trail.c.id == which).values(actor="somebody else"))
        assert await audit.first_break(connection) == which
    async with bench.world.ledger.write() as connection:
        await connection.execute(delete(trail).where(trail.c.id == which))
        assert await audit.first_break(connection) is not None or not await audit.contains(connection, head)
