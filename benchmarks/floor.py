"""A program that reads what a scrape reads and sends a page that never changes: no exporter in Python costs less.

It uses the exporter's drivers and its HTTP server, and nothing else of the project. `recording` is a JSON file: the
addresses, the SQL statement, the requests to Redis with their numbers of replies, and the page.
"""

import argparse
import asyncio
import base64
import gc
import json
from pathlib import Path
from typing import Any

import asyncpg
import hiredis
from aiohttp import web
from redis.asyncio import Connection, ConnectionPool


class Floor:
    """The connections, and the questions that each scrape repeats."""

    def __init__(self, recording: dict[str, Any]) -> None:
        self._recording = recording
        self._page = base64.b64decode(recording["page"])
        self._headers = {"Content-Type": "text/plain; version=0.0.4", "Content-Encoding": "gzip"}

    async def connect(self) -> None:
        """Connect to both servers, and prepare the statement."""
        postgres = await asyncpg.connect(self._recording["dsn"])
        self._statement = await postgres.prepare(self._recording["sql"])
        self._redis = [await self._connect_to_redis() for _ in self._recording["requests"]]

    async def scrape(self, _: web.Request) -> web.Response:
        """Read everything at once, and send the page."""
        requests = zip(self._redis, self._recording["requests"], strict=True)
        await asyncio.gather(self._statement.fetch(), *(self._ask(*each) for each in requests))
        return web.Response(body=self._page, headers=self._headers)

    async def _connect_to_redis(self) -> Connection:
        pool = ConnectionPool.from_url(self._recording["redis"], protocol=2)
        connection: Connection = pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection

    async def _ask(self, connection: Connection, requests: list[tuple[str, int]]) -> None:
        """Send the requests of one connection, each after the replies to the one before."""
        stream, writer = connection._reader, connection._writer
        assert stream is not None  # noqa: S101 - it is connected
        assert writer is not None  # noqa: S101
        for request, count in requests:
            writer.write(base64.b64decode(request))
            replies, reader = 0, hiredis.Reader()
            while replies < count:
                reader.feed(await stream.read(1 << 18))
                while reader.gets() is not False:
                    replies += 1


async def _serve(recording: dict[str, Any], port: int) -> None:
    floor = Floor(recording)
    await floor.connect()
    app = web.Application()
    app.router.add_get("/metrics", floor.scrape)
    app.router.add_get("/", floor.scrape)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    gc.freeze()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    asyncio.run(_serve(json.loads(arguments.recording.read_text()), arguments.port))
