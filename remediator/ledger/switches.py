"""The switches that block later runs: pauses, breakers, storms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.runs import Run
from remediator.ledger.schema import LedgerRow, breaker, pause, storm
from remediator.model.clock import is_recent
from remediator.model.episode_key import EpisodeKey

# Built once: they are executed at each decision.
_BREAKER_OF = select(breaker.c.reason).where(
    breaker.c.stack == bindparam("of_stack"),
    breaker.c.remediation == bindparam("of_remediation"),
    breaker.c.target == bindparam("of_target"),
    breaker.c.closed_at.is_(None),
)
_PAUSE_OF = (
    select(pause.c.reason, pause.c.begun_by, pause.c.until)
    .where(
        pause.c.ended_at.is_(None),
        or_(pause.c.until.is_(None), pause.c.until > bindparam("now")),
        or_(pause.c.stack.is_(None), pause.c.stack == bindparam("of_stack")),
    )
    .limit(1)
)
_LAST_STORM = select(storm).order_by(storm.c.id.desc()).limit(1)


@dataclass(frozen=True)
class ActivePause:
    """A pause in force, of `stack` or of all stacks."""

    id: int
    stack: str | None
    reason: str
    begun_at: datetime
    begun_by: str
    until: datetime | None
    ended_at: datetime | None
    ended_by: str | None


@dataclass(frozen=True)
class OpenBreaker:
    """A breaker that an operator has to close; `run` opened it."""

    id: int
    stack: str
    remediation: str
    target: str
    opened_at: datetime
    run: int
    reason: str
    closed_at: datetime | None
    closed_by: str | None


async def pause_now(
    connection: AsyncConnection, now: datetime, actor: str, reason: str, stack: str | None, span: timedelta | None
) -> int:
    """Pause a stack, or all, until an operator resumes it or `span` has passed."""
    result = await connection.execute(
        insert(pause).values(
            stack=stack, reason=reason, begun_at=now, begun_by=actor, until=now + span if span is not None else None
        )
    )
    assert result.inserted_primary_key is not None  # noqa: S101 - an insert of one row always has one
    await audit.append(connection, now, "paused", actor=actor, detail={"stack": stack, "reason": reason})
    return int(result.inserted_primary_key[0])


async def resume(connection: AsyncConnection, now: datetime, actor: str, stack: str | None, reason: str = "") -> int:
    """End the pauses of `stack`, or all pauses if it is None; return their number."""
    conditions = [pause.c.ended_at.is_(None), or_(pause.c.until.is_(None), pause.c.until > now)]
    if stack is not None:
        conditions.append(pause.c.stack == stack)
    result = await connection.execute(update(pause).where(*conditions).values(ended_at=now, ended_by=actor))
    detail = {"stack": stack, "pauses": result.rowcount}
    await audit.append(connection, now, "resumed", actor=actor, detail=detail | ({"reason": reason} if reason else {}))
    return result.rowcount


async def stored_pause_reason(connection: AsyncConnection, now: datetime, stack: str) -> str | None:
    """Return why remediation of `stack` is paused, or None."""
    row = (await connection.execute(_PAUSE_OF, {"now": now, "of_stack": stack})).first()
    if row is None:
        return None
    until = f", until {row.until:%Y-%m-%d %H:%M} UTC" if row.until is not None else ""
    return f"{row.reason} (by {row.begun_by}{until})"


async def active_pauses(connection: AsyncConnection, now: datetime) -> Sequence[ActivePause]:
    """Return the pauses in force."""
    rows = await connection.execute(
        select(pause).where(pause.c.ended_at.is_(None), or_(pause.c.until.is_(None), pause.c.until > now))
    )
    return [ActivePause(**row._mapping) for row in rows]


async def open_breaker(connection: AsyncConnection, current: Run, reason: str, now: datetime) -> None:
    """Block this remediation on this target until an operator closes the breaker."""
    if await breaker_reason(connection, EpisodeKey(current.stack, current.remediation, current.target)) is not None:
        return
    await connection.execute(
        insert(breaker).values(
            stack=current.stack,
            remediation=current.remediation,
            target=current.target,
            opened_at=now,
            run=current.id,
            reason=reason,
        )
    )
    await audit.append(connection, now, "breaker_opened", run=current.id, detail={"reason": reason})


async def breaker_reason(connection: AsyncConnection, key: EpisodeKey) -> str | None:
    """Return why the breaker of `key` is open, or None."""
    names = {"of_stack": key.stack, "of_remediation": key.remediation, "of_target": key.target}
    rows = await connection.execute(_BREAKER_OF, names)
    return rows.scalar_one_or_none()


async def open_breakers(connection: AsyncConnection) -> Sequence[OpenBreaker]:
    """Return the open breakers, oldest first."""
    rows = await connection.execute(select(breaker).where(breaker.c.closed_at.is_(None)).order_by(breaker.c.id))
    return [OpenBreaker(**row._mapping) for row in rows]


async def close_breaker(connection: AsyncConnection, key: EpisodeKey, now: datetime, actor: str) -> bool:
    """Close the breaker of `key`; return False if none was open."""
    result = await connection.execute(
        update(breaker)
        .where(
            breaker.c.stack == key.stack,
            breaker.c.remediation == key.remediation,
            breaker.c.target == key.target,
            breaker.c.closed_at.is_(None),
        )
        .values(closed_at=now, closed_by=actor)
    )
    if result.rowcount:
        detail = {"stack": key.stack, "remediation": key.remediation, "target": key.target}
        await audit.append(connection, now, "breaker_closed", actor=actor, detail=detail)
    return bool(result.rowcount)


async def last_closed_at(connection: AsyncConnection, key: EpisodeKey) -> datetime | None:
    """Return when an operator last closed the breaker of `key`, or None."""
    newest = await connection.execute(
        select(breaker.c.closed_at)
        .where(
            breaker.c.stack == key.stack,
            breaker.c.remediation == key.remediation,
            breaker.c.target == key.target,
            breaker.c.closed_at.is_not(None),
        )
        .order_by(breaker.c.closed_at.desc())
        .limit(1)
    )
    return newest.scalar_one_or_none()


async def note_storm(
    connection: AsyncConnection, now: datetime, detail: str, continues_within: timedelta = timedelta()
) -> None:
    """Record a storm. If one was seen within `continues_within`, it goes on: it stays one row and one cause."""
    last = await _last_storm_row(connection)
    if last is not None and is_recent(last.seen_at, continues_within, now):
        await connection.execute(update(storm).where(storm.c.id == last.id).values(seen_at=now, detail=detail))
    else:
        await connection.execute(insert(storm).values(seen_at=now, detail=detail))


async def last_storm(connection: AsyncConnection) -> datetime | None:
    """Return when the last storm was seen, or None."""
    last = await _last_storm_row(connection)
    return last.seen_at if last is not None else None


async def last_storm_id(connection: AsyncConnection) -> int | None:
    """Return the number of the last storm, or None."""
    last = await _last_storm_row(connection)
    return last.id if last is not None else None


async def _last_storm_row(connection: AsyncConnection) -> LedgerRow | None:
    return (await connection.execute(_LAST_STORM)).first()
