"""Against a real Redis with queues of real Node BullMQ 3 to 6, under the very user of deploy/redis/remediator.acl."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from demo.servers.node import BULLMQ_MAJORS, run_node
from demo.servers.redis import RedisServer
from remediator.errors import TargetUnreachable
from remediator.remediations import REMEDIATIONS
from remediator.remediations.base import Item, ItemState, Plan, Scope
from remediator.remediations.retry_failed_jobs import ASK

ACL = Path(__file__).parents[3] / "deploy" / "redis" / "remediator.acl"
SCRIPT = Path(__file__).with_name("queue.cjs")
ADMIN, REMEDIATOR = "admin-secret", "remediator-secret"
KEY = "bull:emails"
remediation = REMEDIATIONS["retry_failed_jobs"]
every_major = pytest.mark.parametrize("major", BULLMQ_MAJORS)
Bull = Callable[..., Any]


@pytest.fixture(scope="module")
def server(servers_folder: Path) -> Iterator[RedisServer]:
    """A Redis in which the remediator's user may do what its file says and no more."""
    acl = servers_folder / "remediator.acl"
    acl.write_text(
        f"user default on >{ADMIN} ~* &* +@all\n" + ACL.read_text().replace(" on ", f" on >{REMEDIATOR} ", 1)
    )
    acl.chmod(0o600)
    redis = RedisServer(servers_folder / "redis-with-users", acl=acl)
    redis.start()
    yield redis
    redis.remove()


@pytest.fixture
async def redis(server: RedisServer) -> Any:
    client = Redis.from_url(server.url("default", ADMIN), decode_responses=True)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def bull(server: RedisServer, redis: Redis) -> Bull:
    """Do one thing with BullMQ of one major version."""

    async def do(major: int, action: str, **given: Any) -> Any:
        arguments = [server.url("default", ADMIN), action, json.dumps(given)]
        return json.loads(await asyncio.to_thread(run_node, SCRIPT, arguments, bullmq=major))

    return do


@pytest.fixture
def scope(server: RedisServer, scope_of: Any) -> Callable[..., Scope]:
    def make(queue: str | None = "emails", names: Any = "discover", url: str | None = None, **settings: Any) -> Scope:
        stack = {
            "redis": {"cache": {"url": "redis://x", "admin_url": url or server.url("remediator", REMEDIATOR)}},
            "queues": {"jobs": {"redis": "cache", "names": names}},
        }
        return scope_of("queues", stack=stack, name="jobs", queue=queue, **settings)

    return make


@asynccontextmanager
async def opened(scope: Scope) -> Any:
    async with remediation.open(scope) as hands:
        yield hands


async def plan_of(scope: Scope) -> Plan:
    async with opened(scope) as hands:
        plan: Plan = await hands.plan()
        return plan


async def apply(scope: Scope, items: Any) -> list[ItemState]:
    async with opened(scope) as hands:
        return [outcome.state for outcome in await hands.apply(items)]


async def total(redis: Redis) -> int:
    """All jobs of the queue, wherever they are. A job in two places counts twice."""
    lists = [await redis.llen(f"{KEY}:{name}") for name in ("wait", "paused", "active")]
    names = ("prioritized", "delayed", "failed", "completed", "waiting-children")
    return sum(lists) + sum([await redis.zcard(f"{KEY}:{name}") for name in names])


def ids(plan: Plan) -> list[Any]:
    return [item.identity["id"] for item in plan.items]


@every_major
async def test_retries_and_the_worker_of_that_version_completes_them(bull, redis, scope, major: int) -> None:
    failed = await bull(major, "fail", count=5)
    before = await total(redis)
    plan = await plan_of(scope())

    assert ids(plan) == failed  # the oldest first
    assert plan.found == 5
    assert plan.evidence["paused"] is False
    assert plan.evidence["version"] == (None if major == 3 else await redis.hget(f"{KEY}:meta", "version"))
    assert plan.items[0].evidence["name"] == "welcome"
    assert plan.items[0].evidence["attempts_made"] == 1
    assert plan.items[0].evidence["error"] == "TypeError"
    assert "example.com" not in repr(plan)

    working = asyncio.create_task(bull(major, "complete", count=5))
    await until_worker_waits(redis)
    assert await apply(scope(), plan.items) == [ItemState.APPLIED] * 5
    assert await working == failed  # in the order of the plan
    assert await total(redis) == before
    async with opened(scope()) as hands:
        verdict = await hands.look_again(plan.items)
        settled = await hands.settle(plan.items)
    assert verdict.clean
    assert verdict.evidence == {"completed": 5}
    assert {outcome.state for outcome in settled} == {ItemState.APPLIED}


async def until_worker_waits(redis: Redis) -> None:
    """A worker that is asleep is the hard case: something has to wake it."""
    for _ in range(200):
        if any(client["flags"] == "b" for client in await redis.client_list()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no worker waits")


@pytest.mark.parametrize("major", [5, 6])
async def test_a_worker_that_sleeps_is_woken_at_once(bull, redis, scope, major: int) -> None:
    await bull(major, "fail", count=1)
    plan = await plan_of(scope())
    await redis.delete(f"{KEY}:marker")
    await apply(scope(), plan.items)
    assert await redis.zrange(f"{KEY}:marker", 0, -1, withscores=True) in ([("0", 0.0)], [["0", 0.0]])


@pytest.mark.parametrize(("state", "priority"), [("running", 0), ("running", 3), ("paused", 0), ("full", 0)])
@every_major
async def test_leaves_the_same_behind_as_bullmqs_own_retry(
    bull, redis, scope, major: int, state: str, priority: int
) -> None:
    """The oracle: what our script and Job.retry make of two jobs differs in their ids and times alone."""
    ours, theirs = await bull(major, "fail", count=2, opts={"priority": priority} if priority else {})
    if state == "paused":
        await bull(major, "pause")
    if state == "full":  # it has all the active jobs that it may have
        await redis.hset(f"{KEY}:meta", "concurrency", 1)
        await redis.lpush(f"{KEY}:active", "another")
    plan = await plan_of(scope())
    await redis.delete(f"{KEY}:marker")
    await apply(scope(), plan.items[:1])
    left_by_us = await left_of(redis, ours)
    await redis.delete(f"{KEY}:marker")
    await bull(major, "retry", ids=[theirs])
    assert left_by_us == await left_of(redis, theirs)


async def test_an_early_5_that_writes_no_version_is_told_by_its_marker(bull, redis, scope) -> None:
    await bull(5, "fail", count=1)
    plan = await plan_of(scope())
    await redis.hdel(f"{KEY}:meta", "version")
    await redis.delete(f"{KEY}:marker")
    await redis.zadd(f"{KEY}:marker", {"1": 1})  # the next delayed job's
    await apply(scope(), plan.items)
    assert await redis.zrange(f"{KEY}:marker", 0, -1) == ["0", "1"]


async def test_a_job_whose_data_have_vanished_is_left_alone(bull, redis, scope) -> None:
    [job] = await bull(5, "fail", count=1)
    plan = await plan_of(scope())
    await redis.delete(f"{KEY}:{job}")
    assert await apply(scope(), plan.items) == [ItemState.SKIPPED]
    assert await redis.llen(f"{KEY}:wait") == 0
    assert (await plan_of(scope())).evidence["left_out"] == {"vanished": 1}


async def test_a_job_that_has_never_run_is_left_alone(bull, redis, scope) -> None:
    """In 3 and 4 such a job failed because its child did, whether or not the child is still known."""
    [job] = await bull(3, "fail", count=1)
    await redis.hdel(f"{KEY}:{job}", "processedOn")
    assert (await plan_of(scope())).evidence["left_out"] == {"in_flow": 1}


async def left_of(redis: Redis, job: str) -> tuple[Any, ...]:
    """All that a retry leaves behind for one job."""
    [(_, event)] = await redis.xrevrange(f"{KEY}:events", count=1)
    assert event.pop("jobId") == job
    marker = await redis.zrange(f"{KEY}:marker", 0, -1)
    return await places(redis, job), set(await redis.hgetall(f"{KEY}:{job}")), marker, event


async def places(redis: Redis, job: str) -> list[str]:
    found = [name for name in ("wait", "paused", "active") if await redis.lpos(f"{KEY}:{name}", job) is not None]
    names = ("prioritized", "delayed", "failed", "completed", "waiting-children")
    return found + [name for name in names if await redis.zscore(f"{KEY}:{name}", job) is not None]


@every_major
async def test_loses_nothing_on_a_paused_queue(bull, redis, scope, major: int) -> None:
    failed = await bull(major, "fail", count=3)
    await bull(major, "pause")
    waiting = [await bull(major, "add") for _ in range(2)]
    before = await total(redis)
    plan = await plan_of(scope())
    assert plan.evidence["paused"] is True
    assert await apply(scope(), plan.items) == [ItemState.APPLIED] * 3
    assert await redis.zcard(f"{KEY}:marker") == 0
    async with opened(scope()) as hands:
        assert (await hands.look_again(plan.items)).evidence == {"waiting": 3}

    await bull(major, "resume")
    assert await total(redis) == before
    assert sorted(await bull(major, "complete", count=5)) == sorted(failed + waiting)
    assert await total(redis) == before


@every_major
async def test_never_touches_more_than_it_was_given(bull, redis, scope, major: int) -> None:
    failed = await bull(major, "fail", count=6)
    plan = await plan_of(scope())
    await apply(scope(), plan.items[1:3])
    assert await redis.zrange(f"{KEY}:failed", 0, -1) == [failed[0], *failed[3:]]
    assert await total(redis) == 6


@every_major
async def test_skips_a_job_that_has_failed_again_since_the_plan(bull, redis, scope, major: int) -> None:
    again, gone, kept = await bull(major, "fail", count=3)
    plan = await plan_of(scope())
    await bull(major, "retry", ids=[again])
    await bull(major, "failAgain", ids=[again])
    await redis.zrem(f"{KEY}:failed", gone)
    before = await redis.hgetall(f"{KEY}:{again}")
    async with opened(scope()) as hands:
        outcomes = await hands.apply(plan.items)
        settled = await hands.settle(plan.items)
    assert [outcome.state for outcome in outcomes] == [ItemState.SKIPPED, ItemState.SKIPPED, ItemState.APPLIED]
    assert "failed again since" in outcomes[0].detail
    assert await redis.hgetall(f"{KEY}:{again}") == before
    assert await redis.lrange(f"{KEY}:wait", 0, -1) == [kept]
    assert [outcome.state for outcome in settled] == [ItemState.APPLIED] * 3  # not the failure that was planned


@every_major
async def test_moves_a_job_once_when_node_retries_it_at_the_same_time(bull, redis, scope, major: int) -> None:
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


async def test_a_job_that_is_named_twice_is_moved_once(bull, redis, scope) -> None:
    await bull(5, "fail", count=1)
    [item] = (await plan_of(scope())).items
    assert await apply(scope(), [item, item]) == [ItemState.APPLIED, ItemState.SKIPPED]
    assert await redis.llen(f"{KEY}:wait") == 1


@every_major
async def test_leaves_flows_to_the_application(bull, redis, scope, major: int) -> None:
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


async def test_only_flows_is_nothing_to_do(bull, scope) -> None:
    await bull(5, "flow")
    plan = await plan_of(scope())
    assert (plan.items, plan.found) == ((), 0)


@pytest.mark.parametrize("major", [3, 5])
async def test_a_lifo_job_goes_to_the_other_end(bull, redis, scope, major: int) -> None:
    [lifo] = await bull(major, "fail", count=1, opts={"lifo": True})
    first = await bull(major, "add")
    await apply(scope(), (await plan_of(scope())).items)
    assert await redis.lrange(f"{KEY}:wait", 0, -1) == [first, lifo]


async def test_counts_what_is_beyond_the_list(bull, redis, scope, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.retry_failed_jobs.MAX_LISTED", 2)
    await bull(5, "fail", count=5)
    await bull(5, "add")
    plan = await plan_of(scope())
    assert (len(plan.items), plan.found, plan.population) == (2, 5, 6)


async def test_says_failed_again_and_is_not_clean(bull, redis, scope) -> None:
    failed = await bull(5, "fail", count=2)
    plan = await plan_of(scope())
    await apply(scope(), plan.items)
    await bull(5, "failAgain", ids=failed[:1], count=2)
    async with opened(scope()) as hands:
        verdict = await hands.look_again(plan.items)
    assert not verdict.clean
    assert verdict.evidence == {"completed": 1, "failed_again": 1}


async def test_settle_says_not_applied_while_the_failure_is_the_planned_one(bull, scope) -> None:
    await bull(5, "fail", count=2)
    plan = await plan_of(scope())
    await apply(scope(), plan.items[:1])
    async with opened(scope()) as hands:
        outcomes = await hands.settle(plan.items)
    assert [outcome.state for outcome in outcomes] == [ItemState.APPLIED, ItemState.NOT_APPLIED]


async def test_a_removed_job_counts_as_gone(bull, redis, scope) -> None:
    await bull(5, "fail", count=1, opts={"removeOnComplete": True})
    plan = await plan_of(scope())
    await apply(scope(), plan.items)
    await bull(5, "complete", count=1)
    async with opened(scope()) as hands:
        verdict = await hands.look_again(plan.items)
    assert (verdict.clean, verdict.evidence) == (True, {"gone": 1})


@pytest.mark.parametrize("queue", ["nothing", "emails:1", "*", "emails\n", "../emails"])
async def test_a_queue_that_does_not_exist_is_a_clear_error(bull, scope, queue: str) -> None:
    await bull(5, "fail", count=1)
    with pytest.raises(TargetUnreachable, match="there is no BullMQ queue of this name"):
        await plan_of(scope(queue))


async def test_a_queue_that_is_not_listed_is_a_clear_error(scope) -> None:
    with pytest.raises(TargetUnreachable, match="the inventory lists invoices; add it there"):
        await plan_of(scope(names=["invoices"]))


@pytest.mark.parametrize("version", ["bullmq:7.0.0", "bullmq:2.1.0", "other", "bullmq-pro:5.1.0"])
async def test_an_unknown_version_is_refused_untouched(bull, redis, scope, version: str) -> None:
    await bull(5, "fail", count=2)
    plan = await plan_of(scope())
    await redis.hset(f"{KEY}:meta", "version", version)
    with pytest.raises(TargetUnreachable, match=f"written by {version}; known are BullMQ 3 to 6"):
        await plan_of(scope())
    with pytest.raises(TargetUnreachable, match="known are BullMQ 3 to 6"):
        await apply(scope(), plan.items)
    assert await redis.zcard(f"{KEY}:failed") == 2


async def test_a_request_that_arrives_too_late_does_nothing(bull, redis, scope, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.retry_failed_jobs.CARRY_OUT_WITHIN_MS", -1)
    await bull(5, "fail", count=1)
    plan = await plan_of(scope())
    with pytest.raises(TargetUnreachable, match="too late"):
        await apply(scope(), plan.items)
    assert await redis.zcard(f"{KEY}:failed") == 1


async def test_a_full_memory_moves_nothing_and_loses_nothing(bull, redis, scope) -> None:
    failed = await bull(5, "fail", count=3)
    plan = await plan_of(scope())
    await redis.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(TargetUnreachable, match="used memory > 'maxmemory'"):
            await apply(scope(), plan.items)
    finally:
        await redis.config_set("maxmemory", "0")
    assert await redis.zrange(f"{KEY}:failed", 0, -1) == failed
    assert await total(redis) == 3


async def test_planning_has_no_command_that_writes() -> None:
    writes = {"ZADD", "ZREM", "LPUSH", "RPUSH", "HSET", "HDEL", "XADD", "INCR", "DEL", "RENAME", "SET", "LREM"}
    assert not [word for word in writes if f"'{word}'" in ASK]


async def test_the_user_may_do_nothing_else(server, redis, bull) -> None:
    await bull(5, "fail", count=1)
    user = Redis.from_url(server.url("remediator", REMEDIATOR))
    for command in (["FLUSHALL"], ["DEL", f"{KEY}:meta"], ["GET", "other"], ["CONFIG", "GET", "*"], ["KEYS", "*"]):
        with pytest.raises(NoPermissionError):
            await user.execute_command(*command)
    await redis.zadd("cache:failed", {"a": 1})
    with pytest.raises(NoPermissionError):
        await user.zcard("cache:failed")
    await user.aclose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://remediator:wrong-secret@127.0.0.1:{port}/0", "invalid username-password pair"),
        ("redis://remediator:wrong-secret@127.0.0.1:1/0", "Connect call failed"),
        ("http://remediator:wrong-secret@127.0.0.1/0", "admin_url is not an address of the form redis://"),
    ],
)
async def test_an_address_that_does_not_work_is_one_clear_line(server, scope, url: str, words: str) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope(url=url.format(port=server.port)))
    assert str(caught.value).startswith("shop/queues/jobs/emails: ")
    assert words in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_without_admin_url_it_names_the_key(scope_of) -> None:
    stack = {"redis": {"cache": {"url": "redis://x"}}, "queues": {"jobs": {"redis": "cache"}}}
    with pytest.raises(TargetUnreachable, match=r"redis\.cache: admin_url is not set"):
        await plan_of(scope_of("queues", stack=stack, name="jobs", queue="emails"))


async def test_an_item_with_another_score_is_left_alone(bull, redis, scope) -> None:
    await bull(6, "fail", count=1)
    [item] = (await plan_of(scope())).items
    other = replace(item, identity={**item.identity, "score": str(int(item.identity["score"]) + 1)})
    assert await apply(scope(), [other]) == [ItemState.SKIPPED]
    assert await redis.zcard(f"{KEY}:failed") == 1
