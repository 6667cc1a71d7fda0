"""Copies a SQLite ledger into an empty one in PostgreSQL, completely or not at all."""

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, LargeBinary, Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.audit_verify import AuditReport, verify_trail
from remediator.ledger.postgresql.migrate import open_migrated
from remediator.ledger.schema import metadata
from remediator.ledger.sqlite.store import SqliteLedger
from remediator.model.errors import LedgerUnavailable
from runbookd.addresses.postgres import PostgresAddress

PAGE_ROWS = 1_000
PAGE_BODIES = 50  # rows of a table with the bodies of deliveries, each up to a megabyte


@dataclass(frozen=True)
class Copied:
    """The copied rows, and the head of the audit trail, which both ledgers have."""

    rows: int
    audit_rows: int
    head: str


async def copy_ledger(source: SqliteLedger, target: PostgresAddress) -> Copied:
    """Copy every row in one transaction, and verify the audit trail before it commits.

    Raises:
        LedgerUnavailable: a remediator uses one of them, the target is not empty, or the trail is broken.
    """
    async with source.open(), open_migrated(target) as writer:
        original = await verify_trail(source.read)
        _require_intact(original, "of the source")
        await _require_empty(writer)
        rows = 0
        async with source.read() as reader:
            for table in metadata.sorted_tables:
                rows += await _copy_table(reader, writer, table)
        copied = await verify_trail(lambda: nullcontext(writer))
        _require_intact(copied, "of the copy")
        if (copied.head, copied.rows) != (original.head, original.rows):
            raise LedgerUnavailable(
                f"the copied audit trail ends with {copied.head}, not {original.head}; nothing was copied"
            )
        return Copied(rows, copied.rows, copied.head)


def _require_intact(report: AuditReport, which: str) -> None:
    if report.first_break is not None:
        raise LedgerUnavailable(
            f"the audit trail {which} is broken at row {report.first_break}: {report.why}; nothing was copied"
        )


async def _require_empty(connection: AsyncConnection) -> None:
    for table in metadata.sorted_tables:
        if (await connection.execute(select(func.count()).select_from(table))).scalar_one():
            raise LedgerUnavailable(
                f"the target has rows in the table {table.name}; copy into a ledger that was only migrated"
            )


async def _copy_table(reader: AsyncConnection, writer: AsyncConnection, table: Table) -> int:
    copied = 0
    async for rows in _pages(reader, table):
        await writer.execute(insert(table), rows)
        copied += len(rows)
    if copied and _has_sequence(table):
        last = select(func.max(table.c.id)).scalar_subquery()
        await writer.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), last)))
    return copied


async def _pages(reader: AsyncConnection, table: Table) -> AsyncIterator[Sequence[dict[str, Any]]]:
    """Yield the rows in the order of their key, page by page; tables without numbers are small."""
    size = PAGE_BODIES if any(isinstance(column.type, LargeBinary) for column in table.c) else PAGE_ROWS
    query = select(table).order_by(*table.primary_key.columns)
    next_query, copied = query, 0
    while rows := [dict(row._mapping) for row in await reader.execute(next_query.limit(size))]:
        yield rows
        copied += len(rows)
        next_query = query.where(table.c.id > rows[-1]["id"]) if _has_sequence(table) else query.offset(copied)


def _has_sequence(table: Table) -> bool:
    """Return whether the database numbers the rows."""
    return table.autoincrement_column is not None and isinstance(table.autoincrement_column.type, Integer)
