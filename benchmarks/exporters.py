"""The exporters of the comparison: each in its own process, scraped as Prometheus does."""

import gzip
import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.busy_redis import CHANGED_QUEUE, NAMES, PARTS
from benchmarks.processes import pid_of
from benchmarks.recording import record
from demo.servers.http import answers_ok
from demo.servers.ports import free_port
from demo.servers.postgres import PostgresServer
from demo.servers.process import Launch, Process
from demo.servers.redis import RedisServer
from tools.toolchain.paths import ROOT, launcher

ROLE = "metrics"
OURS = "runbook-exporter"
# The headers of Prometheus 2.
HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
Places = Mapping[str, Sequence[str]]
"""By the name of a value: the metric that shows it, and the labels of the series."""
_IN_TRANSACTION, _WAITING = "in_transaction", "waiting_jobs"


@dataclass(frozen=True)
class Truth:
    """The values that the next scrape must show."""

    in_transaction: int
    waiting_jobs: int


@dataclass
class ExporterProcess:
    """A running exporter, the series that show each value of `Truth`, and its last page."""

    name: str
    process: Process
    port: int
    shows: Places
    body: bytes = b""
    compressed: bytes = b""
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return pid_of(self.process)

    @cached_property
    def connection(self) -> http.client.HTTPConnection:
        """The connection that stays open between scrapes."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def scrape(self) -> float:
        """Scrape once; return the seconds until the whole page was there."""
        began = perf_counter()
        self.connection.request("GET", "/metrics", headers=HEADERS)
        answer = self.connection.getresponse()
        self.compressed = answer.read()
        took = perf_counter() - began
        if answer.status != 200:
            sys.exit(f"{self.name} answered {answer.status}")
        gzipped = answer.headers.get("Content-Encoding") == "gzip"
        self.body = gzip.decompress(self.compressed) if gzipped else self.compressed
        return took

    @property
    def series(self) -> int:
        """The number of series of the last page."""
        return sum(1 for line in self.body.splitlines() if line and not line.startswith(b"#"))

    def sum_of(self, metric: str, *labels: str) -> float:
        """Return the sum of a metric on the last page, over series with all `labels` (`db="a"`)."""
        lines = (line for line in self.body.decode().splitlines() if line.startswith(f"{metric}{{"))
        return sum(float(line.rpartition("} ")[2].split()[0]) for line in lines if all(each in line for each in labels))

    def stale_values(self, truth: Truth) -> list[str]:
        """Return a line for each value on the last page that is not the true one."""
        shown = [(name, self.sum_of(*place), getattr(truth, name)) for name, place in self.shows.items()]
        return [f"{name} was {value:g}, not {expected:g}" for name, value, expected in shown if value != expected]


def start_exporters(postgres: PostgresServer, redis: RedisServer, folder: Path) -> Sequence[ExporterProcess]:
    """Start postgres_exporter, redis_exporter and ours."""
    return [
        _start_postgres_exporter(postgres, folder),
        _start_redis_exporter(redis, folder),
        _start_runbook_exporter(postgres, redis, folder),
    ]


def _start_postgres_exporter(server: PostgresServer, folder: Path) -> ExporterProcess:
    arguments: list[str | Path] = [launcher("postgres_exporter", "exporters"), "--collector.stat_statements"]
    dsn = {"DATA_SOURCE_NAME": f"{server.dsn(ROLE)}?sslmode=disable"}
    shows = {_IN_TRANSACTION: ("pg_stat_activity_count", 'state="idle in transaction"')}
    return _start("postgres_exporter 0.17", folder, arguments, shows, dsn)


def _start_redis_exporter(server: RedisServer, folder: Path) -> ExporterProcess:
    keys = ",".join(f"db0=bull:{queue}:{part}" for queue in NAMES for part in PARTS)
    arguments: list[str | Path] = [
        launcher("redis_exporter", "exporters"),
        f"--redis.addr=redis://127.0.0.1:{server.port}",
        f"--check-single-keys={keys}",
    ]
    shows = {_WAITING: ("redis_key_size", f'key="bull:{CHANGED_QUEUE}:wait"')}
    return _start("redis_exporter 1.69", folder, arguments, shows)


def _start_runbook_exporter(postgres: PostgresServer, redis: RedisServer, folder: Path) -> ExporterProcess:
    inventory = folder / "inventory.yml"
    inventory.touch(mode=0o600)
    inventory.write_text(json.dumps({"stacks": {"shop": _stack(postgres, redis)}}))
    arguments = [sys.executable, "-m", "exporter.main", f"--config.file={inventory}"]
    shows = {
        _IN_TRANSACTION: ("pg_connections", 'state="idle in transaction"'),
        _WAITING: ("bullmq_queue_jobs", f'queue="{CHANGED_QUEUE}"', 'state="waiting"'),
    }
    return _start(OURS, folder, arguments, shows)


def start_floor(postgres: PostgresServer, redis: RedisServer, folder: Path, ours: ExporterProcess) -> ExporterProcess:
    """Start the program that reads what ours reads, and sends a page of ours that never changes."""
    ours.scrape()
    recording = folder / "recording.json"
    recording.touch(mode=0o600)
    record(_stack(postgres, redis), ours.body, recording)
    process, port = Process(folder, "floor"), free_port()
    arguments: list[str | Path] = [sys.executable, "-m", "benchmarks.floor", recording, str(port)]
    process.launch(Launch(arguments, env=os.environ, cwd=ROOT))
    process.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/"))
    return ExporterProcess("floor", process, port, {})


def _stack(postgres: PostgresServer, redis: RedisServer) -> dict[str, Any]:
    return {
        "postgres": {"main": {"dsn": postgres.dsn(ROLE)}},
        "redis": {"cache": {"url": redis.url()}},
        "queues": {"jobs": {"redis": "cache", "names": NAMES}},
    }


def _start(
    name: str,
    folder: Path,
    arguments: Sequence[str | Path],
    shows: Places,
    environment: Mapping[str, str] | None = None,
) -> ExporterProcess:
    process, port = Process(folder, name.split()[0]), free_port()
    listen = f"--web.listen-address=127.0.0.1:{port}"
    process.launch(Launch([*arguments, listen], env={**os.environ, **(environment or {})}, cwd=ROOT))
    process.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/"))
    return ExporterProcess(name, process, port, shows)
