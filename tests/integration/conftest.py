"""Real servers for the integration tests: one per kind and session, started at first use.

Each test gets its own empty database, Redis or bucket. A new session stops servers that a killed session left behind.
"""

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.leftovers import end_leftovers
from demo.servers.node import run_node
from demo.servers.pgbouncer import PgBouncerServer
from demo.servers.postgres import SUPERUSER, PostgresServer
from demo.servers.prometheus import PrometheusServer
from demo.servers.redis import RedisServer
from demo.servers.s3 import S3Server
from demo.servers.server import Server
from demo.servers.standby import StandbyServer
from tests.ledgers import SETTINGS, LedgerDatabases, make_template
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import TOOLS, postgres_packages

S = TypeVar("S", bound=Server)
Configured = TypeVar("Configured", PrometheusServer, AlertmanagerServer)


@dataclass(frozen=True)
class Database:
    """The database of one test."""

    server: PostgresServer
    name: str

    def dsn(self, role: str = SUPERUSER) -> str:
        return self.server.dsn(role, self.name)

    def sql(self, statements: str, *, role: str = SUPERUSER) -> str:
        return self.server.sql(statements, role=role, database=self.name)


@dataclass(frozen=True)
class Bucket:
    """The bucket of one test."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Yield a folder named after this process; the next session stops servers left there."""
    sessions = TOOLS / "test-servers"
    sessions.mkdir(parents=True, exist_ok=True)
    end_leftovers(sessions)
    folder = sessions / str(os.getpid())
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(servers_folder / "postgres")
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres16(servers_folder: Path) -> Iterator[PostgresServer]:
    """Run PostgreSQL 16, which like 18 lacks pg_stat_statements here."""
    with _running_server(PostgresServer(servers_folder / "postgres16", version=_version_or_skip(16))) as server:
        yield server


@pytest.fixture(scope="session")
def postgres18(servers_folder: Path) -> Iterator[PostgresServer]:
    with _running_server(PostgresServer(servers_folder / "postgres18", version=_version_or_skip(18))) as server:
        yield server


@pytest.fixture(scope="session")
def standby(servers_folder: Path, postgres_server: PostgresServer) -> Iterator[StandbyServer]:
    """Run a standby of the session's PostgreSQL. To stop or delay one, create another."""
    with _running_server(StandbyServer(servers_folder / "standby", postgres_server)) as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer(servers_folder: Path, postgres_server: PostgresServer) -> Iterator[PgBouncerServer]:
    """Run pgbouncer before the session's PostgreSQL; `reload()` adds new roles."""
    with _running_server(PgBouncerServer(servers_folder / "pgbouncer", postgres_server)) as server:
        yield server


@pytest.fixture(scope="session")
def ledger_databases(servers_folder: Path) -> Iterator[LedgerDatabases]:
    """Run a PostgreSQL for ledgers, which no other test uses."""
    with _running_server(PostgresServer(servers_folder / "ledger-postgres", settings=SETTINGS)) as server:
        yield asyncio.run(make_template(server))


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres_server.add_database(name)
    yield Database(postgres_server, name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def redis_server(servers_folder: Path) -> Iterator[RedisServer]:
    """Run Redis without a password; tests that need users start their own with an ACL file."""
    server = RedisServer(servers_folder / "redis")
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis62(servers_folder: Path) -> Iterator[RedisServer]:
    with _running_server(_redis_or_skip(servers_folder, "6.2")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(servers_folder: Path) -> Iterator[RedisServer]:
    with _running_server(_redis_or_skip(servers_folder, "valkey")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Empty the session's Redis and return its URL."""
    redis_server.flush()
    return redis_server.url()


@pytest.fixture(scope="session")
def s3_server(servers_folder: Path) -> Iterator[S3Server]:
    server = S3Server(servers_folder / "s3")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_server.create_bucket(name)
    return Bucket(s3_server, name)


@pytest.fixture
def start_prometheus(servers_folder: Path) -> Iterator[Callable[[str], PrometheusServer]]:
    """Return a function that starts a Prometheus with the given configuration."""
    yield from _server_starter(servers_folder, PrometheusServer)


@pytest.fixture
def start_alertmanager(servers_folder: Path) -> Iterator[Callable[[str], AlertmanagerServer]]:
    """Return a function that starts an Alertmanager with the given configuration."""
    yield from _server_starter(servers_folder, AlertmanagerServer)


def _server_starter(parent: Path, kind: type[Configured]) -> Iterator[Callable[[str], Configured]]:
    started: list[Configured] = []

    def start(configuration: str) -> Configured:
        folder = _new_folder(parent, kind.name)
        server = kind(folder, _write_configuration(folder, configuration))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.remove()


@pytest.fixture
def node_run(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a Node script with one major version of BullMQ."""

    def run(
        source: str, arguments: Sequence[str] = (), *, bullmq: int = 6, env: Mapping[str, str] | None = None
    ) -> str:
        script = tmp_path / f"{uuid.uuid4().hex}.cjs"
        script.write_text(source)
        return run_node(script, arguments, bullmq=bullmq, env=env)

    return run


@contextmanager
def _running_server(server: S) -> Iterator[S]:
    server.start()
    try:
        yield server
    finally:
        server.remove()


def _version_or_skip(version: int) -> int:
    """Return `version`, or skip the test if this kind of machine has no such PostgreSQL."""
    try:
        postgres_packages(version)
    except SetupError as error:
        pytest.skip(str(error))
    return version


def _redis_or_skip(servers_folder: Path, version: str) -> RedisServer:
    try:
        return RedisServer(servers_folder / f"redis-{version}", version=version)
    except SetupError as error:
        pytest.skip(str(error))


def _new_folder(parent: Path, name: str) -> Path:
    folder = parent / f"{name}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    return folder


def _write_configuration(folder: Path, configuration: str) -> Path:
    file = folder / "configuration.yml"
    file.write_text(configuration)
    return file
