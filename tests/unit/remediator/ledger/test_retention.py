"""Retention deletes expired rows and keeps needed ones, and the rest of the trail can still be verified."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit, audit_verify, retention, run_counts, switches
from remediator.ledger.audit_verify import verify_trail
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import delivery, episode, item, resolution, run, storm
from remediator.server import metrics
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness

LONG = timedelta(days=401)


async def count(bench: EngineHarness, table: Any) -> int:
    async with bench.context.ledger.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def forget(bench: EngineHarness) -> None:
    while await retention.delete_expired(bench.context.ledger, bench.clock.now()):
        pass


async def one_run(bench: EngineHarness, starts: str) -> None:
    bench.shelf.fill("a")
    await bench.deliver(starts=starts)
    await bench.work()
    await bench.deliver(status="resolved", starts=starts)
    await bench.work()


async def make_old_ledger(bench: EngineHarness) -> None:
    await one_run(bench, "2026-03-01T11:59:00Z")
    bench.clock.advance(days=401)
    await one_run(bench, "2027-04-06T11:59:00Z")


async def test_processed_deliveries_are_deleted_after_a_month(bench: EngineHarness) -> None:
    await bench.deliver()
    await bench.work()
    await bench.deliver()
    bench.clock.advance(days=31)
    await forget(bench)
    assert await count(bench, delivery) == 1


async def test_old_runs_and_episodes_are_deleted_and_counters_stay(bench: EngineHarness) -> None:
    await make_old_ledger(bench)
    await forget(bench)
    assert [await count(bench, table) for table in (run, item, episode)] == [1, 1, 1]
    assert await count(bench, resolution) == 1
    families = {family.name: family for family in (await metrics.collect(bench.context)).collect()}
    assert [sample.value for sample in families["remediation_runs"].samples if sample.value] == [2]


async def test_counts_of_targets_without_recent_runs_are_added_up(bench: EngineHarness) -> None:
    """Queues come and go, and no counter may fall."""
    for target in ("main", "spare"):
        await bench.deliver(target=target, fingerprint=target)
        await bench.work()
    bench.clock.advance(days=401)
    await forget(bench)
    async with bench.context.ledger.read() as connection:
        (folded,) = await run_counts.all_counts(connection)
    assert (folded.target, folded.runs) == ("(unknown)", 2)
    families = {family.name: family for family in (await metrics.collect(bench.context)).collect()}
    assert [sample.value for sample in families["remediation_runs"].samples if sample.value] == [2]
    assert families["remediation_last_run_timestamp_seconds"].samples == []


async def test_run_that_opened_an_open_breaker_stays(bench: EngineHarness) -> None:
    bench.shelf.refill = True
    await one_run(bench, "2026-03-01T11:59:00Z")
    assert (await bench.last_run()).state == "ineffective"
    bench.clock.advance(days=401)
    await forget(bench)
    assert await count(bench, run) == 1


async def test_last_storm_stays_for_its_cooldown(bench: EngineHarness) -> None:
    for days in (0, 1, 300):
        bench.clock.advance(days=days)
        async with bench.context.ledger.write() as connection:
            await switches.note_storm(connection, bench.clock.now(), "a storm")
        await forget(bench)
    bench.clock.advance(days=20)
    await forget(bench)
    async with bench.context.ledger.read() as connection:
        assert await switches.last_storm(connection) == bench.clock.now() - timedelta(days=20)
    assert await count(bench, storm) == 1


async def test_trail_is_cut_at_its_beginning_and_the_rest_is_verified(bench: EngineHarness) -> None:
    """Invariant 21, over retention."""
    await make_old_ledger(bench)
    async with bench.context.ledger.read() as connection:
        last_old = (
            await connection.execute(select(trail.c.hash).where(trail.c.at < bench.clock.now() - LONG / 2))
        ).all()
        head = await audit.head(connection)
    before = await count(bench, trail)
    await forget(bench)
    async with bench.context.ledger.read() as connection:
        assert await first_break(connection) is None
        assert await audit.contains(connection, head), "a recent head is still known"
        assert await audit.contains(connection, last_old[-1].hash), "the last deleted row is known"
        assert not await audit.contains(connection, last_old[0].hash)
    assert await count(bench, trail) == before - len(last_old) + 1


@pytest.mark.parametrize("place", ["first", "middle", "last"])
async def test_changed_or_removed_row_is_detected(bench: EngineHarness, place: str) -> None:
    await make_old_ledger(bench)
    await forget(bench)
    bench.clock.advance(minutes=10)
    await one_run(bench, bench.clock.now().isoformat())  # so that the last row is not that of the cut
    async with bench.context.ledger.read() as connection:
        ids = [row.id for row in await connection.execute(select(trail.c.id).order_by(trail.c.id))]
        head = await audit.head(connection)
    which = {"first": ids[0], "middle": ids[len(ids) // 2], "last": ids[-1]}[place]
    async with bench.context.ledger.write() as connection:
        await connection.execute(update(trail).where(trail.c.id == which).values(actor="somebody else"))
        assert await first_break(connection) == which
    async with bench.context.ledger.write() as connection:
        await connection.execute(delete(trail).where(trail.c.id == which))
        assert await first_break(connection) is not None or not await audit.contains(connection, head)


async def trail_of(bench: EngineHarness) -> list[Any]:
    async with bench.context.ledger.read() as connection:
        return list((await connection.execute(select(trail).order_by(trail.c.id))).all())


def forged_row(before: str, row: Any, **changed: Any) -> dict[str, Any]:
    """Forge a row that follows, as an attacker with write access to the ledger would."""
    content = {**row._mapping, **changed}
    parts = (content[name] for name in ("at", "run", "event", "actor", "detail"))
    return {**content, "hash": audit.hash_row(before, *parts)}


async def change_row(bench: EngineHarness, rows: list[Any]) -> None:
    await put(bench, [{**rows[3]._mapping, "detail": {"reason": "nothing happened"}}])


async def remove_row(bench: EngineHarness, rows: list[Any]) -> None:
    async with bench.context.ledger.write() as connection:
        await connection.execute(delete(trail).where(trail.c.id == rows[3].id))


async def insert_row(bench: EngineHarness, rows: list[Any]) -> None:
    forged = forged_row(rows[2].hash, rows[3], actor="somebody")
    await put(bench, [forged, *({**row._mapping, "id": row.id + 1} for row in rows[3:])])


async def swap_rows(bench: EngineHarness, rows: list[Any]) -> None:
    await put(bench, [{**rows[4]._mapping, "id": rows[3].id}, {**rows[3]._mapping, "id": rows[4].id}])


async def cut_beginning(bench: EngineHarness, rows: list[Any]) -> None:
    async with bench.context.ledger.write() as connection:
        await connection.execute(delete(trail).where(trail.c.id <= rows[2].id))


async def forge_cut(bench: EngineHarness, rows: list[Any]) -> None:
    """Record a cut that names another row than the last deleted one."""
    await cut_beginning(bench, rows)
    detail = {"through": rows[1].id, "hash": rows[1].hash}
    last = forged_row(rows[-1].hash, rows[-1], id=rows[-1].id + 1, event=audit.CUT, detail=detail)
    await put(bench, [last])


async def put(bench: EngineHarness, rows: list[dict[str, Any]]) -> None:
    async with bench.context.ledger.write() as connection:
        await connection.execute(delete(trail).where(trail.c.id.in_([row["id"] for row in rows])))
        await connection.execute(insert(trail), rows)


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (change_row, "row 4 was changed or moved"),
        (remove_row, "rows were removed between row 3 and row 5"),
        (insert_row, "row 4 was inserted"),
        (swap_rows, "row 4 was inserted or moved"),
        (cut_beginning, "row 4 is the first, but does not follow the last row deleted"),
        (forge_cut, "row 4 is the first, but does not follow the last row deleted"),
    ],
)
async def test_tampering_is_reported_with_its_row(bench: EngineHarness, tamper: Any, why: str) -> None:
    await one_run(bench, "2026-03-01T11:59:00Z")
    await tamper(bench, await trail_of(bench))
    assert (await verify_trail(bench.context.ledger.read)).why.startswith(why)


async def test_rewritten_or_truncated_trail_lacks_the_recorded_head(bench: EngineHarness) -> None:
    await one_run(bench, "2026-03-01T11:59:00Z")
    rows = await trail_of(bench)
    head, forged = rows[-1].hash, [forged_row(rows[2].hash, rows[3], actor="somebody")]
    for row in rows[4:]:
        forged.append(forged_row(forged[-1]["hash"], row))
    await put(bench, forged)
    assert (await verify_trail(bench.context.ledger.read)).first_break is None
    async with bench.context.ledger.read() as connection:
        assert not await audit.contains(connection, head)
    await put(bench, [dict(row._mapping) for row in rows])
    async with bench.context.ledger.write() as connection:
        assert await audit.contains(connection, head)
        await connection.execute(delete(trail).where(trail.c.id == rows[-1].id))
        assert not await audit.contains(connection, head)


async def test_retention_during_verification_is_not_a_break(
    bench: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_verify, "PAGE_SIZE", 3)
    await make_old_ledger(bench)
    reads = 0

    @asynccontextmanager
    async def read() -> AsyncIterator[AsyncConnection]:
        nonlocal reads
        reads += 1
        if reads == 2:
            await forget(bench)
        async with bench.context.ledger.read() as connection:
            yield connection

    assert (await verify_trail(read)).first_break is None
    assert reads > 3


async def test_writers_take_turns_between_the_steps_of_retention(bench: EngineHarness) -> None:
    """In a large ledger the step of one table takes 0.1 s."""
    forgetting = asyncio.create_task(retention.delete_expired(bench.context.ledger, bench.clock.now()))
    turns = 0
    while not forgetting.done():
        async with bench.context.ledger.write():
            turns += 1
    assert turns > 3
    assert await forgetting is False


@pytest.mark.parametrize("column", ["at", "run", "event", "actor", "detail"])
async def test_change_of_any_column_is_detected(bench: EngineHarness, column: str) -> None:
    """Invariant 21."""
    await one_run(bench, "2026-03-01T11:59:00Z")
    content = {"at": bench.clock.now(), "run": 7, "event": "rejected", "actor": "somebody", "detail": {"items": [7]}}
    async with bench.context.ledger.write() as connection:
        intended = select(trail.c.id).where(trail.c.event == "intended").scalar_subquery()
        await connection.execute(update(trail).where(trail.c.id == intended).values({column: content[column]}))
    async with bench.context.ledger.read() as connection:
        broken = await first_break(connection)
        rows = await connection.execute(select(trail.c.event).where(trail.c.id == broken))
    assert rows.scalar_one_or_none() == ("rejected" if column == "event" else "intended")


async def test_clock_set_back_makes_no_hole_in_the_trail(bench: EngineHarness) -> None:
    """Invariant 21: a recent row stays, and with it all later rows, at any age."""
    await make_old_ledger(bench)
    bench.clock.advance(days=-401)
    await bench.deliver(fingerprint="again", starts="2026-03-02T11:59:00Z")
    await bench.work()
    bench.clock.advance(days=401)
    young = trail.c.at >= bench.clock.now() - retention.RECORD_RETENTION
    counted = select(func.count()).select_from(trail).where(young)
    async with bench.context.ledger.read() as connection:
        before = (await connection.execute(counted)).scalar_one()
    await forget(bench)
    async with bench.context.ledger.read() as connection:
        assert (await connection.execute(counted)).scalar_one() == before + 1, "and the cut itself"
        assert await first_break(connection) is None


async def test_clock_that_is_ahead_at_the_start_deletes_nothing(bench: EngineHarness) -> None:
    await one_run(bench, "2026-03-01T11:59:00Z")
    await bench.cut_power()
    bench.clock.advance(days=401)
    await bench.engine.tick()
    bench.clock.advance(days=-401)
    assert len(await bench.runs()) == 1
