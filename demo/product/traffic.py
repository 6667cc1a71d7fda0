"""The product's steady SQL traffic: a few sessions that order, ship and count.

It sells other goods than those that the incidents lock: an incident then blocks only its own sessions.
"""

import asyncio
import logging
import random
import signal
from pathlib import Path

import asyncpg
import typer

SESSIONS = 3
PAUSE_SECONDS = 0.25
APPLICATION = "shop-web"
_SKUS = range(101, 201)

log = logging.getLogger(__name__)


async def _one_order(connection: asyncpg.Connection) -> None:
    sku = random.choice(_SKUS)  # noqa: S311 - not used for security
    async with connection.transaction():
        await connection.execute("UPDATE stock SET quantity = quantity - 1 WHERE sku = $1", sku)
        await connection.execute("INSERT INTO orders (sku) VALUES ($1)", sku)
    await connection.execute(
        "UPDATE orders SET status = 'shipped' WHERE id = (SELECT id FROM orders WHERE status = 'new' ORDER BY id"
        " LIMIT 1 FOR UPDATE SKIP LOCKED)"
    )
    await connection.fetch("SELECT status, count(*) FROM orders GROUP BY status")


async def _session(dsn: str) -> None:
    while True:
        try:
            connection = await asyncpg.connect(dsn, server_settings={"application_name": APPLICATION}, timeout=5)
            try:
                while True:
                    await _one_order(connection)
                    await asyncio.sleep(PAUSE_SECONDS)
            finally:
                await connection.close(timeout=1)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("database connection lost, retrying: %s", error)
            await asyncio.sleep(1)


async def _traffic(dsn: str) -> None:
    tasks = [asyncio.create_task(_session(dsn)) for _ in range(SESSIONS)]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def main(dsn_file: Path) -> None:
    """Make traffic with the DSN in DSN_FILE until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(_traffic(dsn_file.read_text(encoding="utf-8").strip()))


if __name__ == "__main__":
    typer.run(main)
