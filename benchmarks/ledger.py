"""Measures a remediator with a ledger of several years.

`python -m benchmarks.ledger` (`make bench`) writes such a ledger to this disk, starts the daemon on it, and measures
the time until it is ready, its idle CPU, and how fast it processes deliveries. It prints each measurement with its
limit, and fails if one is missed. `--runs 5000` makes a small ledger.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import bcrypt

from benchmarks.aged_ledger import LARGE, REMEDIATION, STACKS, Size, target_of, write_ledger
from demo.servers.ports import free_port

IDLE_SECONDS, BACKLOG = 15.0, 10_000
TIMEOUT_SECONDS = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")
OPERATOR = {"Authorization": "Bearer bench"}
PASSWORD = "a password of the benchmark"  # noqa: S105


@dataclass(frozen=True)
class RemediatorProcess:
    """A running remediator process."""

    url: str
    pid: int
    file: Path

    def get(self, path: str) -> bytes:
        """Return the body of a page."""
        request = Request(self.url + path, headers=OPERATOR)  # noqa: S310 - our own server
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def share(self, seconds: float) -> float:
        """Return the share of one processor that it uses during the next `seconds`."""
        before = self.cpu_seconds()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / seconds

    def megabytes(self) -> float:
        """Return the resident memory of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def measure(folder: Path, file: Path, size: Size, head: str) -> bool:
    """Measure and print everything; return whether every limit is kept."""
    drop_page_cache(file)
    began = time.perf_counter()
    with running_remediator(folder, file) as daemon:
        results = [report_line("start to ready, nothing cached", time.perf_counter() - began, 10.0)]
        results += [
            measure_idle(daemon),
            *measure_pages(daemon, size),
            verify_audit(daemon, head),
            large_delivery(daemon),
            drain_backlog(daemon),
        ]
    return all(results)


def measure_idle(daemon: RemediatorProcess) -> bool:
    """Measure idle CPU once the background work of the start has finished."""
    began = time.perf_counter()
    while daemon.share(5.0) > 0.1 and time.perf_counter() - began < TIMEOUT_SECONDS:
        pass
    report_line("busy after the start, for at most", time.perf_counter() - began)
    return report_line("idle, of one processor", daemon.share(IDLE_SECONDS), 0.02, "{:.1%}")


def measure_pages(daemon: RemediatorProcess, size: Size) -> Iterator[bool]:
    """Measure the pages of operators and Prometheus, each at its second request."""
    stack = STACKS[0]
    limits = {
        "/metrics": 0.1,
        "/api/v1/runs?limit=100": 0.1,
        "/api/v1/runs?limit=100&before=150": 0.1,
        f"/api/v1/runs?limit=100&stack={stack}&state=failed": 0.1,
        f"/api/v1/runs?limit=100&stack={stack}&remediation={REMEDIATION}": 0.1,
        "/api/v1/runs?limit=100&state=refused": 0.1,
        f"/api/v1/runs/{size.runs // 2}": 0.1,
    }
    for path, allowed in limits.items():
        get_page = partial(daemon.get, path)
        get_page()
        yield report_line(path, elapsed(get_page), allowed)


def verify_audit(daemon: RemediatorProcess, head: str) -> bool:
    """Measure the verification of the audit trail, and check its result."""
    answers = []
    seconds = elapsed(lambda: answers.append(json.loads(daemon.get(f"/api/v1/audit?head={head}"))))
    report_line("resident afterwards", daemon.megabytes(), template="{:.0f} MB")
    right = answers[0]["first_break"] is None and answers[0]["head_known"]
    return report_line("audit verify", seconds, 30.0) and right


def large_delivery(daemon: RemediatorProcess) -> bool:
    """Measure one delivery of a thousand alerts, each of another open episode."""
    return report_line(
        "processing of 1,000 alerts in one delivery", seconds_to_process(daemon, [delivery_body(range(1_000))]), 2.0
    )


def drain_backlog(daemon: RemediatorProcess) -> bool:
    """Measure a backlog of repeated alerts of open episodes."""
    seconds = seconds_to_process(daemon, [delivery_body([number % 1_000]) for number in range(BACKLOG)])
    rate = BACKLOG / seconds
    return report_line(f"drain of {BACKLOG:,} deliveries", rate, 3_000, "{:,.0f}/s", at_most=False)


def seconds_to_process(daemon: RemediatorProcess, bodies: list[bytes]) -> float:
    """Insert these deliveries at once; return the seconds until the daemon has processed all."""
    with closing(sqlite3.connect(daemon.file, isolation_level=None, timeout=30)) as ledger:
        now = int(time.time() * 1e6)
        ledger.execute("BEGIN IMMEDIATE")
        ledger.executemany("INSERT INTO delivery (received_at, body) VALUES (?, ?)", [(now, each) for each in bodies])
        ledger.execute("COMMIT")
        began = time.perf_counter()
        while ledger.execute("SELECT 1 FROM delivery WHERE processed_at IS NULL LIMIT 1").fetchone():
            time.sleep(0.01)
        return time.perf_counter() - began


def delivery_body(numbers: range | list[int]) -> bytes:
    """Return a delivery with an alert for each number."""
    return json.dumps({"version": "4", "alerts": [alert(number) for number in numbers]}).encode()


def alert(number: int) -> dict[str, object]:
    """Return the firing alert of open episode `number`."""
    stack, name = target_of(number)
    labels = {"alertname": "IdleInTransactionTooLong", "severity": "warning", "stack": stack}
    return {
        "status": "firing",
        "labels": {**labels, "target": name.rpartition("/")[2], "remediation": REMEDIATION},
        "annotations": {"summary": "x" * 80, "description": "x" * 240},
        "startsAt": datetime.now(UTC).isoformat(),
        "fingerprint": f"{number:016x}",
    }


def report_line(
    what: str, value: float, limit: float | None = None, template: str = "{:.3f} s", *, at_most: bool = True
) -> bool:
    """Print a measurement with its limit; return whether the limit is kept."""
    within = limit is None or (value <= limit if at_most else value >= limit)
    verdict = "" if limit is None else f"limit {template.format(limit)}: {'kept' if within else 'MISSED'}"
    print(f"{what:72} {template.format(value):>12}  {verdict}".rstrip(), flush=True)
    return within


def elapsed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def drop_page_cache(file: Path) -> None:
    """Drop the file from the page cache, so that it is read from the disk as after a reboot."""
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


@contextmanager
def running_remediator(folder: Path, file: Path) -> Iterator[RemediatorProcess]:
    """Run the real daemon; yield once it is ready."""
    (folder / "token").write_text("bench")
    (folder / "password").write_text(bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt()).decode())
    (folder / "inventory.yml").write_text(json.dumps(inventory(folder)))
    address = f"127.0.0.1:{free_port()}"
    flags = ["--config.file", str(folder / "inventory.yml"), "--web.listen-address", address]
    command = [
        sys.executable,
        "-m",
        "remediator.main",
        *flags,
        "--ledger.url",
        f"sqlite:///{file}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command)
    daemon = RemediatorProcess(f"http://{address}", process.pid, file)
    try:
        wait_until_ready(daemon)
        yield daemon
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(daemon: RemediatorProcess) -> None:
    """Wait until the daemon is ready; exit if it is not in time."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end:
        try:
            daemon.get("/-/ready")
            return
        except URLError:
            time.sleep(0.05)
    raise SystemExit(f"the remediator was not ready within {TIMEOUT_SECONDS:.0f} s")


def inventory(folder: Path) -> dict[str, object]:
    """Return an inventory with every target of the open episodes, all in mode off."""
    targets: dict[str, dict[str, object]] = {stack: {} for stack in STACKS}
    for number in range(1_000):
        stack, name = target_of(number)
        targets[stack][name.rpartition("/")[2]] = {"dsn": "postgresql://127.0.0.1:1/none"}
    steps = {"first": {"contacts": ["oncall"]}, "second": {"after": "30m", "contacts": ["leads"]}}
    stacks = {
        stack: {"postgres": some, "escalation": steps, "remediations": {REMEDIATION: {"mode": "off"}}}
        for stack, some in targets.items()
    }
    contacts = {name: {"url": "json://127.0.0.1:9"} for name in ("oncall", "leads")}
    operators = {"bench": {"token_file": str(folder / "token"), "password_file": str(folder / "password")}}
    return {"operators": operators, "contacts": contacts, "stacks": stacks}


def main() -> None:
    """Measure in a folder next to the code, because commits to memory cost nothing."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--runs", type=int, default=LARGE.runs, help="number of runs in the ledger; other rows scale with it"
    )
    share = parser.parse_args().runs / LARGE.runs
    size = replace(LARGE, **{name: int(getattr(LARGE, name) * share) for name in ("runs", "deliveries", "messages")})
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        folder, file = Path(directory), Path(directory) / "ledger.db"
        began = time.perf_counter()
        head = write_ledger(file, size)
        report_line(f"wrote {size.runs:,} runs, {file.stat().st_size >> 20:,} MB", time.perf_counter() - began)
        sys.exit(not measure(folder, file, size, head))


if __name__ == "__main__":
    main()
