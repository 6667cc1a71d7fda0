"""An unusable queue, version or right is reported in one clear line, and nothing is touched."""

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.remediations.retry_failed_jobs import JUDGE_SCRIPT
from tests.integration.remediator.remediations.retry_failed_jobs.queue import KEY, REMEDIATOR, apply, plan_of, total


@pytest.mark.parametrize("queue", ["nothing", "emails:1", "*", "emails\n", "../emails"])
async def test_missing_queue_is_a_clear_error(bull, scope, queue: str) -> None:
    await bull(5, "fail", count=1)
    with pytest.raises(TargetUnknown, match="there is no BullMQ queue of this name"):
        await plan_of(scope(queue))


async def test_unlisted_queue_is_a_clear_error(scope) -> None:
    with pytest.raises(TargetUnreachable, match="the inventory lists invoices; add it there"):
        await plan_of(scope(names=["invoices"]))


@pytest.mark.parametrize("version", ["bullmq:7.0.0", "bullmq:2.1.0", "other", "bullmq-pro:5.1.0"])
async def test_unknown_version_is_refused_untouched(bull, redis, scope, version: str) -> None:
    await bull(5, "fail", count=2)
    plan = await plan_of(scope())
    await redis.hset(f"{KEY}:meta", "version", version)
    with pytest.raises(TargetUnreachable, match=f"written by {version}; BullMQ 3 to 6 are supported"):
        await plan_of(scope())
    with pytest.raises(TargetUnreachable, match="BullMQ 3 to 6 are supported"):
        await apply(scope(), plan.items)
    assert await redis.zcard(f"{KEY}:failed") == 2


async def test_late_request_does_nothing(bull, redis, scope, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.retry_failed_jobs.SCRIPT_DEADLINE_MS", -1)
    await bull(5, "fail", count=1)
    plan = await plan_of(scope())
    with pytest.raises(TargetUnreachable, match="too late"):
        await apply(scope(), plan.items)
    assert await redis.zcard(f"{KEY}:failed") == 1


async def test_full_memory_moves_nothing_and_loses_nothing(bull, redis, scope) -> None:
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


async def test_planning_script_has_no_write_command() -> None:
    writes = {"ZADD", "ZREM", "LPUSH", "RPUSH", "HSET", "HDEL", "XADD", "INCR", "DEL", "RENAME", "SET", "LREM"}
    assert not [word for word in writes if f"'{word}'" in JUDGE_SCRIPT]


async def test_redis_user_has_only_the_needed_commands(server, redis, bull) -> None:
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
async def test_invalid_address_is_one_clear_line(server, scope, url: str, words: str) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        await plan_of(scope(url=url.format(port=server.port)))
    assert str(caught.value).startswith("shop/queues/jobs/emails: ")
    assert words in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_missing_admin_url_is_named(scope_of) -> None:
    stack = {"redis": {"cache": {"url": "redis://x"}}, "queues": {"jobs": {"redis": "cache"}}}
    with pytest.raises(TargetUnreachable, match=r"redis\.cache: admin_url is not set"):
        await plan_of(scope_of("queues", stack=stack, name="jobs", queue="emails"))
