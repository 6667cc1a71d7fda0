"""Verifies the audit trail in a test's own transaction."""

from contextlib import nullcontext

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.audit_verify import verify_trail


async def first_break(connection: AsyncConnection) -> int | None:
    """Return the first row that does not follow from the one before, or None."""
    return (await verify_trail(lambda: nullcontext(connection))).first_break
