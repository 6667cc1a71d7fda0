"""Data of a PostgreSQL in use: tables, statements, databases, and sessions in every state."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice, product

import asyncpg

from demo.servers.postgres import PostgresServer

SCHEMAS, TABLES, STATEMENTS, DATABASES = 5, 300, 2000, 3
IDLE, IN_TRANSACTION, ACTIVE, WAITING, ABORTED = 30, 12, 10, 5, 3
SCALE = (
    f"{TABLES} tables in {SCHEMAS} schemas, {STATEMENTS} statements, {DATABASES} more databases, "
    f"{IDLE + IN_TRANSACTION + ACTIVE + WAITING + ABORTED} sessions; 1,000 rows per table"
)
_SHAPES = ("count(*)", "min(id)", "max(id)", "sum(id)", "avg(id)", "min(note)", "max(note)", "count(DISTINCT id)")


async def fill(server: PostgresServer) -> None:
    """Create the tables, the databases and the statements' entries."""
    connection = await asyncpg.connect(server.dsn(), statement_cache_size=0)
    try:
        await connection.execute("CREATE EXTENSION pg_stat_statements")
        for number in range(DATABASES):
            await connection.execute(f"CREATE DATABASE more{number}")
        await connection.execute(";".join(f"CREATE SCHEMA s{number}" for number in range(SCHEMAS)))
        tables = [f"s{number % SCHEMAS}.t{number}" for number in range(TABLES)]
        for table in tables:
            rows = "SELECT id, 'note ' || id AS note FROM generate_series(1, 1000) AS id"
            await connection.execute(f"CREATE TABLE {table} AS {rows}; ALTER TABLE {table} ADD PRIMARY KEY (id)")
        await connection.execute("ANALYZE; SELECT pg_stat_statements_reset()")
        for table, shape in islice(product(tables, _SHAPES), STATEMENTS):
            await connection.execute(f"SELECT {shape} FROM {table} WHERE id < 10")  # noqa: S608 - our own names
    finally:
        await connection.close()


@asynccontextmanager
async def sessions(server: PostgresServer) -> AsyncIterator[None]:
    """Hold sessions in every state while the context is open."""
    count = IDLE + IN_TRANSACTION + ACTIVE + WAITING + ABORTED
    connections = [await asyncpg.connect(server.dsn(), statement_cache_size=0) for _ in range(count)]
    rest = iter(connections)
    busy: list[asyncio.Task[object]] = []
    for connection in islice(rest, IDLE):
        await connection.execute("SELECT 1")
    for connection in islice(rest, IN_TRANSACTION):
        await connection.execute("BEGIN")
    # A row lock, because a table lock would also block an exporter that measures sizes.
    await connection.execute("SELECT FROM s0.t0 WHERE id = 1 FOR UPDATE")
    busy += [asyncio.create_task(each.execute("SELECT pg_sleep(3600)")) for each in islice(rest, ACTIVE)]
    waiting = "SELECT FROM s0.t0 WHERE id = 1 FOR UPDATE"
    busy += [asyncio.create_task(each.execute(waiting)) for each in islice(rest, WAITING)]
    for connection in rest:
        with suppress(asyncpg.PostgresError):
            await connection.execute("BEGIN; SELECT 1 / 0")
    try:
        yield
    finally:
        for connection in connections:
            connection.terminate()
        await asyncio.gather(*busy, return_exceptions=True)
