"""A running exporter for the tests: the real application on a socket, scraped over HTTP as Prometheus does."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import obstore
import pytest
import yaml
from aiohttp import web
from obstore.store import S3Store
from prometheus_client.parser import text_string_to_metric_families

from demo.servers.postgres import PostgresServer
from demo.servers.s3 import ACCESS_KEY, REGION, SECRET_KEY
from exporter.app import build_app
from runbookd.inventory import load_inventory
from soak.proxy import Proxy

METRICS_ROLE = "metrics"
TIMEOUT_SECONDS = 5.0
BUSY_SECONDS = 10.0
"""A busy machine delivers a page later than the exporter means to; one that waits for its target takes longer still."""


@dataclass(frozen=True)
class ScrapedPage:
    """A parsed page of metrics, and the seconds that it took."""

    text: str
    values: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]
    seconds: float

    def series(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return all series of a metric that have these labels."""
        pairs = set(labels.items())
        return {key: value for key, value in self.values.get(name, {}).items() if pairs <= set(key)}

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the only series of a metric with these labels, or None."""
        matches = self.series(name, **labels)
        assert len(matches) <= 1, f"{name} has {len(matches)} series with {labels}: {matches}"
        return next(iter(matches.values()), None)


def _parse_page(text: str, seconds: float) -> ScrapedPage:
    values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in values.setdefault(sample.name, {}), f"{sample.name}{labels} occurs twice"
            values[sample.name][labels] = sample.value
    return ScrapedPage(text, values, seconds)


@dataclass(frozen=True)
class RunningExporter:
    """An exporter that serves on `url`."""

    url: str

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Return the status and body of a page."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", headers=named) as answer,
        ):
            return answer.status, await answer.text()

    async def scrape(self, query: str = "", allowed: float = TIMEOUT_SECONDS) -> ScrapedPage:
        """Return a page of metrics; `allowed` is the timeout in seconds that Prometheus would send."""
        began = monotonic()
        status, text = await self.get(
            f"/metrics{query}", X_Prometheus_Scrape_Timeout_Seconds=str(allowed), Accept="text/plain"
        )
        assert status == 200, text
        return _parse_page(text, monotonic() - began)

    async def scrape_until(self, done: Callable[[ScrapedPage], object], seconds: float = 30.0) -> ScrapedPage:
        """Scrape until `done` holds; fail with the last page."""
        end = monotonic() + seconds
        while True:
            page = await self.scrape()
            if done(page):
                return page
            assert monotonic() < end, page.text
            await asyncio.sleep(0.1)

    async def page_with(self, words: str, path: str = "/metrics?debug=true", seconds: float = 30.0) -> str:
        """Scrape until a page shows the words; fail with its last text."""
        end = monotonic() + seconds
        while True:
            await self.scrape()
            text = (await self.get(path))[1]
            if words in text:
                return text
            assert monotonic() < end, f"{words!r} is not in {text}"
            await asyncio.sleep(0.1)

    async def scrape_after_jobs(self) -> ScrapedPage:
        """Return a page after every background job has run, so that none is under way."""
        return await self.scrape_until(lambda page: set(page.series("runbook_exporter_job_success").values()) == {1})


StartExporter = Callable[..., Awaitable[RunningExporter]]


@pytest.fixture
async def start_exporter(tmp_path: Path) -> AsyncIterator[StartExporter]:
    """Start exporters on an inventory, given as YAML."""
    runners: list[web.AppRunner] = []

    async def start(inventory: str | None) -> RunningExporter:
        file = tmp_path / "inventory.yml"
        file.write_text(inventory or "")
        load = partial(load_inventory, file if inventory else None, {})
        runner = web.AppRunner(build_app(load(), load))
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return RunningExporter(f"http://127.0.0.1:{runner.addresses[0][1]}")

    yield start
    for runner in runners:
        await runner.cleanup()


Until = Callable[..., Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Wait until a condition holds; fail if it does not in time."""

    async def wait(done: Callable[[], object], seconds: float = 20.0) -> None:
        end = monotonic() + seconds
        while not done():
            assert monotonic() < end, "the condition did not hold in time"
            await asyncio.sleep(0.02)

    return wait


@pytest.fixture
async def proxy() -> AsyncIterator[Callable[[int], Awaitable[tuple[Proxy, int]]]]:
    """Start a counting proxy in front of a port; return it and its own port."""
    proxies: list[Proxy] = []

    async def start(port: int) -> tuple[Proxy, int]:
        proxies.append(Proxy(port))
        return proxies[-1], await proxies[-1].start()

    yield start
    for each in proxies:
        await each.close()


@pytest.fixture
def silent() -> Iterator[int]:
    """Serve a port that connects and never answers: only the kernel takes its connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def unreachable() -> Iterator[int]:
    """Open a port whose listen queue is full: connections get no answer at all, as behind a black hole."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@dataclass(frozen=True)
class LimitedPostgres:
    """A module's own PostgreSQL, to stop and freeze; the exporter's role may have two connections."""

    server: PostgresServer

    @property
    def dsn(self) -> str:
        return self.server.dsn(METRICS_ROLE)

    def backends(self) -> list[int]:
        """Return the process ids of the exporter's sessions."""
        query = "SELECT pid FROM pg_stat_activity WHERE usename = 'metrics'"
        return [int(pid) for pid in self.server.sql(query).split()]

    @contextmanager
    def held(self, pid: int) -> Iterator[None]:
        """Freeze one of its processes."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def limited_postgres(servers_folder: Path) -> Iterator[LimitedPostgres]:
    server = PostgresServer(servers_folder / "limited_postgres")
    server.start()
    server.add_role(METRICS_ROLE, "IN ROLE pg_monitor CONNECTION LIMIT 2")
    yield LimitedPostgres(server)
    server.remove()


@pytest.fixture(scope="session")
def metrics_server(postgres_server: PostgresServer) -> PostgresServer:
    """Return the session's PostgreSQL with the exporter's role, which has only the rights of pg_monitor."""
    postgres_server.add_role(METRICS_ROLE, "IN ROLE pg_monitor")
    return postgres_server


@pytest.fixture
def options(bucket: Any, tmp_path: Path) -> Path:
    """Write the credentials of the test's bucket. Without any, the library would query the cloud for them."""
    file = tmp_path / "s3_options.yml"
    file.write_text(
        yaml.safe_dump(
            {
                "aws_access_key_id": ACCESS_KEY,
                "aws_secret_access_key": SECRET_KEY,
                "aws_region": REGION,
                "aws_endpoint": bucket.server.url,
                "aws_allow_http": "true",
            }
        )
    )
    return file


@pytest.fixture
def open_bucket(bucket: Any) -> S3Store:
    """Return the test's bucket with all rights."""
    return S3Store(
        bucket.name,
        config={
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": REGION,
            "endpoint": bucket.server.url,
        },
        client_options={"allow_http": True},
    )


@pytest.fixture
def put(open_bucket: S3Store) -> Callable[..., None]:
    """Put an object into the test's bucket."""

    def put(name: str, content: bytes = b"content") -> None:
        obstore.put(open_bucket, name, content)

    return put
