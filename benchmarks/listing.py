"""What it costs to watch a large bucket of backups, against a small one: requests, and CPU of the exporter.

The server runs as another process, so that only the exporter's work counts. Fails if a million old backups cost more
than twice as much as a thousand.
"""

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
    """Of all readings together; `first` is the requests of the first one."""

    first: int
    requests: int
    cpu_seconds: float


@contextmanager
def serve_keys(count: int, newest: float) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.many_keys", str(count), str(newest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # asked for  # noqa: S101
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def collector(endpoint: str) -> BackupsCollector:
    options = {"access_key_id": "bench", "secret_access_key": "bench", "region": "us-east-1"}
    options |= {"endpoint": endpoint, "allow_http": "true"}
    target = {"url": f"s3://bucket/{FOLDER}", "pattern": PATTERN, "options": options}
    return BackupsCollector(Stack.model_validate({"backups": {"nightly": target}}), "nightly")


async def measure_cost(count: int) -> ListingCost:
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
    with urlopen(f"{endpoint}/requests") as answer:  # noqa: S310 - our own server
        count: int = json.load(answer)["requests"]
    return count


def main() -> int:
    asyncio.run(measure_cost(SMALL))  # warms up what is loaded once
    small, large = asyncio.run(measure_cost(SMALL)), asyncio.run(measure_cost(LARGE))
    for count, cost in ((SMALL, small), (LARGE, large)):
        print(
            f"{count:>9,} backups: {cost.first} requests at first, {cost.requests} in {READINGS} readings,"
            f" {cost.cpu_seconds / READINGS * 1000:.1f} ms of CPU each"
        )
    requests, cpu = large.requests / small.requests, large.cpu_seconds / small.cpu_seconds
    print(f"ratio: {requests:.2f} of the requests, {cpu:.2f} of the CPU; both may be {ALLOWED_RATIO:g}")
    return 0 if requests <= ALLOWED_RATIO and cpu <= ALLOWED_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
