"""Connects to the ledger's database, also through a pooler in transaction mode.

Such a pooler may run each transaction in another session of the server. So nothing is kept in a session: statements are
unnamed, every setting is that of one transaction, and no lock outlives its transaction.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from remediator.ledger.postgresql.failures import translate
from runbookd.addresses.postgres import PostgresAddress

APPLICATION = "runbook-remediator:ledger"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0  # after which a statement counts as lost; the server gives up earlier
POOL_WAIT_SECONDS = 5.0
MAX_CONNECTIONS = 10  # one writes, one renews the lease, one stores deliveries; the others read


def connect_to(address: PostgresAddress, answer_seconds: float | None) -> Callable[[], Awaitable[asyncpg.Connection]]:
    """Return the function that opens a connection."""

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            address.driver_url,
            timeout=CONNECT_SECONDS,
            command_timeout=answer_seconds,
            statement_cache_size=0,
            server_settings={"application_name": APPLICATION},
        )

    return connect


def create_engine(address: PostgresAddress, answer_seconds: float | None = ANSWER_SECONDS) -> AsyncEngine:
    """Return the pool of connections; none is opened before its first use.

    A migration may take any time (None).
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            "async_creator_fn": connect_to(address, answer_seconds),
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        },
        isolation_level="READ COMMITTED",
        pool_size=MAX_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
    )
    event.listen(engine.sync_engine, "handle_error", translate, retval=True)
    event.listen(engine.sync_engine, "checkout", _require_open)
    return engine


def _require_open(connection: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool replace a connection that the server has closed, as it does when it restarts."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
