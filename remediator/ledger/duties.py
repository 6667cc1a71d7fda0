"""The duties: when each was first seen, and when it was done."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.schema import Instant, duty, duty_done, tally
from remediator.model.run_state import RunState

_FIRST_SIGHTS = select(duty)  # built once: it is executed with each check of the calendar
Key = tuple[str, str]
"""A stack, and a duty or a remediation of it."""


@dataclass(frozen=True)
class Completion:
    """A duty that was done; `note` is the remark of the operator who recorded it."""

    at: datetime
    recorded_by: str
    note: str = ""


async def first_sights(connection: AsyncConnection) -> dict[Key, datetime]:
    """Return when each duty was first seen in the inventory."""
    return {(row.stack, row.duty): row.first_seen_at for row in await connection.execute(_FIRST_SIGHTS)}


async def note_sight(connection: AsyncConnection, keys: Iterable[Key], now: datetime) -> None:
    """Record that these duties are seen for the first time."""
    for stack, name in keys:
        await connection.execute(insert(duty).values(stack=stack, duty=name, first_seen_at=now))


async def record(connection: AsyncConnection, stack: str, name: str, completion: Completion, now: datetime) -> None:
    """Record that a duty was done."""
    values = {"at": completion.at, "recorded_by": completion.recorded_by, "note": completion.note}
    await connection.execute(insert(duty_done).values(stack=stack, duty=name, recorded_at=now, **values))
    detail = {"stack": stack, "duty": name, "at": completion.at.isoformat(), "note": completion.note}
    await audit.append(connection, now, "duty_done", actor=completion.recorded_by, detail=detail)


async def newest_completions(connection: AsyncConnection) -> dict[Key, Completion]:
    """Return the last completion of each duty by its own time, not that of its record."""
    newest = select(duty_done.c.stack, duty_done.c.duty, func.max(duty_done.c.at).label("at"))
    last = newest.group_by(duty_done.c.stack, duty_done.c.duty).subquery()
    is_last = (duty_done.c.stack == last.c.stack) & (duty_done.c.duty == last.c.duty) & (duty_done.c.at == last.c.at)
    rows = await connection.execute(select(duty_done).join(last, is_last).order_by(duty_done.c.id))
    return {(row.stack, row.duty): Completion(row.at, row.recorded_by, row.note) for row in rows}


async def newest_successes(connection: AsyncConnection) -> dict[Key, datetime]:
    """Return when a run of each remediation of each stack last succeeded."""
    last_at = func.max(tally.c.last_at, type_=Instant()).label("last_at")
    query = select(tally.c.stack, tally.c.remediation, last_at).where(tally.c.state == RunState.SUCCEEDED)
    rows = await connection.execute(query.group_by(tally.c.stack, tally.c.remediation))
    return {(row.stack, row.remediation): row.last_at for row in rows}
