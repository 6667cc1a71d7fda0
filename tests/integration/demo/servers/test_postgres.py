"""PostgreSQL runs for ordinary users and for root, also without user namespaces."""

import os
import stat
from pathlib import Path

import asyncpg
import pytest

from demo.servers import unprivileged
from demo.servers.errors import ServerError
from demo.servers.postgres import PostgresServer
from demo.servers.proc import session_members
from tests.integration.demo.servers.test_servers import processes_below
from tools.toolchain.paths import group_root


@pytest.fixture
def server(tmp_path: Path):
    server = PostgresServer(tmp_path / "postgres")
    yield server
    server.remove()


def _uid(server: PostgresServer) -> int:
    identity = server.process.identity
    assert identity is not None
    return Path(f"/proc/{identity.pid}").stat().st_uid


async def test_login_needs_a_password(database) -> None:
    connection = await asyncpg.connect(database.dsn())
    assert await connection.fetchval("SELECT current_database()") == database.name
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(database.dsn().replace("postgres:", "postgres:not-"))


async def test_statements_are_counted(database) -> None:
    database.sql("CREATE EXTENSION pg_stat_statements; SELECT 'a constant'")
    count = database.sql("SELECT count(*) FROM pg_stat_statements WHERE query = 'SELECT $1'")
    assert int(count) >= 1


def test_role_logs_in_and_the_log_does_not_contain_its_password(server: PostgresServer) -> None:
    server.start()
    server.add_role("metrics", "IN ROLE pg_monitor")
    assert server.sql("SELECT current_user", role="metrics") == "metrics"
    with pytest.raises(ServerError, match='role "metrics" already exists'):
        server.add_role("metrics")
    log = server.process.log.read_text()
    assert 'role "metrics" already exists' in log
    assert "PASSWORD" not in log
    assert stat.S_IMODE((server.folder / "passwords.json").stat().st_mode) == 0o600


def test_refused_role_keeps_its_known_password(server: PostgresServer) -> None:
    server.start()
    server.add_role("metrics")
    with pytest.raises(ServerError):
        server.add_role("metrics")
    assert server.sql("SELECT 1", role="metrics") == "1"


def test_unknown_role_is_named(server: PostgresServer) -> None:
    with pytest.raises(ServerError, match="no password for role nobody_knows"):
        server.dsn("nobody_knows")


def test_data_survive_a_stop(server: PostgresServer) -> None:
    server.start()
    server.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    server.start()
    assert server.sql("SELECT answer FROM kept") == "42"


def test_two_clusters_have_different_superuser_passwords(server: PostgresServer, postgres_server) -> None:
    server.start()
    assert server.dsn().split("@")[0] != postgres_server.dsn().split("@")[0]


@pytest.fixture
def namespaces(tmp_path: Path) -> None:
    """Skip the test on systems without user namespaces, such as containers and chroots."""
    if not unprivileged.namespace_works(unprivileged._namespace_prefix(), tmp_path, group_root("servers")):
        pytest.skip("this system refuses user namespaces")


@pytest.mark.as_root
def test_root_runs_postgres_in_a_folder_that_only_root_may_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "postgres")
    server.start()
    try:
        assert server.sql("SELECT 1") == "1"
    finally:
        server.remove()
    assert processes_below(closed) == []


@pytest.mark.as_root
@pytest.mark.usefixtures("namespaces")
def test_root_runs_postgres_in_place_if_namespaces_work(server: PostgresServer) -> None:
    server.start()
    assert _uid(server) == 0
    assert (server.folder / "data" / "PG_VERSION").exists()
    assert not (server.folder / "elsewhere").is_symlink()


@pytest.mark.as_root
def test_root_without_namespaces_runs_postgres_as_nobody_in_a_temporary_folder(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "namespace_works", lambda *_: False)
    server.folder.mkdir(mode=0o700)
    server.start()
    server.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    temporary = (server.folder / "elsewhere").readlink()
    identity = server.process.identity
    assert identity is not None
    assert _uid(server) == 65534
    assert Path(f"/proc/{identity.pid}/exe").readlink().is_relative_to(temporary)
    server.stop()
    server.start()
    assert server.sql("SELECT answer FROM kept") == "42"

    PostgresServer(server.folder).remove()
    assert session_members(identity) == []
    assert processes_below(temporary) == []
    assert not temporary.exists()
    assert not server.folder.exists()


@pytest.mark.as_root
@pytest.mark.usefixtures("namespaces")
def test_namespace_is_not_used_in_a_folder_that_root_cannot_enter(tmp_path: Path) -> None:
    others = tmp_path / "others"
    (others / "ours").mkdir(parents=True)
    prefix = unprivileged._namespace_prefix()
    assert unprivileged.namespace_works(prefix, others / "ours", group_root("servers"))
    os.chown(others, 12345, 12345)
    others.chmod(0o700)
    assert not unprivileged.namespace_works(prefix, others / "ours", group_root("servers"))
