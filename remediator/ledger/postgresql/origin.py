"""Where the rows of a ledger are: in which cluster, timeline, database and table.

A restore changes it, and so does a failover to another server; the rows alone do not show that some are missing.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import text

from remediator.ledger.postgresql.doubt import TIMELINE
from remediator.ledger.postgresql.transactions import Transactions
from remediator.model.errors import LedgerUnavailable

CLUSTER = "(SELECT system_identifier FROM pg_control_system())"
_TABLE = ("(SELECT oid FROM pg_database WHERE datname = current_database())", "'audit'::regclass::oid")
log = structlog.get_logger(__name__)


async def readable_origin(transactions: Transactions) -> Sequence[str]:
    """Return the expressions of the origin that the server evaluates; a managed one may not allow all."""
    parts = [part for part in (CLUSTER, TIMELINE) if await _is_readable(transactions, part)]
    return [*parts, *_TABLE]


async def _is_readable(transactions: Transactions, expression: str) -> bool:
    try:
        async with transactions.reading() as connection:
            await connection.execute(text(f"SELECT {expression}"))
    except LedgerUnavailable as error:
        log.info("the ledger's server does not tell where its rows are", reason=str(error))
        return False
    return True
