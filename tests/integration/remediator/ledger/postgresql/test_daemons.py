"""Real daemons on one ledger: how they start, refuse and end."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from demo.servers.ports import free_port
from tests.ledgers import ROOT, LedgerDatabases, ledger_url

SECONDS = 60


class Daemon:
    """A remediator, and what it has logged so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log = ""

    async def wait_until_decided(self) -> bool:
        """Return whether it listens; False if it has ended instead."""
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS):
            while line := (await self.process.stderr.readline()).decode():
                self.log += line
                if "event=listening" in line:
                    return True
            await self.process.wait()
        return False


@asynccontextmanager
async def daemon(folder: Path, inventory: str = "stacks: {shop: {}}") -> AsyncIterator[Daemon]:
    (folder / "inventory.yml").write_text(inventory)
    (folder / "ledger.url").write_text(ledger_url(folder))
    flags = ("--config.file=inventory.yml", "--ledger.url-file=ledger.url")
    address = f"--web.listen-address=127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "remediator.main", address, *flags),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Daemon(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.timeout(180)
async def test_of_three_daemons_that_start_at_once_two_refuse_with_words(tmp_path: Path) -> None:
    """Invariant 36. After the first has ended, the next one starts at once."""
    async with AsyncExitStack() as stack:
        daemons = [await stack.enter_async_context(daemon(tmp_path)) for _ in range(3)]
        listens = await asyncio.gather(*(each.wait_until_decided() for each in daemons))
        assert sorted(listens) == [False, False, True]
        for each, is_first in zip(daemons, listens, strict=True):
            assert is_first or each.process.returncode == 2
            assert is_first or "another remediator (" in each.log
            assert is_first or "stop it: only one may act" in each.log
        [first] = [each for each, is_first in zip(daemons, listens, strict=True) if is_first]
        first.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(first.process.communicate(), SECONDS)
        assert first.process.returncode == 0
    async with daemon(tmp_path) as next_daemon:
        assert await next_daemon.wait_until_decided()
        assert "waiting whether" not in next_daemon.log


async def test_daemon_refuses_a_ledger_on_the_server_of_a_target(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    target = f"{{dsn: '{ledger_databases.server.dsn()}'}}"
    async with daemon(tmp_path, f"stacks: {{shop: {{postgres: {{main: {target}}}}}}}") as refused:
        assert not await refused.wait_until_decided()
        assert refused.process.returncode == 2
        assert "stacks.shop.postgres.main is on the ledger's server" in refused.log
    assert ledger_databases.sql(ledger_url(tmp_path), "SELECT holder IS NULL FROM leader") == "t", (
        "it gave the lease up"
    )
