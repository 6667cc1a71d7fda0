"""Counts of what became of runs, kept in the transaction that moves them, so that metrics equal the record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.run_row import Run
from remediator.ledger.schema import tally


async def count(connection: AsyncConnection, moved_run: Run, now: datetime) -> None:
    """Count a run that has ended, or was deferred."""
    key = {name: getattr(moved_run, name) for name in ("stack", "remediation", "target", "state", "reason")}
    acted = moved_run.finished_at is not None and moved_run.admitted_at is not None
    seconds = max((now - moved_run.admitted_at).total_seconds(), 0.0) if acted and moved_run.admitted_at else 0.0
    result = await connection.execute(
        update(tally)
        .where(*(tally.c[name] == value for name, value in key.items()))
        .values(runs=tally.c.runs + 1, acted=tally.c.acted + acted, seconds=tally.c.seconds + seconds, last_at=now)
    )
    if not result.rowcount:
        await connection.execute(insert(tally).values(**key, runs=1, acted=int(acted), seconds=seconds, last_at=now))


async def all_counts(connection: AsyncConnection) -> Sequence[Any]:
    """`(stack, remediation, target, state, reason, runs, acted, seconds, last_at)` of all that ever happened."""
    return (await connection.execute(select(tally).order_by(tally.c.id))).all()
