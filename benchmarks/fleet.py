"""Measures what one more stack costs: in the exporter, in the monitored servers, and in Prometheus with all rules.

`python -m benchmarks.fleet` (ten minutes) prints the lines of docs/explanation/scale.md. A stack is a small product: a
PostgreSQL, a Redis and a queue. Every stack is a scrape of its own, as deploy/prometheus-shards.yml does it.
Prometheus reads copies of one page under other names, so that only its own cost is measured: with the thresholds that a
healthy stack has, and once with more, whose quantities are missing, so that each stack has alerts.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import yaml

from benchmarks import queues
from benchmarks.processes import cpu_seconds, pid_of, resident_mebibytes, server_cpu
from demo.servers.http import answers_ok, request
from demo.servers.ports import free_port
from demo.servers.postgres import PostgresServer
from demo.servers.process import Launch, Process
from demo.servers.prometheus import PrometheusServer
from demo.servers.redis import RedisServer
from runbookd.service.memory import tune_collector
from tools.toolchain.paths import ROOT

EXPORTER_SIZES, PROMETHEUS_SIZES = (1, 10, 40), (10, 50, 200)
SIZE_WITH_ALERTS = 50
ROUNDS, SETTLE_SECONDS, MEASURED_SECONDS = 20, 45, 90
THRESHOLDS, ITS_STACK = ROOT / "alert_rules" / "thresholds" / "clientforge.yml", "clientforge"
NAME = "stack_{}"


def main() -> None:
    """Measure and print."""
    tune_collector()
    with TemporaryDirectory() as name:
        folder = Path(name)
        with _servers(folder) as (postgres, redis):
            for size in EXPORTER_SIZES:
                page = _measure_exporter(folder / f"exporter{size}", postgres, redis, size)
        thresholds = THRESHOLDS.read_text()
        measured = _measured_quantities(folder / "prometheus1", page)
        healthy = _only(thresholds, measured)
        for size in PROMETHEUS_SIZES:
            _measure_prometheus(folder / f"prometheus{size}", page, size, healthy)
        _measure_prometheus(folder / "prometheus_with_alerts", page, SIZE_WITH_ALERTS, thresholds)


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[PostgresServer, RedisServer]]:
    postgres = PostgresServer(folder / "postgres", settings={"max_connections": "300"})
    redis = RedisServer(folder / "redis")
    for server in (postgres, redis):
        server.start()
    try:
        postgres.add_role("metrics", "IN ROLE pg_monitor")
        queues.fill(redis, max(EXPORTER_SIZES))
        yield postgres, redis
    finally:
        for server in (postgres, redis):
            server.remove()


def _measure_exporter(folder: Path, postgres: PostgresServer, redis: RedisServer, size: int) -> str:
    """Print the costs of an exporter with `size` stacks; return the page of one stack."""
    port, process = free_port(), Process(folder, "exporter")
    folder.mkdir()
    stacks = {NAME.format(number): _stack(postgres, redis, number) for number in range(size)}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"stacks": stacks}))
    flags = [f"--config.file={folder / 'inventory.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    process.launch(Launch([ROOT / ".venv" / "bin" / "runbook-exporter", *flags], cwd=folder))
    try:
        process.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/-/ready"))
        for _ in range(ROUNDS):
            page = _scrape(port, stacks)
        cpu, server = cpu_seconds(pid_of(process)), server_cpu(postgres)
        for _ in range(ROUNDS):
            page = _scrape(port, stacks)
        cpu, server = (cpu_seconds(pid_of(process)) - cpu) / ROUNDS, (server_cpu(postgres) - server) / ROUNDS
        connections = postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'metrics'").strip()
        series = sum(not line.startswith("#") for line in page.splitlines())
        print(
            f"exporter, {size} stacks: {cpu * 1e3:.1f} ms CPU per round, {resident_mebibytes(pid_of(process)):.0f} MiB,"
            f" {series} series and {len(page):,} bytes per stack, {connections} connections to PostgreSQL,"
            f" {server * 1e3:.1f} ms CPU of PostgreSQL",
            flush=True,
        )
        return page
    finally:
        process.stop()


def _stack(postgres: PostgresServer, redis: RedisServer, number: int) -> Any:
    return {
        "postgres": {"main": {"dsn": postgres.dsn("metrics")}},
        "redis": {"main": {"url": redis.url()}},
        "queues": {"jobs": {"redis": "main", "names": [f"queue{number}"]}},
    }


def _scrape(port: int, stacks: Sequence[str] | dict[str, Any]) -> str:
    """Scrape every stack once; return the page of the last."""
    return [request(f"http://127.0.0.1:{port}/metrics?stack={stack}").decode() for stack in stacks][-1]


@contextmanager
def _prometheus(folder: Path, page: str, size: int, thresholds: str) -> Iterator[PrometheusServer]:
    """Run a Prometheus with all rules, and these thresholds for each of `size` stacks, until it has settled."""
    folder.mkdir()
    with _pages(page, size) as port:
        server = PrometheusServer(folder, _write_configuration(folder, port, size, thresholds))
        server.start()
        try:
            time.sleep(SETTLE_SECONDS)
            yield server
        finally:
            server.remove()


def _measured_quantities(folder: Path, page: str) -> set[str]:
    """Return the quantities that the rules derive from the page of a stack."""
    with _prometheus(folder, page, 1, "") as server:
        series = _query(server, "stack_quantity_kind:measured:group")
    return {each["metric"]["quantity"] for each in series}


def _only(thresholds: str, quantities: set[str]) -> str:
    """Return the thresholds of these quantities; those without a quantity stay."""
    rules = yaml.safe_load(thresholds)
    for group in rules["groups"]:
        group["rules"] = [each for each in group["rules"] if _is_about(each, quantities)]
    return yaml.safe_dump(rules)


def _is_about(rule: Any, quantities: set[str]) -> bool:
    name = rule["record"].split(":")
    quantity = rule["labels"].get("quantity", name[1])
    return quantity in quantities or name[-1] not in ("critical", "warning", "info")


def _measure_prometheus(folder: Path, page: str, size: int, thresholds: str) -> None:
    """Print the costs of a Prometheus with all rules."""
    with _prometheus(folder, page, size, thresholds) as server:
        pid = pid_of(server.process)
        before = cpu_seconds(pid)
        time.sleep(MEASURED_SECONDS)
        cpu = (cpu_seconds(pid) - before) / MEASURED_SECONDS
        rules = _value(server, "prometheus_rule_group_last_duration_seconds")
        head = _value(server, "prometheus_tsdb_head_series")
        alerts = len(_query(server, "ALERTS"))
        print(
            f"Prometheus, {size} stacks: {cpu:.3f} cores, {resident_mebibytes(pid):.0f} MiB, {head:,.0f} series,"
            f" {rules:.2f} s for all rules, {alerts} alerts",
            flush=True,
        )


@contextmanager
def _pages(page: str, size: int) -> Iterator[int]:
    """Serve the page of every stack, and the list of stacks."""
    own = page.partition('stack="')[2].partition('"')[0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?stack=")
            names = [NAME.format(number) for number in range(size)]
            labels = [{"targets": [self.headers["Host"]], "labels": {"stack": n, "__param_stack": n}} for n in names]
            text = json.dumps(labels) if path == "/sd" else page.replace(f'stack="{own}"', f'stack="{query}"')
            self.send_response(200)
            self.send_header("Content-Type", "application/json" if path == "/sd" else "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _write_configuration(folder: Path, port: int, size: int, thresholds: str) -> Path:
    for number in range(size):
        name = NAME.format(number)
        (folder / f"thresholds_{number}.yml").write_text(thresholds.replace(ITS_STACK, name))
    rules = [str(ROOT / "alert_rules" / "*.yml"), str(ROOT / "alert_rules" / "adapters" / "*.yml")]
    discovery = {"url": f"http://127.0.0.1:{port}/sd", "refresh_interval": "5s"}
    job = {"job_name": "runbook_exporter", "honor_labels": True, "http_sd_configs": [discovery]}
    config = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [*rules, str(folder / "thresholds_*.yml")],
        "scrape_configs": [job],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


def _query(server: PrometheusServer, expr: str) -> Any:
    body = request(f"{server.url}/api/v1/query?query={quote(expr)}", seconds=60)
    return json.loads(body)["data"]["result"]


def _value(server: PrometheusServer, name: str) -> float:
    """Return a value of the page of Prometheus itself, summed over its series."""
    lines = request(f"{server.url}/metrics", seconds=60).decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__).parse_args()
    main()
