"""Dead letters are on the disk before they are removed, exactly those of the plan, and come back byte for byte."""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from remediator.clients import archive_store
from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.remediation import ItemState, Plan, Scope
from tests.integration.remediator.remediations.queues.queue import ADMIN, KEY, REMEDIATOR, every_major
from tests.integration.remediator.remediations.run_backup.steps import write_options
from tests.integration.remediator.remediations.steps import Steps

STEPS = Steps("archive_dead_letters")
DLQ, DLQ_KEY = "emails-dlq", "bull:emails-dlq"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "archive"
    made.mkdir()
    return made


@pytest.fixture
def dead(scope: Callable[..., Scope], folder: Path) -> Callable[..., Scope]:
    """Make scopes whose dead letters are the failed jobs, or those of a queue of their own."""

    def make(dead_letter: Any = "failed", archive: Any = None, **settings: Any) -> Scope:
        target = {"dead_letter": dead_letter, "archive": archive or {"folder": str(folder)}}
        return scope(user="remediator-queues", target=target, **settings)

    return make


async def in_one_effect(scope: Scope, plan: Plan) -> list[ItemState]:
    async with STEPS.open_session(scope) as session:
        return [outcome.state for outcome in await session.apply(plan.items)]


async def everything(redis: Redis, key: str = KEY) -> dict[str, Any]:
    """Return the content of all keys of the queue but its events."""
    found: dict[str, Any] = {}
    for name in sorted(await redis.keys(f"{key}:*")):
        readers: dict[str, Callable[[str], Any]] = {
            "hash": redis.hgetall,
            "list": lambda each: redis.lrange(each, 0, -1),
            "zset": lambda each: redis.zrange(each, 0, -1, withscores=True),
            "string": redis.get,
        }
        if not name.endswith((":events", ":marker")):
            found[name] = await readers[await redis.type(name)](name)
    return found


@every_major
async def test_failed_jobs_are_archived_and_put_back_by_the_undo(bull, redis, dead, folder, major: int) -> None:
    failed = await bull(major, "fail", count=3)
    waiting = await bull(major, "add")
    await redis.rpush(f"{KEY}:{failed[0]}:logs", "first line", "second line")
    before = await everything(redis)
    plan = await STEPS.plan_of(dead())
    assert [item.identity["id"] for item in plan.items] == failed
    assert "example.com" not in repr(plan)

    assert await in_one_effect(dead(), plan) == [ItemState.APPLIED] * 3
    left = await everything(redis)
    assert not [name for name in left if name.split(":")[2] in failed]
    assert left[f"{KEY}:wait"] == [waiting]
    assert (await STEPS.verify(dead(), *plan.items)).evidence == {"left": 0, "in_the_archive": 3}
    assert await STEPS.resolve_outcome(dead(), *plan.items) == [ItemState.APPLIED] * 3
    [(_, event)] = await redis.xrevrange(f"{KEY}:events", count=1)
    assert event == {"event": "removed", "jobId": failed[2], "prev": "failed"}

    undo = replace(dead(), undoes=plan.items)
    restored = await STEPS.plan_of(undo)
    assert restored.items == plan.items
    assert await in_one_effect(undo, restored) == [ItemState.APPLIED] * 3
    assert await everything(redis) == before
    assert (await STEPS.verify(undo, *restored.items)).clean
    assert (await STEPS.plan_of(undo)).items == ()


@every_major
async def test_jobs_of_a_dead_letter_queue_come_back_in_their_order_and_are_processed_once(
    bull, redis, dead, major: int
) -> None:
    opts: list[dict[str, Any]] = [{}, {}, {"delay": 600_000}, *([{"priority": 2}] if major > 3 else [])]
    jobs = [await bull(major, "add", queue=DLQ, opts=each) for each in opts]
    await bull(major, "add")
    before = await everything(redis, DLQ_KEY)
    plan = await STEPS.plan_of(dead("{name}-dlq"))
    assert sorted(str(item.identity["id"]) for item in plan.items) == sorted(jobs)
    assert plan.population == len(jobs)
    later = await bull(major, "add", queue=DLQ)

    assert await in_one_effect(dead("{name}-dlq"), plan) == [ItemState.APPLIED] * len(jobs)
    assert await redis.lrange(f"{DLQ_KEY}:wait", 0, -1) == [later]
    undo = replace(dead("{name}-dlq"), undoes=plan.items)
    assert await in_one_effect(undo, plan) == [ItemState.APPLIED] * len(jobs)
    after = await everything(redis, DLQ_KEY)
    assert after.pop(f"{DLQ_KEY}:{later}")
    assert after[f"{DLQ_KEY}:wait"] == [later, *before[f"{DLQ_KEY}:wait"]]
    ignored = {f"{DLQ_KEY}:wait", f"{DLQ_KEY}:id"}
    assert {name: value for name, value in after.items() if name not in ignored} == {
        name: value for name, value in before.items() if name not in ignored
    }
    done = await bull(major, "complete", queue=DLQ, count=3 + (major > 3))
    assert sorted(done) == sorted([later, *(job for job, opt in zip(jobs, opts, strict=True) if "delay" not in opt)])


async def test_only_the_jobs_of_the_plan_are_removed(bull, redis, dead) -> None:
    planned = await bull(5, "fail", count=2)
    plan = await STEPS.plan_of(dead())
    arrived = await bull(5, "fail", count=2)
    await redis.hset(f"{KEY}:{planned[0]}", "data", "{}")
    assert await in_one_effect(dead(), plan) == [ItemState.SKIPPED, ItemState.APPLIED]
    assert await redis.zrange(f"{KEY}:failed", 0, -1) == [planned[0], *arrived]


async def test_job_that_moved_changed_or_failed_again_is_skipped(bull, redis, dead) -> None:
    retried, again, gone = await bull(5, "fail", count=3)
    plan = await STEPS.plan_of(dead())
    await bull(5, "retry", ids=[retried, again])
    await bull(5, "failAgain", ids=[again], count=2)
    await redis.zrem(f"{KEY}:failed", gone)
    assert await in_one_effect(dead(), plan) == [ItemState.SKIPPED] * 3
    assert await STEPS.resolve_outcome(dead(), *plan.items) == [ItemState.NOT_APPLIED] * 3
    assert await redis.zrange(f"{KEY}:failed", 0, -1) == [again]
    assert await redis.zrange(f"{KEY}:completed", 0, -1) == [retried]


async def test_job_that_changes_between_export_and_removal_stays(bull, redis, dead, monkeypatch) -> None:
    changed, kept = await bull(5, "fail", count=2)
    plan = await STEPS.plan_of(dead())
    store = archive_store.store_archive

    async def change_then_store(*arguments: Any) -> str:
        await redis.hset(f"{KEY}:{changed}", "data", "{}")
        return await store(*arguments)

    monkeypatch.setattr("remediator.remediations.archive_dead_letters.store_archive", change_then_store)
    assert await in_one_effect(dead(), plan) == [ItemState.SKIPPED, ItemState.APPLIED]
    assert await redis.zrange(f"{KEY}:failed", 0, -1) == [changed]
    assert kept


async def test_job_named_twice_is_removed_once(bull, redis, dead) -> None:
    await bull(5, "fail", count=1)
    plan = await STEPS.plan_of(dead())
    assert await in_one_effect(dead(), replace(plan, items=plan.items * 2)) == [ItemState.APPLIED, ItemState.SKIPPED]
    assert await redis.zcard(f"{KEY}:failed") == 0


async def test_flows_locks_schedulers_and_deduplications_are_left_out(bull, redis, dead) -> None:
    await bull(5, "flow")
    locked, large, deduplicated, empty = await bull(5, "fail", count=4)
    await redis.set(f"{KEY}:{locked}:lock", "token")
    await redis.hset(f"{KEY}:{deduplicated}", "deid", "one")
    await redis.set(f"{KEY}:de:one", deduplicated)
    await redis.delete(f"{KEY}:{empty}")
    await redis.hset(f"{KEY}:{large}", "data", "x" * 5_000_000)
    plan = await STEPS.plan_of(dead())
    left_out = {"locked": 1, "too_large": 1, "referred_to": 1, "vanished": 1, "in_flow": 2}
    assert (plan.items, plan.found, plan.evidence["left_out"]) == ((), 0, left_out)
    assert plan.empty_reason == "vanished"


async def test_any_bytes_of_a_job_come_back(bull, redis, dead, folder, server) -> None:
    """Field names and values are bytes, and an id is any text that BullMQ allows."""
    [job] = await bull(6, "fail", count=1, opts={"jobId": "späte rechnung/../*\n{1}"})
    raw = Redis.from_url(server.url("default", ADMIN))
    odd = {bytes([byte]) * 3: bytes([255 - byte]) for byte in range(256)} | {b"": b"", b"empty": b""}
    await raw.hset(f"{KEY}:{job}", mapping=odd)
    await raw.rpush(f"{KEY}:{job}:logs", b"\xff\xfe", b"")
    before = await raw.hgetall(f"{KEY}:{job}"), await raw.lrange(f"{KEY}:{job}:logs", 0, -1)
    plan = await STEPS.plan_of(dead())
    assert await in_one_effect(dead(), plan) == [ItemState.APPLIED]
    assert await raw.exists(f"{KEY}:{job}") == 0
    assert await in_one_effect(replace(dead(), undoes=plan.items), plan) == [ItemState.APPLIED]
    assert (await raw.hgetall(f"{KEY}:{job}"), await raw.lrange(f"{KEY}:{job}:logs", 0, -1)) == before
    await raw.aclose()


async def test_proof_in_a_long_list_takes_redis_no_second(bull, redis, dead) -> None:
    """The jobs are gone by then, so that looking for each in the whole list would end at its other end."""
    job = await bull(5, "add", queue=DLQ)
    for number in range(99):
        await redis.hset(f"{DLQ_KEY}:copy-{number}", mapping=await redis.hgetall(f"{DLQ_KEY}:{job}"))
        await redis.lpush(f"{DLQ_KEY}:wait", f"copy-{number}")
    plan = await STEPS.plan_of(dead("{name}-dlq"))
    assert await in_one_effect(dead("{name}-dlq"), plan) == [ItemState.APPLIED] * 100
    for start in range(0, 300_000, 10_000):
        await redis.lpush(f"{DLQ_KEY}:wait", *range(10**6 + start, 10**6 + start + 10_000))
    await redis.slowlog_reset()
    async with STEPS.open_session(dead("{name}-dlq")) as session:
        assert (await session.verify(plan.items)).clean
    assert max((entry["duration"] for entry in await redis.slowlog_get(100)), default=0) < 300_000  # microseconds


async def test_archive_is_private_and_has_a_checksum(bull, dead, folder) -> None:
    await bull(5, "fail", count=2)
    plan = await STEPS.plan_of(dead())
    async with STEPS.open_session(dead()) as session:
        [first, _] = await session.apply(plan.items)
    archive, checksum = sorted(folder.iterdir())
    assert (archive.name, checksum.name) == (plan.items[0].evidence["export"], f"{archive.name}.sha256")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert checksum.read_text() == f"{digest}  {archive.name}\n"
    assert first.detail == f"archived in {archive.name}, sha256 {digest}"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (archive, checksum)] == [0o600, 0o600]
    head, *jobs = map(json.loads, archive.read_text().splitlines())
    assert (head["queue"], head["jobs"], [job["place"] for job in jobs]) == (KEY, 2, ["failed"] * 2)


async def test_archive_is_on_the_disk_before_anything_is_removed(bull, redis, dead, monkeypatch) -> None:
    await bull(5, "fail", count=1)
    plan = await STEPS.plan_of(dead())
    synced, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    await in_one_effect(dead(), plan)
    assert synced == [False, True, False, True]  # each file, then its folder


@pytest.mark.parametrize("problem", ["missing", "full", "read-back"])
async def test_archive_that_cannot_be_written_removes_nothing(
    bull, redis, dead, folder, monkeypatch, problem: str
) -> None:
    failed = await bull(5, "fail", count=2)
    plan = await STEPS.plan_of(dead())
    if problem == "missing":
        folder.rmdir()
    elif problem == "full":
        monkeypatch.setattr(os, "fsync", _no_space)
    else:
        monkeypatch.setattr(archive_store._Folder, "_read", lambda *_: b"other")
    async with STEPS.open_session(dead()) as session:
        outcomes = await session.apply(plan.items)
    assert [each.state for each in outcomes] == [ItemState.FAILED] * 2
    assert outcomes[0].detail.endswith("; nothing was removed")
    assert await redis.zrange(f"{KEY}:failed", 0, -1) == failed
    assert not folder.exists() or not [file for file in folder.iterdir() if file.name.startswith(".")]


def _no_space(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "no checksum"])
async def test_damaged_archive_restores_nothing(bull, redis, dead, folder, damage: str) -> None:
    await bull(5, "fail", count=2)
    plan = await STEPS.plan_of(dead())
    await in_one_effect(dead(), plan)
    archive = folder / plan.items[0].evidence["export"]
    content = archive.read_bytes()
    if damage == "changed":
        archive.write_bytes(content.replace(b"person-0", b"person-9"))
    elif damage == "cut":
        archive.write_bytes(content[:-10])
    else:
        (archive if damage == "gone" else archive.with_name(f"{archive.name}.sha256")).unlink()
    undo = replace(dead(), undoes=plan.items)
    with pytest.raises(TargetUnreachable, match="archive"):
        await STEPS.plan_of(undo)
    assert await redis.zcard(f"{KEY}:failed") == 0


async def test_archive_with_a_right_checksum_and_other_jobs_restores_nothing(bull, redis, dead, folder) -> None:
    """The ledger knows what each job held."""
    await bull(5, "fail", count=1)
    plan = await STEPS.plan_of(dead())
    await in_one_effect(dead(), plan)
    archive = folder / plan.items[0].evidence["export"]
    content = archive.read_bytes().replace(b"person-0", b"person-9")
    archive.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    archive.with_name(f"{archive.name}.sha256").write_text(f"{digest}  {archive.name}\n")
    with pytest.raises(TargetUnreachable, match="has not all jobs of the run"):
        await STEPS.plan_of(replace(dead(), undoes=plan.items))


async def test_undo_leaves_a_new_job_with_the_same_id_alone(bull, redis, dead) -> None:
    await bull(5, "fail", count=1, opts={"jobId": "invoice"})
    plan = await STEPS.plan_of(dead())
    await in_one_effect(dead(), plan)
    await bull(5, "add", opts={"jobId": "invoice", "lifo": True})
    before = await everything(redis)
    undo = replace(dead(), undoes=plan.items)
    assert (await STEPS.plan_of(undo)).evidence == {"left_out": {"exists": 1}}
    assert await in_one_effect(undo, plan) == [ItemState.SKIPPED]
    assert await everything(redis) == before


async def test_crash_before_and_after_the_removal_is_told_apart(bull, redis, dead, monkeypatch) -> None:
    await bull(5, "fail", count=2)
    plan = await STEPS.plan_of(dead())
    monkeypatch.setattr("remediator.remediations.bullmq_queue.SCRIPT_DEADLINE_MS", -1)
    with pytest.raises(TargetUnreachable, match="too late"):  # exported, and not removed
        await in_one_effect(dead(), plan)
    assert await STEPS.resolve_outcome(dead(), *plan.items) == [ItemState.NOT_APPLIED] * 2
    assert await redis.zcard(f"{KEY}:failed") == 2


async def test_archive_in_object_storage_is_read_back(bull, redis, dead, bucket, tmp_path) -> None:
    write_options(tmp_path / "options.yml", bucket.server.url)
    archive = {"url": f"{bucket.url}/dead-letters", "options_file": str(tmp_path / "options.yml")}
    await bull(6, "fail", count=2)
    plan = await STEPS.plan_of(dead(archive=archive))
    assert await in_one_effect(dead(archive=archive), plan) == [ItemState.APPLIED] * 2
    undo = replace(dead(archive=archive), undoes=plan.items)
    assert await in_one_effect(undo, await STEPS.plan_of(undo)) == [ItemState.APPLIED] * 2
    assert await redis.zcard(f"{KEY}:failed") == 2


async def test_queue_without_dead_letters_or_archive_is_refused(bull, scope, dead) -> None:
    await bull(5, "fail", count=1)
    with pytest.raises(TargetUnknown, match="names no dead letters"):
        await STEPS.plan_of(dead(None))
    with pytest.raises(TargetUnreachable, match=r"add stacks\.shop\.queues\.jobs\.archive"):
        await STEPS.plan_of(scope(user="remediator-queues", target={"dead_letter": "failed"}))


async def test_user_that_may_only_retry_removes_nothing(bull, redis, scope, dead, folder) -> None:
    await bull(5, "fail", count=1)
    plan = await STEPS.plan_of(dead())
    narrow = scope(target={"dead_letter": "failed", "archive": {"folder": str(folder)}})
    with pytest.raises(TargetUnreachable, match=r"lacks a right; .*remediator-queues\.acl"):
        await in_one_effect(narrow, plan)
    assert await redis.zcard(f"{KEY}:failed") == 1


async def test_user_that_may_archive_reaches_no_other_keys(server, redis) -> None:
    await redis.set("oauth:a", "1")
    user = Redis.from_url(server.url("remediator-queues", REMEDIATOR))
    for command in (["UNLINK", "oauth:a"], ["DEL", f"{KEY}:meta"], ["HGETALL", "oauth:a"], ["FLUSHDB"]):
        with pytest.raises(NoPermissionError):
            await user.execute_command(*command)
    await user.aclose()
