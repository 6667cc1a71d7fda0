"""Measures how fast the remediator accepts deliveries, and how soon it acts.

`python -m benchmarks.webhook` (`make bench`) serves the remediator in a separate process, with a ledger on this disk,
and posts to it as Alertmanager does. It prints each measurement with its limit, and fails if one is missed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from benchmarks.webhook_server import AUTO_STACK, REMEDIATION, SHADOW_STACK, TARGETS

ROUNDS = 1_500
SENDERS = 64
SECONDS = 4.0
EFFECTS = 25
ClientConnection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def measure(folder: Path) -> bool:
    """Measure and print everything; return whether every limit is kept."""
    async with serving(folder) as (port, effects):
        results = [await latency(folder, port), await first_effect(port, effects)]
        results += [await throughput(port, alerts) for alerts in (1, 50)]
    return all(results)


async def latency(folder: Path, port: int) -> bool:
    """Measure one sender of single alerts, compared with bare HTTP plus one disk sync."""
    body = repeated_delivery(1)
    disk, floors, accepts = [], [], []
    async with connect(port) as connection:
        for _ in range(ROUNDS):  # in turn: the machine is the same for all three
            floors.append(await timed(connection, request("/floor", body)))
            accepts.append(await timed(connection, request("/webhook", body)))
            disk.append(sync_once(folder, len(body)))
    floor, accept, sync = (statistics.median(times) for times in (floors, accepts, disk))
    report_line("fdatasync, p50", f"{sync * 1e3:.3f} ms")
    report_line("HTTP alone, p50", f"{floor * 1e3:.3f} ms")
    ratio = accept / (floor + sync)
    return report_line("durable accept, p50", f"{accept * 1e3:.3f} ms, {ratio:.2f} of both", ratio <= 2, "2")


async def throughput(port: int, alerts: int) -> bool:
    """Measure the rate of many concurrent senders."""
    message = request("/webhook", repeated_delivery(alerts))
    began = perf_counter()
    counts = await asyncio.gather(*(send_for(port, message, began + SECONDS) for _ in range(SENDERS)))
    rate = sum(counts) / (perf_counter() - began)
    if alerts == 1:
        return report_line(f"{SENDERS} senders, 1 alert each", f"{rate:,.0f} deliveries/s", rate >= 3_000, "3,000")
    alert_rate = rate * alerts
    return report_line(
        f"{SENDERS} senders, {alerts} alerts each", f"{alert_rate:,.0f} alerts/s", alert_rate >= 10_000, "10,000"
    )


async def first_effect(port: int, effects: asyncio.StreamReader) -> bool:
    """Measure the time from sending a delivery until the remediation touches its target."""
    times = []
    async with connect(port) as connection:
        for target in TARGETS[:EFFECTS]:
            message = request("/webhook", delivery([alert("effect", AUTO_STACK, target)]))
            sent_at = monotonic()
            await timed(connection, message)
            async with asyncio.timeout(30):
                times.append(float(await effects.readline()) - sent_at)
            await asyncio.sleep(0.3)
    median = statistics.median(times)
    return report_line("delivery to first effect, median", f"{median * 1e3:.1f} ms", median <= 0.05, "50 ms")


def report_line(what: str, value: str, within: bool | None = None, limit: str = "") -> bool:
    """Print a measurement with its limit; return whether the limit is kept."""
    verdict = "" if within is None else f"limit {limit}: {'kept' if within else 'MISSED'}"
    print(f"{what:36} {value:28} {verdict}".rstrip())
    return within is not False


def sync_once(folder: Path, size: int) -> float:
    """Append `size` bytes to a file; return the seconds that fdatasync takes."""
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, b"x" * size)
        began = perf_counter()
        os.fdatasync(descriptor)
        return perf_counter() - began
    finally:
        os.close(descriptor)


async def send_for(port: int, body: bytes, until: float) -> int:
    """Send a request repeatedly until a time; return the number of answers."""
    count = 0
    async with connect(port) as connection:
        while perf_counter() < until:
            await timed(connection, body)
            count += 1
    return count


async def timed(connection: ClientConnection, message: bytes) -> float:
    """Send a request; return the seconds until its answer is complete."""
    reader, writer = connection
    began = perf_counter()
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head[:15]:
        raise SystemExit(f"the remediator refused a delivery: {head.decode(errors='replace')}")
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    await reader.readexactly(size)
    return perf_counter() - began


def request(path: str, body: bytes) -> bytes:
    """Return an HTTP request as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Authorization: Bearer bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def repeated_delivery(alerts: int) -> bytes:
    """Return a delivery of shadow-mode alerts, the same from every sender."""
    return delivery([alert(target, SHADOW_STACK, target) for target in TARGETS[:alerts]])


def delivery(alerts: Sequence[Any]) -> bytes:
    """Return a body of realistic size."""
    common: dict[str, Any] = {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}}
    body = {"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "remediator"}
    return json.dumps({**body, **common, "externalURL": "http://alertmanager.example", "alerts": alerts}).encode()


def alert(name: str, stack: str, target: str) -> dict[str, Any]:
    """Return a firing alert of realistic size."""
    labels = {"alertname": "BenchTooSlow", "severity": "warning", "component": "database", "instance": name}
    return {
        "status": "firing",
        "labels": {**labels, "stack": stack, "target": target, "remediation": REMEDIATION},
        "annotations": {"summary": "x" * 80, "description": "x" * 240, "runbook_url": "https://runbooks.example/x"},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=x",
        "fingerprint": name,
    }


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[ClientConnection]:
    """Keep a connection to the remediator open while the context is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
    """Run the remediator in its own process; yield its port and the stream of effect times."""
    process, port = await start(folder)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        yield port, process.stdout
    finally:
        process.terminate()
        await process.wait()


async def start(folder: Path, *ledger_url: str) -> tuple[asyncio.subprocess.Process, int]:
    """Start a remediator, with a SQLite ledger in `folder` by default; return its process and port."""
    (folder / "token").write_text("bench")
    command: Sequence[str] = (sys.executable, "-m", "benchmarks.webhook_server", str(folder), *ledger_url)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    return process, int(await process.stdout.readline())


def main() -> None:
    """Measure in a folder next to the code, because commits to memory cost nothing."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        sys.exit(not asyncio.run(measure(Path(folder))))


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.webhook", description=__doc__).parse_args()
    main()
