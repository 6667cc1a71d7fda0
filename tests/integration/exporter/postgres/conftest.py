"""The PostgreSQL collector by itself: what it reads of a server, without a page around it."""

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
    """Samples, to be looked up by name and some of their labels."""

    samples: Sequence[Sample]

    def series(self, name: str, **labels: str) -> list[tuple[Mapping[str, str], float]]:
        named = [
            (dict(zip(s.metric.labels, s.labels, strict=True)), s.value) for s in self.samples if s.metric.name == name
        ]
        return [(pairs, value) for pairs, value in named if labels.items() <= pairs.items()]

    def value(self, name: str, **labels: str) -> float | None:
        """The only series with these labels, or None."""
        matches = self.series(name, **labels)
        assert len(matches) <= 1, f"{name} has {len(matches)} series with {labels}: {matches}"
        return matches[0][1] if matches else None

    def names(self) -> set[str]:
        return {sample.metric.name for sample in self.samples}


class Subject:
    """A collector of one server, and one connection as a scrape has it."""

    def __init__(self, **target: Any) -> None:
        self.collector = PostgresCollector(Stack(postgres={"main": PostgresTarget(**target)}), "main")
        self.client: Client | None = None
        self.budget = BUDGET_SECONDS
        self.reading = Reading((), 0)

    async def read(self) -> SampleSet:
        """Read as a scrape does; a lost connection is made anew."""
        if self.client is None or not self.client.usable:
            self.client = await self.collector.scrape.connect(self.budget)
        self.reading = await self.client.read(0.0)
        return SampleSet(tuple(single_samples(self.reading.samples)))

    async def until(self, done: Callable[[SampleSet], object], seconds: float = 10.0) -> SampleSet:
        """Read again and again until `done` says so."""
        end = asyncio.get_running_loop().time() + seconds
        while not done(samples := await self.read()):
            assert asyncio.get_running_loop().time() < end, "it did not come true in time"
            await asyncio.sleep(0.05)
        return samples

    async def run(self, job: str) -> SampleSet:
        """Run one job of the background."""
        [selected] = [each for each in self.collector.jobs.jobs if each.name == job]
        session = self.collector.jobs.session()
        try:
            return SampleSet(await selected.run(session, asyncio.get_running_loop().time() + BUDGET_SECONDS))
        finally:
            await session.close()

    async def all(self) -> SampleSet:
        """Everything: what a scrape reads and what all jobs find."""
        samples = list((await self.read()).samples)
        for job in self.collector.jobs.jobs:
            samples += (await self.run(job.name)).samples
        return SampleSet(samples)


MakeSubject = Callable[..., Subject]


@pytest.fixture
async def subject() -> AsyncIterator[MakeSubject]:
    """Makes subjects of the keys of a target in the inventory, and closes them."""
    made: list[Subject] = []

    def make(dsn: str, **target: Any) -> Subject:
        made.append(Subject(dsn=dsn, **target))
        return made[-1]

    yield make
    for each in made:
        if each.client is not None:
            await each.client.close()


@pytest.fixture
def here(subject, metrics_server, database) -> Subject:
    """The test's own database, read as a role of pg_monitor only."""
    made: Subject = subject(database.dsn("metrics"))
    return made


OpenSession = Callable[..., Awaitable[Any]]


@pytest.fixture
async def connect(database) -> AsyncIterator[OpenSession]:
    """Opens sessions of the product, or of another server by its address."""
    opened: list[Any] = []

    async def open_session(dsn: str | None = None, **options: Any) -> Any:
        opened.append(await asyncpg.connect(dsn or database.dsn(), **options))
        return opened[-1]

    yield open_session
    for connection in opened:
        connection.terminate()


@pytest.fixture
def waiting() -> Callable[..., Any]:
    """Runs a statement that waits for something, while the block lasts."""

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
    """With the exporter's role."""
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
    """A primary of one module alone, with everything that others do without."""
    server = PostgresServer(servers_folder / "equipped_postgres", settings=EQUIPPED)
    server.start()
    server.add_role("metrics", "IN ROLE pg_monitor, pg_read_all_data")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def follower(servers_folder: Path, primary: PostgresServer) -> Iterator[StandbyServer]:
    """Its standby."""
    server = StandbyServer(servers_folder / "equipped_standby", primary, settings=EQUIPPED)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def modern(servers_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL 18 of one module alone."""
    server = PostgresServer(servers_folder / "modern_postgres", version=18, settings={"wal_level": "logical"})
    server.start()
    server.add_role("metrics", "IN ROLE pg_monitor")
    yield server
    server.remove()
