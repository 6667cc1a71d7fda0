"""The remediator is killed between delivery and effect, and restarted."""

import asyncio
import subprocess
from collections import Counter
from typing import Any

from demo.incidents import session_process
from demo.incidents.idle_transactions import HOLDING, WAITING
from demo.paths import DemoPaths
from demo.running import Demo, running_demo
from tests.e2e.conftest import UP_SECONDS, run_demo
from tests.e2e.webhook import deliver, kill, remediator_pid, start_again

# The alert fires after 15 s at the earliest, so an earlier delivery comes from this test. The sessions must be over 5 s
# old, which is the remediation's `older_than`.
OLD_ENOUGH_SECONDS = 6.5
FIXED_SECONDS = 30
LABELS = {
    "alertname": "IdleInTransactionTooLong",
    "severity": "warning",
    "stack": "shop",
    "target": "main",
    "remediation": "terminate_idle_transactions",
}


async def _wait_for_success(running: Demo) -> list[dict[str, Any]]:
    """Return the runs once one has succeeded, or the current runs when the time is up."""
    runs: list[dict[str, Any]] = []
    for _ in range(FIXED_SECONDS * 2):
        await asyncio.sleep(0.5)
        try:
            runs = await running.runs("terminate_idle_transactions")
        except OSError:  # the remediator is still starting
            continue
        if any(run["state"] == "succeeded" for run in runs):
            break
    return runs


async def test_remediator_killed_after_delivery_fixes_the_incident_once(
    up: DemoPaths, started_again: list[subprocess.Popen[bytes]]
) -> None:
    assert run_demo("incident", "idle_transactions", seconds=UP_SECONDS).code == 0
    await asyncio.sleep(OLD_ENOUGH_SECONDS)
    async with running_demo(up) as running:
        holding = (await session_process.read_session_status(up, "idle_transactions"))["holding"]
        pid = remediator_pid(up)
        start = start_again(pid)
        assert deliver(running.ports.url("remediator"), up, LABELS, then=lambda: kill(pid)) == 200
        assert await session_process.count_alive(running, holding) == HOLDING, (
            "the remediator acted before it was killed"
        )

        started_again.append(start())
        runs = await _wait_for_success(running)
        ended = await session_process.wait_for_end(up, "idle_transactions")

    assert (ended["lost"], ended["through"], ended["failed"]) == (HOLDING, WAITING, [])
    touched = Counter(
        (item["identity"]["pid"], item["identity"]["backend_start"])
        for run in runs
        for item in run["items"]
        if item["state"] == "applied"
    )
    assert len(touched) == HOLDING
    assert set(touched.values()) == {1}
    assert [run["state"] for run in runs].count("succeeded") == 1
