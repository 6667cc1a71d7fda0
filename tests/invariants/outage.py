"""A remediator in a process of its own, whose disk or whose process something happens to."""

import asyncio
import multiprocessing
import os
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from remediator.app import create_application
from remediator.context import Context
from remediator.engine import engine as engine_module
from remediator.engine.engine import Engine
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.model.errors import LedgerUnavailable
from remediator.server.bearer_tokens import BearerTokens
from tests.unit.remediator.conftest import START, ManualClock, inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import delivery

NOBODY = 65534
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.invariants.outage"])


def run_in_process(work: Any, *arguments: Any) -> Any:
    """Run `work` in a process of its own, and return what it answered."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=work, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join(30)


def full_disk(answer: Connection, folder: Path) -> None:
    """No file may grow any further, then all may again; tells what was said and done at each time."""
    answer.send(asyncio.run(_full_disk(folder)))


async def _full_disk(folder: Path) -> dict[str, Any]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    engine_module.LEDGER_RETRY_SECONDS = 0.05
    shelf = FolderRemediation(folder / "shelf")
    shelf.fill("a")
    results: dict[str, Any] = {}
    async with ledger_at(f"sqlite:///{folder}/ledger.db").open() as ledger:
        context = Context(inventory(), ledger, ManualClock(START), {"clear_shelf": shelf.remediation()}, None)
        engine = Engine(context)
        await ledger.accept(START, delivery())
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "ledger.db-wal").stat().st_size, hard))
        try:
            await ledger.accept(START, delivery())
            results["accepting"] = "accepted"
        except LedgerUnavailable as error:
            results["accepting"] = str(error)
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(0.5)
        results["trouble"], results["touched while full"] = engine.fault, list(shelf.touched)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        for _ in range(200):
            await asyncio.sleep(0.05)
            if shelf.touched and engine.fault is None:
                break
        results["touched afterwards"], results["trouble afterwards"] = list(shelf.touched), engine.fault
        engine.request_shutdown()
        await running
        await engine.wait_for_runs()
    return results


def read_only(answer: Connection, file: Path) -> None:
    """Open a ledger as somebody who may not write there."""
    if os.geteuid() == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)
    answer.send(asyncio.run(_open(file)))


async def _open(file: Path) -> str:
    try:
        async with ledger_at(f"sqlite:///{file}").open():
            return "opened"
    except LedgerUnavailable as error:
        return str(error)


def slow_work(answer: Connection, folder: Path) -> None:
    """Touch three things, slowly, and say so before and after each; watched for a pause file."""
    asyncio.run(_slow_work(answer, folder))


async def _slow_work(answer: Connection, folder: Path) -> None:
    async def began() -> None:
        answer.send("began")
        await asyncio.sleep(0.3)

    shelf = FolderRemediation(folder / "shelf", before=began)
    shelf.fill("a", "b", "c")
    async with ledger_at(f"sqlite:///{folder}/ledger.db").open() as ledger:
        clock, remediations = ManualClock(START), {"clear_shelf": shelf.remediation()}
        engine = Engine(Context(inventory(), ledger, clock, remediations, None, folder / "pause"))
        await ledger.accept(START, delivery())
        for _ in range(2):
            await engine.tick()
            await engine.wait_for_runs()
    answer.send(("ended", list(shelf.touched)))


def full_disk_at_rest(answer: Connection, folder: Path) -> None:
    """A disk that is full while there is nothing to do: what is answered, and what readiness and metrics say."""
    answer.send(asyncio.run(_full_disk_at_rest(folder)))


async def _full_disk_at_rest(folder: Path) -> dict[str, Any]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    context = Context(inventory(), ledger_at(f"sqlite:///{folder}/ledger.db"), SystemClock(), {}, None)
    results: dict[str, Any] = {}
    async with TestClient(TestServer(create_application(context, BearerTokens({}, "")))) as client:
        results["before"] = await _probe(client)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "ledger.db-wal").stat().st_size, hard))
        results["full"] = await _probe(client)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        results["afterwards"] = await _probe(client)
    return results


async def _probe(client: TestClient[Any, Any]) -> tuple[int, str, bool]:
    """What a delivery is answered; then, after a few rounds of the engine, readiness, and whether the ledger is up."""
    status = (await client.post("/webhook", data=delivery([]))).status
    await asyncio.sleep(0.5)
    ready = (await (await client.get("/-/ready")).text()).strip()
    return status, ready, "\nremediation_ledger_up 1.0\n" in await (await client.get("/metrics")).text()
