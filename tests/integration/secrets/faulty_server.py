"""A server that repeats whatever it gets in its errors, in the protocol of the caller, or hangs up."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_SSL_REQUEST = 80_877_103
_MESSAGES = "/messages"


class EchoingServer:
    """Speaks just enough HTTP, Redis, PostgreSQL and SMTP to refuse everything with the caller's own words.

    Over HTTP the first word of the path is the status of the answer; `cut` breaks the answer off. Bodies that are
    posted to `/messages` are accepted and kept.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.port = 0
        self.mail_port = 0  # another one, because in SMTP the server speaks first

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        try:
            with suppress(OSError, asyncio.IncompleteReadError, ValueError):
                await self._answer(reader, writer)
        finally:  # also when the test ends before the connection
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if first == b"*":
            await _refuse_redis(reader, writer)
        elif first == b"\0":
            await _refuse_postgres(reader, writer)
        elif first.isalpha():
            await self._refuse_http(first, reader, writer)

    async def _refuse_http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = first + await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        body = await reader.readexactly(length)
        path = head.split()[1].decode()
        if path.startswith(_MESSAGES):
            self.messages.append(body.decode())
        status = path.split("/")[1].partition("?")[0]
        code = status if status.isdigit() else "200"
        line = head.splitlines()[0].decode("latin-1")
        head = b"<Error><Code>Echo</Code><Message>" + head + b"</Message></Error>"
        answer = f"HTTP/1.1 {code} {line}\r\nX-Echo: {line}\r\nContent-Length: {len(head)}\r\nConnection: close\r\n\r\n"
        writer.write(answer.encode() + (b"" if status == "cut" else head))
        await writer.drain()


async def _refuse_redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pending = b"*"
    while chunk := await reader.read(65_536):
        pending += chunk
        words = [word for word in pending.decode("latin-1").split("\r\n") if word[:1] not in ("*", "$", "")]
        for _ in range(pending.count(b"*") if b"*" in pending else 0):
            writer.write(f"-ERR refused: {' '.join(words)}\r\n".encode("latin-1"))
        await writer.drain()
        pending = b""


async def _refuse_postgres(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = struct.unpack("!I", b"\0" + await reader.readexactly(3))[0]
    start = await reader.readexactly(size - 4)
    if struct.unpack("!I", start[:4])[0] == _SSL_REQUEST:
        writer.write(b"N")
        size = struct.unpack("!I", await reader.readexactly(4))[0]
        start = await reader.readexactly(size - 4)
    writer.write(b"R" + struct.pack("!II", 8, 3))  # asks for the password as it is
    _, size = struct.unpack("!cI", await reader.readexactly(5))
    password = (await reader.readexactly(size - 4)).rstrip(b"\0")
    words = b" ".join([password, *start[4:].split(b"\0")])
    fields = b"SFATAL\0C28P01\0Mwrong: " + words + b"\0D" + words + b"\0H" + words + b"\0\0"
    writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
    await writer.drain()


async def _refuse_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            writer.write(b"220 mail\r\n")
            while line := await reader.readline():
                good = line.upper().startswith((b"EHLO", b"HELO"))
                writer.write(b"250-mail\r\n250 AUTH LOGIN PLAIN\r\n" if good else b"535 refused: " + line)
                await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def echoing_server() -> AsyncIterator[EchoingServer]:
    """Run one on free ports."""
    echoing = EchoingServer()
    server = await asyncio.start_server(echoing.serve, "127.0.0.1", 0)
    mail = await asyncio.start_server(_refuse_mail, "127.0.0.1", 0)
    echoing.port, echoing.mail_port = (each.sockets[0].getsockname()[1] for each in (server, mail))
    try:
        yield echoing
    finally:
        server.close()
        mail.close()


@asynccontextmanager
async def hanging_up() -> AsyncIterator[int]:
    """Serve a port that closes every connection at once."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
