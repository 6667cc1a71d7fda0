"""The clock of a ledger in PostgreSQL: that of its database, which all replicas share.

Every replica writes times that the next leader judges: admissions, ends of runs, confirmations. If one machine's clock
were an hour ahead, its runs would seem to have ended in the future, and nothing would run for an hour.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text

from remediator.ledger.postgresql.lease import seconds_awake_or_asleep
from remediator.ledger.postgresql.transactions import NOW, Transactions
from remediator.ledger.schema import from_microseconds
from remediator.model.errors import LedgerUnavailable

READ_SECONDS = 5.0
SLOW_SECONDS = 1.0  # an answer that takes longer would set the clock less exactly than it goes by itself
WRONG = timedelta(seconds=10)  # a machine's clock that is further off is reported
_READ = text(f"SELECT {NOW}")
log = structlog.get_logger(__name__)


class DatabaseClock:
    """The database's time when it was last read, plus the time since then, which nobody can set."""

    def __init__(self) -> None:
        self._read: datetime | None = None
        self._read_at = 0.0
        self._reported = False

    def now(self) -> datetime:
        """Return the current time in UTC; that of the machine before the first reading."""
        if self._read is None:
            return datetime.now(UTC)
        return self._read + timedelta(seconds=seconds_awake_or_asleep() - self._read_at)

    @asynccontextmanager
    async def kept(self, transactions: Transactions) -> AsyncIterator[None]:
        """Read the database's time, and again every few seconds while the block lasts."""
        await self.read(transactions)
        reading = asyncio.create_task(self._read_forever(transactions), name="ledger clock")
        try:
            yield
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def read(self, transactions: Transactions) -> None:
        """Read the database's time, which counts as that of the middle between question and answer."""
        async with transactions.reading() as connection:
            await connection.execute(_READ)  # the first statement may have to connect
            asked = seconds_awake_or_asleep()
            answer = from_microseconds((await connection.execute(_READ)).scalar_one())
            answered = seconds_awake_or_asleep()
        if self._read is None or answered - asked < SLOW_SECONDS:
            self._read, self._read_at = answer, (asked + answered) / 2
            self._report_difference()

    async def _read_forever(self, transactions: Transactions) -> None:
        while True:
            await asyncio.sleep(READ_SECONDS)
            with suppress(LedgerUnavailable):  # the clock goes on by itself
                await self.read(transactions)

    def _report_difference(self) -> None:
        difference = datetime.now(UTC) - self.now()
        is_wrong = abs(difference) > WRONG
        if is_wrong and not self._reported:
            seconds = round(difference.total_seconds())
            log.warning("this machine's clock differs from the database's, whose time counts", seconds=seconds)
        self._reported = is_wrong
