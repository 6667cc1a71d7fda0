"""The sections of INFO that a scrape asks for, against three kinds of servers."""

from collections.abc import Sequence

import pytest

from exporter.redis.client import RedisClient
from exporter.redis.connection import RawConnection
from exporter.redis.info import InfoSamples, parse_info
from runbookd.inventory import Secret, SecretStr

ALL, SECTIONS = ("INFO", "ALL"), ("INFO", "DEFAULT", "COMMANDSTATS")


@pytest.mark.parametrize(("server", "asked"), [("redis_server", SECTIONS), ("redis62", ALL), ("valkey", SECTIONS)])
async def test_sections_asked_for_hold_every_metric_of_info_all(
    server: str, asked: Sequence[str], request: pytest.FixtureRequest
) -> None:
    """From Redis 7 on, the percentiles of INFO ALL are left out: Redis takes longer for them than for all else."""
    url = f"redis://127.0.0.1:{request.getfixturevalue(server).port}/0"
    connection = await RawConnection.connect(Secret("url", SecretStr(url), None))
    try:
        assert RedisClient(connection, has_queues=False)._commands[0] == asked
        whole, part = [await _series(connection, command) for command in (ALL, asked)]
    finally:
        await connection.close()
    assert len(whole) > 50
    assert part == whole


async def _series(connection: RawConnection, command: Sequence[str]) -> set[tuple[str, ...]]:
    text = await connection.execute_one(*command)
    return {(sample.metric.name, *sample.labels) for sample in InfoSamples(parse_info(text), 0).samples()}
