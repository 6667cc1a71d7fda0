"""Measures three replicas of the remediator on one PostgreSQL ledger: their cost, their rate, and their take-over.

`python -m benchmarks.replicas` (three minutes) prints the lines of docs/explanation/scale.md. The server waits for the
disk at each commit, as in production.
"""

import argparse
import asyncio
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from time import perf_counter

import aiohttp

from benchmarks.processes import cpu_seconds, server_cpu
from benchmarks.webhook import repeated_delivery, report_line, request, send_for, start
from demo.servers.postgres import PostgresServer
from remediator.ledger.postgresql.migrate import migrate
from runbookd.addresses.postgres import read_postgres_address
from tools.toolchain.paths import ROOT

REPLICAS, SENDERS, SECONDS, IDLE_SECONDS, KILLS = 3, 64, 5.0, 20.0, 3
DATABASE, ROLES = "runbookd", ("runbookd_owner", "runbookd_writer", "runbookd_auditor")
Replica = tuple[Process, int]


async def measure(folder: Path) -> None:
    """Measure and print everything."""
    async with _ledger(folder) as server:
        url = server.dsn("runbookd_writer", DATABASE)
        replicas = [await start(folder, url) for _ in range(REPLICAS)]
        try:
            await _leader_of(replicas)
            await _idle(server, replicas)
            await _throughput(replicas)
            await _backlog(server)
            for stops in (True, False):
                await _take_overs(folder, url, replicas, stops)
        finally:
            for process, _ in replicas:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


@asynccontextmanager
async def _ledger(folder: Path) -> AsyncIterator[PostgresServer]:
    settings = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
    server = PostgresServer(folder / "postgres", settings=settings)
    server.start()
    try:
        for role in ROLES:
            server.add_role(role)
        server.add_database(DATABASE)
        server.sql((ROOT / "deploy" / "postgres" / "ledger.sql").read_text(), database=DATABASE)
        await migrate(read_postgres_address(server.dsn("runbookd_owner", DATABASE)))
        yield server
    finally:
        server.remove()


async def _idle(server: PostgresServer, replicas: Sequence[Replica]) -> None:
    """Measure the CPU of each replica and of the server while nothing happens."""
    leader = await _leader_of(replicas)
    before = {process.pid: cpu_seconds(process.pid) for process, _ in replicas}, server_cpu(server)
    await asyncio.sleep(IDLE_SECONDS)
    cpu = {pid: (cpu_seconds(pid) - began) / IDLE_SECONDS for pid, began in before[0].items()}
    others = [seconds for pid, seconds in cpu.items() if pid != leader[0].pid]
    report_line("idle leader", f"{cpu[leader[0].pid] * 1e3:.1f} ms CPU per second")
    report_line("idle replica", f"{max(others) * 1e3:.1f} ms CPU per second")
    report_line("idle server", f"{(server_cpu(server) - before[1]) / IDLE_SECONDS * 1e3:.1f} ms CPU per second")


async def _throughput(replicas: Sequence[Replica]) -> None:
    """Measure the rate at which all replicas together accept deliveries durably."""
    message, until = request("/webhook", repeated_delivery(1)), perf_counter() + SECONDS
    senders = [send_for(port, message, until) for _, port in replicas for _ in range(SENDERS // REPLICAS)]
    count = sum(await asyncio.gather(*senders))
    report_line(f"{SENDERS} senders to {REPLICAS} replicas", f"{count / SECONDS:,.0f} deliveries/s")


async def _backlog(server: PostgresServer) -> None:
    """Measure the rate at which the leader processes them."""
    query = "SELECT count(*) FROM runbookd.delivery WHERE processed_at IS NULL"
    first, began = int(server.sql(query, database=DATABASE)), perf_counter()
    while int(server.sql(query, database=DATABASE)):  # noqa: ASYNC110 - another process does the work
        await asyncio.sleep(0.2)
    report_line("a backlog is processed", f"{first / (perf_counter() - began):,.0f} deliveries/s (of {first:,})")


async def _take_overs(folder: Path, url: str, replicas: list[Replica], stops: bool) -> None:
    """Measure how long nobody leads after the leader has stopped, or was killed."""
    times = []
    for _ in range(KILLS):
        leader = await _leader_of(replicas)
        replicas.remove(leader)
        began = perf_counter()
        (leader[0].terminate if stops else leader[0].kill)()
        await _leader_of(replicas)
        times.append(perf_counter() - began)
        await leader[0].wait()
        replicas.append(await start(folder, url))
    what = "a stop" if stops else "a kill"
    report_line(f"nobody leads after {what}", f"median {median(times):.1f} s, longest {max(times):.1f} s")


async def _leader_of(replicas: Sequence[Replica]) -> Replica:
    """Return the replica that leads, as soon as there is one."""
    async with aiohttp.ClientSession() as session:
        while True:
            for replica in replicas:
                async with session.get(f"http://127.0.0.1:{replica[1]}/metrics") as page:
                    if "\nremediation_leader 1.0" in await page.text():
                        return replica
            await asyncio.sleep(0.05)


def main() -> None:
    """Measure in a folder next to the code, because commits to memory cost nothing."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__).parse_args()
    main()
