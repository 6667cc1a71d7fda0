"""SIGTERM: no further effect begins, however slow the clients are, and no delivery is lost."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from remediator.app import create_application
from remediator.context import Context
from remediator.engine.engine import Engine
from remediator.ledger import deliveries, runs
from remediator.ledger.address import ledger_at
from remediator.model.clock import SystemClock
from remediator.server.bearer_tokens import BearerTokens
from remediator.server.webhook import webhook
from runbookd.service import ListenAddress
from runbookd.service.serve import serve
from tests.unit.remediator.conftest import inventory
from tests.unit.remediator.folder_remediation import FolderRemediation
from tests.unit.remediator.payloads import delivery
from tests.unit.remediator.polling import becomes


async def test_delivery_during_shutdown_gets_503(folder: Path) -> None:
    async with ledger_at(f"sqlite:///{folder.parent}/ledger.db").open() as ledger:
        engine = Engine(Context(inventory(), ledger, SystemClock(), {}, None))
        app = web.Application()
        app.router.add_post("/webhook", webhook(ledger, SystemClock(), BearerTokens({}, ""), engine.gate))
        async with TestClient(TestServer(app)) as client:
            assert (await client.post("/webhook", data=delivery())).status == 200
            engine.request_shutdown()
            answer = await client.post("/webhook", data=delivery())
            assert (answer.status, await answer.text()) == (503, "stopping; try again\n")
        async with ledger.read() as connection:
            assert await deliveries.count_unprocessed(connection) == 1


async def post(port: int, body: bytes, length: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode() + body)
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_signal_shuts_the_remediator_down_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """SIGHUP re-reads no inventory; an operator who expects that must not interrupt an effect."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "remediator.main", "--web.listen-address", "127.0.0.1:0"),
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        assert b"event=listening" in await process.stderr.readline()
        process.send_signal(number)
        _, log = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, b"event=stopping" in log) == (0, True)


async def test_no_effect_begins_after_the_shutdown_request(folder: Path) -> None:
    began = asyncio.Event()

    async def slow() -> None:
        began.set()
        await asyncio.sleep(0.5)

    shelf = FolderRemediation(folder, before=slow)
    shelf.fill("a", "b", "c", "d")
    ledger = ledger_at(f"sqlite:///{folder.parent}/ledger.db")
    context = Context(inventory(), ledger, SystemClock(), {"clear_shelf": shelf.remediation()}, None)
    runner = web.AppRunner(create_application(context, BearerTokens({}, "")), access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    body = delivery(starts=datetime.now(UTC).isoformat())
    reader, quick = await post(port, body, len(body))
    assert b"200" in await reader.readline()
    _, unfinished = await post(port, b"{", 100)
    await asyncio.wait_for(began.wait(), 5)
    await runner.cleanup()
    for writer in (quick, unfinished):
        writer.close()
    assert shelf.touched == ["a"]
    async with ledger.open(), ledger.read() as connection:
        run = await runs.get(connection, 1)
        assert (run.state, run.reason) == ("interrupted", "stopping")


async def test_deliveries_get_503_until_the_current_effect_has_ended(folder: Path, unused_tcp_port: int) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        await may_end.wait()

    shelf = FolderRemediation(folder, before=slow)
    shelf.fill("a")
    ledger = ledger_at(f"sqlite:///{folder.parent}/ledger.db")
    context = Context(inventory(), ledger, SystemClock(), {"clear_shelf": shelf.remediation()}, None)
    app = create_application(context, BearerTokens({}, ""))
    server = asyncio.create_task(serve(app, ListenAddress("127.0.0.1", unused_tcp_port)))
    url, body = f"http://127.0.0.1:{unused_tcp_port}", delivery(starts=datetime.now(UTC).isoformat())
    async with ClientSession() as session:
        await becomes(lambda: status_of(session.get(f"{url}/-/ready")), 200)
        assert await status_of(session.post(f"{url}/webhook", data=body)) == 200
        await asyncio.wait_for(began.wait(), 5)
        os.kill(os.getpid(), signal.SIGTERM)
        await becomes(lambda: status_of(session.get(f"{url}/-/ready")), 503)
        assert await status_of(session.post(f"{url}/webhook", data=body)) == 503
        assert await status_of(session.get(f"{url}/metrics")) == 200
    may_end.set()
    await asyncio.wait_for(server, 10)
    assert shelf.touched == ["a"]


async def status_of(request: Any) -> int:
    try:
        async with request as answer:
            return int(answer.status)
    except ClientConnectionError:
        return 0
