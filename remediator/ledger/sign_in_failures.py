"""The failed sign-ins of an address, and of a name with an address; what counts is kept over a restart.

An attempt counts as failed before its password is checked: guesses in parallel gain nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import sign_in_failure as table

FORGOTTEN_AFTER = timedelta(days=1)
ADDRESS = ""  # in the place of a name


@dataclass(frozen=True)
class Failures:
    """The failures so far, and the time of the last one."""

    count: int
    last_at: datetime | None


NONE = Failures(0, None)


def hash_name(name: str) -> str:
    """Return the text that stands for a name: it may be a password in the wrong field."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


async def read(connection: AsyncConnection, now: datetime, address: str, name: str) -> tuple[Failures, Failures]:
    """Return the failures of the name with the address, and of the address; old ones are forgotten."""
    rows = await connection.execute(select(table).where(table.c.address == address))
    recent: Mapping[str, Failures] = {
        row.name_hash: Failures(row.failures, row.last_at) for row in rows if row.last_at > now - FORGOTTEN_AFTER
    }
    return recent.get(hash_name(name), NONE), recent.get(ADDRESS, NONE)


async def settle_clock(connection: AsyncConnection, now: datetime, address: str) -> None:
    """Let failures in the future count as some of now: the clock was set back, and the delay runs from then."""
    is_ahead = table.c.address == address, table.c.last_at > now
    await connection.execute(update(table).where(*is_ahead).values(last_at=now))


async def count(connection: AsyncConnection, now: datetime, address: str, name: str) -> None:
    """Count an attempt as failed until `forgive`."""
    await _count(connection, now, address, hash_name(name))
    await _count(connection, now, address, ADDRESS)


async def forgive(connection: AsyncConnection, address: str, name: str) -> None:
    """Forget the failures of the name with the address, and this one attempt of the address.

    The others of the address stay, so that a guesser who may sign in does not reset them.
    """
    await connection.execute(delete(table).where(*_is(address, hash_name(name))))
    of_address = _is(address, ADDRESS)
    await connection.execute(update(table).where(*of_address).values(failures=table.c.failures - 1))
    await connection.execute(delete(table).where(*of_address, table.c.failures <= 0))


async def _count(connection: AsyncConnection, now: datetime, address: str, name_hash: str) -> None:
    row = _is(address, name_hash)
    await connection.execute(delete(table).where(*row, table.c.last_at <= now - FORGOTTEN_AFTER))
    result = await connection.execute(update(table).where(*row).values(failures=table.c.failures + 1, last_at=now))
    if not result.rowcount:
        values = {"address": address, "name_hash": name_hash, "failures": 1, "last_at": now}
        await connection.execute(insert(table).values(**values))


def _is(address: str, name_hash: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.address == address, table.c.name_hash == name_hash
