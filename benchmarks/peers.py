"""Compares the cost of a scrape with postgres_exporter and redis_exporter.

`python -m benchmarks.peers` (two minutes) starts a PostgreSQL and a Redis with the data of a busy product, lets the
three exporters scrape them in turn, and prints medians, p99 and ratios. It exits with 1 if a goal is missed, or if a
page does not show a value that was changed just before. `--write` puts the table into docs/reference/benchmarks.md.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.busy_postgres import fill, sessions
from benchmarks.busy_redis import fill_redis
from benchmarks.comparison import Cost, comparison_table, missed_goals
from benchmarks.exporters import ROLE, ExporterProcess, start_exporters, start_floor
from benchmarks.page import write_section
from benchmarks.processes import cpu_seconds, resident_mebibytes
from benchmarks.server_counters import BusyServers, ServerCounters
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from demo.servers.server import start_together
from tools.toolchain.paths import ROOT, TOOLS, launcher

ROUNDS, SCRAPES, WARM_UP = 10, 30, 30
IDLE_SECONDS = 3.0
RANDOM = Random(20261121)


def main() -> None:
    """Measure and print; exit with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/reference/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of {SCRAPES} scrapes of each exporter")
    options = parser.parse_args()
    costs = _costs(options.rounds)
    table = comparison_table(costs)
    print(table)
    if options.write:
        write_section("Side by side", table)
    missed = missed_goals(costs)
    sys.exit("\n".join(missed) if missed else 0)


def _costs(rounds: int) -> Sequence[Cost]:
    folder = TOOLS / f"bench-{os.getpid()}"
    postgres = PostgresServer(folder / "postgres", settings={"log_connections": "on"})
    redis = RedisServer(folder / "redis")
    try:
        start_together([postgres, redis])
        _fill(postgres, redis)
        return asyncio.run(_compare(BusyServers(postgres, redis), folder, rounds))
    finally:
        postgres.remove()
        redis.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _fill(postgres: PostgresServer, redis: RedisServer) -> None:
    fill_redis(redis)
    login = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
    password = {"PGPASSWORD": postgres.password("postgres")}
    command: list[str | Path] = [launcher("pgbench"), "-i", "-s", "10", "-q"]
    subprocess.run(command, env={**os.environ, **login, **password}, check=True, stderr=subprocess.DEVNULL)
    asyncio.run(fill(postgres))
    postgres.add_role(ROLE)
    postgres.sql((ROOT / "deploy" / "postgres" / "exporter.sql").read_text(encoding="utf-8"))
    postgres.sql(f"ALTER ROLE {ROLE} CONNECTION LIMIT 10")  # three programs use it


async def _compare(servers: BusyServers, folder: Path, rounds: int) -> Sequence[Cost]:
    exporters = [*await asyncio.to_thread(start_exporters, servers.postgres, servers.redis, folder)]
    try:
        await servers.connect()
        exporters.append(await asyncio.to_thread(start_floor, servers.postgres, servers.redis, folder, exporters[-1]))
        async with sessions(servers.postgres):
            return await _measure(servers, exporters, rounds)
    finally:
        await servers.close()
        for exporter in exporters:
            exporter.process.stop()


async def _measure(servers: BusyServers, exporters: Sequence[ExporterProcess], rounds: int) -> Sequence[Cost]:
    costs = [Cost(each.name) for each in exporters]
    for exporter in exporters:
        await asyncio.to_thread(_scrape_often, exporter, WARM_UP)
    idle = await _idle(servers, exporters, costs)
    for _ in range(rounds):  # in turn: the machine is the same for all
        for exporter, cost in zip(exporters, costs, strict=True):
            await _round(servers, exporter, cost, idle)
    for exporter, cost in zip(exporters, costs, strict=True):
        cost.series, cost.page_bytes, cost.gzip_bytes = exporter.series, len(exporter.body), len(exporter.compressed)
    return costs


async def _idle(servers: BusyServers, exporters: Sequence[ExporterProcess], costs: Sequence[Cost]) -> ServerCounters:
    """Return the servers' idle work per second, and record each exporter's idle CPU."""
    before, cpu_before = await servers.counters(), [cpu_seconds(each.pid) for each in exporters]
    await asyncio.sleep(IDLE_SECONDS)
    for exporter, cost, cpu in zip(exporters, costs, cpu_before, strict=True):
        cost.idle_cpu = (cpu_seconds(exporter.pid) - cpu) / IDLE_SECONDS
    return (await servers.counters() - before) * (1 / IDLE_SECONDS)


async def _round(servers: BusyServers, exporter: ExporterProcess, cost: Cost, idle: ServerCounters) -> None:
    before, cpu, began = await servers.counters(), cpu_seconds(exporter.pid), time.perf_counter()
    changed = RANDOM.randrange(SCRAPES)
    cost.times += await asyncio.to_thread(_scrape_often, exporter, changed)
    truth = await servers.change()
    cost.times.append(await asyncio.to_thread(exporter.scrape))
    cost.stale += exporter.stale_values(truth)
    cost.times += await asyncio.to_thread(_scrape_often, exporter, SCRAPES - changed - 1)
    cost.cpu += cpu_seconds(exporter.pid) - cpu
    cost.servers += await servers.counters() - before - idle * (time.perf_counter() - began)
    cost.memory.append(resident_mebibytes(exporter.pid))


def _scrape_often(exporter: ExporterProcess, count: int) -> list[float]:
    return [exporter.scrape() for _ in range(count)]


if __name__ == "__main__":
    main()
