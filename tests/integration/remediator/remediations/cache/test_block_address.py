"""One public address is blocked for a limited time, and no address that would lock out everyone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.model.errors import InvalidParameter, RunRefused, TargetUnreachable
from remediator.model.remediation import ItemState
from tests.integration.remediator.remediations.cache.conftest import ENTRIES
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("block_address")
KEY = "blocked:ip:1.2.3.4"


async def test_address_is_blocked_until_the_time_is_over(redis, cache_scope) -> None:
    scope = cache_scope("block_address", address="1.2.3.4", **{"for": "10m"})
    plan = await STEPS.plan_of(scope)
    assert [dict(item.identity) for item in plan.items] == [{"key": KEY, "value": "1", "seconds": 600}]
    assert await STEPS.resolve_outcome(scope, *plan.items) == [ItemState.NOT_APPLIED]
    assert [each.state for each in await STEPS.apply(scope, *plan.items)] == [ItemState.APPLIED]
    assert (await redis.keys(), await redis.get(KEY)) == ([KEY.encode()], b"1")
    assert 590 < await redis.ttl(KEY) <= 600
    assert (await STEPS.verify(scope, *plan.items)).clean
    assert await STEPS.resolve_outcome(scope, *plan.items) == [ItemState.APPLIED]
    assert (await STEPS.plan_of(scope)).items == ()


async def test_undo_removes_the_block_but_not_a_longer_one(redis, cache_scope) -> None:
    scope = cache_scope("block_address", address="1.2.3.4", **{"for": "10m"})
    items = (await STEPS.plan_of(scope)).items
    await STEPS.apply(scope, *items)
    undo = replace(scope, undoes=items)
    restored = (await STEPS.plan_of(undo)).items
    assert restored == items
    await redis.expire(KEY, 3_000)
    assert [each.state for each in await STEPS.apply(undo, *restored)] == [ItemState.SKIPPED]
    await redis.expire(KEY, 300)
    assert [each.state for each in await STEPS.apply(undo, *restored)] == [ItemState.APPLIED]
    assert (await STEPS.verify(undo, *restored)).clean
    assert await redis.dbsize() == 0
    assert (await STEPS.plan_of(undo)).items == ()


async def test_block_by_the_application_since_the_plan_stays(redis, cache_scope) -> None:
    scope = cache_scope("block_address", address="1.2.3.4")
    items = (await STEPS.plan_of(scope)).items
    await redis.set(KEY, "theirs")
    assert [each.state for each in await STEPS.apply(scope, *items)] == [ItemState.SKIPPED]
    assert (await redis.get(KEY), await redis.ttl(KEY)) == (b"theirs", -1)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        *((each, "no public address") for each in ("10.0.0.1", "172.16.9.9", "192.168.1.1", "127.0.0.1", "0.1.2.3")),
        *((each, "no public address") for each in ("169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255")),
        *((each, "no public address") for each in ("::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1")),
        *((each, "no public address") for each in ("64:ff9b::c633:203", "2002:a00:1::", "2001:db8::1", "192.0.2.7")),
        ("198.51.2.3", "198.51.0.0/16, which the inventory lists in proxies"),
        ("::ffff:198.51.2.3", "lists in proxies"),
        ("8.8.8.8", "8.8.8.8/32, which the inventory lists in never"),
    ],
)
async def test_protected_address_is_refused(redis, cache_scope, address: str, reason: str) -> None:
    with pytest.raises(RunRefused, match=reason) as caught:
        await STEPS.plan_of(cache_scope("block_address", address=address))
    assert caught.value.reason == "protected_address"
    assert await redis.dbsize() == 0


async def test_address_that_became_protected_since_the_plan_is_skipped(redis, cache_scope) -> None:
    items = (await STEPS.plan_of(cache_scope("block_address", address="1.2.3.4"))).items
    blocks = {"blocks": {"address": {**ENTRIES["blocks"]["address"], "never": ["1.2.3.0/24"]}}}
    later = cache_scope("block_address", blocks, address="1.2.3.4")
    assert [each.state for each in await STEPS.apply(later, *items)] == [ItemState.SKIPPED]
    assert await redis.dbsize() == 0


async def test_address_of_version_4_in_a_longer_form_is_blocked_as_it_is(cache_scope) -> None:
    plan = await STEPS.plan_of(cache_scope("block_address", address="::ffff:1.2.3.4"))
    assert plan.items[0].identity["key"] == KEY


@pytest.mark.parametrize("limits", [{"for": "61m"}, {"for": "0s"}, {"for": "-5m"}, {"for": "forever"}])
async def test_time_beyond_the_inventorys_is_refused(cache_scope, limits: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        cache_scope("block_address", address="1.2.3.4", **limits)


async def test_default_time_is_an_hour_and_max_for_allows_more(cache_scope) -> None:
    assert (await STEPS.plan_of(cache_scope("block_address", address="1.2.3.4"))).items[0].identity["seconds"] == 3600
    longer = {"blocks": {"address": {**ENTRIES["blocks"]["address"], "max_for": "1d"}}}
    scope = cache_scope("block_address", longer, address="1.2.3.4", **{"for": "24h"})
    assert (await STEPS.plan_of(scope)).items[0].identity["seconds"] == timedelta(days=1).total_seconds()


@pytest.mark.parametrize(
    "address", ["", "1.2.3", "1.2.3.4/32", "1.2.3.4 ", "*", "fe80::1%eth0", "example.com", "1.2.3.4\n"]
)
async def test_text_that_is_no_address_is_refused(cache_scope, address: str) -> None:
    with pytest.raises(InvalidParameter):
        cache_scope("block_address", address=address)


async def test_blocks_beyond_the_limit_are_refused(redis, cache_scope) -> None:
    few = {"blocks": {"address": {**ENTRIES["blocks"]["address"], "max_blocks": 2}}}
    await redis.mset({"blocked:ip:1.1.1.1": "1", "blocked:ip:1.1.1.2": "1"})
    with pytest.raises(RunRefused, match="2 addresses are blocked already; 2 may be") as caught:
        await STEPS.plan_of(cache_scope("block_address", few, address="1.2.3.4"))
    assert caught.value.reason == "max_blocks"


async def test_late_block_is_refused(redis, cache_scope, monkeypatch) -> None:
    monkeypatch.setattr("remediator.remediations.redis_keys.SCRIPT_DEADLINE_MS", -1)
    scope = cache_scope("block_address", address="1.2.3.4")
    items = (await STEPS.plan_of(scope)).items
    with pytest.raises(TargetUnreachable, match="too late"):
        await STEPS.apply(scope, *items)
    assert await redis.dbsize() == 0


async def test_missing_right_is_named(redis, cache_scope) -> None:
    foreign = {"blocks": {"address": {**ENTRIES["blocks"]["address"], "key": "deny:{address}"}}}
    with pytest.raises(TargetUnreachable, match="lacks a right to these keys"):
        await STEPS.plan_of(cache_scope("block_address", foreign, address="1.2.3.4"))
