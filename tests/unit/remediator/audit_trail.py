"""The audit trail, proved in a transaction that a test has open."""

from contextlib import nullcontext

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.audit_verify import verify_trail


async def first_break(connection: AsyncConnection) -> int | None:
    """The first row that does not follow."""
    return (await verify_trail(lambda: nullcontext(connection))).first_break
