"""Real servers for the integration tests: one of each kind a session, started when the first test asks for it.

A test gets a database, a Redis or a bucket of its own, empty. Servers that a killed session left behind are ended here.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.leftovers import end_leftovers
from demo.servers.node import run_node
from demo.servers.postgres import SUPERUSER, PostgresServer
from demo.servers.prometheus import PrometheusServer
from demo.servers.redis import RedisServer
from demo.servers.s3 import S3Server
from demo.toolchain.paths import TOOLS


@dataclass(frozen=True)
class Database:
    """A database of one test alone."""

    server: PostgresServer
    name: str

    def dsn(self, role: str = SUPERUSER) -> str:
        return self.server.dsn(role, self.name)

    def sql(self, statements: str, *, role: str = SUPERUSER) -> str:
        return self.server.sql(statements, role=role, database=self.name)


@dataclass(frozen=True)
class Bucket:
    """A bucket of one test alone."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """In the checkout and named after this process, so that the next session finds what a killed one left running."""
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


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres_server.add_database(name)
    yield Database(postgres_server, name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def redis_server(servers_folder: Path) -> Iterator[RedisServer]:
    """Without a password; tests that need users start a `RedisServer` with an ACL file of their own."""
    server = RedisServer(servers_folder / "redis")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The session's Redis, emptied."""
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
    """Starts a Prometheus with this text as its configuration."""
    started: list[PrometheusServer] = []

    def start(configuration: str) -> PrometheusServer:
        folder = _new_folder(servers_folder, "prometheus")
        server = PrometheusServer(folder, _written(folder, configuration))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.remove()


@pytest.fixture
def start_alertmanager(servers_folder: Path) -> Iterator[Callable[[str], AlertmanagerServer]]:
    """Starts an Alertmanager with this text as its configuration."""
    started: list[AlertmanagerServer] = []

    def start(configuration: str) -> AlertmanagerServer:
        folder = _new_folder(servers_folder, "alertmanager")
        server = AlertmanagerServer(folder, _written(folder, configuration))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.remove()


@pytest.fixture
def node_run(tmp_path: Path) -> Callable[..., str]:
    """Runs a text as a Node script with one major version of BullMQ and gives its output."""

    def run(
        source: str, arguments: Sequence[str] = (), *, bullmq: int = 6, env: Mapping[str, str] | None = None
    ) -> str:
        script = tmp_path / f"{uuid.uuid4().hex}.cjs"
        script.write_text(source)
        return run_node(script, arguments, bullmq=bullmq, env=env)

    return run


def _new_folder(parent: Path, name: str) -> Path:
    folder = parent / f"{name}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    return folder


def _written(folder: Path, configuration: str) -> Path:
    file = folder / "configuration.yml"
    file.write_text(configuration)
    return file
