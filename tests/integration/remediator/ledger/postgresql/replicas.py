"""Real daemons on one ledger in PostgreSQL, and what they answer."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from demo.servers.ports import free_port
from tests.ledgers import ROOT, ledger_url
from tests.unit.remediator.payloads import delivery

SECONDS = 60
TTL = 2.0
# These are no settings: shorter ones help nobody but tests.
START = """
import sys
from datetime import timedelta
from remediator.ledger.postgresql import leader
from remediator.ledger.postgresql.store import PostgresLedger
from remediator.main import main
from remediator.remediations import checked_effect
PostgresLedger.ttl = timedelta(seconds={ttl})
leader.END_SECONDS = 0.5
checked_effect.GRACE = timedelta(seconds=2)
sys.exit(main())
"""
TOKEN = "operator-token-of-the-tests"
OPERATORS = "operators: {oncall: {token_file: token}}"
INVENTORY = f"{OPERATORS}\nstacks: {{shop: {{}}}}\n"


class Daemon:
    """A replica, and what it has logged so far."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, session: aiohttp.ClientSession) -> None:
        self.process = process
        self.log = ""
        self._url = f"http://127.0.0.1:{port}"
        self._session = session

    async def wait_until_decided(self) -> bool:
        """Return whether it listens; False if it has ended instead."""
        async with asyncio.timeout(SECONDS):
            while line := await self._read_line():
                if "event=listening" in line:
                    return True
            await self.process.wait()
        return False

    async def _read_line(self) -> str:
        assert self.process.stderr is not None
        line = (await self.process.stderr.readline()).decode()
        self.log += line
        return line

    async def stop(self, number: int) -> None:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        self.log += (await asyncio.wait_for(self.process.communicate(), SECONDS))[1].decode()

    async def get(self, path: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self._session.get(self._url + path, headers=headers) as response:
            return response.status, await response.text()

    async def post(self, path: str, **body: object) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self._session.post(self._url + path, json=body, headers=headers) as response:
            return response.status, await response.text()

    async def deliver(self, **alert: object) -> int:
        async with self._session.post(f"{self._url}/webhook", data=delivery(**alert)) as response:
            return response.status

    async def metric(self, name: str) -> float | None:
        """Return the value of a series without labels, or the number of series with labels; None if it is missing."""
        lines = [line for line in (await self.get("/metrics"))[1].splitlines() if line.startswith(name)]
        values = [line for line in lines if line.split()[0] == name]
        return float(values[0].split()[1]) if values else len(lines) or None

    async def leads(self) -> bool:
        return await self.metric("remediation_leader") == 1


@asynccontextmanager
async def daemon(
    folder: Path, inventory: str = INVENTORY, *, ttl: float = TTL, url: str | None = None, **environment: str
) -> AsyncIterator[Daemon]:
    (folder / "inventory.yml").write_text(inventory)
    (folder / "token").write_text(TOKEN)
    (folder / "ledger.url").write_text(url or ledger_url(folder))
    flags = ("--config.file=inventory.yml", "--ledger.url-file=ledger.url")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", START.format(ttl=ttl), f"--web.listen-address=127.0.0.1:{port}", *flags),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environment},
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
        try:
            yield Daemon(process, port, session)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
