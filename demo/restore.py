"""Proves a backup: restores it into a scratch database, counts the rows, and drops it."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from demo.errors import DemoError
from demo.prepare import libpq_variables
from demo.running import Demo
from tools.toolchain.paths import launcher

TIMEOUT_SECONDS = 30
SCRATCH = "restored"


async def rows_in_dump(demo: Demo, dump: Path) -> int:
    """Restore the dump and return its number of orders.

    Raises:
        DemoError: pg_restore failed; the message is its last line.
    """
    async with demo.database() as owner:
        await owner.execute(f"DROP DATABASE IF EXISTS {SCRATCH}")
        await owner.execute(f"CREATE DATABASE {SCRATCH}")
        try:
            scratch = urlunsplit(urlsplit(demo.paths.secret("postgres_superuser"))._replace(path=f"/{SCRATCH}"))
            await _restore(scratch, dump)
            return await _count(scratch)
        finally:
            await owner.execute(f"DROP DATABASE {SCRATCH} WITH (FORCE)")


async def _restore(dsn: str, dump: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(launcher("pg_restore")),
        "--no-owner",
        "--no-privileges",
        "--exit-on-error",
        f"--dbname={SCRATCH}",
        str(dump),
        env={**os.environ, **libpq_variables(dsn)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
    if process.returncode:
        raise DemoError(f"pg_restore: {(errors.decode().strip().splitlines() or ['no message'])[-1]}")


async def _count(dsn: str) -> int:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM orders"))
    finally:
        await connection.close(timeout=5)
