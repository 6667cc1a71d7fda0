"""The short form of `make chaos`: three replicas, and a handful of faults from a fixed seed."""

from pathlib import Path

from chaos.environment import running_environment
from chaos.replica_faults import CLOCK
from chaos.run import Chaos
from chaos.schedule import schedule
from chaos.verdict import Verdict
from tools.toolchain.paths import faketime_library

SEED, SECONDS = 6247, 22.0
"""A restart of the ledger, a killed leader, lost answers, a wrong clock, and a failover that loses commits."""


async def test_replicas_lose_double_and_exceed_nothing(servers_folder: Path) -> None:
    faketime = faketime_library()
    steps = schedule(SEED, SECONDS, "" if faketime else CLOCK)
    faults = [step.fault for step in steps]
    assert {"restart of the ledger", "kill the leader", "failover of the ledger"} < set(faults), faults
    async with running_environment(servers_folder / "chaos", faketime) as environment:
        processes = [replica.program.process for replica in environment.replicas]
        run = Chaos.of(environment, SEED, print)
        verdict = Verdict.of(SEED, await run.run(steps), run.scene.faults)
    assert {name: findings for name, findings in verdict.findings.items() if findings} == {}
    # The last incident needs these two; the rest depends on how busy the machine is.
    assert set(verdict.counts["effects"]) >= {"terminate_idle_transactions", "retry_failed_jobs"}
    assert verdict.counts["term"] > 1
    assert verdict.counts["failovers"] == 1
    assert [process.name for process in processes if process.running] == []
