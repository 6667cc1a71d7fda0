"""Redis serves no other client while a script runs, so that no step may take long, however large the queue is."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.queues.queue import KEY, apply, plan_of

JOBS, STACK_BYTES = 300, 300_000
MAX_CPU_SECONDS = 0.02


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
    yield
    await redis.flushall()


async def cpu_seconds(redis: Redis) -> float:
    """Return the CPU time of the server, which, unlike the time of its slow log, grows on no busy machine."""
    used = await redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


async def test_no_script_on_a_large_queue_takes_long(redis: Redis, scope: Any, large_queue: None) -> None:
    await redis.config_resetstat()
    before = await cpu_seconds(redis)
    plan = await plan_of(scope())
    assert (len(plan.items), plan.items[0].evidence["error"]) == (JOBS, "TypeError")
    assert await apply(scope(), plan.items[:100]) == [ItemState.APPLIED] * 100
    used = await cpu_seconds(redis) - before
    calls = await redis.info("commandstats")
    scripts = sum(calls.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))
    assert scripts >= (JOBS + 100) * STACK_BYTES / 2**20
    assert used / scripts < MAX_CPU_SECONDS


async def test_job_with_a_huge_stack_is_left_out_and_counted(bull: Any, redis: Redis, scope: Any) -> None:
    """Its stack cannot be read in bounded time, and it could be one that was given up for good."""
    [job] = await bull(6, "fail", count=1)
    plan = await plan_of(scope())
    await redis.hset(f"{KEY}:{job}", "stacktrace", json.dumps(["x" * 3_000_000]))
    assert (await plan_of(scope())).evidence["left_out"] == {"too_large": 1}
    assert await apply(scope(), plan.items) == [ItemState.SKIPPED]
