"""Measures the PostgreSQL collector on a large server, part by part.

The server has 10,000 tables and 5,000 statements. `python -m benchmarks.postgres` (`make bench`) prints a table. It
fails if a reading takes over half a second or returns over 10,000 series.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence
from statistics import median
from time import perf_counter

import asyncpg

from benchmarks.processes import server_cpu
from demo.servers.postgres import PostgresServer
from exporter.postgres.collector import PostgresCollector
from exporter.postgres.connect import connect
from exporter.postgres.parts.catalogue import SCRAPE_PARTS
from exporter.postgres.parts.joined_statement import Statement
from runbookd.inventory import PostgresTarget, Stack
from tools.toolchain.paths import TOOLS

SCHEMAS, TABLES, STATEMENTS = 20, 10_000, 5_000
ALLOWED_SECONDS, ALLOWED_SERIES = 0.5, 10_000
READINGS, BUDGET_SECONDS = 20, 9.5
SHOWN_PARTS = 6


def main() -> None:
    """Measure and print; exit with 1 if a limit is missed."""
    folder = TOOLS / "bench-postgres"
    shutil.rmtree(folder, ignore_errors=True)
    server = PostgresServer(folder, settings={"max_locks_per_transaction": "1024", "autovacuum": "off"})
    server.start()
    try:
        good = asyncio.run(_measure(server))
    finally:
        server.remove()
    sys.exit(not good)


async def _measure(server: PostgresServer) -> bool:
    await fill(server)
    server.add_role("metrics", "IN ROLE pg_monitor")
    target = PostgresTarget.model_validate({"dsn": server.dsn("metrics"), "statement_texts": True})
    collector = PostgresCollector(Stack(postgres={"main": target}), "main")
    seconds, series = await _readings(server, collector)
    for line in [*await _parts(target), *await _jobs(collector)]:
        print(line)
    return seconds <= ALLOWED_SECONDS and series <= ALLOWED_SERIES


async def fill(server: PostgresServer, tables: int = TABLES, statements: int = STATEMENTS) -> None:
    """Create tables with an index each, a fifth of them with rows, and distinct statements."""
    connection = await asyncpg.connect(server.dsn(), statement_cache_size=0)
    try:
        await connection.execute("CREATE EXTENSION pg_stat_statements")
        await connection.execute(";".join(f"CREATE SCHEMA s{number}" for number in range(SCHEMAS)))
        names = [f"s{number % SCHEMAS}.t{number}" for number in range(tables)]
        for start in range(0, tables, 100):
            batch = names[start : start + 100]
            await connection.execute("".join(f"CREATE TABLE {name} (id int PRIMARY KEY, note text);" for name in batch))
        for number, name in enumerate(names[::5]):
            await connection.execute(f"INSERT INTO {name} SELECT generate_series(1, {number % 50 + 1})")
        await connection.execute("ANALYZE; SELECT pg_stat_statements_reset()")
        for number in range(statements):
            await connection.execute(f"SELECT count(*) FROM {names[number % tables]}")  # noqa: S608 - our own names
    finally:
        await connection.close()


async def _readings(server: PostgresServer, collector: PostgresCollector) -> tuple[float, int]:
    """Print and return the median seconds of a reading, and the number of its series."""
    assert collector.scrape is not None  # noqa: S101 - it is set when the collector is made
    client = await collector.scrape.connect(BUDGET_SECONDS)
    reading, times = await client.read(0.0), list[float]()
    before = server_cpu(server)
    for _ in range(READINGS):
        began = perf_counter()
        reading = await client.read(0.0)
        times.append(perf_counter() - began)
    cpu = (server_cpu(server) - before) / READINGS
    await client.close()
    print(f"{TABLES:,} tables, {STATEMENTS:,} statements: {reading.count:,} series")
    print(f"{'a reading':<28}{median(times) * 1e3:8.1f} ms, {cpu * 1e3:.1f} ms of the server's CPU")
    return median(times), reading.count


async def _parts(target: PostgresTarget) -> Sequence[str]:
    """Return lines about the slowest parts."""
    session = await connect(target.dsn_secret(), BUDGET_SECONDS)
    times_by_part: dict[str, float] = {}
    for part in SCRAPE_PARTS:
        statement = Statement.of([part], session.server)
        if statement.parts:
            prepared = await session.connection.prepare(statement.text)
            times = []
            for _ in range(READINGS // 4):
                began = perf_counter()
                await prepared.fetch()
                times.append(perf_counter() - began)
            times_by_part[part.name] = min(times)
    session.connection.terminate()
    most = sorted(times_by_part.items(), key=lambda item: -item[1])[:SHOWN_PARTS]
    return [f"  {name:<26}{seconds * 1e3:8.1f} ms" for name, seconds in most]


async def _jobs(collector: PostgresCollector) -> Sequence[str]:
    """Return lines about the background jobs."""
    assert collector.jobs is not None  # noqa: S101 - it is set when the collector is made
    lines = []
    for job in collector.jobs.jobs:
        session, began = collector.jobs.session(), perf_counter()
        samples = await job.run(session, asyncio.get_running_loop().time() + BUDGET_SECONDS)
        lines.append(f"job {job.name:<24}{(perf_counter() - began) * 1e3:8.1f} ms, {len(samples):,} series")
        await session.close()
    return lines


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.postgres", description=__doc__).parse_args()
    main()
