"""The measurements behind the growth curves: each takes sizes and yields the seconds that one unit of work takes."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from benchmarks import aged_ledger, ledger, listing, postgres, queues, rendering, webhook
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from exporter.postgres.collector import PostgresCollector
from exporter.scrape import Scraper, Selection
from runbookd.inventory import Inventory, PostgresTarget, QueueTarget, RedisTarget, Stack
from runbookd.service.exposition import Format
from runbookd.service.memory import tune_collector

BUDGET_SECONDS, ROUNDS = 9.5, 9
STATEMENTS_OF_TABLES, TABLES_OF_STATEMENTS = 500, 500
SENDER_SECONDS = 3.0


def stacks(sizes: Sequence[int]) -> Iterator[float]:
    """CPU of a whole page: a Redis and a queue per stack."""
    with _redis(max(sizes)) as server:
        for size in sizes:
            yield asyncio.run(_page_of_stacks(server, size))


def queue_readings(sizes: Sequence[int]) -> Iterator[float]:
    """CPU of reading queues."""
    with _redis(max(sizes)) as server:
        for size in sizes:
            yield asyncio.run(queues.cost(server, size, queues.reading))[0]


def tables(sizes: Sequence[int]) -> Iterator[float]:
    """Duration of the statement of a scrape, by tables of the database."""
    for size in sizes:
        yield _postgres_reading(size, STATEMENTS_OF_TABLES)


def statements(sizes: Sequence[int]) -> Iterator[float]:
    """Duration of the statement of a scrape, by entries of pg_stat_statements."""
    for size in sizes:
        yield _postgres_reading(TABLES_OF_STATEMENTS, size)


def samples(sizes: Sequence[int]) -> Iterator[float]:
    """Duration of a page whose values have all changed."""
    for size in sizes:
        yield _render(size)


def objects(sizes: Sequence[int]) -> Iterator[float]:
    """CPU of one reading of a bucket, of 60 in five hours."""
    asyncio.run(listing.measure_cost(min(sizes)))  # loads what is loaded once
    for size in sizes:
        yield asyncio.run(listing.measure_cost(size)).cpu_seconds / listing.READINGS


def ledger_start(sizes: Sequence[int]) -> Iterator[float]:
    """Duration from the start of the remediator until it is ready, with nothing cached."""
    for size in sizes:
        yield _aged_ledger(size)


def senders(sizes: Sequence[int]) -> Iterator[float]:
    """Duration per delivery with concurrent senders of single alerts."""
    with TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        yield from asyncio.run(_deliveries(Path(folder), sizes))


@contextmanager
def _redis(count: int) -> Iterator[RedisServer]:
    tune_collector()  # as the exporter does
    with TemporaryDirectory() as folder:
        server = RedisServer(Path(folder) / "redis")
        server.start()
        try:
            queues.fill(server, count)
            yield server
        finally:
            server.remove()


async def _page_of_stacks(server: RedisServer, count: int) -> float:
    redis = {"main": RedisTarget.model_validate({"url": server.url()})}
    targets = [QueueTarget.model_validate({"redis": "main", "names": (f"queue{n}",)}) for n in range(count)]
    inventory = Inventory(stacks={f"s{n}": Stack(redis=redis, queues={"jobs": each}) for n, each in enumerate(targets)})
    scraper, format, times = Scraper(inventory), Format.accepted(""), list[float]()
    async with scraper.running():
        for _ in range(2 * ROUNDS):
            began = process_time()
            (await scraper.scrape(asyncio.get_running_loop().time() + 10, Selection())).encode(format)
            times.append(process_time() - began)
    return median(times[ROUNDS:])


def _postgres_reading(table_count: int, statement_count: int) -> float:
    with TemporaryDirectory() as folder:
        settings = {"max_locks_per_transaction": "2048", "autovacuum": "off"}
        server = PostgresServer(Path(folder) / "postgres", settings=settings)
        server.start()
        try:
            return asyncio.run(_reading_of(server, table_count, statement_count))
        finally:
            server.remove()


async def _reading_of(server: PostgresServer, table_count: int, statement_count: int) -> float:
    await postgres.fill(server, table_count, statement_count)
    server.add_role("metrics", "IN ROLE pg_monitor")
    target = PostgresTarget.model_validate({"dsn": server.dsn("metrics")})
    collector = PostgresCollector(Stack(postgres={"main": target}), "main")
    assert collector.scrape is not None  # noqa: S101 - it is set when the collector is made
    client, times = await collector.scrape.connect(BUDGET_SECONDS), list[float]()
    for _ in range(2 * ROUNDS):
        began = perf_counter()
        await client.read(time.time())
        times.append(perf_counter() - began)
    await client.close()
    return median(times[ROUNDS:])


def _render(count: int) -> float:
    """Render `count` samples in the families and targets of the rendering benchmark."""
    per_metric = count // (rendering.FAMILIES * rendering.TARGETS)
    scrapes = [
        [tuple(rendering.samples(Random(seed + scrape), per_metric)) for seed in range(rendering.TARGETS)]
        for scrape in (0, rendering.TARGETS)
    ]
    series, format, turns = rendering.new_series(), Format.accepted(""), cycle(scrapes)
    return rendering.best(lambda: rendering.page(next(turns), series, format))


def _aged_ledger(runs: int) -> float:
    share = runs / aged_ledger.LARGE.runs
    fields = ("runs", "deliveries", "messages")
    size = replace(aged_ledger.LARGE, **{name: int(getattr(aged_ledger.LARGE, name) * share) for name in fields})
    with TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        file = Path(folder) / "ledger.db"
        aged_ledger.write_ledger(file, size)
        ledger.drop_page_cache(file)
        began = perf_counter()
        with ledger.running_remediator(Path(folder), file):
            return perf_counter() - began


async def _deliveries(folder: Path, sizes: Sequence[int]) -> list[float]:
    message = webhook.request("/webhook", webhook.repeated_delivery(1))
    times = []
    async with webhook.serving(folder) as (port, _):
        for size in sizes:
            began = perf_counter()
            senders = (webhook.send_for(port, message, began + SENDER_SECONDS) for _ in range(size))
            count = sum(await asyncio.gather(*senders))
            times.append((perf_counter() - began) / count)
    return times
