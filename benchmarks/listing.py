"""Compares the cost of watching a large and a small bucket of backups.

The cost is requests and the exporter's CPU. The server runs in another process, so that only the exporter's work
counts. Fails if a million old backups cost over twice as much as a thousand.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import urlopen

from benchmarks.many_keys import FOLDER, PATTERN
from exporter.backups.collector import BackupsCollector
from runbookd.inventory import Stack

SMALL, LARGE = 1_000, 1_000_000
READINGS, REFRESH = 60, 300
ALLOWED_RATIO = 2.0


@dataclass(frozen=True)
class ListingCost:
    """The cost of all readings; `first` counts the requests of the first reading."""

    first: int
    requests: int
    cpu_seconds: float


@contextmanager
def serve_keys(count: int, newest: float) -> Iterator[str]:
    """Serve a bucket of `count` backups in another process; yield its address."""
    command = [sys.executable, "-m", "benchmarks.many_keys", str(count), str(newest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - it is a pipe
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def collector(endpoint: str) -> BackupsCollector:
    """Return a collector for the bucket at `endpoint`."""
    options = {"access_key_id": "bench", "secret_access_key": "bench", "region": "us-east-1"}
    options |= {"endpoint": endpoint, "allow_http": "true"}
    target = {"url": f"s3://bucket/{FOLDER}", "pattern": PATTERN, "options": options}
    return BackupsCollector(Stack.model_validate({"backups": {"nightly": target}}), "nightly")


async def measure_cost(count: int) -> ListingCost:
    """Measure the readings of a bucket with `count` backups."""
    start = time.time()
    with serve_keys(count, start - 600) as endpoint:
        backups_collector, first = collector(endpoint), 0
        assert backups_collector.background is not None  # noqa: S101 - for the type checker
        began = time.process_time()
        for number in range(READINGS):
            client = await backups_collector.background.connect(REFRESH)
            await client.read(start + number * REFRESH)
            first = first or backups_collector.state.tally.requests
        cpu = time.process_time() - began
        return ListingCost(first, await asyncio.to_thread(requests_at, endpoint), cpu)


def requests_at(endpoint: str) -> int:
    """Return the number of requests that the server has counted."""
    with urlopen(f"{endpoint}/requests") as answer:  # noqa: S310 - our own server
        count: int = json.load(answer)["requests"]
    return count


def main() -> int:
    """Measure and print; return 1 if the large bucket costs too much."""
    asyncio.run(measure_cost(SMALL))  # warm-up
    small, large = asyncio.run(measure_cost(SMALL)), asyncio.run(measure_cost(LARGE))
    for count, cost in ((SMALL, small), (LARGE, large)):
        print(
            f"{count:>9,} backups: {cost.first} requests in the first reading, {cost.requests} in {READINGS} readings,"
            f" {cost.cpu_seconds / READINGS * 1000:.1f} ms of CPU each"
        )
    requests, cpu = large.requests / small.requests, large.cpu_seconds / small.cpu_seconds
    print(f"ratio: {requests:.2f} in requests, {cpu:.2f} in CPU; the limit is {ALLOWED_RATIO:g} for both")
    return 0 if requests <= ALLOWED_RATIO and cpu <= ALLOWED_RATIO else 1


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.listing", description=__doc__).parse_args()
    sys.exit(main())
