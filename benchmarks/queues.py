"""Measures a scrape of queues, and whether discovery delays a scrape.

`python -m benchmarks.queues` (`make bench`) starts a Redis, fills it and prints a table: the exporter's CPU time for 50
idle queues and for 50 in which jobs move, and the time for 500 and 1,000 queues. It fails if a limit is missed, or if
the time does not grow linearly. With `--keys 1000000` it also scans a million keys during scrapes, and prints how long
the scan blocked the server.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import redis

from demo.servers.redis import RedisServer
from exporter.bullmq.collector import QueuesCollector
from exporter.scrape import Scraper, Selection
from runbookd.inventory import Inventory, QueueTarget, RedisTarget, Stack
from runbookd.service.exposition import Format
from runbookd.service.memory import tune_collector

ROUNDS = 60
# The exporter's CPU time for a reading of 50 queues, and the duration of a reading of 1,000.
ALLOWED_CPU_SECONDS, ALLOWED_SECONDS = 0.002, 0.150
# The CPU time for 1,000 queues, as a multiple of that for 500.
ALLOWED_GROWTH = 2.6
WAIT, ACTIVE, DELAYED, FAILED, COMPLETED, PRIORITIZED = 100, 2, 20, 20, 30, 5


def main() -> None:
    """Measure and print; exit with 1 if a limit is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=0, help="also scan this number of keys")
    keys = parser.parse_args().keys
    tune_collector()  # as the exporter does
    with TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis")
        server.start()
        try:
            sys.exit(not asyncio.run(_measure(server, keys)))
        finally:
            server.remove()


async def _measure(server: RedisServer, keys: int) -> bool:
    fill(server, 1000)
    cpu, _ = await cost(server, 50, reading)
    moved_cpu, _ = await cost(server, 50, reading, _move_jobs)
    page_cpu, _ = await cost(server, 50, _page)
    bare_cpu, _ = await cost(server, 0, _page)
    _line("CPU time for reading 50 idle queues", cpu)
    _line("… with a moved job in each", moved_cpu)
    _line("… with their part of the page", page_cpu - bare_cpu)
    half_cpu, half = await cost(server, 500, reading)
    whole_cpu, whole = await cost(server, 1000, reading)
    _line("500 queues", half, f"{half_cpu * 1e3:.1f} ms of CPU time")
    _line("1,000 queues", whole, f"{whole_cpu * 1e3:.1f} ms of CPU time")
    if keys:
        await _scan(server, keys)
    return cpu <= ALLOWED_CPU_SECONDS and whole <= ALLOWED_SECONDS and whole_cpu <= ALLOWED_GROWTH * half_cpu


def fill(server: RedisServer, queues: int) -> None:
    """Create queues in the format of BullMQ 5, with jobs in every state."""
    with redis.Redis(port=server.port) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(queues):
            _fill_one(pipeline, f"bull:queue{number}")
            pipeline.execute()


def _fill_one(pipeline: "redis.client.Pipeline", queue: str) -> None:
    now = int(time.time() * 1000) - 1_000_000
    job: HashFields = {"name": "send", "data": "{}", "opts": '{"attempts":3}', "delay": 0, "priority": 0}
    pipeline.hset(f"{queue}:meta", mapping={"version": "bullmq:5.81.5", "opts.maxLenEvents": 10000})
    pipeline.set(f"{queue}:id", WAIT)
    for number in range(WAIT + ACTIVE + PRIORITIZED):
        started: HashFields = {"processedOn": now} if number < ACTIVE else {}
        pipeline.hset(f"{queue}:{number}", mapping=job | started | {"timestamp": now + 1000 * number})
    pipeline.lpush(f"{queue}:active", *range(ACTIVE))
    pipeline.lpush(f"{queue}:wait", *range(ACTIVE, ACTIVE + WAIT))
    first = ACTIVE + WAIT
    pipeline.zadd(f"{queue}:prioritized", {str(first + n): (n + 1) * 2**32 + n for n in range(PRIORITIZED)})
    pipeline.zadd(f"{queue}:delayed", {f"d{n}": (now + 600_000 + n) * 4096 for n in range(DELAYED)})
    pipeline.zadd(f"{queue}:failed", {f"f{n}": now - n for n in range(FAILED)})
    pipeline.zadd(f"{queue}:completed", {f"c{n}": now - n for n in range(COMPLETED)})


def _stack(server: RedisServer, names: tuple[str, ...] | str) -> Stack:
    target = QueueTarget.model_validate({"redis": "main", "names": names})
    return Stack(redis={"main": RedisTarget.model_validate({"url": server.url()})}, queues={"jobs": target})


HashFields = dict[Any, Any]
Work = Callable[[], Awaitable[object]]


@asynccontextmanager
async def reading(server: RedisServer, count: int) -> AsyncIterator[Work]:
    """Yield a reading without a page."""
    collector = QueuesCollector(_stack(server, tuple(f"queue{n}" for n in range(count))), "jobs")
    assert collector.scrape is not None  # noqa: S101 - for the type checker
    client = await collector.scrape.connect(10)
    yield lambda: client.read(time.time())
    await client.close()


@asynccontextmanager
async def _page(server: RedisServer, count: int) -> AsyncIterator[Work]:
    """Yield a whole scrape without HTTP: reading, page and encoding."""
    stack = _stack(server, tuple(f"queue{n}" for n in range(count)) or ("none",))
    scraper = Scraper(Inventory(stacks={"shop": stack}))
    format = Format.accepted("")

    async def work() -> None:
        selection = Selection(collectors=frozenset({"queues"}))
        (await scraper.scrape(asyncio.get_running_loop().time() + 10, selection)).encode(format)

    async with scraper.running():
        yield work


def _move_jobs(server: RedisServer) -> None:
    """Start the next job of 50 queues, and add one to each."""
    with redis.Redis(port=server.port) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(50):
            job = client.incr(f"bull:queue{number}:id") + 1_000
            pipeline.hset(f"bull:queue{number}:{job}", mapping={"timestamp": int(time.time() * 1000), "opts": "{}"})
            pipeline.lpush(f"bull:queue{number}:wait", job)
            pipeline.rpop(f"bull:queue{number}:wait")
        pipeline.execute()


async def cost(
    server: RedisServer,
    count: int,
    kind: Callable[[RedisServer, int], AbstractAsyncContextManager[Work]],
    change: Callable[[RedisServer], None] = lambda _: None,
) -> tuple[float, float]:
    """Return the median CPU time and duration of a reading after a change, in seconds."""
    rounds = []
    async with kind(server, count) as work:
        for _ in range(ROUNDS):
            change(server)
            rounds.append(await _timed(work))
    cpu, took = zip(*rounds[ROUNDS // 4 :], strict=True)  # the first readings request more jobs and warm up
    return median(cpu), median(took)


async def _timed(work: Work) -> tuple[float, float]:
    cpu, began = process_time(), perf_counter()
    await work()
    return process_time() - cpu, perf_counter() - began


async def _scan(server: RedisServer, keys: int) -> None:
    """Scrape continuously during a scan of the keys."""
    with redis.Redis(port=server.port) as client:
        await asyncio.to_thread(_many_keys, client, keys)
        client.config_resetstat()
        took, slowest = await _scrape_during_scan(server)
        steps = client.info("commandstats")["cmdstat_scan"]
    _line(f"discovery among {client_keys(server):,} keys", took, f"{steps['calls']} steps")
    _line("… the server's time per step", steps["usec_per_call"] / 1e6)
    _line("… the slowest scrape of 50 queues", slowest)


async def _scrape_during_scan(server: RedisServer) -> tuple[float, float]:
    collector, slowest = QueuesCollector(_stack(server, "discover"), "jobs"), 0.0
    assert collector.background is not None  # noqa: S101 - for the type checker
    client = await collector.background.connect(300)
    began = perf_counter()
    scan = asyncio.create_task(client.read(time.time()))
    async with reading(server, 50) as work:
        while not scan.done():
            slowest = max(slowest, (await _timed(work))[1])
            await asyncio.sleep(0.01)
    await client.close()
    return perf_counter() - began, slowest


def _many_keys(client: "redis.Redis", keys: int) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for first in range(0, keys, 10_000):
            for number in range(first, min(first + 10_000, keys)):
                pipeline.hset(f"bull:queue{number % 1000}:done{number}", "timestamp", 1)
            pipeline.execute()


def client_keys(server: RedisServer) -> int:
    """Return the number of keys in the server."""
    with redis.Redis(port=server.port) as client:
        return int(client.dbsize())


def _line(what: str, seconds: float, more: str = "") -> None:
    print(f"{what:42}{seconds * 1e3:8.2f} ms   {more}")


if __name__ == "__main__":
    main()
