"""An unusable queue, version or right is reported in one clear line, and nothing is touched."""

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.remediations.retry_failed_jobs import JUDGE_SCRIPT
from tests.integration.remediator.remediations.queues.queue import KEY, REMEDIATOR, apply, plan_of, total


@pytest.mark.parametrize("queue", ["nothing", "*", "email?", "emails\n", "../emails", "{emails}", " emails", "Emails"])
async def test_missing_queue_is_a_clear_error(bull, scope, queue: str) -> None:
    await bull(5, "fail", count=1)
    with pytest.raises(TargetUnknown, match="there is no BullMQ queue of this name"):
        await plan_of(scope(queue))


@pytest.mark.parametrize("queue", ["tenant2:emails", ":emails", "emails:", "tenant2:emails:1"])
async def test_queue_of_another_product_is_refused_untouched(bull, redis, scope, queue: str) -> None:
    """Its prefix, bull:tenant2, begins with ours."""
    await bull(5, "fail", count=1, prefix="bull:tenant2")
    before = await redis.zrange("bull:tenant2:emails:failed", 0, -1)
    with pytest.raises(TargetUnknown, match="may be another product's queue; list it in names if it is yours"):
        await plan_of(scope(queue))
    assert len(before) == 1


async def test_listed_queue_may_have_a_colon_in_its_name(bull, scope) -> None:
    await bull(5, "fail", count=1, prefix="bull:tenant2")
    assert len((await plan_of(scope("tenant2:emails", names=["tenant2:emails"]))).items) == 1


@pytest.mark.parametrize(
    ("queue", "accepted"),
    [("bull:emails", True), ("bull:tenant2:emails", True), ("bull:tenant3:emails", False), ("bull:", False)],
)
async def test_each_of_several_prefixes_is_a_border(bull, redis, scope, queue: str, accepted: bool) -> None:
    for prefix in ("bull", "bull:tenant2", "bull:tenant3"):
        await bull(5, "fail", count=1, prefix=prefix)
    several = scope(queue, prefix=["bull", "bull:tenant2"])
    if accepted:
        assert len((await plan_of(several)).items) == 1
    else:
        with pytest.raises(TargetUnknown, match="may be another product's queue"):
            await plan_of(several)


async def test_queue_with_a_hash_tag_is_accepted(bull, scope) -> None:
    await bull(5, "fail", count=1, queue="{emails}")
    assert len((await plan_of(scope("{emails}"))).items) == 1


@pytest.mark.parametrize("key", ["meta", "failed", "wait", "events"])
async def test_keys_of_another_type_are_no_queue(bull, redis, scope, key: str) -> None:
    await bull(5, "fail", count=1)
    await redis.set(f"{KEY}:{key}", "a string")
    with pytest.raises(TargetUnknown, match=r"emails: .*BullMQ queue") as caught:
        await plan_of(scope())
    assert "user_script" not in str(caught.value)


async def test_job_whose_key_has_another_type_is_left_out(bull, redis, scope) -> None:
    await bull(5, "fail", count=1)
    await redis.zadd(f"{KEY}:failed", {"events": 1})
    plan = await plan_of(scope())
    assert (len(plan.items), plan.evidence["left_out"]) == (1, {"vanished": 1})


async def test_unlisted_queue_is_a_clear_error(scope) -> None:
    with pytest.raises(TargetUnreachable, match=r"names lists only 'invoices'; add '[a-z]+' to it"):
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
    monkeypatch.setattr("remediator.remediations.bullmq_queue.SCRIPT_DEADLINE_MS", -1)
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
        ("redis://remediator:wrong-secret@127.0.0.1:1/0", "the connection is refused; check the address"),
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
