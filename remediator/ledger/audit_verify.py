"""Proves the audit trail: every row follows from the one before it.

The trail is read a page at a time, each in a transaction of its own, so that a long one holds up nobody: neither the
writers nor the database's tidying up, nor the event loop. What is added meanwhile is proved as well, and what retention
cuts off meanwhile is no break.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.audit import GENESIS, before_the_first, link_of
from remediator.ledger.schema import audit, moment_of

PAGE = 2_000  # rows of one transaction
TURN = 200  # rows; as long as these take, the event loop waits
Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
_ROWS = "SELECT id, at, run, event, actor, detail, hash FROM audit WHERE id > ? ORDER BY id LIMIT ?"


class Row(NamedTuple):
    """A row as it stands in the table."""

    id: int
    at: int
    run: int | None
    event: str
    actor: str
    detail: str
    hash: str

    def follows(self, before: str) -> bool:
        """Whether its hash is made of its content and of `before`."""
        try:
            detail: Mapping[str, Any] = json.loads(self.detail)
            return self.hash == link_of(before, moment_of(self.at), self.run, self.event, self.actor, detail)
        except (ValueError, TypeError, OverflowError):  # no content that was ever written
            return False


@dataclass(frozen=True)
class Proof:
    """How far the trail is whole: `rows` of it, up to `head`. `first_break` is a row, and `why` says what is wrong."""

    head: str
    rows: int
    begins_at: datetime | None
    first_break: int | None = None
    why: str = ""


async def prove(read: Reading) -> Proof:
    """Read all of the trail, oldest first, up to the first row that does not follow."""
    earlier, before, after, rows, begins = GENESIS, GENESIS, 0, 0, None
    while True:
        async with read() as connection:
            page = await _page_after(connection, after)
            if page and await _nothing_before(connection, page[0]):
                before, after = await before_the_first(connection), page[0].id - 1
                begins = moment_of(page[0].at)
        if not page:
            return Proof(before, rows, begins)
        for place, row in enumerate(page):
            if not row.follows(before):
                why = _why((earlier, before), after, row, page[place + 1 : place + 2], first=rows == 0)
                return Proof(before, rows, begins, row.id, why)
            earlier, before, after, rows = before, row.hash, row.id, rows + 1
            if place % TURN == 0:
                await asyncio.sleep(0)


async def _page_after(connection: AsyncConnection, after: int) -> Sequence[Row]:
    """Without the types that SQLAlchemy makes of columns: half of all the time would be for these."""
    return [Row._make(row) for row in await connection.exec_driver_sql(_ROWS, (after, PAGE))]


async def _nothing_before(connection: AsyncConnection, row: Row) -> bool:
    return bool(row.id == (await connection.execute(select(func.min(audit.c.id)))).scalar_one())


def _why(before: tuple[str, str], after: int, row: Row, following: Sequence[Row], *, first: bool) -> str:
    """What has become of the trail there, as far as the rows around it tell; `before` are two hashes."""
    if first:
        return f"row {row.id} is the first, and does not follow from what was cut off; it was changed, or rows removed"
    if row.id != after + 1:
        return f"between row {after} and row {row.id} rows were removed"
    if row.follows(before[0]):
        return f"row {after} was inserted"
    if following and following[0].follows(before[1]):
        return f"row {row.id} was inserted, or stands in another's place"
    return f"row {row.id} was changed, or stands in another's place"
