"""SIGKILL of a follower, before and after each of its commits: the leader goes on, and nothing is half."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from remediator.context import Context
from remediator.ledger import deliveries
from remediator.model.run_state import RunState
from remediator.runs.approval import approve
from tests.invariants.crashing import CrashPoints, _pause, crashing_ledger
from tests.ledgers import ledger_url
from tests.unit.remediator.audit_trail import first_break
from tests.unit.remediator.conftest import EngineHarness, ManualClock, engine_harness, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import delivery


async def _accept(context: Context) -> None:
    await context.ledger.accept(context.clock.now(), delivery(target="spare", fingerprint="b"))


async def _approve(context: Context) -> None:
    await approve(context, 1, "oncall")


ACTS: dict[str, Callable[[Context], Awaitable[None]]] = {"accept": _accept, "approve": _approve, "pause": _pause}
POINTS = {"accept": "acceptance", "approve": "commit of approved", "pause": "commit of paused"}


async def _follow(folder: Path, url: str, act: str, die_at: str) -> None:
    ledger = crashing_ledger(url)
    ledger.points = CrashPoints(folder / "points", die_at)
    async with ledger.open():
        remediations = {"clear_folder": FolderRemediation(folder / "files").remediation()}
        await ACTS[act](Context(inventory(mode="approve"), ledger, ManualClock(), remediations, None))


def _process(folder: str, url: str, act: str, die_at: str) -> None:
    asyncio.run(_follow(Path(folder), url, act, die_at))
    os._exit(0)


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.invariants.crashing"])


async def die(folder: Path, act: str, when: str) -> None:
    """Let another process do `act` and kill itself before or after it is durable."""
    arguments = (str(folder), ledger_url(folder), act, f"{when} {POINTS[act]}")
    process = _FORKS.Process(target=_process, args=arguments)
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == -signal.SIGKILL


async def outcome(harness: EngineHarness, act: str) -> bool:
    """Return whether the act had its effect, after the leader has worked on."""
    async with harness.context.ledger.read() as connection:
        waiting = await deliveries.count_unprocessed(connection)
    await harness.work()
    return {
        "accept": waiting == 1 and len(await harness.runs()) == 2,
        "approve": (await harness.runs())[0].state is RunState.SUCCEEDED,
        "pause": await _is_refused(harness),
    }[act]


async def _is_refused(harness: EngineHarness) -> bool:
    await harness.deliver(target="spare", fingerprint="c")
    await harness.work()
    return (await harness.last_run()).reason == "kill_switch"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("act", ACTS)
async def test_act_of_a_killed_follower_is_whole_or_not_there_and_the_leader_goes_on(
    folder: Path, act: str, when: str
) -> None:
    """Invariants 1 and 21."""
    async with engine_harness(folder, inventory(mode="approve")) as harness:
        harness.files.fill("a")
        await harness.deliver()
        await harness.work()
        assert (await harness.last_run()).state is RunState.AWAITING_APPROVAL
        await die(folder.parent, act, when)
        assert await outcome(harness, act) is (when == "after")
        async with harness.context.ledger.read() as connection:
            assert await first_break(connection) is None
