"""Deploys, as a release tool or an operator reports them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger import audit
from remediator.ledger.schema import deploy

KEPT_FOR = timedelta(days=400)


@dataclass(frozen=True)
class Deploy:
    """A deploy of a stack; `version` is empty if it was not reported."""

    id: int
    stack: str
    version: str
    begun_at: datetime
    begun_by: str
    done_at: datetime | None


async def begin(connection: AsyncConnection, now: datetime, actor: str, stack: str, version: str) -> None:
    """Record that a deploy begins, and delete those that are old."""
    await connection.execute(delete(deploy).where(deploy.c.begun_at < now - KEPT_FOR))
    await connection.execute(insert(deploy).values(stack=stack, version=version, begun_at=now, begun_by=actor))
    detail = {"stack": stack, "version": version}
    await audit.append(connection, now, "deploy_started", actor=actor, detail=detail)


async def end(connection: AsyncConnection, now: datetime, actor: str, stack: str, version: str) -> None:
    """Record that the newest deploy of `stack` is done; without one, it began now."""
    newest = (await newest_by_stack(connection)).get(stack)
    if newest is None or newest.done_at is not None or (version and newest.version != version):
        await begin(connection, now, actor, stack, version)
        newest = (await newest_by_stack(connection))[stack]
    await connection.execute(update(deploy).where(deploy.c.id == newest.id).values(done_at=now))
    detail = {"stack": stack, "version": newest.version}
    await audit.append(connection, now, "deploy_done", actor=actor, detail=detail)


async def newest_by_stack(connection: AsyncConnection) -> dict[str, Deploy]:
    """Return the newest deploy of each stack."""
    newest = select(func.max(deploy.c.id)).group_by(deploy.c.stack)
    rows: Sequence[Deploy] = [
        Deploy(**row._mapping) for row in await connection.execute(select(deploy).where(deploy.c.id.in_(newest)))
    ]
    return {row.stack: row for row in rows}
