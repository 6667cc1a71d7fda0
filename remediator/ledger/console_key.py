"""The secret key of the console's forms, created at its first use."""

import secrets

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import console_key as table


async def read_or_create(connection: AsyncConnection) -> str:
    """Return the key."""
    key: str | None = (await connection.execute(select(table.c.value))).scalar_one_or_none()
    if key is None:
        key = secrets.token_urlsafe(32)
        await connection.execute(insert(table).values(id=1, value=key))
    return key
