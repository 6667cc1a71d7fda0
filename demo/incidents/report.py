"""A process with a report that reads the same table over and over, and a status file with how it ended."""

import asyncio
import json
from pathlib import Path

import asyncpg
import typer

from demo.paths import write_private

APPLICATION = "shop-report"
REPORT = "SELECT count(*) FROM stock AS a, stock AS b, stock AS c, stock AS d, stock AS e"


def main(secret: Path, file: Path) -> None:
    """Run the report with the DSN in `secret` until it is cancelled from outside."""
    asyncio.run(_run(secret.read_text("utf-8").strip(), file))


async def _run(dsn: str, file: Path) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"application_name": APPLICATION}, timeout=10)
    write_private(file, json.dumps({"pid": connection.get_server_pid()}))
    ended = "finished"
    try:
        await connection.execute(REPORT)
    except asyncpg.QueryCanceledError:
        ended = "cancelled"
    session_lives = await connection.fetchval("SELECT true")
    write_private(file, json.dumps({"ended": ended, "session_lives": session_lives}))
    await connection.close(timeout=2)


if __name__ == "__main__":
    typer.run(main)
