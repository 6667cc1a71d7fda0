"""A TCP proxy that injects network faults."""

import asyncio


class Proxy:
    """A proxy for a `port` of 127.0.0.1 that counts connections and round trips; another port is for new connections.

    `delay` delays every chunk, in seconds; `black_hole` swallows all chunks, `loses_answers` those of the server; `cut`
    breaks all connections, and while it `refuses`, new ones are closed. With `most_bytes` a connection ends after that
    number of bytes from the server.
    """

    def __init__(self, port: int, most_bytes: int | None = None) -> None:
        self.port, self._most_bytes = port, most_bytes
        self.own_port = 0
        self.connections = 0
        self.round_trips = 0
        self.delay = 0.0
        self.black_hole = self.loses_answers = self.refuses = False
        self._asking = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen on a free port, and return it."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.own_port = self._server.sockets[0].getsockname()[1]
        return self.own_port

    async def close(self) -> None:
        """Stop listening, and break every connection."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Break every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.close()
            return
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())  # also if it was cancelled before it began

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:  # the server is down, and so is this connection
            return
        pumps = (self._pump(reader, back_writer, True), self._pump(back_reader, writer, False))
        try:
            await asyncio.gather(*pumps)
        except OSError:  # one side broke the connection, so the other is closed too
            pass
        finally:
            back_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asking: bool) -> None:
        left = self._most_bytes if not asking and self._most_bytes is not None else None
        while left != 0 and (data := await reader.read(65_536 if left is None else left)):
            left = left if left is None else left - len(data)
            if self.black_hole or (self.loses_answers and not asking):
                continue
            self.round_trips += asking and not self._asking
            self._asking = asking
            await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()
        writer.close()
