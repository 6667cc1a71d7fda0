"""The transactions of a ledger in PostgreSQL.

A writing transaction first takes the ledger's lock, and then reads: a lock that the counting statement itself awaited
would admit everyone, because that statement sees the rows as they were before it waited. So is a snapshot of the whole
transaction (REPEATABLE READ) too old. Both are asserted in every writing transaction.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from remediator.ledger.audit import Head
from remediator.ledger.cancellation import defer_cancellation, wait_for_result
from remediator.ledger.outdated import OUTDATED_LEDGER
from remediator.ledger.postgresql.doubt import HISTORY, Mark, was_committed
from remediator.ledger.postgresql.failures import RETRIED, database_error, network_error, sqlstate
from remediator.model.errors import LedgerUnavailable

LOCK_MILLISECONDS = 5_000
STATEMENT_MILLISECONDS = 30_000
IDLE_MILLISECONDS = 10_000  # of a transaction whose process or machine stands still, which locks out all others
ATTEMPTS = 3  # to begin, while nothing has happened yet
RETRY_SECONDS = 0.05
DURABLE = frozenset({"on", "local", "remote_write", "remote_apply"})
# The key of the advisory lock: one per schema, as a database may hold several ledgers.
LOCK_KEY = int.from_bytes(hashlib.sha256(b"runbookd ledger").digest()[:4], "big", signed=True)
_LIMITS = (
    f"SELECT set_config('lock_timeout', '{LOCK_MILLISECONDS}', true),"
    f" set_config('statement_timeout', '{STATEMENT_MILLISECONDS}', true),"
    f" set_config('idle_in_transaction_session_timeout', '{IDLE_MILLISECONDS}', true)"
)
LOCK = f"pg_advisory_xact_lock({LOCK_KEY}, hashtext(current_schema()))"
_SET_LIMITS, _SET_LIMITS_AND_LOCK = text(_LIMITS), text(f"{_LIMITS}, {LOCK}")
# An election changes this row under the lock that the transaction has.
_IN_TERM = text("SELECT 1 FROM leader WHERE term = :term AND holder = :holder")
_PREMISES = f"EXISTS ({_IN_TERM.text}) AS is_leader, (SELECT hash FROM audit WHERE id = :head) AS hash"
NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
FENCED = (
    "the ledger: another remediator leads, or may lead, as this one did not renew its lease in time; nothing is done"
    " here until it is elected again"
)
Begin = Callable[[AsyncConnection], Awaitable[Mark | None]]
log = structlog.get_logger(__name__)


class Fence(NamedTuple):
    """The term in which a leader writes."""

    term: int
    holder: str


class Fenced(LedgerUnavailable):
    """The term of the writer is over."""


class MissingHistory(LedgerUnavailable):
    """The ledger lacks a row of the audit trail that this process has seen in it."""


class Premises(NamedTuple):
    """A writer takes these for granted: its term, and the newest row of the audit trail that it knows."""

    fence: Fence | None = None
    head: Head | None = None

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of the statement that reads them."""
        term, holder = self.fence or (None, None)
        return {"term": term, "holder": holder, "head": None if self.head is None else self.head.id}

    def require(self, is_leader: bool, known_hash: str | None) -> None:
        """Refuse a transaction in which they do not hold.

        Raises:
            Fenced: the term is over.
            MissingHistory: the row is missing.
        """
        if self.fence is not None and not is_leader:
            raise Fenced(FENCED)
        if self.head is not None and known_hash != self.head.hash:
            raise MissingHistory(f"the ledger: {OUTDATED_LEDGER}")


NONE = Premises()


class Transactions:
    """Begins transactions, and words their errors."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.history = HISTORY
        """The expression of the history in which the server counts its transactions."""
        self._open = 0
        self._none_open = asyncio.Event()

    async def wait_for_end(self) -> None:
        """Wait for the end of all transactions: a connection returned after the pool's end would never be closed."""
        while self._open:
            await self._none_open.wait()

    @asynccontextmanager
    async def locked(self, premises: Premises = NONE) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that excludes all others of this kind; commit it at the end of the block.

        Raises:
            Fenced: the term of the premises is over.
            MissingHistory: the ledger lacks the row of the premises.
        """
        async with self._transaction(partial(_begin_locked, self.history, premises)) as connection:
            yield connection

    @asynccontextmanager
    async def unlocked(self) -> AsyncIterator[AsyncConnection]:
        """Begin a writing transaction that needs nothing to stay as it is; commit it at the end of the block."""
        async with self._transaction(partial(_begin_unlocked, self.history)) as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Begin a read-only transaction on one snapshot."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._transaction(_begin_reading, **options) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, begin: Begin, **options: Any) -> AsyncIterator[AsyncConnection]:
        self._open += 1
        self._none_open.clear()
        try:
            async with AsyncExitStack() as stack:
                connection, mark = await self._begin(stack, begin, options)
                yield connection
                async with defer_cancellation():  # a cancelled commit would leave open whether it happened
                    await wait_for_result(asyncio.ensure_future(self._commit(connection, mark)))
        except DBAPIError as error:
            raise database_error(error) from error
        except NoConnection:
            raise LedgerUnavailable("the ledger: too many readers at once") from None
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()

    async def _commit(self, connection: AsyncConnection, mark: Mark | None) -> None:
        try:
            await connection.commit()
        except (DBAPIError, LedgerUnavailable):
            if mark is None or not await was_committed(self._engine, mark, self.history):
                raise

    async def _begin(
        self, stack: AsyncExitStack, begin: Begin, options: dict[str, Any]
    ) -> tuple[AsyncConnection, Mark | None]:
        """Connect and begin; try again after a conflict, or with another connection if the server has restarted."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with AsyncExitStack() as attempted:
                    connection = await attempted.enter_async_context(self._engine.connect())
                    connection = await connection.execution_options(**options)
                    mark = await begin(connection)
                    await stack.enter_async_context(attempted.pop_all())
                    return connection, mark
            except DBAPIError as error:
                if attempt == ATTEMPTS or not (sqlstate(error) in RETRIED or error.connection_invalidated):
                    raise
                log.info("the ledger's transaction is begun again", reason=str(database_error(error)))
            except (OSError, TimeoutError) as error:
                raise network_error(error) from None
            await asyncio.sleep(RETRY_SECONDS * attempt)
        raise AssertionError("unreachable")


async def _begin_locked(history: str, premises: Premises, connection: AsyncConnection) -> Mark:
    """Take the lock, and only then read."""
    await connection.execute(_SET_LIMITS_AND_LOCK)
    row = (await connection.execute(_settings(history, _PREMISES), premises.parameters)).one()
    require_settings(row.isolation, row.synchronous)
    premises.require(row.is_leader, row.hash)
    return Mark(row.xid, row.history)


async def _begin_unlocked(history: str, connection: AsyncConnection) -> Mark:
    await connection.execute(_SET_LIMITS)
    row = (await connection.execute(_settings(history))).one()
    require_settings(row.isolation, row.synchronous)
    return Mark(row.xid, row.history)


@cache
def _settings(history: str, premises: str = "true") -> TextClause:
    return text(
        "SELECT current_setting('transaction_isolation') AS isolation,"
        " current_setting('synchronous_commit') AS synchronous,"
        f" pg_current_xact_id()::text AS xid, {history} AS history, {premises}"
    )


async def _begin_reading(_: AsyncConnection) -> None:
    """Leave the beginning to the first statement, which takes the snapshot anyway."""


def require_settings(isolation: str, synchronous: str) -> None:
    """Refuse an isolation level in which counting does not see the latest admissions, and commits that may be lost.

    Raises:
        LedgerUnavailable: with the setting and the remedy.
    """
    if isolation != "read committed":
        raise LedgerUnavailable(f"the ledger: the transaction is {isolation}, not read committed; nothing is admitted")
    if synchronous not in DURABLE:
        raise LedgerUnavailable(
            f"the ledger: synchronous_commit is {synchronous}, so a commit may be lost; run ALTER ROLE … SET"
            " synchronous_commit = on for the role in --ledger.url"
        )
