"""The connection that sends many commands in one request."""

import asyncio

import pytest
import redis
from redis.exceptions import ResponseError

from exporter.errors import TargetRefused, TargetUnavailable
from exporter.redis.connection import KeyCommand, RawConnection, pack_commands
from runbookd.inventory import Secret, SecretStr


@pytest.fixture
async def connection(redis_url):
    connection = await RawConnection.connect(Secret("url", SecretStr(redis_url), None))
    yield connection
    await connection.close()


def test_command_for_many_keys_is_packed_like_single_commands() -> None:
    keys = [b"", b"a", "ü".encode(), b"$0\r\n\r\n", b"x" * 1000]
    each = pack_commands([("HMGET", key, "one", "two") for key in keys])
    assert KeyCommand("HMGET", "one", "two").pack(keys) == each


async def test_replies_and_errors_keep_their_order(connection) -> None:
    commands = [
        ("SET", "text", "x"),
        *(("ECHO", str(number)) for number in range(20_000)),
        ("LLEN", "text"),
        ("GET", "no"),
    ]
    first, *echoes, refused, nothing = await connection.execute(pack_commands(commands), len(commands))
    assert first == b"OK"
    assert echoes == [b"%d" % number for number in range(20_000)]
    assert isinstance(refused, ResponseError)
    assert str(refused).startswith("WRONGTYPE")
    assert nothing is None
    with pytest.raises(TargetRefused, match="WRONGTYPE"):
        await connection.execute_one("LLEN", "text")


async def test_large_value_is_read_completely(connection, redis_server) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.set("large", b"x" * 3_000_000)
    assert await connection.execute(pack_commands([("GET", "large"), ("PING",)]), 2) == [b"x" * 3_000_000, b"PONG"]


async def test_connection_closed_by_the_server_is_unusable(connection, redis_server, until) -> None:
    assert connection.usable
    with redis.Redis(port=redis_server.port) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    await until(lambda: not connection.usable)
    with pytest.raises(TargetUnavailable):
        await connection.execute(pack_commands([("PING",)]), 1)


async def test_truncated_reply_is_an_error() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"+OK\r\n$0\r\n\r\n")  # to CLIENT SETNAME and INFO
        await reader.read(100)
        writer.write(b":1\r\n$5\r\nab")
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = await RawConnection.connect(Secret("url", SecretStr(f"redis://127.0.0.1:{port}"), None))
    with pytest.raises(TargetUnavailable, match="closed the connection"):
        await connection.execute(pack_commands([("GET", "a"), ("GET", "b")]), 2)
    await connection.close()
    server.close()
