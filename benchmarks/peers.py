"""What a scrape costs a PostgreSQL server: postgres_exporter with its statements collector, and ours, side by side.

`python -m benchmarks.peers` (`make bench`) makes a busy server, lets both scrape it in turn, prints what each scrape
costs, and fails if ours costs the server over a quarter of the other's CPU. The server's CPU is that of all its
processes, those that have ended included, less what it uses when nobody scrapes. Readings in the background are not
part of a scrape and are not in the numbers.
"""

import asyncio
import gzip
import http.client
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from benchmarks.busy_postgres import SCALE, fill, sessions
from demo.servers.http import answers_ok
from demo.servers.ports import free_port
from demo.servers.postgres import PostgresServer
from demo.servers.process import Launch, Process
from tools.toolchain.paths import ROOT, TOOLS, launcher

ALLOWED_SHARE = 0.25
ROUNDS, SCRAPES, WARM_UP = 6, 10, 5
IDLE_SECONDS = 3.0
# As Prometheus asks.
HEADERS = {"Accept-Encoding": "gzip", "X-Prometheus-Scrape-Timeout-Seconds": "10"}
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class ExporterProcess:
    """One of the two, running, and what its scrapes took; times in seconds."""

    name: str
    process: Process
    port: int
    times: list[float] = field(default_factory=list)
    server_cpu: float = 0.0
    own_cpu: float = 0.0
    body: bytes = b""

    def scrape(self) -> None:
        """One scrape, timed with its answer read to the end."""
        began = perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics", headers=HEADERS)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        self.times.append(perf_counter() - began)
        if answer.status != 200:
            sys.exit(f"{self.name} answered {answer.status}")
        self.body = gzip.decompress(raw) if answer.headers.get("Content-Encoding") == "gzip" else raw


def main() -> None:
    """Measure and print; exits with 1 if ours costs too much."""
    folder = TOOLS / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    server = PostgresServer(folder / "postgres")
    server.start()
    try:
        share = asyncio.run(_compare(server, folder))
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(share > ALLOWED_SHARE)


async def _compare(server: PostgresServer, folder: Path) -> float:
    await fill(server)
    server.add_role("metrics")
    server.sql((ROOT / "deploy" / "postgres" / "exporter.sql").read_text(encoding="utf-8"))
    exporters = [_start_postgres_exporter(server, folder), _start_runbook_exporter(server, folder)]
    try:
        async with sessions(server):
            # In a thread: the sessions' connections go on being served.
            return await asyncio.to_thread(_measure, server, exporters)
    finally:
        for exporter in exporters:
            exporter.process.stop()


def _measure(server: PostgresServer, exporters: Sequence[ExporterProcess]) -> float:
    for exporter in exporters:
        for _ in range(WARM_UP):
            exporter.scrape()
        exporter.times.clear()
    before = server_cpu(server)
    sleep(IDLE_SECONDS)
    idle = (server_cpu(server) - before) / IDLE_SECONDS
    for _ in range(ROUNDS):  # in turn: the machine is the same for both
        for exporter in exporters:
            _round(server, exporter, idle)
    return _print(exporters)


def _round(server: PostgresServer, exporter: ExporterProcess, idle: float) -> None:
    identity = exporter.process.identity
    assert identity is not None  # noqa: S101 - it was started here
    began, server_before, own_before = perf_counter(), server_cpu(server), _cpu(identity.pid)
    for _ in range(SCRAPES):
        exporter.scrape()
    exporter.server_cpu += server_cpu(server) - server_before - idle * (perf_counter() - began)
    exporter.own_cpu += _cpu(identity.pid) - own_before


def server_cpu(server: PostgresServer) -> float:
    """Seconds of CPU of the server's processes, those that it has waited for included."""
    identity = server.process.identity
    assert identity is not None  # noqa: S101 - it was started here
    children = Path(f"/proc/{identity.pid}/task/{identity.pid}/children").read_text().split()
    return _cpu(identity.pid, with_ended=True) + sum(_cpu(int(child)) for child in children)


def _cpu(pid: int, with_ended: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # ended since it was listed; its parent counts it
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICK


def _print(exporters: Sequence[ExporterProcess]) -> float:
    count = ROUNDS * SCRAPES
    print(f"PostgreSQL 15 with {SCALE}; {count} scrapes each, in turn")
    print(f"{'':28}{'p50 ms':>9}{'server CPU ms':>15}{'own CPU ms':>12}{'series':>9}{'bytes':>10}")
    for each in exporters:
        numbers = (1000 * median(each.times), 1000 * each.server_cpu / count, 1000 * each.own_cpu / count)
        series = sum(1 for line in each.body.splitlines() if line and not line.startswith(b"#"))
        print(f"{each.name:28}{numbers[0]:9.1f}{numbers[1]:15.2f}{numbers[2]:12.2f}{series:9,}{len(each.body):10,}")
    theirs, ours = exporters
    share = ours.server_cpu / theirs.server_cpu
    print(f"ours costs the server {share:.3f} of the other's CPU; at most {ALLOWED_SHARE} is allowed")
    return share


def _start_postgres_exporter(server: PostgresServer, folder: Path) -> ExporterProcess:
    port = free_port()
    arguments: list[str | Path] = [
        launcher("postgres_exporter", "exporters"),
        f"--web.listen-address=127.0.0.1:{port}",
        "--collector.stat_statements",
    ]
    dsn = {"DATA_SOURCE_NAME": f"{server.dsn('metrics')}?sslmode=disable"}
    return _start_exporter("postgres_exporter 0.17.1", folder, port, arguments, dsn)


def _start_runbook_exporter(server: PostgresServer, folder: Path) -> ExporterProcess:
    port = free_port()
    inventory = folder / "inventory.yml"
    inventory.touch(mode=0o600)
    inventory.write_text(f'stacks: {{shop: {{postgres: {{main: {{dsn: "{server.dsn("metrics")}"}}}}}}}}\n')
    arguments: list[str | Path] = [
        *(sys.executable, "-m", "exporter.main"),
        f"--config.file={inventory}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    return _start_exporter("runbook-exporter", folder, port, arguments, {})


def _start_exporter(
    name: str, folder: Path, port: int, arguments: Sequence[str | Path], environment: Mapping[str, str]
) -> ExporterProcess:
    process = Process(folder, name.split()[0])
    process.launch(Launch(arguments, env={**os.environ, **environment}, cwd=ROOT))
    process.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/"))
    return ExporterProcess(name, process, port)


if __name__ == "__main__":
    main()
