"""A queue is paused and resumed as its version does it: workers stop and go on, and no job is lost or doubled."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.remediation import Item, ItemState, Scope, UndoWhen
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.queues.queue import KEY, REMEDIATOR, every_major, total
from tests.integration.remediator.remediations.steps import Steps

PAUSE, RESUME = Steps("pause_queue"), Steps("resume_queue")
IDLE_SECONDS = 0.5


@pytest.fixture
def wide(scope: Callable[..., Scope]) -> Callable[..., Scope]:
    """Make scopes with the user that may pause."""
    return lambda queue="emails", **settings: scope(queue, user="remediator-queues", **settings)


async def switch(steps: Steps, scope: Scope) -> list[ItemState]:
    plan = await steps.plan_of(scope)
    return [outcome.state for outcome in await steps.apply(scope, *plan.items)]


async def layout(redis: Redis) -> dict[str, Any]:
    """Return the switch, the lists and the marker of the queue."""
    lists = {name: await redis.lrange(f"{KEY}:{name}", 0, -1) for name in ("wait", "paused")}
    sets = {name: await redis.zrange(f"{KEY}:{name}", 0, -1, withscores=True) for name in ("prioritized", "marker")}
    [(_, event)] = await redis.xrevrange(f"{KEY}:events", count=1)
    return {**lists, **sets, "paused?": await redis.hget(f"{KEY}:meta", "paused"), "event": event}


@every_major
async def test_worker_stops_at_a_pause_and_completes_every_job_once_after_it(bull, redis, wide, major: int) -> None:
    before = [await bull(major, "add") for _ in range(3)]
    assert await switch(PAUSE, wide()) == [ItemState.APPLIED]
    during = [await bull(major, "add"), await bull(major, "add", opts={"priority": 2})]
    working = asyncio.create_task(bull(major, "complete", count=5))
    await asyncio.sleep(IDLE_SECONDS)
    assert (await total(redis), await redis.zcard(f"{KEY}:completed"), working.done()) == (5, 0, False)
    items = (await PAUSE.plan_of(wide())).items
    assert items == ()
    assert (await PAUSE.verify(wide())).clean

    assert await switch(RESUME, wide()) == [ItemState.APPLIED]
    assert sorted(await working) == sorted(before + during)
    assert (await RESUME.verify(wide())).clean
    assert await redis.zcard(f"{KEY}:completed") == await total(redis) == 5


@pytest.mark.parametrize(
    ("major", "jobs"),
    [(3, "waiting"), (4, "prioritized"), (5, "prioritized"), (5, "delayed"), (6, "waiting"), (6, "delayed")],
)
async def test_switch_leaves_the_same_keys_as_bullmq_does(bull, redis, wide, major: int, jobs: str) -> None:
    """The oracle is Queue.pause and Queue.resume."""
    opts = {"prioritized": {"priority": 2}, "delayed": {"delay": 600_000}}.get(jobs, {})
    await bull(major, "add", opts=opts)
    await bull(major, "pause")
    theirs = await layout(redis)
    await bull(major, "resume")
    theirs_resumed = await layout(redis)
    assert await switch(PAUSE, wide()) == [ItemState.APPLIED]
    assert await layout(redis) == theirs
    assert await switch(RESUME, wide()) == [ItemState.APPLIED]
    assert await layout(redis) == theirs_resumed


@every_major
async def test_resume_keeps_jobs_of_both_lists_in_order(bull, redis, wide, major: int) -> None:
    """Queue.resume of BullMQ 3 to 5 would lose those in `wait`; a client of another version puts them there."""
    first, second = await bull(major, "add"), await bull(major, "add")
    await redis.rename(f"{KEY}:wait", f"{KEY}:paused")
    await redis.hset(f"{KEY}:meta", "paused", 1)
    third = await bull(6, "add")
    if await redis.exists(f"{KEY}:wait") == 0:
        await redis.lpush(f"{KEY}:wait", await redis.lpop(f"{KEY}:paused"))
    assert await switch(RESUME, wide()) == [ItemState.APPLIED]
    assert await redis.lrange(f"{KEY}:wait", 0, -1) == [third, second, first]
    assert await total(redis) == 3


@pytest.mark.parametrize("major", [3, 4, 5])
async def test_pause_keeps_jobs_that_an_earlier_pause_has_left(bull, redis, wide, major: int) -> None:
    first = await bull(major, "add")
    await redis.rename(f"{KEY}:wait", f"{KEY}:paused")
    second = await bull(major, "add")
    assert await switch(PAUSE, wide()) == [ItemState.APPLIED]
    assert await redis.lrange(f"{KEY}:paused", 0, -1) == [second, first]
    assert await redis.exists(f"{KEY}:wait") == 0


async def test_too_many_jobs_in_both_lists_are_left_alone(bull, redis, wide, monkeypatch) -> None:
    await bull(5, "add")
    await bull(5, "pause")
    pipeline = redis.pipeline(transaction=False)
    for start in range(0, 100_000, 10_000):
        pipeline.lpush(f"{KEY}:paused", *(f"job-{number}" for number in range(start, start + 10_000)))
    await pipeline.execute()
    await redis.lpush(f"{KEY}:wait", "one")
    with pytest.raises(TargetUnreachable, match="resume the queue from the application"):
        await switch(RESUME, wide())
    assert (await redis.llen(f"{KEY}:paused"), await redis.hget(f"{KEY}:meta", "paused")) == (100_001, "1")


@every_major
async def test_queue_that_was_switched_since_the_plan_is_skipped(bull, wide, major: int) -> None:
    await bull(major, "add")
    planned = (await PAUSE.plan_of(wide())).items
    await bull(major, "pause")
    [(state, detail)] = await PAUSE.apply_in_words(wide(), *planned)
    assert (state, detail) == (ItemState.SKIPPED, "has been paused since it was planned")
    assert (await PAUSE.plan_of(wide())).items == ()
    assert (await RESUME.plan_of(wide())).items != ()


async def test_outcome_of_a_switch_is_read_from_the_queue(bull, wide) -> None:
    await bull(5, "add")
    items = (await PAUSE.plan_of(wide())).items
    assert await PAUSE.resolve_outcome(wide(), *items) == [ItemState.NOT_APPLIED]
    await PAUSE.apply(wide(), *items)
    assert await PAUSE.resolve_outcome(wide(), *items) == [ItemState.APPLIED]
    assert await RESUME.resolve_outcome(wide(), *items) == [ItemState.NOT_APPLIED]


async def test_late_switch_does_nothing(bull, redis, wide, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.bullmq_queue.SCRIPT_DEADLINE_MS", -1)
    await bull(5, "add")
    with pytest.raises(TargetUnreachable, match="too late"):
        await switch(PAUSE, wide())
    assert not await redis.hexists(f"{KEY}:meta", "paused")


async def test_full_memory_pauses_nothing(bull, redis, wide) -> None:
    await bull(5, "add")
    items = (await PAUSE.plan_of(wide())).items
    await redis.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(TargetUnreachable, match="used memory > 'maxmemory'"):
            await PAUSE.apply(wide(), *items)
    finally:
        await redis.config_set("maxmemory", "0")
    assert (await redis.llen(f"{KEY}:wait"), await redis.hexists(f"{KEY}:meta", "paused")) == (1, False)


async def test_undo_of_a_pause_resumes(bull, redis, wide) -> None:
    await bull(5, "add")
    items = (await PAUSE.plan_of(wide())).items
    await PAUSE.apply(wide(), *items)
    undo = replace(wide(), undoes=items)
    assert await switch(PAUSE, undo) == [ItemState.APPLIED]
    assert (await PAUSE.verify(undo)).clean
    assert await redis.llen(f"{KEY}:wait") == 1
    assert (await PAUSE.plan_of(undo)).items == ()  # resumed by somebody else


@pytest.mark.parametrize(
    ("parameters", "settings", "after"),
    [
        ({}, {}, None),
        ({}, {"ends_after": "30m"}, timedelta(minutes=30)),
        ({"for": timedelta(hours=1)}, {"ends_after": "30m"}, timedelta(hours=1)),
    ],
)
def test_pause_ends_after_the_operators_time_or_the_inventorys(wide, parameters, settings, after) -> None:
    scope = replace(wide(**settings), parameters=parameters)
    assert REMEDIATIONS["pause_queue"].undo_when(scope) == UndoWhen(after)


@pytest.mark.parametrize("queue", ["nothing", "*", "emails\n", "tenant2:emails"])
async def test_other_queues_are_refused(bull, redis, wide, queue: str) -> None:
    await bull(5, "add", prefix="bull:tenant2")
    with pytest.raises(TargetUnknown):
        await PAUSE.plan_of(wide(queue))
    assert not await redis.hexists("bull:tenant2:emails:meta", "paused")


async def test_user_that_may_only_retry_is_refused_before_anything_changes(bull, redis, scope) -> None:
    await bull(5, "add")
    items = [Item({"queue": KEY, "state": "running"})]
    with pytest.raises(TargetUnreachable, match=r"lacks a right; .*remediator-queues\.acl"):
        await PAUSE.apply(scope(), *items)
    assert not await redis.hexists(f"{KEY}:meta", "paused")


async def test_user_that_may_pause_has_no_other_rights(server, bull) -> None:
    await bull(5, "add")
    user = Redis.from_url(server.url("remediator-queues", REMEDIATOR))
    for command in (["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"], ["RENAME", f"{KEY}:wait", "other"]):
        with pytest.raises(NoPermissionError):
            await user.execute_command(*command)
    await user.aclose()
