"""The remediator is killed during a backup, and records the outcome after its restart."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

from demo.bucket import list_backups
from demo.paths import DemoPaths
from demo.running import Demo, running_demo
from tests.e2e.conftest import UP_SECONDS, demo_processes, run_demo
from tests.e2e.webhook import deliver, kill, remediator_pid, start_again

LABELS = {
    "alertname": "BackupTooOld",
    "severity": "critical",
    "stack": "shop",
    "target": "nightly",
    "kind": "full",
    "remediation": "run_backup",
}
DUMPS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'"


async def _wait_for(what: str, reached: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    for _ in range(int(seconds * 4)):
        try:
            value = await reached()
        except OSError:  # the remediator is still starting
            value = None
        if value:
            return value
        await asyncio.sleep(0.25)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


async def _no_dump() -> bool:
    return not any("pg_dump" in arguments for arguments in demo_processes().values())


async def _runs(running: Demo, *states: str) -> list[dict[str, Any]]:
    runs = await running.runs("run_backup")
    return runs if states and [run["state"] for run in reversed(runs)][: len(states)] == list(states) else []


async def test_remediator_killed_during_a_backup_makes_no_second_and_records_the_outcome(
    up: DemoPaths, started_again: list[subprocess.Popen[bytes]]
) -> None:
    assert run_demo("incident", "old_backup", seconds=UP_SECONDS).code == 0
    async with running_demo(up) as running, running.database() as onlooker:
        left = await list_backups(up)
        pid = remediator_pid(up)
        start = start_again(pid)
        async with running.database() as holder, holder.transaction():
            await holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")  # a dump waits for it
            assert deliver(running.ports.url("remediator"), up, LABELS) == 200
            await _wait_for("run that executes", lambda: _runs(running, "executing"), 15)
            await _wait_for("dump at work", lambda: onlooker.fetchval(DUMPS), 15)
            kill(pid)
            # The server ends the dump's session only after the lock; only pg_dump itself could store a dump.
            await _wait_for("end of the dump", _no_dump, 15)
        assert await list_backups(up) == left, "an incomplete dump was stored"

        started_again.append(start())
        runs = await _wait_for("second run that succeeded", lambda: _runs(running, "interrupted", "succeeded"), 60)

    fixed, crashed = runs[0], runs[-1]
    assert [item["state"] for item in crashed["items"]] == ["not_applied"]
    assert [item["state"] for item in fixed["items"]] == ["applied"]
    after = await list_backups(up) if up.env.exists() else {}
    assert {path for path in after if path not in left} == {f"db/{fixed['items'][0]['identity']['object']}"}
    assert {path: after[path] for path in left} == left
