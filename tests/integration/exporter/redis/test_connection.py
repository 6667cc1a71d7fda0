"""The connection that asks many questions at once."""

import asyncio

import pytest
import redis
from pydantic import SecretStr
from redis.exceptions import ResponseError

from exporter.errors import TargetRefused, TargetUnavailable
from exporter.redis.connection import KeyCommand, RawConnection, pack_commands
from runbookd.inventory import Secret


@pytest.fixture
async def wire(redis_url):
    wire = await RawConnection.connect(Secret("url", SecretStr(redis_url), None))
    yield wire
    await wire.close()


def test_a_command_of_many_keys_is_packed_as_each_alone() -> None:
    keys = [b"", b"a", "ü".encode(), b"$0\r\n\r\n", b"x" * 1000]
    each = pack_commands([("HMGET", key, "one", "two") for key in keys])
    assert KeyCommand("HMGET", "one", "two").pack(keys) == each


async def test_replies_come_in_order_and_errors_in_their_place(wire) -> None:
    commands = [
        ("SET", "text", "x"),
        *(("ECHO", str(number)) for number in range(20_000)),
        ("LLEN", "text"),
        ("GET", "no"),
    ]
    first, *echoes, refused, nothing = await wire.execute(pack_commands(commands), len(commands))
    assert first == b"OK"
    assert echoes == [b"%d" % number for number in range(20_000)]
    assert isinstance(refused, ResponseError)
    assert str(refused).startswith("WRONGTYPE")
    assert nothing is None
    with pytest.raises(TargetRefused, match="WRONGTYPE"):
        await wire.execute_one("LLEN", "text")


async def test_large_values_come_whole(wire, redis_server) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.set("large", b"x" * 3_000_000)
    assert await wire.execute(pack_commands([("GET", "large"), ("PING",)]), 2) == [b"x" * 3_000_000, b"PONG"]


async def test_a_connection_that_the_server_closes_is_told(wire, redis_server, until) -> None:
    assert wire.usable
    with redis.Redis(port=redis_server.port) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    await until(lambda: not wire.usable)
    with pytest.raises(TargetUnavailable):
        await wire.execute(pack_commands([("PING",)]), 1)


async def test_an_answer_that_ends_in_the_middle_is_an_error() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"+OK\r\n")  # to CLIENT SETNAME
        await reader.read(100)
        writer.write(b":1\r\n$5\r\nab")
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = await RawConnection.connect(Secret("url", SecretStr(f"redis://127.0.0.1:{port}"), None))
    with pytest.raises(TargetUnavailable, match="closed the connection"):
        await wire.execute(pack_commands([("GET", "a"), ("GET", "b")]), 2)
    await wire.close()
    server.close()
