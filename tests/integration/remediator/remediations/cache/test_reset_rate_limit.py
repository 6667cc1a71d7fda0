"""Exactly one counter is removed, that of the subject which an operator names."""

from dataclasses import replace

import pytest

from remediator.model.errors import InvalidParameter, TargetUnknown, TargetUnreachable
from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("reset_rate_limit")
OTHERS = {b"rl:user:7": b"1", b"rl:user:421": b"1", b"rl:user:4": b"1", b"rl:42": b"1"}


async def test_counter_of_the_subject_is_removed_and_no_other(redis, cache_scope) -> None:
    await redis.mset({**OTHERS, b"rl:user:42": b"120"})
    await redis.expire("rl:user:42", 60)
    scope = cache_scope("reset_rate_limit", subject="42")
    plan = await STEPS.plan_of(scope)
    assert [dict(item.identity) for item in plan.items] == [{"key": "rl:user:42", "type": "string"}]
    assert plan.items[0].evidence["count"] == 120
    assert [each.state for each in await STEPS.apply(scope, *plan.items)] == [ItemState.APPLIED]
    assert sorted(await redis.keys()) == sorted(OTHERS)
    assert (await STEPS.verify(scope, *plan.items)).clean
    assert await STEPS.resolve_outcome(scope, *plan.items) == [ItemState.APPLIED]
    assert (await STEPS.plan_of(scope)).items == ()


@pytest.mark.parametrize("kind", ["zset", "hash", "list", "set"])
async def test_counter_of_another_type_is_counted_and_removed(redis, cache_scope, kind: str) -> None:
    key = "rl:user:jane@example.com"
    fill = {
        "zset": lambda: redis.zadd(key, {"a": 1, "b": 2}),
        "hash": lambda: redis.hset(key, mapping={"a": 1, "b": 2}),
        "list": lambda: redis.rpush(key, "a", "b"),
        "set": lambda: redis.sadd(key, "a", "b"),
    }
    await fill[kind]()
    scope = cache_scope("reset_rate_limit", subject="jane@example.com")
    plan = await STEPS.plan_of(scope)
    assert plan.evidence["count"] == 2
    assert [each.state for each in await STEPS.apply(scope, *plan.items)] == [ItemState.APPLIED]
    assert await redis.dbsize() == 0


async def test_outcome_and_proof_tell_a_new_counter_from_the_old_one(redis, cache_scope) -> None:
    await redis.set("rl:user:42", 120)
    scope = cache_scope("reset_rate_limit", subject="42")
    items = (await STEPS.plan_of(scope)).items
    await redis.incr("rl:user:42")
    assert await STEPS.resolve_outcome(scope, *items) == [ItemState.NOT_APPLIED]
    assert not (await STEPS.verify(scope, *items)).clean
    await redis.set("rl:user:42", 3)
    assert await STEPS.resolve_outcome(scope, *items) == [ItemState.APPLIED]
    assert (await STEPS.verify(scope, *items)).clean


async def test_key_that_changed_since_the_plan_is_skipped(redis, cache_scope) -> None:
    await redis.set("rl:user:42", 120)
    scope = cache_scope("reset_rate_limit", subject="42")
    items = (await STEPS.plan_of(scope)).items
    await redis.delete("rl:user:42")
    assert [each.state for each in await STEPS.apply(scope, *items)] == [ItemState.SKIPPED]
    await redis.rpush("rl:user:42", "a")
    assert [each.state for each in await STEPS.apply(scope, *items)] == [ItemState.SKIPPED]
    assert await redis.llen("rl:user:42") == 1


@pytest.mark.parametrize("subject", ["", "*", "a b", "4\n2", "../x", "a" * 101, "-x", "é", "a\x00b", "{subject}"])
async def test_subject_that_is_no_name_is_refused(cache_scope, subject: str) -> None:
    with pytest.raises(InvalidParameter):
        cache_scope("reset_rate_limit", subject=subject)


async def test_alert_cannot_start_it(cache_scope) -> None:
    scope = replace(cache_scope("reset_rate_limit", subject="42"), parameters={})
    with pytest.raises(TargetUnknown, match="only an operator can start this, with --set subject=…"):
        await STEPS.plan_of(scope)


async def test_missing_right_is_named(redis, cache_scope) -> None:
    await redis.set("api:limit:42", 1)
    scope = cache_scope("reset_rate_limit", {"rate_limits": {"api": {"key": "api:limit:{subject}"}}}, subject="42")
    with pytest.raises(TargetUnreachable, match="lacks a right to these keys"):
        await STEPS.plan_of(scope)
