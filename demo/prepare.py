"""Prepares the demo's servers for the product: roles, tables, the bucket and older dumps."""

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from demo.bucket import open_bucket, path_of
from demo.configuration import DEPLOY
from demo.credentials import BUCKET, DATABASE, Credentials
from demo.errors import DemoError
from demo.paths import CHECKOUT, DemoPaths
from demo.servers.http import request
from tools.toolchain.paths import launcher

OLDER_DUMPS = (timedelta(days=2), timedelta(days=3), timedelta(days=4))
DUMP_SECONDS = 30
DRILL_TEMPLATE = "drill_template"
# The rights of each role. Those of the exporter and the remediator are the same files as in production.
GRANTS = {
    "product": (),
    "metrics": ((DEPLOY / "postgres" / "exporter.sql").read_text(encoding="utf-8"),),
    "remediator": ((DEPLOY / "postgres" / "remediator.sql").read_text(encoding="utf-8"),),
    "dumper": ("GRANT pg_read_all_data TO dumper", "ALTER ROLE dumper SET default_transaction_read_only = on"),
    "drill": ((DEPLOY / "postgres" / "drill.sql").read_text(encoding="utf-8"),),
}


async def prepare_database(paths: DemoPaths, owner: str, credentials: Credentials) -> None:
    """Create roles, the database and its tables. `owner` is the DSN of a superuser."""
    connection = await asyncpg.connect(owner, timeout=5)
    try:
        await connection.execute("SET log_min_error_statement = panic")  # or a failing statement logs its password
        for role, password in credentials.postgres.items():
            # CREATE ROLE takes no parameters; the password contains no quotes.
            await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
            for grant in GRANTS[role]:
                await connection.execute(grant)
        await connection.execute(f"CREATE DATABASE {DATABASE} OWNER product")
    finally:
        await connection.close(timeout=5)
    superuser = await asyncpg.connect(paths.secret("postgres_superuser"), timeout=5)
    try:
        await superuser.execute("CREATE EXTENSION pg_stat_statements")
        # The template of drills has what only a superuser can create.
        await superuser.execute(f"CREATE DATABASE {DRILL_TEMPLATE} IS_TEMPLATE true")
    finally:
        await superuser.close(timeout=5)
    template = urlsplit(paths.secret("postgres_superuser"))._replace(path=f"/{DRILL_TEMPLATE}")
    superuser = await asyncpg.connect(urlunsplit(template), timeout=5)
    try:
        await superuser.execute("CREATE EXTENSION pg_stat_statements")
    finally:
        await superuser.close(timeout=5)
    product = await asyncpg.connect(paths.secret("postgres_product"), timeout=5)
    try:
        await product.execute((CHECKOUT / "demo" / "product" / "schema.sql").read_text(encoding="utf-8"))
    finally:
        await product.close(timeout=5)


async def prepare_bucket(paths: DemoPaths, s3_url: str) -> None:
    """Create the bucket with a real dump, stored under the current and older names."""
    request(f"{s3_url}/{BUCKET}", method="PUT")
    bucket = open_bucket(paths)
    dump = take_dump(paths.secret("postgres_dumper"))
    now = datetime.now(UTC)
    for age in (timedelta(), *OLDER_DUMPS):
        await bucket.put_async(path_of(now - age), dump)


def take_dump(dsn: str) -> bytes:
    """Return a dump of the product's database in pg_dump's custom format.

    Raises:
        DemoError: pg_dump failed; the message is its last line.
    """
    dump = subprocess.run(
        [str(launcher("pg_dump")), "--format=custom", "--no-password"],
        env={**os.environ, **libpq_variables(dsn)},
        capture_output=True,
        timeout=DUMP_SECONDS,
        check=False,
    )
    if dump.returncode:
        raise DemoError(f"pg_dump: {(dump.stderr.decode().strip().splitlines() or ['no message'])[-1]}")
    return dump.stdout


def libpq_variables(dsn: str) -> Mapping[str, str]:
    """Return a DSN as libpq's variables: argument lists are readable by all users."""
    parts = urlsplit(dsn)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGDATABASE": parts.path.removeprefix("/"),
    }
