"""Skipped are changed failures, members of flows, jobs of a paused queue and jobs retried twice."""

import asyncio
from dataclasses import replace

import pytest

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Item, ItemState
from tests.integration.remediator.remediations.queues.queue import (
    KEY,
    apply,
    every_major,
    ids,
    open_session,
    plan_of,
    total,
)


async def test_job_without_data_is_skipped(bull, redis, scope) -> None:
    [job] = await bull(5, "fail", count=1)
    plan = await plan_of(scope())
    await redis.delete(f"{KEY}:{job}")
    assert await apply(scope(), plan.items) == [ItemState.SKIPPED]
    assert await redis.llen(f"{KEY}:wait") == 0
    assert (await plan_of(scope())).evidence["left_out"] == {"vanished": 1}


async def test_job_that_has_never_run_is_skipped(bull, redis, scope) -> None:
    """In 3 and 4 such a job failed because its child did, even if the child no longer exists."""
    [job] = await bull(3, "fail", count=1)
    await redis.hdel(f"{KEY}:{job}", "processedOn")
    assert (await plan_of(scope())).evidence["left_out"] == {"in_flow": 1}


@every_major
async def test_job_that_failed_again_since_the_plan_is_skipped(bull, redis, scope, major: int) -> None:
    again, gone, kept = await bull(major, "fail", count=3)
    plan = await plan_of(scope())
    await bull(major, "retry", ids=[again])
    await bull(major, "failAgain", ids=[again])
    await redis.zrem(f"{KEY}:failed", gone)
    before = await redis.hgetall(f"{KEY}:{again}")
    async with open_session(scope()) as session:
        outcomes = await session.apply(plan.items)
        settled = await session.resolve_outcome(plan.items)
    assert [outcome.state for outcome in outcomes] == [ItemState.SKIPPED, ItemState.SKIPPED, ItemState.APPLIED]
    assert "failed again since" in outcomes[0].detail
    assert await redis.hgetall(f"{KEY}:{again}") == before
    assert await redis.lrange(f"{KEY}:wait", 0, -1) == [kept]
    assert [outcome.state for outcome in settled] == [ItemState.APPLIED] * 3  # not the failure that was planned


@every_major
async def test_job_is_moved_once_when_node_retries_it_concurrently(bull, redis, scope, major: int) -> None:
    failed = await bull(major, "fail", count=20)
    plan = await plan_of(scope())
    node = asyncio.create_task(bull(major, "retry", ids=failed))
    states = []
    for item in plan.items:
        states += await apply(scope(), [item])
    answers = await node
    retried_by_us = [state is ItemState.APPLIED for state in states]
    retried_by_node = [answer == "retried" for answer in answers]
    assert [ours != theirs for ours, theirs in zip(retried_by_us, retried_by_node, strict=True)] == [True] * 20
    assert sorted(await redis.lrange(f"{KEY}:wait", 0, -1)) == sorted(failed)
    assert await total(redis) == 20


async def test_job_named_twice_is_moved_once(bull, redis, scope) -> None:
    await bull(5, "fail", count=1)
    [item] = (await plan_of(scope())).items
    assert await apply(scope(), [item, item]) == [ItemState.APPLIED, ItemState.SKIPPED]
    assert await redis.llen(f"{KEY}:wait") == 1


async def test_job_with_another_score_is_skipped(bull, redis, scope) -> None:
    await bull(6, "fail", count=1)
    [item] = (await plan_of(scope())).items
    other = replace(item, identity={**item.identity, "score": str(int(item.identity["score"]) + 1)})
    assert await apply(scope(), [other]) == [ItemState.SKIPPED]
    assert await redis.zcard(f"{KEY}:failed") == 1


@every_major
async def test_members_of_flows_are_not_planned(bull, redis, scope, major: int) -> None:
    flow = await bull(major, "flow")
    alone = await bull(major, "fail", count=1)
    plan = await plan_of(scope())
    assert ids(plan) == alone
    assert plan.found == 1
    assert plan.evidence["left_out"] == {"in_flow": 2}
    scores = {job: str(int(await redis.zscore(f"{KEY}:failed", job))) for job in flow.values()}
    items = [Item({"id": job, "score": score}) for job, score in scores.items()]
    assert await apply(scope(), items) == [ItemState.SKIPPED] * 2
    assert await redis.zcard(f"{KEY}:failed") == 3


async def test_plan_of_only_flows_is_empty_with_a_reason(bull, scope) -> None:
    await bull(5, "flow")
    plan = await plan_of(scope())
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, "only_flows")


@every_major
async def test_paused_queue_is_not_touched(bull, redis, scope, major: int) -> None:
    await bull(major, "fail", count=3)
    plan = await plan_of(scope())
    await bull(major, "pause")
    before = await total(redis)
    assert await apply(scope(), plan.items) == [ItemState.SKIPPED] * 3
    paused = await plan_of(scope())
    assert (paused.items, paused.found, paused.empty_reason) == ((), 0, "queue_paused")
    assert paused.evidence["left_out"] == {"paused": 3}
    assert await redis.zcard(f"{KEY}:failed") == 3

    await bull(major, "resume")
    assert await apply(scope(), (await plan_of(scope())).items) == [ItemState.APPLIED] * 3
    assert await total(redis) == before


@every_major
async def test_queue_obliterated_since_the_plan_is_not_a_success(bull, scope, major: int) -> None:
    """All its jobs are gone, but none was completed."""
    await bull(major, "fail", count=2)
    plan = await plan_of(scope())
    await bull(major, "obliterate")
    assert await apply(scope(), plan.items) == [ItemState.SKIPPED] * 2
    async with open_session(scope()) as session:
        assert [outcome.state for outcome in await session.resolve_outcome(plan.items)] == [ItemState.UNKNOWN] * 2
        with pytest.raises(TargetUnreachable, match="the queue is gone, and its jobs with it"):
            await session.verify(plan.items)


async def test_job_retried_twice_is_not_planned(bull, scope) -> None:
    twice, once, never = await bull(5, "fail", count=3)
    touched = [{"id": job, "score": "1"} for job in (twice, once, twice)]
    plan = await plan_of(replace(scope(), touched_items=touched))
    assert ids(plan) == [once, never]
    assert (plan.found, plan.empty_reason) == (2, "")
    assert plan.evidence["left_out"] == {"retried_twice": 1}


async def test_plan_of_only_exhausted_jobs_is_empty_with_a_reason(bull, scope) -> None:
    [job] = await bull(5, "fail", count=1)
    plan = await plan_of(replace(scope(), touched_items=[{"id": job, "score": "1"}] * 2))
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, "retried_twice")
