"""A process with idle sessions that hold row locks, and sessions that wait for these rows.

It runs until all holding sessions were terminated from outside and the waiting ones have finished, until
`--close-after` has passed, or until SIGTERM. The status file always has the current status.
"""

import asyncio
import contextlib
import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import typer

from demo.paths import write_private

HOLDER = "shop-checkout"
WAITER = "shop-cart"


@dataclass
class SessionsStatus:
    """The current status of the sessions, as JSON in the status file."""

    holding: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0
    through: int = 0
    failed: list[str] = field(default_factory=list)
    ready: bool = False
    ended: bool = False


class Sessions:
    """All sessions of one incident, and their status on disk."""

    def __init__(self, dsn: str, file: Path) -> None:
        self.status = SessionsStatus()
        self._dsn = dsn
        self._file = file
        self._holders: list[asyncpg.Connection] = []
        self._all_terminated = asyncio.Event()

    def write_status(self) -> None:
        """Write the status file."""
        write_private(self._file, json.dumps(vars(self.status)))

    async def _connect(self, application: str) -> asyncpg.Connection:
        return await asyncpg.connect(self._dsn, server_settings={"application_name": application}, timeout=10)

    async def hold(self, sku: int) -> None:
        """Open a session that locks a row and then stays idle in its transaction."""
        connection = await self._connect(HOLDER)
        connection.add_termination_listener(self._on_termination)
        await connection.execute("BEGIN")
        await connection.execute("UPDATE stock SET reserved = reserved + 1 WHERE sku = $1", sku)
        self._holders.append(connection)
        self.status.holding.append(await _session_identity(connection))

    def _on_termination(self, _connection: object) -> None:
        self.status.lost += 1
        self.write_status()
        if self.status.lost == len(self._holders):
            self._all_terminated.set()

    async def wait(self, sku: int) -> None:
        """Open a session that needs the locked row, and wait until it has updated it."""
        connection = await self._connect(WAITER)
        try:
            self.status.waiting.append(await _session_identity(connection))
            self.write_status()
            await connection.execute("UPDATE stock SET quantity = quantity - 1 WHERE sku = $1", sku)
            self.status.through += 1
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            self.status.failed.append(str(error))
        finally:
            await connection.close(timeout=2)
            self.write_status()

    async def wait_until_terminated(self) -> None:
        """Wait until all holding sessions were terminated from outside."""
        await self._all_terminated.wait()

    async def close(self) -> None:
        """Close the remaining holding sessions, which rolls their transactions back."""
        for connection in self._holders:
            connection.remove_termination_listener(self._on_termination)
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)


async def _session_identity(connection: asyncpg.Connection) -> dict[str, Any]:
    row = await connection.fetchrow(
        "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    )
    assert row is not None
    return dict(row)


async def _wait_for_first(*endings: asyncio.Task[Any]) -> None:
    _, pending = await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


async def _hold_sessions(dsn: str, file: Path, holding: int, waiting: int, close_after: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sessions = Sessions(dsn, file)
    for sku in range(1, holding + 1):
        await sessions.hold(sku)
    waiters = [asyncio.create_task(sessions.wait(1 + n % holding)) for n in range(waiting)]
    sessions.status.ready = True
    sessions.write_status()
    all_terminated = asyncio.create_task(sessions.wait_until_terminated())
    await _wait_for_first(
        all_terminated, asyncio.create_task(stop.wait()), asyncio.create_task(asyncio.sleep(close_after))
    )
    await sessions.close()
    await asyncio.gather(*waiters)
    sessions.status.ended = True
    sessions.write_status()


def main(dsn_file: Path, status_file: Path, holding: int, waiting: int = 0, close_after: float = 120) -> None:
    """Hold HOLDING rows with the DSN in DSN_FILE, and let --waiting sessions wait for them."""
    dsn = dsn_file.read_text(encoding="utf-8").strip()
    asyncio.run(_hold_sessions(dsn, status_file, holding, waiting, close_after))


if __name__ == "__main__":
    typer.run(main)
