"""The limit of open connections, on a real listener."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from runbookd.service import ListenAddress
from runbookd.service.serve import serve
from tests.unit.remediator.polling import becomes

GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Yield the port of a daemon that takes three connections and answers `/slow` after a while."""
    monkeypatch.setattr("runbookd.service.connections.MAX_CONNECTIONS", 3)

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(1 if request.path == "/slow" else 0)
        return web.Response(text="served")

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    with capture_logs() as logs:
        daemon = asyncio.create_task(serve(app, ListenAddress("127.0.0.1", 0)))

        async def is_listening() -> bool:
            return any(each["event"] == "listening" for each in logs)

        await becomes(is_listening, True)
    yield int(next(each["address"] for each in logs if each["event"] == "listening").rpartition(":")[2])
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon


async def is_served(connection: Connection) -> bool:
    """Return whether an answer comes, instead of the end of the connection."""
    try:
        return (await asyncio.wait_for(connection[0].read(12), 20)).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


async def test_connection_too_many_ends_the_oldest_without_a_request(port: int) -> None:
    connections = [await asyncio.open_connection("127.0.0.1", port)]
    connections[0][1].write(GET % b"slow")
    await asyncio.sleep(0.1)
    for _ in range(20):
        connections.append(await asyncio.open_connection("127.0.0.1", port))
        await asyncio.sleep(0.01)
    connections[-1][1].write(GET % b"")
    served = await asyncio.gather(*(is_served(each) for each in (connections[0], connections[1], connections[-1])))
    assert served == [True, False, True]
    for _, writer in connections:
        writer.close()


async def test_requests_that_take_every_connection_keep_no_other_out(port: int) -> None:
    connections = []
    for _ in range(4):
        connections.append(await asyncio.open_connection("127.0.0.1", port))
        connections[-1][1].write(GET % b"slow")
        await asyncio.sleep(0.05)
    assert await asyncio.gather(*map(is_served, connections)) == [False, True, True, True]
    for _, writer in connections:
        writer.close()
