"""The remediator is killed between delivery and action, and started again with the same argument list."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.incidents import held
from demo.incidents.idle_transactions import HOLDING, WAITING
from demo.places import Places
from demo.running import Demo, running_demo
from tests.e2e.conftest import UP_SECONDS, demo

pytestmark = pytest.mark.timeout(120)
# Its alert fires after 15 s at the earliest: whatever is delivered before that is delivered by this test.
OLD_ENOUGH_SECONDS = 6.5
FIXED_SECONDS = 30
LABELS = {
    "alertname": "IdleInTransactionTooLong",
    "severity": "warning",
    "stack": "shop",
    "target": "main",
    "remediation": "terminate_idle_transactions",
}


@pytest.fixture
def started_again() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What the test starts itself. `down` ends it; this only takes the exit status."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    demo("down", seconds=UP_SECONDS)
    for process in processes:
        process.wait(10)


def _delivery() -> bytes:
    alert = {"status": "firing", "labels": LABELS, "annotations": {}, "startsAt": datetime.now(UTC).isoformat()}
    alert |= {"endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "00000000000000aa"}
    body = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "remediator", "groupLabels": {}}
    return json.dumps({**body, "commonLabels": LABELS, "commonAnnotations": {}, "alerts": [alert]}).encode()


def _deliver_and_kill(url: str, token: str, pid: int) -> int:
    """Kill the remediator in the moment in which it has taken the delivery, and return its answer's status."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/webhook", _delivery(), headers)
    answer = connection.getresponse()
    os.kill(pid, signal.SIGKILL)
    status = answer.status
    connection.close()
    return status


def _start_again(pid: int) -> Callable[[], subprocess.Popen[bytes]]:
    """How to start a process once more as anybody could: with what /proc shows of it."""
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    folder = Path(f"/proc/{pid}/cwd").readlink()
    return lambda: subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def _fixed(running: Demo) -> list[dict[str, Any]]:
    """The runs, once one has succeeded; or whatever there is when time is up."""
    runs: list[dict[str, Any]] = []
    for _ in range(FIXED_SECONDS * 2):
        await asyncio.sleep(0.5)
        try:
            runs = await running.runs("terminate_idle_transactions")
        except OSError:  # it is still starting
            continue
        if any(run["state"] == "succeeded" for run in runs):
            break
    return runs


async def test_it_is_fixed_once(up: Places, started_again: list[subprocess.Popen[bytes]]) -> None:
    assert demo("incident", "idle_transactions", seconds=UP_SECONDS).code == 0
    await asyncio.sleep(OLD_ENOUGH_SECONDS)
    async with running_demo(up) as running:
        holding = (await held.read(up, "idle_transactions"))["holding"]
        pid = json.loads((up.part("remediator") / "remediator.pid").read_text())["pid"]
        start = _start_again(pid)
        assert _deliver_and_kill(running.ports.url("remediator"), up.secret("webhook_token"), pid) == 200
        assert await held.alive(running, holding) == HOLDING, "it acted before it could be killed"

        started_again.append(start())
        runs = await _fixed(running)
        ended = await held.until_ended(up, "idle_transactions")

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
