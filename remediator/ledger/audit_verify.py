"""Verifies the audit trail: every row follows from the row before it.

It reads the trail in pages, each in its own transaction, so that a long trail blocks neither writers, nor checkpoints,
nor the event loop. It also verifies rows appended during the reading; rows that retention deletes in that time are not
a break.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.audit import GENESIS, hash_row, trail_start
from remediator.ledger.schema import audit, from_microseconds

PAGE_SIZE = 2_000  # rows per transaction
YIELD_EVERY_ROWS = 200  # the event loop waits while these are verified
ReadTransaction = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
_ROWS = text(
    "SELECT id, at, run, event, actor, CAST(detail AS TEXT) AS detail, hash FROM audit"
    " WHERE id > :last_id ORDER BY id LIMIT :size"
)


class AuditRow(NamedTuple):
    """A row of the table, as stored."""

    id: int
    at: int
    run: int | None
    event: str
    actor: str
    detail: str
    hash: str

    def follows(self, previous_hash: str) -> bool:
        """Return whether the row's hash covers its content and `previous_hash`."""
        try:
            detail: Mapping[str, Any] = json.loads(self.detail)
            return self.hash == hash_row(
                previous_hash, from_microseconds(self.at), self.run, self.event, self.actor, detail
            )
        except (ValueError, TypeError, OverflowError):  # the remediator never writes such content
            return False


@dataclass(frozen=True)
class AuditReport:
    """The verified part of the trail: `rows` up to `head`.

    `why` describes the break at the row `first_break`.
    """

    head: str
    rows: int
    begins_at: datetime | None
    first_break: int | None = None
    why: str = ""


async def verify_trail(read: ReadTransaction) -> AuditReport:
    """Verify the trail, oldest first, up to the first row that does not follow."""
    earlier_hash, previous_hash, last_id, rows, begins_at = GENESIS, GENESIS, 0, 0, None
    while True:
        async with read() as connection:
            page = await _read_page(connection, last_id)
            if page and await _is_first_row(connection, page[0]):
                previous_hash, last_id = await trail_start(connection), page[0].id - 1
                begins_at = from_microseconds(page[0].at)
        if not page:
            return AuditReport(previous_hash, rows, begins_at)
        for index, row in enumerate(page):
            if not row.follows(previous_hash):
                break_description = _describe_break(
                    (earlier_hash, previous_hash), last_id, row, page[index + 1 : index + 2], first=rows == 0
                )
                return AuditReport(previous_hash, rows, begins_at, row.id, break_description)
            earlier_hash, previous_hash, last_id, rows = previous_hash, row.hash, row.id, rows + 1
            if index % YIELD_EVERY_ROWS == 0:
                await asyncio.sleep(0)


async def _read_page(connection: AsyncConnection, last_id: int) -> Sequence[AuditRow]:
    """Read a page without SQLAlchemy's column types, which would take half of the time."""
    return [AuditRow._make(row) for row in await connection.execute(_ROWS, {"last_id": last_id, "size": PAGE_SIZE})]


async def _is_first_row(connection: AsyncConnection, row: AuditRow) -> bool:
    return bool(row.id == (await connection.execute(select(func.min(audit.c.id)))).scalar_one())


def _describe_break(
    previous_hashes: tuple[str, str], last_id: int, row: AuditRow, next_rows: Sequence[AuditRow], *, first: bool
) -> str:
    """Infer the damage from the rows around the break and the two hashes before it."""
    if first:
        return (
            f"row {row.id} is the first, but does not follow the last row deleted by retention: it was changed, or rows"
            " were removed"
        )
    if row.id != last_id + 1:
        return f"rows were removed between row {last_id} and row {row.id}"
    if row.follows(previous_hashes[0]):
        return f"row {last_id} was inserted"
    if next_rows and next_rows[0].follows(previous_hashes[1]):
        return f"row {row.id} was inserted or moved"
    return f"row {row.id} was changed or moved"
