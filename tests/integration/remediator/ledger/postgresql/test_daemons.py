"""Real daemons on one ledger: all accept and answer, one leads, and another takes over."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import pytest

from tests.integration.remediator.ledger.postgresql.replicas import OPERATORS, TTL, Daemon, daemon
from tests.ledgers import LedgerDatabases, ledger_url
from tests.unit.remediator.polling import becomes
from tools.toolchain.paths import faketime_library

EVERYWHERE = ("remediation_engine_up", "remediation_ledger_up", "runbook_remediator_build_info")


async def leaders(daemons: Sequence[Daemon]) -> list[Daemon]:
    leads = await asyncio.gather(*(each.leads() for each in daemons))
    return [each for each, is_leader in zip(daemons, leads, strict=True) if is_leader]


async def count_leaders(daemons: Sequence[Daemon]) -> int:
    return len(await leaders(daemons))


async def test_of_three_daemons_all_accept_and_one_leads_until_it_stops_or_dies(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
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

        holder = "SELECT holder FROM leader"
        before = ledger_databases.sql(ledger_url(tmp_path), holder)
        await first.stop(signal.SIGTERM)
        assert first.process.returncode == 0
        assert ledger_databases.sql(ledger_url(tmp_path), holder) != before, "it gives its lease back"
        others = [each for each in daemons if each is not first]
        await becomes(lambda: count_leaders(others), 1)

        [second] = await leaders(others)
        await second.stop(signal.SIGKILL)
        killed, [third] = monotonic(), [each for each in others if each is not second]
        await becomes(third.leads, True)
        assert monotonic() - killed < TTL + 30, "an idle machine takes less than three seconds more than the lease"
        assert await third.metric("remediation_deliveries_waiting") == 0


SCRIPT = """#!/bin/sh
echo begun >> {folder}/log
sleep 1
touch {folder}/done
"""


def inventory_with_command(folder: Path) -> str:
    (folder / "act").write_text(SCRIPT.format(folder=folder))
    (folder / "check").write_text(f"#!/bin/sh\ntest -e {folder}/done\n")
    for name in ("act", "check"):
        (folder / name).chmod(0o755)
    command = f"{{argv: [{folder}/act], check: [{folder}/check], timeout: 2s}}"
    settings = "{run_command: {mode: auto, settle: 0s, verify_within: 0s}}"
    return f"{OPERATORS}\nstacks: {{shop: {{commands: {{flag: {command}}}, remediations: {settings}}}}}\n"


async def test_leader_stopped_within_an_effect_for_three_leases_follows_when_it_goes_on(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    """Invariants 36 and 52: SIGSTOP, and SIGCONT after another replica has taken over and settled the effect."""
    inventory, url = inventory_with_command(tmp_path), ledger_url(tmp_path)

    async def state() -> str:
        return ledger_databases.sql(url, "SELECT state FROM run")

    async def begun() -> bool:
        return (tmp_path / "log").exists()

    async with daemon(tmp_path, inventory) as first, daemon(tmp_path, inventory) as second:
        assert await asyncio.gather(first.wait_until_decided(), second.wait_until_decided()) == [True, True]
        [stopped] = await leaders([first, second])
        successor = second if stopped is first else first
        assert await successor.deliver(remediation="run_command", target="flag") == 200
        await becomes(begun, True)
        stopped.process.send_signal(signal.SIGSTOP)
        await becomes(successor.leads, True)
        await becomes(state, "interrupted")
        # The clock of a replica may differ a little from the database's.
        waited = "(SELECT at FROM audit WHERE event = 'settled') + 1000000 >= (SELECT until FROM acting)"
        assert ledger_databases.sql(url, f"SELECT {waited}") == "t", "until then, the effect may be under way"
        await asyncio.sleep(TTL)
        stopped.process.send_signal(signal.SIGCONT)
        await becomes(lambda: stopped.get("/-/ready"), (200, "ready\n"))
        assert (await stopped.leads(), await successor.leads()) == (False, True)
        await stopped.stop(signal.SIGTERM)
        assert "this remediator leads no longer" in stopped.log
    assert (tmp_path / "log").read_text() == "begun\n"
    assert ledger_databases.sql(url, "SELECT state FROM item") == "applied"
    assert ledger_databases.sql(url, "SELECT count(*) FROM audit WHERE event IN ('intended', 'settled')") == "2"


@pytest.mark.skipif(faketime_library() is None, reason="libfaketime was not fetched")
@pytest.mark.parametrize("offset", ["+1h", pytest.param("-1h", marks=pytest.mark.soak)])
async def test_clock_of_a_machine_that_is_an_hour_off_neither_takes_the_lease_nor_stops_the_work(
    tmp_path: Path, ledger_databases: LedgerDatabases, offset: str
) -> None:
    """Invariant 36: the database measures the lease, and the time of every row."""
    wrong = {"LD_PRELOAD": str(faketime_library()), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    inventory, url = inventory_with_command(tmp_path), ledger_url(tmp_path)

    async def state() -> str:
        return ledger_databases.sql(url, "SELECT state FROM run")

    async with daemon(tmp_path, inventory) as right:
        assert await right.wait_until_decided()
        async with daemon(tmp_path, inventory, **wrong) as off:
            assert await off.wait_until_decided()
            await asyncio.sleep(2 * TTL)
            assert (await right.leads(), await off.leads()) == (True, False)
            await right.stop(signal.SIGKILL)
            await becomes(off.leads, True)
            assert await off.deliver(remediation="run_command", target="flag") == 200
            await becomes(state, "succeeded")
            await off.stop(signal.SIGTERM)
            assert "this machine's clock differs from the database's" in off.log


async def test_daemon_refuses_a_ledger_on_the_server_of_a_target(
    tmp_path: Path, ledger_databases: LedgerDatabases
) -> None:
    target = f"{{dsn: '{ledger_databases.server.dsn()}'}}"
    async with daemon(tmp_path, f"stacks: {{shop: {{postgres: {{main: {target}}}}}}}") as refused:
        assert not await refused.wait_until_decided()
        assert refused.process.returncode == 2
        assert "stacks.shop.postgres.main is on the ledger's server" in refused.log
    assert ledger_databases.sql(ledger_url(tmp_path), "SELECT term FROM leader") == "0", "it was not elected"
