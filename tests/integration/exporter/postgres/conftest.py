"""Readings of the PostgreSQL collector alone, without a metrics page."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.servers.postgres import PostgresServer
from demo.servers.standby import StandbyServer
from exporter.collector import Client, Reading
from exporter.metric import Sample, single_samples
from exporter.postgres.collector import PostgresCollector
from runbookd.inventory import PostgresTarget, Stack

BUDGET_SECONDS = 5.0


@dataclass(frozen=True)
class SampleSet:
    """Samples with a lookup by name and some of their labels."""

    samples: Sequence[Sample]

    def series(self, name: str, **labels: str) -> list[tuple[Mapping[str, str], float]]:
        named = [
            (dict(zip(s.metric.labels, s.labels, strict=True)), s.value) for s in self.samples if s.metric.name == name
        ]
        return [(pairs, value) for pairs, value in named if labels.items() <= pairs.items()]

    def value(self, name: str, **labels: str) -> float | None:
        """Return the only series with these labels, or None."""
        matches = self.series(name, **labels)
        assert len(matches) <= 1, f"{name} has {len(matches)} series with {labels}: {matches}"
        return matches[0][1] if matches else None

    def names(self) -> set[str]:
        return {sample.metric.name for sample in self.samples}


class TargetReader:
    """A collector of one server, and a connection like that of a scrape."""

    def __init__(self, **target: Any) -> None:
        self.collector = PostgresCollector(Stack(postgres={"main": PostgresTarget.model_validate(target)}), "main")
        self.client: Client | None = None
        self.budget = BUDGET_SECONDS
        self.reading = Reading((), 0)

    async def read(self) -> SampleSet:
        """Read as a scrape does; reconnect after a lost connection."""
        if self.client is None or not self.client.usable:
            self.client = await self.collector.scrape.connect(self.budget)
        self.reading = await self.client.read(0.0)
        return SampleSet(tuple(single_samples(self.reading.samples)))

    async def until(self, done: Callable[[SampleSet], object], seconds: float = 30.0) -> SampleSet:
        """Read repeatedly until `done` returns true."""
        end = asyncio.get_running_loop().time() + seconds
        while not done(samples := await self.read()):
            assert asyncio.get_running_loop().time() < end, f"the condition was not met within {seconds} s"
            await asyncio.sleep(0.05)
        return samples

    async def run(self, job: str) -> SampleSet:
        """Run one background job."""
        [selected] = [each for each in self.collector.jobs.jobs if each.name == job]
        session = self.collector.jobs.session()
        try:
            samples = await selected.run(session, asyncio.get_running_loop().time() + BUDGET_SECONDS)
            return SampleSet(tuple(single_samples(samples)))
        finally:
            await session.close()

    async def all(self) -> SampleSet:
        """Return the samples of a scrape and of all jobs."""
        samples = list((await self.read()).samples)
        for job in self.collector.jobs.jobs:
            samples += (await self.run(job.name)).samples
        return SampleSet(samples)


MakeReader = Callable[..., TargetReader]


@pytest.fixture
async def make_reader() -> AsyncIterator[MakeReader]:
    """Give a function that makes readers of a target by its inventory keys; close them afterwards."""
    readers: list[TargetReader] = []

    def make(dsn: str, **target: Any) -> TargetReader:
        readers.append(TargetReader(dsn=dsn, **target))
        return readers[-1]

    yield make
    for each in readers:
        if each.client is not None:
            await each.client.close()


@pytest.fixture
def reader(make_reader, metrics_server, database) -> TargetReader:
    """Give a reader of the test's own database, whose role is only in pg_monitor."""
    reader: TargetReader = make_reader(database.dsn("metrics"))
    return reader


OpenSession = Callable[..., Awaitable[Any]]


@pytest.fixture
async def connect(database) -> AsyncIterator[OpenSession]:
    """Open sessions of the product, or of another server by its address."""
    opened: list[Any] = []

    async def open_session(dsn: str | None = None, **options: Any) -> Any:
        opened.append(await asyncpg.connect(dsn or database.dsn(), **options))
        return opened[-1]

    yield open_session
    for connection in opened:
        connection.terminate()


@pytest.fixture
def waiting() -> Callable[..., Any]:
    """Run a waiting statement for the duration of the block."""

    @asynccontextmanager
    async def run(connection: Any, sql: str) -> AsyncIterator[None]:
        task = asyncio.create_task(connection.execute(sql))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            connection.terminate()
            await asyncio.gather(task, return_exceptions=True)

    return run


@pytest.fixture(scope="session")
def server16(postgres16: PostgresServer) -> PostgresServer:
    """Give a PostgreSQL 16 with the exporter's role."""
    postgres16.add_role("metrics", "IN ROLE pg_monitor")
    return postgres16


EQUIPPED = {
    "wal_level": "logical",
    "max_prepared_transactions": "5",
    "max_slot_wal_keep_size": "64MB",
    "archive_mode": "on",
    "archive_command": "false",
    "wal_keep_size": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "32MB",
}


@pytest.fixture(scope="module")
def primary(servers_folder: Path) -> Iterator[PostgresServer]:
    """Start a primary for one module, with features that the shared server lacks."""
    server = PostgresServer(servers_folder / "equipped_postgres", settings=EQUIPPED)
    server.start()
    server.add_role("metrics", "IN ROLE pg_monitor, pg_read_all_data")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def follower(servers_folder: Path, primary: PostgresServer) -> Iterator[StandbyServer]:
    """Start the primary's standby."""
    server = StandbyServer(servers_folder / "equipped_standby", primary, settings=EQUIPPED)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def modern(servers_folder: Path) -> Iterator[PostgresServer]:
    """Start a PostgreSQL 18 for one module."""
    server = PostgresServer(servers_folder / "modern_postgres", version=18, settings={"wal_level": "logical"})
    server.start()
    server.add_role("metrics", "IN ROLE pg_monitor")
    yield server
    server.remove()
