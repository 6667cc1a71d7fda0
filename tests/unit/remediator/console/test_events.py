"""The stream of events: each change, in order, until the page, the session or the daemon ends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler

from remediator.console import events
from remediator.console.events import add_event_route
from remediator.console.visitor import ConsoleHandler, Visitor
from remediator.ledger import audit
from remediator.model.errors import LedgerUnavailable
from runbookd.inventory import Role
from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.polling import becomes


@dataclass
class OpenGuard:
    """Lets every request in, as `oncall`, until a test signs the operator out."""

    is_signed_in: bool = True
    checks: int = 0

    def __call__(self, handler: ConsoleHandler, least: Role = Role.VIEWER) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            return await handler(request, Visitor("oncall", Role.OPERATOR, "x", 1))

        return guarded

    async def is_current(self, request: web.Request, visitor: Visitor) -> bool:
        self.checks += 1
        return self.is_signed_in


@dataclass
class Streams:
    """The client of an application that has only the stream."""

    client: TestClient[Any, Any]
    harness: EngineHarness
    guard: OpenGuard

    async def open(self, last: str | None = None) -> ClientResponse:
        headers = {"Last-Event-ID": last} if last is not None else {}
        answer = await self.client.get("/events", headers=headers)
        assert answer.status == 200
        await next_block(answer)  # how soon to reconnect
        return answer

    async def change(self) -> None:
        async with self.harness.context.ledger.write() as connection:
            await audit.append(connection, self.harness.clock.now(), "test")


async def next_block(answer: ClientResponse) -> str:
    async with asyncio.timeout(60):
        return (await answer.content.readuntil(b"\n\n")).decode().strip()


@pytest.fixture
async def streams(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Streams]:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)
    app, guard = web.Application(), OpenGuard()
    add_event_route(app, harness.context, guard)
    async with TestClient(TestServer(app)) as client:
        yield Streams(client, harness, guard)


async def test_change_reaches_every_stream_with_its_sequence(streams: Streams) -> None:
    first, second = await streams.open(), await streams.open()
    assert await next_block(first) == await next_block(second) == "id: 0\nevent: changed\ndata:"
    await streams.change()
    assert await next_block(first) == await next_block(second) == "id: 1\nevent: changed\ndata:"
    assert first.headers["X-Accel-Buffering"] == "no"
    assert first.headers["Cache-Control"] == "no-store"


async def test_reconnection_gets_only_what_it_has_missed(streams: Streams) -> None:
    await streams.change()
    current = await streams.open(last="1")
    await streams.change()
    assert await next_block(current) == "id: 2\nevent: changed\ndata:"
    late = await streams.open(last="1")
    assert await next_block(late) == "id: 2\nevent: changed\ndata:"
    for nonsense in ("-1", "x", "9" * 40):
        assert await next_block(await streams.open(last=nonsense)) == "id: 2\nevent: changed\ndata:"


async def test_silent_stream_gets_a_heartbeat(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    answer = await streams.open(last="0")
    assert await next_block(answer) == ": heartbeat"


async def test_stream_ends_with_the_session_before_anything_else_is_sent(streams: Streams) -> None:
    answer = await streams.open(last="0")
    streams.guard.is_signed_in = False
    await streams.change()
    assert await next_block(answer) == "event: signed-out\ndata:"
    assert await answer.content.read() == b""


async def test_stream_does_not_delay_the_end_of_the_daemon(harness: EngineHarness) -> None:
    app = web.Application()
    add_event_route(app, harness.context, OpenGuard())
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/events", headers={"Last-Event-ID": "0"})
        await next_block(answer)
        await app.shutdown()
        rest = asyncio.create_task(answer.content.read())
        assert (await asyncio.wait([rest], timeout=60))[0], "the stream goes on"
        assert rest.result() == b"event: stopping\ndata: \n\n"
        assert (await client.get("/events")).status == 503


async def test_ledger_that_is_out_is_reported_once_and_its_return_too(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await streams.open(last="0")
    ledger = streams.harness.context.ledger

    def refuse() -> Any:
        raise LedgerUnavailable("the ledger: disk I/O\nerror")

    with monkeypatch.context() as out:
        out.setattr(ledger, "read", refuse)
        out.setattr(streams.guard, "is_signed_in", False)  # nobody can tell
        assert await next_block(answer) == "event: fault\ndata: the ledger: disk I/O error"
        await asyncio.sleep(0.1)
    assert await next_block(answer) == "id: 0\nevent: changed\ndata:"


async def test_all_streams_share_one_poll_that_ends_with_the_last(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, loop, reads = streams.harness.context.ledger, asyncio.get_running_loop(), 0
    original = ledger.read

    def counted() -> Any:
        nonlocal reads
        reads += 1
        return original()

    async def reads_on() -> bool:
        return reads > 4

    async def polls() -> int:
        await streams.change()  # writing to a closed stream ends it
        return [task.get_name() for task in asyncio.all_tasks()].count("console events")

    monkeypatch.setattr(ledger, "read", counted)
    answers = [await streams.open(last="0") for _ in range(5)]
    reads, begun = 0, loop.time()
    await becomes(reads_on, True)
    assert reads <= (loop.time() - begun) / events.POLL_SECONDS + 1  # five polls would read five times as often
    for answer in answers:
        answer.close()
    await becomes(polls, 0)
    reads = 0
    await asyncio.sleep(0.1)
    assert reads == 0


async def test_operator_has_a_limited_number_of_streams(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_STREAMS", 2)
    first, _ = await streams.open(last="0"), await streams.open(last="0")
    refused = await streams.client.get("/events")
    assert refused.status == 429
    assert "oncall has 2 pages open" in await refused.text()
    first.close()

    async def status() -> int:
        await streams.change()
        return (await streams.client.get("/events")).status

    await becomes(status, 200)
