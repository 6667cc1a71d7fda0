"""Exactly the keys with the literal prefix are removed, whatever bytes they have, and never more than allowed."""

import pytest

from remediator.model.errors import InvalidParameter, RunRefused, TargetUnreachable
from remediator.model.remediation import Item, ItemState
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("unlink_prefix")
ODD = [bytes([byte]) for byte in range(256)] + [b"", b" a b ", b"*", b"\xff\xfe", b"a\nb", "ключ".encode()]
OTHERS = [b"oauth", b"OAUTH:a", b"oautha:", b"x-oauth:a", b" oauth:a", b"oauth;a", b"bull:jobs:meta"]


async def fill(redis, *keys: bytes) -> None:
    await redis.mset(dict.fromkeys(keys, b"1"))


async def test_keys_with_any_bytes_behind_the_prefix_are_removed_and_no_others(redis, cache_scope) -> None:
    keys = {b"oauth:" + odd for odd in ODD}
    await fill(redis, *keys, *OTHERS)
    scope = cache_scope("unlink_prefix")
    plan = await STEPS.plan_of(scope)
    assert (plan.found, plan.population) == (len(keys), len(keys) + len(OTHERS))
    assert [dict(item.identity) for item in plan.items] == [{"cache": "oauth", "prefix": "oauth:"}]
    [(state, detail)] = await STEPS.apply_in_words(scope, *plan.items)
    assert (state, detail) == (ItemState.APPLIED, f"removed {len(keys)} keys of {len(keys)}; the others had expired")
    assert sorted(await redis.keys()) == sorted(OTHERS)
    assert await STEPS.resolve_outcome(scope, *plan.items) == [ItemState.APPLIED]
    assert (await STEPS.verify(scope, *plan.items)).evidence == {"written_since": 0}
    assert (await STEPS.plan_of(scope)).items == ()


@pytest.mark.parametrize("prefix", ["a*b:", "a?b:", "a[bc]:", "a\\b:", "a^-b:", "a b:"])
async def test_prefix_is_a_text_and_no_pattern(redis, cache_scope, cache_server, prefix: str) -> None:
    """The user of the tests may not touch these keys, so the plan shows what would be removed."""
    await fill(redis, prefix.encode() + b"1", b"axb:1", b"ab:1", b"ac:1", b"a:1")
    plan = await STEPS.plan_of(cache_scope("unlink_prefix", {"caches": {"odd": {"prefix": prefix}}}))
    assert plan.found == 1


async def test_more_keys_than_allowed_are_counted_and_none_is_removed(redis, cache_scope) -> None:
    keys = [b"oauth:%d" % number for number in range(1_200)]
    await fill(redis, *keys)
    scope = cache_scope("unlink_prefix", settings={"max_items": 1_000})
    plan = await STEPS.plan_of(scope)
    assert (plan.found, plan.items[0].evidence) == (1_001, {"keys": 1_001, "more": True})
    [(state, detail)] = await STEPS.apply_in_words(scope, *plan.items)
    assert (state, detail) == (ItemState.FAILED, "has more than 1000 keys by now; nothing was removed")
    assert await redis.dbsize() == 1_200


async def test_keys_of_a_queue_refuse_the_run(redis, cache_scope) -> None:
    await redis.hset("oauth:mail:meta", "version", "bullmq:6.0.0")
    await redis.xadd("oauth:mail:events", {"event": "added"})
    with pytest.raises(RunRefused, match="a queue has keys with the prefix 'oauth:'") as caught:
        await STEPS.plan_of(cache_scope("unlink_prefix"))
    assert caught.value.reason == "queue_keys"


async def test_other_prefix_since_the_plan_is_skipped(redis, cache_scope) -> None:
    await fill(redis, b"oauth:a")
    item = Item({"cache": "oauth", "prefix": "oauth2:"})
    assert [each.state for each in await STEPS.apply(cache_scope("unlink_prefix"), item)] == [ItemState.SKIPPED]
    assert await redis.dbsize() == 1


async def test_outcome_is_unknown_while_keys_are_there(redis, cache_scope) -> None:
    await fill(redis, b"oauth:a")
    scope = cache_scope("unlink_prefix")
    items = (await STEPS.plan_of(scope)).items
    assert await STEPS.resolve_outcome(scope, *items) == [ItemState.UNKNOWN]


async def test_missing_right_is_named_and_nothing_is_removed(redis, cache_scope) -> None:
    """Redis lets every user see all names; the right to remove ends at the patterns of its user."""
    await fill(redis, b"pages:a")
    scope = cache_scope("unlink_prefix", {"caches": {"pages": {"prefix": "pages:"}}})
    items = (await STEPS.plan_of(scope)).items
    with pytest.raises(TargetUnreachable, match=r"lacks a right to these keys; .*remediator-cache\.acl"):
        await STEPS.apply(scope, *items)
    assert await redis.dbsize() == 1


async def test_one_of_several_caches_must_be_chosen(cache_scope) -> None:
    two = {"caches": {"oauth": {"prefix": "oauth:"}, "pages": {"prefix": "pages:"}}}
    with pytest.raises(InvalidParameter, match="needs the parameter cache"):
        cache_scope("unlink_prefix", two)
    with pytest.raises(InvalidParameter, match="must be one of oauth, pages"):
        cache_scope("unlink_prefix", two, cache="*")
