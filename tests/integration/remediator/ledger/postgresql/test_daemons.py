"""Real daemons on one ledger: all accept and answer, one leads, and another takes over."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import pytest

from tests.integration.remediator.ledger.postgresql.replicas import TTL, Daemon, daemon
from tests.ledgers import LedgerDatabases, ledger_url
from tests.unit.remediator.polling import becomes

EVERYWHERE = ("remediation_engine_up", "remediation_ledger_up", "runbook_remediator_build_info")


async def leaders(daemons: Sequence[Daemon]) -> list[Daemon]:
    leads = await asyncio.gather(*(each.leads() for each in daemons))
    return [each for each, is_leader in zip(daemons, leads, strict=True) if is_leader]


async def count_leaders(daemons: Sequence[Daemon]) -> int:
    return len(await leaders(daemons))


@pytest.mark.timeout(180)
async def test_of_three_daemons_all_accept_and_one_leads_until_it_stops_or_dies(tmp_path: Path) -> None:
    """Invariant 36."""
    async with AsyncExitStack() as stack:
        daemons = [await stack.enter_async_context(daemon(tmp_path)) for _ in range(3)]
        assert await asyncio.gather(*(each.wait_until_decided() for each in daemons)) == [True, True, True]
        [first] = await leaders(daemons)
        for each in daemons:
            assert await each.get("/-/ready") == (200, "ready\n")
            assert await each.deliver(target=f"of {each.process.pid}") == 200
            assert [await each.metric(name) for name in EVERYWHERE] == [1, 1, 1]
            assert (await each.metric("remediation_paused") is not None) is (each is first)
        await becomes(lambda: first.metric("remediation_deliveries_waiting"), 0)

        await first.stop(signal.SIGTERM)
        assert first.process.returncode == 0
        stopped, others = monotonic(), [each for each in daemons if each is not first]
        await becomes(lambda: count_leaders(others), 1)
        assert monotonic() - stopped < 2

        [second] = await leaders(others)
        await second.stop(signal.SIGKILL)
        killed, [third] = monotonic(), [each for each in others if each is not second]
        await becomes(third.leads, True)
        assert monotonic() - killed < TTL + 3
        assert await third.metric("remediation_deliveries_waiting") == 0


async def test_daemon_refuses_a_ledger_on_the_server_of_a_target(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    target = f"{{dsn: '{ledger_databases.server.dsn()}'}}"
    async with daemon(tmp_path, f"stacks: {{shop: {{postgres: {{main: {target}}}}}}}") as refused:
        assert not await refused.wait_until_decided()
        assert refused.process.returncode == 2
        assert "stacks.shop.postgres.main is on the ledger's server" in refused.log
    assert ledger_databases.sql(ledger_url(tmp_path), "SELECT term FROM leader") == "0", "it was not elected"
