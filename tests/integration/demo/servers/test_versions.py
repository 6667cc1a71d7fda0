"""The other versions of PostgreSQL and Redis, a standby and a pooler start and serve."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from demo.servers import unprivileged
from demo.servers.pgbouncer import PgBouncerServer
from demo.servers.postgres import PostgresServer
from demo.servers.redis import RedisServer
from demo.servers.standby import StandbyServer
from tests.integration.demo.servers.test_servers import listeners, processes_below


@pytest.mark.parametrize("major", [16, 18])
async def test_postgres_of_another_version_serves(major: int, request: pytest.FixtureRequest) -> None:
    server: PostgresServer = request.getfixturevalue(f"postgres{major}")
    connection = await asyncpg.connect(server.dsn())
    assert connection.get_server_version().major == major
    await connection.close()
    identity = server.process.identity
    assert identity is not None
    assert listeners(identity.pid) == {("0100007F", server.port)}


def _eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("version", [15, 18])
def test_standby_follows_its_primary(version: int, tmp_path: Path) -> None:
    primary = PostgresServer(tmp_path / "primary", version=version)
    standby = StandbyServer(tmp_path / "standby", primary)
    try:
        primary.start()
        standby.start()
        assert standby.sql("SELECT pg_is_in_recovery()") == "t"
        primary.sql("CREATE TABLE replicated AS SELECT 42 AS answer")
        _eventually(lambda: standby.sql("SELECT count(*) FROM pg_class WHERE relname = 'replicated'") == "1")
        assert primary.sql("SELECT application_name, state FROM pg_stat_replication") == "standby|streaming"
        standby.stop()
        standby.start()
        assert standby.sql("SELECT answer FROM replicated") == "42"
    finally:
        standby.remove()
        primary.remove()
    assert processes_below(tmp_path) == []


def test_standby_can_be_made_to_lag(postgres_server: PostgresServer, tmp_path: Path) -> None:
    standby = StandbyServer(tmp_path / "standby", postgres_server, settings={"recovery_min_apply_delay": "1h"})
    try:
        standby.start()
        assert standby.sql("SHOW recovery_min_apply_delay") == "1h"
    finally:
        standby.remove()


async def test_standby_fixture_follows_the_primary_fixture(standby: StandbyServer, database) -> None:
    _eventually(lambda: database.name in standby.sql("SELECT datname FROM pg_database"))


async def test_pooler_shares_connections_between_transactions(pgbouncer: PgBouncerServer, database) -> None:
    dsn = pgbouncer.dsn(database=database.name)
    first, second = [await asyncpg.connect(dsn, statement_cache_size=0) for _ in range(2)]
    try:
        served = {await connection.fetchval("SELECT pg_backend_pid()") for connection in (first, second)}
        assert len(served) == 1
    finally:
        await first.close()
        await second.close()
    identity = pgbouncer.process.identity
    assert identity is not None
    assert listeners(identity.pid) == {("0100007F", pgbouncer.port)}


async def test_new_role_can_log_in_after_a_reload_of_the_pooler(pgbouncer: PgBouncerServer) -> None:
    name = f"late_{os.getpid()}"
    pgbouncer.postgres.add_role(name)
    pgbouncer.reload()
    _eventually(lambda: _logs_in(pgbouncer, name))
    pgbouncer.postgres.sql(f"DROP ROLE {name}")


def _logs_in(pgbouncer: PgBouncerServer, role: str) -> bool:
    return pgbouncer.postgres.answers_at(pgbouncer.port, role)


@pytest.mark.as_root
def test_standby_and_pooler_run_for_root_without_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "namespace_works", lambda *_: False)
    primary = PostgresServer(tmp_path / "primary", version=18)
    standby = StandbyServer(tmp_path / "standby", primary)
    pooler = PgBouncerServer(tmp_path / "pooler", primary)
    servers = (primary, standby, pooler)
    try:
        for server in servers:
            server.start()
        assert primary.answers_at(pooler.port)
        assert standby.sql("SELECT pg_is_in_recovery()") == "t"
        places = [(server.folder / "elsewhere").readlink() for server in servers]
    finally:
        for server in reversed(servers):
            server.remove()
    assert not any(place.exists() for place in places)


@pytest.mark.parametrize(("fixture", "field", "version"), [("redis62", "redis", "6.2."), ("valkey", "valkey", "8.")])
async def test_redis_of_another_version_serves(
    fixture: str, field: str, version: str, request: pytest.FixtureRequest
) -> None:
    server: RedisServer = request.getfixturevalue(fixture)
    async with redis.asyncio.from_url(server.url()) as client:
        info = await client.info("server")
    assert info[f"{field}_version"].startswith(version)
    identity = server.process.identity
    assert identity is not None
    assert listeners(identity.pid) == {("0100007F", server.port)}
