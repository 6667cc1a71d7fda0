"""SIGTERM: no further effect begins, however slow the clients are, and no delivery is lost."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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

LineReader = Callable[[str], Awaitable[str]]


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


@asynccontextmanager
async def remediator_process(
    folder: Path, *flags: str, address: str = "127.0.0.1:0"
) -> AsyncIterator[tuple[asyncio.subprocess.Process, LineReader]]:
    """Start a remediator that listens, and return it with its log."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "remediator.main", "--web.listen-address", address, *flags),
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        stderr=asyncio.subprocess.PIPE,
    )
    log = process.stderr
    assert log is not None

    async def line_with(event: str) -> str:
        async with asyncio.timeout(60):
            while event not in (line := (await log.readline()).decode()):
                assert line, f"the log ended without {event}"
        return line

    try:
        await line_with("event=listening")
        yield process, line_with
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_sigterm_shuts_the_remediator_down_cleanly(tmp_path: Path) -> None:
    async with remediator_process(tmp_path) as (process, line_with):
        process.send_signal(signal.SIGTERM)
        await line_with("event=stopping")
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_sighup_reloads_and_does_not_end_the_remediator(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yml"
    file.write_text("stacks: {shop: {}}")
    async with remediator_process(tmp_path, "--config.file", str(file)) as (process, line_with):
        file.write_text("stacks: {shop: {runbook_url: 'https://new.example/'}}")
        process.send_signal(signal.SIGHUP)
        reloaded = await line_with("event=reloaded")
        assert "changed=stacks.shop.runbook_url by=signal" in reloaded
        assert "--ledger.url, --web.listen-address" in reloaded
        file.write_text("stacks: {shop: {colour: red}}")
        process.send_signal(signal.SIGHUP)
        assert f"{file}:1: stacks.shop.colour: unknown key" in await line_with("reload failed, keeping the previous")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_remediator_without_an_inventory_survives_sighup_and_names_what_is_missing(tmp_path: Path) -> None:
    async with remediator_process(tmp_path) as (process, line_with):
        assert 'what="an inventory"' in await line_with("event=missing")
        process.send_signal(signal.SIGHUP)
        assert "no inventory: give one with --config.file" in await line_with("reload failed")
        assert process.returncode is None


async def test_no_effect_begins_after_the_shutdown_request(folder: Path) -> None:
    began = asyncio.Event()

    async def slow() -> None:
        began.set()
        await asyncio.sleep(0.5)

    files = FolderRemediation(folder, before=slow)
    files.fill("a", "b", "c", "d")
    ledger = ledger_at(f"sqlite:///{folder.parent}/ledger.db")
    context = Context(inventory(), ledger, SystemClock(), {"clear_folder": files.remediation()}, None)
    runner = web.AppRunner(create_application(context, BearerTokens({}, "")), access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    body = delivery(starts=datetime.now(UTC).isoformat())
    reader, quick = await post(port, body, len(body))
    assert b"200" in await reader.readline()
    _, unfinished = await post(port, b"{", 100)
    await asyncio.wait_for(began.wait(), 30)
    await runner.cleanup()
    for writer in (quick, unfinished):
        writer.close()
    assert files.touched == ["a"]
    async with ledger.open(), ledger.read() as connection:
        run = await runs.get(connection, 1)
        assert (run.state, run.reason) == ("interrupted", "stopping")


async def test_deliveries_get_503_until_the_current_effect_has_ended(folder: Path, unused_tcp_port: int) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        await may_end.wait()

    files = FolderRemediation(folder, before=slow)
    files.fill("a")
    ledger = ledger_at(f"sqlite:///{folder.parent}/ledger.db")
    context = Context(inventory(), ledger, SystemClock(), {"clear_folder": files.remediation()}, None)
    app = create_application(context, BearerTokens({}, ""))
    server = asyncio.create_task(serve(app, ListenAddress("127.0.0.1", unused_tcp_port)))
    url, body = f"http://127.0.0.1:{unused_tcp_port}", delivery(starts=datetime.now(UTC).isoformat())
    async with ClientSession() as session:
        await becomes(lambda: status_of(session.get(f"{url}/-/ready")), 200)
        assert await status_of(session.post(f"{url}/webhook", data=body)) == 200
        await asyncio.wait_for(began.wait(), 30)
        os.kill(os.getpid(), signal.SIGTERM)
        await becomes(lambda: status_of(session.get(f"{url}/-/ready")), 503)
        assert await status_of(session.post(f"{url}/webhook", data=body)) == 503
        assert await status_of(session.get(f"{url}/metrics")) == 200
    may_end.set()
    await asyncio.wait_for(server, 30)
    assert files.touched == ["a"]


async def status_of(request: Any) -> int:
    try:
        async with request as answer:
            return int(answer.status)
    except ClientConnectionError:
        return 0
