"""A copy of a ledger: the rows by which it is judged."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.audit_verify import AuditReport, ReadTransaction, verify_trail
from remediator.ledger.postgresql.connection import create_engine
from remediator.ledger.schema import audit, delivery, item, run
from runbookd.addresses.postgres import read_postgres_address

PROCESSED_WITHIN_SECONDS = 20


@dataclass(frozen=True)
class RunCopy:
    """A run, and when the ledger says that it was admitted."""

    id: int
    stack: str
    remediation: str
    target: str
    state: str
    found: int | None
    admitted_at: datetime | None


@dataclass(frozen=True)
class ItemCopy:
    """An item of a run; it was touched if it was intended and not found untouched."""

    run: int
    position: int
    identity: Mapping[str, Any]
    state: str
    intended_at: datetime | None

    @property
    def key(self) -> tuple[int, int, datetime | None]:
        """The same in two copies of one ledger: an item is intended at most once."""
        return self.run, self.position, self.intended_at


@dataclass(frozen=True)
class TrailRow:
    """A row of the audit trail."""

    id: int
    event: str
    run: int | None
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True)
class LedgerCopy:
    """A ledger: its deliveries by the hash of their bodies, runs, items, the trail and its proof.

    `unprocessed` deliveries were accepted long before the newest one, and no episode knows of them yet.
    """

    deliveries: Counter[str]
    unprocessed: int
    runs: Sequence[RunCopy]
    items: Sequence[ItemCopy]
    trail: Sequence[TrailRow]
    proof: AuditReport


async def read_ledger(dsn: str) -> LedgerCopy:
    """Read the ledger in a PostgreSQL database."""
    engine = create_engine(read_postgres_address(dsn), answer_seconds=None)

    @asynccontextmanager
    async def read() -> AsyncIterator[AsyncConnection]:
        async with engine.connect() as connection:
            yield connection

    try:
        return await copy_ledger(read)
    finally:
        await engine.dispose()


async def copy_ledger(read: ReadTransaction) -> LedgerCopy:
    """Read a ledger of any kind; nobody may write it meanwhile."""
    async with read() as connection:
        deliveries = Counter([hashlib.sha256(row.body).hexdigest() for row in await connection.execute(_BODIES)])
        unprocessed = int((await connection.execute(_UNPROCESSED)).scalar_one())
        runs = [RunCopy(*row) for row in await connection.execute(_RUNS)]
        items = [ItemCopy(*row) for row in await connection.execute(_ITEMS)]
        trail = [TrailRow(*row) for row in await connection.execute(_TRAIL)]
    return LedgerCopy(deliveries, unprocessed, runs, items, trail, await verify_trail(read))


_BODIES = select(delivery.c.body)
_NEWEST = select(func.max(type_coerce(delivery.c.received_at, BigInteger))).scalar_subquery()
_UNPROCESSED = (
    select(func.count())
    .select_from(delivery)
    .where(
        delivery.c.processed_at.is_(None),
        type_coerce(delivery.c.received_at, BigInteger) < _NEWEST - PROCESSED_WITHIN_SECONDS * 1_000_000,
    )
)
_RUNS = select(
    run.c.id, run.c.stack, run.c.remediation, run.c.target, run.c.state, run.c.found, run.c.admitted_at
).order_by(run.c.id)
_ITEMS = select(item.c.run, item.c.position, item.c.identity, item.c.state, item.c.intended_at).order_by(
    item.c.run, item.c.position
)
_TRAIL = select(audit.c.id, audit.c.event, audit.c.run, audit.c.detail, audit.c.hash).order_by(audit.c.id)
