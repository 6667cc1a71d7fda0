"""A Redis error that repeats the password is shown without it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ResponseError

from runbookctl.doctor import redis as doctor
from runbookd.inventory import RedisTarget, Stack
from runbookd.redis_errors import redis_error_text


@pytest.fixture
async def server_without_auth() -> AsyncIterator[int]:
    """Yield the port of a server that answers like a Redis that knows no command."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(b"-ERR unknown command 'AUTH', with args beginning with: 'metrics' 'hunter2' \r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def test_error_text_omits_the_command() -> None:
    error = ResponseError("unknown command 'AUTH', with args beginning with: 'metrics' 'hunter2' ")
    assert redis_error_text(error) == "unknown command 'AUTH'"
    assert redis_error_text(OSError("refused")) == "refused"


async def test_doctor_does_not_show_the_password(server_without_auth) -> None:
    stack = Stack(
        redis={"main": RedisTarget.model_validate({"url": f"redis://metrics:hunter2@127.0.0.1:{server_without_auth}"})}
    )
    [finding] = await doctor.check(stack, "main")
    assert "unknown command 'AUTH'" in str(finding)
    assert "hunter2" not in str(finding)
