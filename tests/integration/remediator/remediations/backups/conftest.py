"""A folder of backups on disk, and dumps of one real database in every form."""

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from demo.servers.postgres import PostgresServer
from remediator.model.remediation import Scope
from tests.integration.remediator.remediations.backups.steps import PATTERN, BackupsFolder
from tools.toolchain.paths import launcher

TABLES = """
    CREATE TABLE orders (id int PRIMARY KEY, code text, created_at timestamptz);
    INSERT INTO orders SELECT n, md5(n::text), now() - n * interval '1 second' FROM generate_series(1, 20000) AS n;
    CREATE TABLE users AS SELECT n AS id FROM generate_series(1, 300) AS n;
    ANALYZE;
"""


@pytest.fixture(scope="session")
def launchers() -> Path:
    """Return the folder of pg_dump, pg_restore and psql."""
    return launcher("pg_restore").parent


@pytest.fixture(autouse=True)
def programs_on_path(launchers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the remediator find the programs of the toolchain first."""
    monkeypatch.setenv("PATH", f"{launchers}:{os.environ['PATH']}")


@pytest.fixture(scope="session")
def dump_database(postgres_server: PostgresServer, launchers: Path) -> Callable[..., bytes]:
    """Return a function that dumps a database with pg_dump and the given options."""

    def dump(name: str, *options: str) -> bytes:
        login = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres_server.port), "PGUSER": "postgres"}
        password = {"PGPASSWORD": postgres_server.password("postgres"), "PGDATABASE": name}
        command = [launchers / "pg_dump", *options]
        return subprocess.run(command, env={**os.environ, **login, **password}, capture_output=True, check=True).stdout

    return dump


@pytest.fixture(scope="session")
def shop(postgres_server: PostgresServer) -> Iterator[str]:
    """Create the database that the dumps are made of, and return its name."""
    postgres_server.add_database("shop_of_dumps")
    postgres_server.sql(TABLES, database="shop_of_dumps")
    yield "shop_of_dumps"
    postgres_server.drop_database("shop_of_dumps")


@pytest.fixture(scope="session")
def dumps(shop: str, dump_database: Callable[..., bytes], identity: Any) -> Mapping[str, bytes]:
    """Return backups of the shop by the form they have."""
    archive, plain = dump_database(shop, "--format=custom"), dump_database(shop)
    return {
        "archive": archive,
        "archive in tar": dump_database(shop, "--format=tar"),
        "plain": plain,
        "plain in gzip": gzip.compress(plain),
        "files in gzip": gzip.compress(tar_of({"a.txt": b"a" * 5000, "folder/b.txt": b""})),
        "encrypted archive": pyrage.encrypt(archive, [identity.to_public()]),
        "encrypted plain in gzip": pyrage.encrypt(gzip.compress(plain), [identity.to_public()]),
    }


@pytest.fixture(scope="session")
def identity() -> Any:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def identity_file(tmp_path: Path, identity: Any) -> Path:
    return write_identity(tmp_path / "identity", identity)


def write_identity(file: Path, identity: Any) -> Path:
    file.write_text(f"# public key: {identity.to_public()}\n{identity}\n")
    return file


def tar_of(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> BackupsFolder:
    path = tmp_path / "backups"
    path.mkdir()
    return BackupsFolder(path)


@pytest.fixture
def scope(folder: BackupsFolder, scope_of: Any) -> Callable[..., Scope]:
    """Make scopes on the backups `nightly` in the folder."""

    def make(target: dict[str, Any] | None = None, stack: dict[str, Any] | None = None, **settings: Any) -> Scope:
        nightly = {"url": folder.path.as_uri(), "pattern": PATTERN, **(target or {})}
        backups = {"backups": {"nightly": nightly}, **(stack or {})}
        return scope_of("backups", stack=backups, name="nightly", **settings)

    return make


@pytest.fixture
def name() -> str:
    """Return the name of a backup of an hour ago."""
    return (datetime.now(UTC) - timedelta(hours=1)).strftime(PATTERN)
