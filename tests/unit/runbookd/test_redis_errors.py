"""A server that does not know AUTH repeats the password; we do not."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ResponseError

from runbookctl.doctor import redis as doctor
from runbookd.inventory import RedisTarget, Stack
from runbookd.redis_errors import redis_error_text


@pytest.fixture
async def unhelpful() -> AsyncIterator[int]:
    """The port of something that answers every command as a Redis does that does not know it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(b"-ERR unknown command 'AUTH', with args beginning with: 'metrics' 'hunter2' \r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def test_what_is_repeated_of_the_command_is_left_out() -> None:
    error = ResponseError("unknown command 'AUTH', with args beginning with: 'metrics' 'hunter2' ")
    assert redis_error_text(error) == "unknown command 'AUTH'"
    assert redis_error_text(OSError("refused")) == "refused"


async def test_the_doctor_repeats_nothing(unhelpful) -> None:
    stack = Stack(redis={"main": RedisTarget(url=f"redis://metrics:hunter2@127.0.0.1:{unhelpful}")})
    [finding] = await doctor.check(stack, "main")
    assert "unknown command 'AUTH'" in str(finding)
    assert "hunter2" not in str(finding)
