"""A TCP proxy before PostgreSQL that cuts connections at a commit, before or after the server made it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

COMMIT = b"COMMIT;\0"


class CuttingProxy:
    """`cut` says what happens at the next COMMIT: "before" or "after" the server gets it; `refuses` the rest."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self.cut: str | None = None
        self.refuses_afterwards = False
        self.is_refusing = False
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            writer.close()
            return
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._server)
        answers = asyncio.create_task(_forward(upstream_reader, writer))
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.cut is not None and COMMIT in data:
                    await self._cut(data, answers, upstream_reader, upstream_writer)
                    break
                upstream_writer.write(data)
                await upstream_writer.drain()
        answers.cancel()
        for each in (writer, upstream_writer):
            each.close()

    async def _cut(
        self, data: bytes, answers: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        how, self.cut = self.cut, None
        self.cuts += 1
        self.is_refusing = self.refuses_afterwards
        if how == "after":
            answers.cancel()
            with suppress(asyncio.CancelledError):
                await answers
            writer.write(data)
            assert await reader.read(65_536)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def cutting_proxy(host: str, port: int) -> AsyncIterator[tuple[CuttingProxy, int]]:
    """Serve a proxy and return its port, too."""
    proxy = CuttingProxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield proxy, server.sockets[0].getsockname()[1]
    finally:
        server.close()
