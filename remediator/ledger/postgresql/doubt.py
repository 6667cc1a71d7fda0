"""Finds out what became of a commit whose answer was lost: it is read, never assumed.

The server knows the outcome of a transaction by its number. After a failover another server counts on from an older
number, and after a crash the same one does, if the transaction was never written: either may give the number to another
transaction. So the timeline, which each failover raises, and the last crash recovery have to be the same.
"""

import asyncio
from typing import NamedTuple

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from remediator.model.errors import LedgerUnavailable

TRIES = 50
TRY_SECONDS = 0.2
TIMELINE = "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
# A crash recovery discards the server's statistics, and a clean restart keeps them (14 to 18).
_RECOVERY = "(SELECT stats_reset FROM pg_stat_bgwriter)"
HISTORY = f"concat_ws('/', {TIMELINE}, {_RECOVERY})"
CRASHES = f"concat_ws('/', {_RECOVERY})"  # where a managed server does not tell its timeline
IN_DOUBT = (
    "the ledger: the connection was lost during a commit, and the server does not tell whether it was made; look at"
    " what is recorded before you repeat it"
)
log = structlog.get_logger(__name__)


class CommitInDoubt(LedgerUnavailable):
    """Whether a transaction was committed is not known."""


class Mark(NamedTuple):
    """A transaction: its number, and the history in which it counts."""

    xid: str
    history: str


async def was_committed(engine: AsyncEngine, mark: Mark, history: str) -> bool:
    """Return whether a transaction was committed, as soon as the server answers; `history` is its expression for that.

    Raises:
        CommitInDoubt: it does not answer, or another one does.
    """
    status = text(f"SELECT CASE WHEN {history} = :history THEN pg_xact_status((:xid)::text::xid8) ELSE 'other' END")
    for _ in range(TRIES):
        try:
            async with engine.connect() as connection:
                found = (await connection.execute(status, mark._asdict())).scalar_one_or_none()
        except (DBAPIError, LedgerUnavailable, NoConnection, OSError, TimeoutError) as error:
            log.info("the outcome of a commit is not known yet", reason=str(error))
            found = "in progress"
        if found != "in progress":
            break
        await asyncio.sleep(TRY_SECONDS)
    log.warning("a commit was in doubt", outcome=found)
    if found not in ("committed", "aborted"):
        raise CommitInDoubt(IN_DOUBT)
    return bool(found == "committed")
