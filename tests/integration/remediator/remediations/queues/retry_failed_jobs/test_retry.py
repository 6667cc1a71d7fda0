"""Retried jobs are completed by the worker of each BullMQ version, under the user of remediator.acl."""

import asyncio

import pytest

from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.queues.queue import (
    KEY,
    apply,
    every_major,
    ids,
    open_session,
    plan_of,
    state_after_retry,
    total,
    wait_until_worker_sleeps,
)


@every_major
async def test_retried_jobs_are_completed_by_the_worker_of_each_version(bull, redis, scope, major: int) -> None:
    failed = await bull(major, "fail", count=5)
    before = await total(redis)
    plan = await plan_of(scope())

    assert ids(plan) == failed  # the oldest first
    assert plan.found == 5
    assert plan.empty_reason == ""
    assert plan.evidence["version"] == (None if major == 3 else await redis.hget(f"{KEY}:meta", "version"))
    assert plan.items[0].evidence["name"] == "welcome"
    assert plan.items[0].evidence["attempts_made"] == 1
    assert plan.items[0].evidence["error"] == "TypeError"
    assert "example.com" not in repr(plan)

    working = asyncio.create_task(bull(major, "complete", count=5))
    await wait_until_worker_sleeps(redis)
    assert await apply(scope(), plan.items) == [ItemState.APPLIED] * 5
    assert await working == failed  # in the order of the plan
    assert await total(redis) == before
    async with open_session(scope()) as session:
        verdict = await session.verify(plan.items)
        settled = await session.resolve_outcome(plan.items)
    assert verdict.clean
    assert verdict.evidence == {"completed": 5}
    assert {outcome.state for outcome in settled} == {ItemState.APPLIED}


async def test_personal_data_in_a_job_name_is_masked(bull, redis, scope) -> None:
    [job] = await bull(6, "fail", count=1)
    await redis.hset(f"{KEY}:{job}", "name", "welcome jane@example.com")
    assert (await plan_of(scope())).items[0].evidence["name"] == "welcome <email>"


@pytest.mark.parametrize("major", [5, 6])
async def test_sleeping_worker_is_woken_at_once(bull, redis, scope, major: int) -> None:
    await bull(major, "fail", count=1)
    plan = await plan_of(scope())
    await redis.delete(f"{KEY}:marker")
    await apply(scope(), plan.items)
    assert await redis.zrange(f"{KEY}:marker", 0, -1, withscores=True) in ([("0", 0.0)], [["0", 0.0]])


@pytest.mark.parametrize(("state", "priority"), [("running", 0), ("running", 3), ("full", 0)])
@every_major
async def test_retry_leaves_the_same_keys_as_bullmq_does(
    bull, redis, scope, major: int, state: str, priority: int
) -> None:
    """The oracle is Job.retry: its result and the script's differ only in ids and times."""
    ours, theirs = await bull(major, "fail", count=2, opts={"priority": priority} if priority else {})
    if state == "full":  # it has all the active jobs that it may have
        await redis.hset(f"{KEY}:meta", "concurrency", 1)
        await redis.lpush(f"{KEY}:active", "another")
    plan = await plan_of(scope())
    await redis.delete(f"{KEY}:marker")
    await apply(scope(), plan.items[:1])
    left_by_us = await state_after_retry(redis, ours)
    await redis.delete(f"{KEY}:marker")
    await bull(major, "retry", ids=[theirs])
    assert left_by_us == await state_after_retry(redis, theirs)


async def test_early_bullmq_5_is_recognized_by_its_marker(bull, redis, scope) -> None:
    await bull(5, "fail", count=1)
    plan = await plan_of(scope())
    await redis.hdel(f"{KEY}:meta", "version")
    await redis.delete(f"{KEY}:marker")
    await redis.zadd(f"{KEY}:marker", {"1": 1})  # the next delayed job's
    await apply(scope(), plan.items)
    assert await redis.zrange(f"{KEY}:marker", 0, -1) == ["0", "1"]


@every_major
async def test_only_the_given_jobs_are_touched(bull, redis, scope, major: int) -> None:
    failed = await bull(major, "fail", count=6)
    plan = await plan_of(scope())
    await apply(scope(), plan.items[1:3])
    assert await redis.zrange(f"{KEY}:failed", 0, -1) == [failed[0], *failed[3:]]
    assert await total(redis) == 6


@pytest.mark.parametrize("major", [3, 5])
async def test_lifo_job_is_put_at_the_other_end(bull, redis, scope, major: int) -> None:
    [lifo] = await bull(major, "fail", count=1, opts={"lifo": True})
    first = await bull(major, "add")
    await apply(scope(), (await plan_of(scope())).items)
    assert await redis.lrange(f"{KEY}:wait", 0, -1) == [first, lifo]


async def test_jobs_beyond_the_list_are_counted(bull, redis, scope, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.retry_failed_jobs.MAX_LISTED", 2)
    await bull(5, "fail", count=5)
    await bull(5, "add")
    plan = await plan_of(scope())
    assert (len(plan.items), plan.found, plan.population) == (2, 5, 6)


async def test_job_that_failed_again_is_not_clean(bull, redis, scope) -> None:
    failed = await bull(5, "fail", count=2)
    plan = await plan_of(scope())
    await apply(scope(), plan.items)
    await bull(5, "failAgain", ids=failed[:1], count=2)
    async with open_session(scope()) as session:
        verdict = await session.verify(plan.items)
    assert not verdict.clean
    assert verdict.evidence == {"completed": 1, "failed_again": 1}


async def test_outcome_is_not_applied_while_the_planned_failure_remains(bull, scope) -> None:
    await bull(5, "fail", count=2)
    plan = await plan_of(scope())
    await apply(scope(), plan.items[:1])
    async with open_session(scope()) as session:
        outcomes = await session.resolve_outcome(plan.items)
    assert [outcome.state for outcome in outcomes] == [ItemState.APPLIED, ItemState.NOT_APPLIED]


async def test_removed_job_counts_as_gone(bull, redis, scope) -> None:
    await bull(5, "fail", count=1, opts={"removeOnComplete": True})
    plan = await plan_of(scope())
    await apply(scope(), plan.items)
    await bull(5, "complete", count=1)
    async with open_session(scope()) as session:
        verdict = await session.verify(plan.items)
    assert (verdict.clean, verdict.evidence) == (True, {"gone": 1})
