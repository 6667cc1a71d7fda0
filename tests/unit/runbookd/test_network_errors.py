"""Failed connections of real clients, in plain words."""

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from runbookd.network_errors import network_error_text
from runbookd.redis_errors import redis_error_text

ADDRESSES = [
    ("//127.0.0.1:1", "127.0.0.1:1: the connection is refused"),
    ("//localhost:1", "the connection is refused"),
    ("//nosuch.invalid:1", "its host name is unknown"),
]


@pytest.mark.parametrize(("place", "words"), ADDRESSES)
async def test_failed_connection_names_cause_and_remedy(place: str, words: str) -> None:
    with pytest.raises(OSError) as refusal:
        await asyncpg.connect(f"postgresql:{place}/d", user="u", timeout=5)
    assert words in network_error_text(refusal.value)
    client = Redis.from_url(f"redis:{place}")
    with pytest.raises(RedisError) as failure:
        await client.ping()
    assert words in redis_error_text(failure.value)
    await client.aclose()


def test_several_failed_addresses_are_explained_by_the_first() -> None:
    error = OSError("Multiple exceptions: [Errno 113] Connect call failed ('::1', 5, 0, 0), [Errno 111] refused")
    assert network_error_text(error) == "::1:5: the host cannot be reached"


def test_missing_socket_is_explained() -> None:
    assert network_error_text(FileNotFoundError(2, "No such file or directory")).startswith("the socket does not exist")
    assert network_error_text(OSError()) == ("the connection failed")
