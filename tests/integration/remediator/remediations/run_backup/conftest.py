"""A real PostgreSQL to dump, a real S3 server to store in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.remediation import Scope
from tests.integration.remediator.remediations.run_backup.steps import PATTERN, write_options
from tools.toolchain.paths import launcher

CHECK = [str(launcher("pg_restore")), "--file=/dev/null"]


@pytest.fixture(scope="module")
def dumper(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    postgres_server.add_role("dumper", "IN ROLE pg_read_all_data")
    yield postgres_server
    postgres_server.sql("DROP ROLE dumper")


@pytest.fixture
def shop(dumper: PostgresServer, database: Any) -> Any:
    database.sql("CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS code FROM generate_series(1, 20000) AS n")
    return database


@pytest.fixture
def options_file(tmp_path: Path, bucket: Any) -> Path:
    file = tmp_path / "options.yml"
    write_options(file, bucket.server.url)
    return file


@pytest.fixture
def scope(shop: Any, bucket: Any, options_file: Path, scope_of: Any) -> Callable[..., Scope]:
    def make(dump: dict[str, Any] | None = None, target: dict[str, Any] | None = None, **settings: Any) -> Scope:
        command = [str(launcher("pg_dump")), "--format=custom", "--no-password"]
        made = {"dsn": shop.dsn("dumper"), "command": command, "check": CHECK, "timeout": "30s", **(dump or {})}
        nightly = {
            "url": f"s3://{bucket.name}/db/",
            "pattern": PATTERN,
            "admin_options_file": str(options_file),
            "dump": made,
            **(target or {}),
        }
        return scope_of("backups", stack={"backups": {"nightly": nightly}}, name="nightly", **settings)

    return make


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the folder of temporary dumps, so that a test can look for leftovers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder
