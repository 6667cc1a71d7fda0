"""A job that the application or BullMQ gave up for good, or that is too old, is left out and counted."""

import json
from datetime import timedelta
from typing import Any

import pytest

from remediator.model.remediation import Item, ItemState
from tests.integration.remediator.remediations.queues.queue import (
    KEY,
    apply,
    every_major,
    ids,
    plan_of,
)

HOUR_MS = 3_600_000


async def failed_item(redis: Any, job: str) -> Item:
    return Item({"id": job, "score": str(int(await redis.zscore(f"{KEY}:failed", job)))})


@every_major
@pytest.mark.parametrize(
    ("how", "attempts", "word"),
    [
        ("unrecoverable", 1, "given_up"),
        ("without a message", 1, "given_up"),
        ("named", 1, "given_up"),
        ("derived", 3, "given_up"),
        ("backoff", 3, "given_up"),
        ("stalled", 1, "stalled"),
    ],
)
async def test_job_given_up_for_good_is_not_retried(
    bull, redis, scope, major: int, how: str, attempts: int, word: str
) -> None:
    job = await bull(major, "giveUp", how=how, attempts=attempts)
    plan = await plan_of(scope())
    assert (plan.items, plan.found, plan.empty_reason) == ((), 0, word)
    assert plan.evidence["left_out"] == {word: 1}
    assert await apply(scope(), [await failed_item(redis, job)]) == [ItemState.SKIPPED]
    assert await redis.zcard(f"{KEY}:failed") == 1


@every_major
async def test_job_that_used_up_its_attempts_is_retried(bull, scope, major: int) -> None:
    failed = await bull(major, "fail", count=1, opts={"attempts": 1})
    plan = await plan_of(scope())
    assert (ids(plan), plan.evidence["left_out"]) == (failed, {})


async def test_error_that_only_mentions_the_class_is_retried(bull, redis, scope) -> None:
    [job] = await bull(5, "fail", count=1)
    await redis.hset(f"{KEY}:{job}", "stacktrace", r'["Error: not an \",\"UnrecoverableError\"\n at x"]')
    assert ids(await plan_of(scope())) == [job]


async def test_job_given_up_in_an_earlier_attempt_is_not_retried(bull, redis, scope) -> None:
    """BullMQ 3 and 4 keep the first stacks of a job that was retried by hand, not the last ones."""
    [job] = await bull(3, "fail", count=1)
    await redis.hset(f"{KEY}:{job}", "stacktrace", r'["Error: a \\n at x","UnrecoverableError: b","Error: c"]')
    assert (await plan_of(scope())).evidence["left_out"] == {"given_up": 1}


@pytest.mark.parametrize(
    ("last_line", "left_out"),
    [
        ("bullmq.custom_errors.unrecoverable_error.UnrecoverableError: card 7", {"given_up": 1}),
        ("UnrecoverableError", {"given_up": 1}),
        ("ValueError: no UnrecoverableError: here", {}),
        ("shop.NotUnrecoverableErrors: x", {}),
    ],
)
async def test_job_given_up_by_a_worker_in_python_is_not_retried(bull, redis, scope, last_line: str, left_out) -> None:
    [job] = await bull(5, "fail", count=1)
    stack = f'Traceback (most recent call last):\n  File "worker.py", line 7, in process\n{last_line}\n'
    await redis.hset(f"{KEY}:{job}", "stacktrace", json.dumps([stack]))
    assert (await plan_of(scope())).evidence["left_out"] == left_out


@pytest.mark.parametrize(
    ("hours", "delay", "younger_than", "left_out"),
    [
        (23, 0, None, {}),
        (25, 0, None, {"too_old": 1}),
        (25, 2, None, {}),  # it was due two hours after it was added
        (2, 0, "1h", {"too_old": 1}),
        (25, 0, "7d", {}),
    ],
)
async def test_job_older_than_the_limit_is_left_out(
    bull, redis, scope, hours: int, delay: int, younger_than: str | None, left_out: dict[str, int]
) -> None:
    [job] = await bull(5, "fail", count=1)
    item = await failed_item(redis, job)
    added_at = int(await redis.hget(f"{KEY}:{job}", "timestamp")) - hours * HOUR_MS
    await redis.hset(f"{KEY}:{job}", mapping={"timestamp": added_at, "opts": f'{{"delay": {delay * HOUR_MS}}}'})
    limited = scope(**({"younger_than": younger_than} if younger_than else {}))
    assert (await plan_of(limited)).evidence["left_out"] == left_out
    assert await apply(limited, [item]) == [ItemState.SKIPPED if left_out else ItemState.APPLIED]


async def test_job_that_grew_too_old_since_the_plan_is_skipped(bull, redis, scope) -> None:
    [job] = await bull(5, "fail", count=1)
    plan = await plan_of(scope())
    await redis.hincrby(f"{KEY}:{job}", "timestamp", int(-timedelta(days=2).total_seconds() * 1000))
    assert await apply(scope(), plan.items) == [ItemState.SKIPPED]


@pytest.mark.parametrize(
    ("reason", "denied"),
    [("no MAILBOX for", True), ("typeerror", True), ("Type", False), ("mailbox for you", False), ("at breaks", False)],
)
async def test_job_with_a_denied_reason_is_left_out(bull, redis, scope, reason: str, denied: bool) -> None:
    """A reason is a part of the message, or the whole name of the error's class, in any case."""
    [job] = await bull(5, "fail", count=1)
    item = await failed_item(redis, job)
    limits = scope(deny_reasons=["card declined", reason])
    plan = await plan_of(limits)
    assert (ids(plan), plan.evidence["left_out"]) == (([], {"denied": 1}) if denied else ([job], {}))
    assert plan.empty_reason == ("denied" if denied else "")
    assert await apply(limits, [item]) == [ItemState.SKIPPED if denied else ItemState.APPLIED]


async def test_class_of_an_earlier_attempt_is_denied(bull, redis, scope) -> None:
    [job] = await bull(5, "fail", count=1)
    stack = r'["CardRefusedError: no\n at x","CardRefused: \"no\"\n at x","Error: gone\n at x"]'
    await redis.hset(f"{KEY}:{job}", mapping={"stacktrace": stack, "failedReason": "gone"})
    assert (await plan_of(scope(deny_reasons=["CardRefused"]))).evidence["left_out"] == {"denied": 1}
    assert ids(await plan_of(scope(deny_reasons=["CardRef"]))) == [job]


async def test_reason_too_large_to_read_is_left_out(bull, redis, scope) -> None:
    [job] = await bull(5, "fail", count=1)
    await redis.hset(f"{KEY}:{job}", "failedReason", "x" * 300_000)
    assert (await plan_of(scope())).evidence["left_out"] == {"too_large": 1}
