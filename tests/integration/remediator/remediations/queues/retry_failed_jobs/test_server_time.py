"""Redis serves no other client while a script runs, so that no step may take long, however large the queue is."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.queues.queue import KEY, apply, plan_of

JOBS, STACK_BYTES = 1_000, 300_000
MAX_MICROSECONDS = 10_000


@pytest.fixture
async def large_queue(bull: Any, redis: Redis) -> AsyncIterator[None]:
    """Fill a queue with failed jobs whose errors carry the answer of a server in their stacks."""
    [job] = await bull(6, "fail", count=1)
    fields = await redis.hgetall(f"{KEY}:{job}")
    fields["stacktrace"] = json.dumps([f"TypeError: {'x' * STACK_BYTES}"])
    for number in range(JOBS):
        await redis.hset(f"{KEY}:large-{number}", mapping=fields)
        await redis.zadd(f"{KEY}:failed", {f"large-{number}": 1_000 + number})
    await redis.zrem(f"{KEY}:failed", job)
    await redis.config_set("slowlog-log-slower-than", 0)
    await redis.config_set("slowlog-max-len", 100_000)
    await redis.slowlog_reset()
    yield
    await redis.config_set("slowlog-log-slower-than", 10_000)
    await redis.slowlog_reset()
    await redis.flushall()


async def test_no_script_on_a_large_queue_takes_long(redis: Redis, scope: Any, large_queue: None) -> None:
    plan = await plan_of(scope())
    assert (len(plan.items), plan.items[0].evidence["error"]) == (JOBS, "TypeError")
    assert await apply(scope(), plan.items[:100]) == [ItemState.APPLIED] * 100
    log = await redis.slowlog_get(100_000)
    durations = sorted(entry["duration"] for entry in log if entry["command"].startswith(b"EVAL"))
    assert len(durations) >= (JOBS + 100) * STACK_BYTES / 2**20
    # All but the slowest twentieth, during which a busy machine may have run something else.
    assert durations[len(durations) * 19 // 20] < MAX_MICROSECONDS


async def test_job_with_a_huge_stack_is_left_out_and_counted(bull: Any, redis: Redis, scope: Any) -> None:
    """Its stack cannot be read in bounded time, and it could be one that was given up for good."""
    [job] = await bull(6, "fail", count=1)
    plan = await plan_of(scope())
    await redis.hset(f"{KEY}:{job}", "stacktrace", json.dumps(["x" * 3_000_000]))
    assert (await plan_of(scope())).evidence["left_out"] == {"too_large": 1}
    assert await apply(scope(), plan.items) == [ItemState.SKIPPED]
