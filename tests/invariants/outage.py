"""Run a remediator in a separate process that loses its disk or is suspended."""

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
from tests.unit.remediator.polling import becomes

NOBODY = 65534
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.invariants.outage"])


def run_in_process(work: Any, *arguments: Any) -> Any:
    """Run `work` in a separate process and return its answer."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=work, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join(30)


def full_disk(answer: Connection, folder: Path) -> None:
    """Fill the disk and free it again; answer what the engine reported and did each time."""
    answer.send(asyncio.run(_full_disk(folder)))


async def _full_disk(folder: Path) -> dict[str, Any]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    engine_module.LEDGER_RETRY_SECONDS = 0.05
    files = FolderRemediation(folder / "files")
    files.fill("a")
    results: dict[str, Any] = {}
    async with ledger_at(f"sqlite:///{folder}/ledger.db").open() as ledger:
        context = Context(inventory(), ledger, ManualClock(START), {"clear_folder": files.remediation()}, None)
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
        await becomes(lambda: _has_fault(engine), True)
        await asyncio.sleep(0.2)  # several retries, none of which may touch anything
        results["trouble"], results["touched while full"] = engine.fault, list(files.touched)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await becomes(lambda: _has_fault(engine), False)
        await becomes(lambda: _touched(files), ["a"])
        results["touched afterwards"], results["trouble afterwards"] = list(files.touched), engine.fault
        engine.request_shutdown()
        await running
        await engine.wait_for_runs()
    return results


def read_only(answer: Connection, file: Path) -> None:
    """Open a ledger as a user who may not write there."""
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
    """Touch three items slowly, with a pause file configured; send a message before each and at the end."""
    asyncio.run(_slow_work(answer, folder))


async def _slow_work(answer: Connection, folder: Path) -> None:
    async def announce() -> None:
        answer.send("began")
        await asyncio.sleep(0.3)

    files = FolderRemediation(folder / "files", before=announce)
    files.fill("a", "b", "c")
    async with ledger_at(f"sqlite:///{folder}/ledger.db").open() as ledger:
        clock, remediations = ManualClock(START), {"clear_folder": files.remediation()}
        engine = Engine(Context(inventory(), ledger, clock, remediations, None, folder / "pause"))
        await ledger.accept(START, delivery())
        for _ in range(2):
            await engine.tick()
            await engine.wait_for_runs()
    answer.send(("ended", list(files.touched)))


def full_disk_at_rest(answer: Connection, folder: Path) -> None:
    """Fill the disk of an idle remediator; answer its responses, readiness and metrics."""
    answer.send(asyncio.run(_full_disk_at_rest(folder)))


async def _full_disk_at_rest(folder: Path) -> dict[str, Any]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    context = Context(inventory(), ledger_at(f"sqlite:///{folder}/ledger.db"), SystemClock(), {}, None)
    results: dict[str, Any] = {}
    async with TestClient(TestServer(create_application(context, BearerTokens({}, "")))) as client:
        results["before"] = await _probe(client, 200)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "ledger.db-wal").stat().st_size, hard))
        results["full"] = await _probe(client, 503)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        results["afterwards"] = await _probe(client, 200)
    return results


async def _probe(client: TestClient[Any, Any], readiness: int) -> tuple[int, str, bool]:
    """Deliver, wait for this readiness, and return the response, the readiness text and whether the ledger is up."""
    status = (await client.post("/webhook", data=delivery([]))).status
    await becomes(lambda: _readiness(client), readiness)
    ready = (await (await client.get("/-/ready")).text()).strip()
    return status, ready, "\nremediation_ledger_up 1.0\n" in await (await client.get("/metrics")).text()


async def _readiness(client: TestClient[Any, Any]) -> int:
    return (await client.get("/-/ready")).status


async def _has_fault(engine: Engine) -> bool:
    return engine.fault is not None


async def _touched(files: FolderRemediation) -> list[str]:
    return list(files.touched)
