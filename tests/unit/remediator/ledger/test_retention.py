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
from remediator.ledger.protocol import RECORD_RETENTION
from remediator.ledger.schema import audit as trail
from remediator.ledger.schema import delivery, episode, item, resolution, run, storm
from remediator.server import metrics
from tests.ledgers import tampering
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness

LONG = timedelta(days=401)


async def count(harness: EngineHarness, table: Any) -> int:
    async with harness.context.ledger.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def forget(harness: EngineHarness) -> None:
    while await retention.delete_expired(harness.context.ledger, harness.clock.now()):
        pass


async def one_run(harness: EngineHarness, starts: str) -> None:
    harness.files.fill("a")
    await harness.deliver(starts=starts)
    await harness.work()
    await harness.deliver(status="resolved", starts=starts)
    await harness.work()


async def make_old_ledger(harness: EngineHarness) -> None:
    await one_run(harness, "2026-03-01T11:59:00Z")
    harness.clock.advance(days=401)
    await one_run(harness, "2027-04-06T11:59:00Z")


async def test_processed_deliveries_are_deleted_after_a_month(harness: EngineHarness) -> None:
    await harness.deliver()
    await harness.work()
    await harness.deliver()
    harness.clock.advance(days=31)
    await forget(harness)
    assert await count(harness, delivery) == 1


async def test_old_runs_and_episodes_are_deleted_and_counters_stay(harness: EngineHarness) -> None:
    await make_old_ledger(harness)
    await forget(harness)
    assert [await count(harness, table) for table in (run, item, episode)] == [1, 1, 1]
    assert await count(harness, resolution) == 1
    families = {family.name: family for family in (await metrics.collect(harness.context)).collect()}
    assert [sample.value for sample in families["remediation_runs"].samples if sample.value] == [2]


async def test_counts_of_targets_without_recent_runs_are_added_up(harness: EngineHarness) -> None:
    """Queues come and go, and no counter may fall."""
    for target in ("main", "spare"):
        await harness.deliver(target=target, fingerprint=target)
        await harness.work()
    harness.clock.advance(days=401)
    await forget(harness)
    async with harness.context.ledger.read() as connection:
        (folded,) = await run_counts.all_counts(connection)
    assert (folded.target, folded.runs) == ("(unknown)", 2)
    families = {family.name: family for family in (await metrics.collect(harness.context)).collect()}
    assert [sample.value for sample in families["remediation_runs"].samples if sample.value] == [2]
    assert families["remediation_last_run_timestamp_seconds"].samples == []


async def test_run_that_opened_an_open_breaker_stays(harness: EngineHarness) -> None:
    harness.files.refill = True
    await one_run(harness, "2026-03-01T11:59:00Z")
    assert (await harness.last_run()).state == "ineffective"
    harness.clock.advance(days=401)
    await forget(harness)
    assert await count(harness, run) == 1


async def test_last_storm_stays_for_its_cooldown(harness: EngineHarness) -> None:
    for days in (0, 1, 402):
        harness.clock.advance(days=days)
        async with harness.context.ledger.write() as connection:
            await switches.note_storm(connection, harness.clock.now(), "a storm")
        await forget(harness)
    harness.clock.advance(days=402)
    await forget(harness)
    async with harness.context.ledger.read() as connection:
        assert await switches.last_storm(connection) == harness.clock.now() - timedelta(days=402)
    assert await count(harness, storm) == 1


async def test_trail_is_cut_at_its_beginning_and_the_rest_is_verified(harness: EngineHarness) -> None:
    """Invariant 21, over retention."""
    await make_old_ledger(harness)
    async with harness.context.ledger.read() as connection:
        last_old = (
            await connection.execute(select(trail.c.hash).where(trail.c.at < harness.clock.now() - LONG / 2))
        ).all()
        head = await audit.head(connection)
    before = await count(harness, trail)
    await forget(harness)
    async with harness.context.ledger.read() as connection:
        assert await first_break(connection) is None
        assert await audit.contains(connection, head), "a recent head is still known"
        assert await audit.contains(connection, last_old[-1].hash), "the last deleted row is known"
        assert not await audit.contains(connection, last_old[0].hash)
    assert await count(harness, trail) == before - len(last_old) + 1


@pytest.mark.parametrize("place", ["first", "middle", "last"])
async def test_changed_or_removed_row_is_detected(harness: EngineHarness, place: str) -> None:
    await make_old_ledger(harness)
    await forget(harness)
    harness.clock.advance(minutes=10)
    await one_run(harness, harness.clock.now().isoformat())  # so that the last row is not that of the cut
    async with harness.context.ledger.read() as connection:
        ids = [row.id for row in await connection.execute(select(trail.c.id).order_by(trail.c.id))]
        head = await audit.head(connection)
    which = {"first": ids[0], "middle": ids[len(ids) // 2], "last": ids[-1]}[place]
    async with tampering(harness.context.ledger) as connection:
        await connection.execute(update(trail).where(trail.c.id == which).values(actor="somebody else"))
        assert await first_break(connection) == which
    async with tampering(harness.context.ledger) as connection:
        await connection.execute(delete(trail).where(trail.c.id == which))
        assert await first_break(connection) is not None or not await audit.contains(connection, head)


async def trail_of(harness: EngineHarness) -> list[Any]:
    async with harness.context.ledger.read() as connection:
        return list((await connection.execute(select(trail).order_by(trail.c.id))).all())


def forged_row(before: str, row: Any, **changed: Any) -> dict[str, Any]:
    """Forge a row that follows, as an attacker with write access to the ledger would."""
    content = {**row._mapping, **changed}
    parts = (content[name] for name in ("at", "run", "event", "actor", "detail"))
    return {**content, "hash": audit.hash_row(before, *parts)}


async def change_row(harness: EngineHarness, rows: list[Any]) -> None:
    await put(harness, [{**rows[3]._mapping, "detail": {"reason": "nothing happened"}}])


async def remove_row(harness: EngineHarness, rows: list[Any]) -> None:
    async with tampering(harness.context.ledger) as connection:
        await connection.execute(delete(trail).where(trail.c.id == rows[3].id))


async def insert_row(harness: EngineHarness, rows: list[Any]) -> None:
    forged = forged_row(rows[2].hash, rows[3], actor="somebody")
    await put(harness, [forged, *({**row._mapping, "id": row.id + 1} for row in rows[3:])])


async def swap_rows(harness: EngineHarness, rows: list[Any]) -> None:
    await put(harness, [{**rows[4]._mapping, "id": rows[3].id}, {**rows[3]._mapping, "id": rows[4].id}])


async def cut_beginning(harness: EngineHarness, rows: list[Any]) -> None:
    async with tampering(harness.context.ledger) as connection:
        await connection.execute(delete(trail).where(trail.c.id <= rows[2].id))


async def forge_cut(harness: EngineHarness, rows: list[Any]) -> None:
    """Record a cut that names another row than the last deleted one."""
    await cut_beginning(harness, rows)
    detail = {"through": rows[1].id, "hash": rows[1].hash}
    last = forged_row(rows[-1].hash, rows[-1], id=rows[-1].id + 1, event=audit.CUT, detail=detail)
    await put(harness, [last])


async def put(harness: EngineHarness, rows: list[dict[str, Any]]) -> None:
    async with tampering(harness.context.ledger) as connection:
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
async def test_tampering_is_reported_with_its_row(harness: EngineHarness, tamper: Any, why: str) -> None:
    await one_run(harness, "2026-03-01T11:59:00Z")
    await tamper(harness, await trail_of(harness))
    assert (await verify_trail(harness.context.ledger.read)).why.startswith(why)


async def test_rewritten_or_truncated_trail_lacks_the_recorded_head(harness: EngineHarness) -> None:
    await one_run(harness, "2026-03-01T11:59:00Z")
    rows = await trail_of(harness)
    head, forged = rows[-1].hash, [forged_row(rows[2].hash, rows[3], actor="somebody")]
    for row in rows[4:]:
        forged.append(forged_row(forged[-1]["hash"], row))
    await put(harness, forged)
    assert (await verify_trail(harness.context.ledger.read)).first_break is None
    async with harness.context.ledger.read() as connection:
        assert not await audit.contains(connection, head)
    await put(harness, [dict(row._mapping) for row in rows])
    async with tampering(harness.context.ledger) as connection:
        assert await audit.contains(connection, head)
        await connection.execute(delete(trail).where(trail.c.id == rows[-1].id))
        assert not await audit.contains(connection, head)


async def test_retention_during_verification_is_not_a_break(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_verify, "PAGE_SIZE", 3)
    await make_old_ledger(harness)
    reads = 0

    @asynccontextmanager
    async def read() -> AsyncIterator[AsyncConnection]:
        nonlocal reads
        reads += 1
        if reads == 2:
            await forget(harness)
        async with harness.context.ledger.read() as connection:
            yield connection

    assert (await verify_trail(read)).first_break is None
    assert reads > 3


async def test_writers_take_turns_between_the_steps_of_retention(harness: EngineHarness) -> None:
    """In a large ledger the step of one table takes 0.1 s."""
    forgetting = asyncio.create_task(retention.delete_expired(harness.context.ledger, harness.clock.now()))
    turns = 0
    while not forgetting.done():
        async with harness.context.ledger.write():
            turns += 1
    assert turns > 3
    assert await forgetting is False


@pytest.mark.parametrize("column", ["at", "run", "event", "actor", "detail"])
async def test_change_of_any_column_is_detected(harness: EngineHarness, column: str) -> None:
    """Invariant 21."""
    await one_run(harness, "2026-03-01T11:59:00Z")
    content = {"at": harness.clock.now(), "run": 7, "event": "rejected", "actor": "somebody", "detail": {"items": [7]}}
    async with tampering(harness.context.ledger) as connection:
        intended = select(trail.c.id).where(trail.c.event == "intended").scalar_subquery()
        await connection.execute(update(trail).where(trail.c.id == intended).values({column: content[column]}))
    async with harness.context.ledger.read() as connection:
        broken = await first_break(connection)
        rows = await connection.execute(select(trail.c.event).where(trail.c.id == broken))
    assert rows.scalar_one_or_none() == ("rejected" if column == "event" else "intended")


async def test_clock_set_back_makes_no_hole_in_the_trail(harness: EngineHarness) -> None:
    """Invariant 21: a recent row stays, and with it all later rows, at any age."""
    await make_old_ledger(harness)
    harness.clock.advance(days=-401)
    await harness.deliver(fingerprint="again", starts="2026-03-02T11:59:00Z")
    await harness.work()
    harness.clock.advance(days=401)
    young = trail.c.at >= harness.clock.now() - RECORD_RETENTION
    counted = select(func.count()).select_from(trail).where(young)
    async with harness.context.ledger.read() as connection:
        before = (await connection.execute(counted)).scalar_one()
    await forget(harness)
    async with harness.context.ledger.read() as connection:
        assert (await connection.execute(counted)).scalar_one() == before + 1, "and the cut itself"
        assert await first_break(connection) is None


async def test_clock_that_is_ahead_at_the_start_deletes_nothing(harness: EngineHarness) -> None:
    await one_run(harness, "2026-03-01T11:59:00Z")
    await harness.cut_power()
    harness.clock.advance(days=401)
    await harness.engine.tick()
    harness.clock.advance(days=-401)
    assert len(await harness.runs()) == 1
