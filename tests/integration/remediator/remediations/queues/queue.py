"""The steps of retry_failed_jobs, and the state of a queue."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from demo.servers.node import BULLMQ_MAJORS
from remediator.model.remediation import ItemState, Plan, Scope
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.steps import Steps

ADMIN, REMEDIATOR = "admin-secret", "remediator-secret"
KEY = "bull:emails"
remediation = REMEDIATIONS["retry_failed_jobs"]
STEPS = Steps("retry_failed_jobs")
open_session = STEPS.open_session
plan_of = STEPS.plan_of
every_major = pytest.mark.parametrize("major", BULLMQ_MAJORS)
Bull = Callable[..., Any]


async def apply(scope: Scope, items: Any) -> list[ItemState]:
    async with open_session(scope) as session:
        return [outcome.state for outcome in await session.apply(items)]


async def total(redis: Redis) -> int:
    """Count all jobs of the queue; a job in two places counts twice."""
    lists = [await redis.llen(f"{KEY}:{name}") for name in ("wait", "paused", "active")]
    names = ("prioritized", "delayed", "failed", "completed", "waiting-children")
    return sum(lists) + sum([await redis.zcard(f"{KEY}:{name}") for name in names])


def ids(plan: Plan) -> list[Any]:
    return [item.identity["id"] for item in plan.items]


async def wait_until_worker_sleeps(redis: Redis) -> None:
    """Wait until the worker sleeps, which is the hard case: something has to wake it."""
    for _ in range(200):
        if any(client["flags"] == "b" for client in await redis.client_list()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no worker waits")


async def state_after_retry(redis: Redis, job: str) -> tuple[Any, ...]:
    """Return all keys and fields that a retry leaves for one job."""
    [(_, event)] = await redis.xrevrange(f"{KEY}:events", count=1)
    assert event.pop("jobId") == job
    marker = await redis.zrange(f"{KEY}:marker", 0, -1)
    return await job_locations(redis, job), set(await redis.hgetall(f"{KEY}:{job}")), marker, event


async def job_locations(redis: Redis, job: str) -> list[str]:
    lists_with_job = [
        name for name in ("wait", "paused", "active") if await redis.lpos(f"{KEY}:{name}", job) is not None
    ]
    names = ("prioritized", "delayed", "failed", "completed", "waiting-children")
    return lists_with_job + [name for name in names if await redis.zscore(f"{KEY}:{name}", job) is not None]
