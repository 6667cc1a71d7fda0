"""In any version and state of a queue, no job is lost or in two places, and no more jobs move than allowed."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from demo.servers.node import run_node
from remediator.model.remediation import Item, ItemState
from tests.integration.remediator.remediations.queues.queue import ADMIN, every_major, open_session

STATES = Path(__file__).with_name("states.cjs")
LISTS, SETS = ("wait", "paused", "active"), ("prioritized", "delayed", "waiting-children", "failed", "completed")
OPTIONS = st.sampled_from([{}, {}, {"priority": 3}, {"priority": 7}, {"lifo": True}])
DELAYED = st.fixed_dictionaries({"delay": st.integers(600_000, 900_000)})
JOB = st.builds(
    lambda state, options, delay: {"state": state, "opts": delay if state == "delayed" else options},
    st.sampled_from(["failed", "failed", "failed", "completed", "active", "delayed", "waiting"]),
    OPTIONS,
    DELAYED,
)
QUEUE = st.fixed_dictionaries(
    {
        "jobs": st.lists(JOB, min_size=1, max_size=9),
        "flow": st.booleans(),
        "paused": st.sampled_from([False, False, True]),
    }
)

JobLocations = Mapping[str, list[str]]


async def job_locations(redis: Redis, queue: str) -> JobLocations:
    """Return the places of each job of a queue, including its own hash."""
    locations: dict[str, list[str]] = {}
    key = f"bull:{queue}"
    members = {name: await redis.lrange(f"{key}:{name}", 0, -1) for name in LISTS}
    members |= {name: await redis.zrange(f"{key}:{name}", 0, -1) for name in SETS}
    for name, jobs in members.items():
        for job in jobs:
            if not job.startswith("0:"):  # BullMQ 4's marker of a delayed job
                locations.setdefault(job, []).append(name)
    for job in locations:
        assert await redis.hexists(f"{key}:{job}", "timestamp"), "a job without its data"
    return locations


def requested_items(planned: Sequence[Item], most: int) -> list[Item]:
    """List the allowed jobs, and invalid ones: a duplicate, another failure, a job that does not exist."""
    again, others = planned[:1], planned[most : most + 1]
    another = [Item({**each.identity, "score": "1"}) for each in others]
    return [*planned[:most], *again, *another, Item({"id": "nobody", "score": "1"})]


@every_major
@given(made=st.lists(QUEUE, min_size=4, max_size=6), most=st.integers(1, 3))
@settings(
    max_examples=2,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_job_is_lost_in_any_state_of_its_queue(
    server: Any, redis: Redis, scope: Any, major: int, made: list[Any], most: int
) -> None:
    """Invariant 25."""
    await redis.flushall()
    queues = {f"queue{number}": {**each, "queue": f"queue{number}"} for number, each in enumerate(made)}
    arguments = [server.url("default", ADMIN), json.dumps(list(queues.values()))]
    await asyncio.to_thread(run_node, STATES, arguments, bullmq=major)
    for name, queue in queues.items():
        before = {each: await job_locations(redis, each) for each in queues}
        async with open_session(scope(name)) as session:
            items = requested_items((await session.plan()).items, most)
            outcomes = [outcome.state for outcome in await session.apply(items)]
        after = {each: await job_locations(redis, each) for each in queues}
        assert {**after, name: {}} == {**before, name: {}}, "another queue was touched"
        applied = [
            item.identity["id"] for item, state in zip(items, outcomes, strict=True) if state is ItemState.APPLIED
        ]
        _assert_only_moved(before[name], after[name], applied)
        assert len(applied) <= (0 if queue["paused"] else most)
        _assert_all_moved(before[name], applied, most, queue)


def _assert_only_moved(before: JobLocations, after: JobLocations, applied: Sequence[Any]) -> None:
    assert after.keys() == before.keys(), "a job is lost, or there is one more"
    assert all(len(where) == 1 for where in after.values()), "a job is in two places"
    moved_jobs = [job for job in before if before[job] != after[job]]
    assert sorted(moved_jobs) == sorted(applied)
    for job in moved_jobs:
        assert (before[job], after[job][0] in ("wait", "prioritized")) == (["failed"], True)


def _assert_all_moved(before: JobLocations, applied: Sequence[Any], most: int, queue: Mapping[str, Any]) -> None:
    """Assert that all allowed jobs moved: otherwise a script that does nothing would pass."""
    failed = sum(where == ["failed"] for where in before.values()) - 2 * queue["flow"]
    assert len(applied) == (0 if queue["paused"] else min(most, failed))


async def test_generated_states_are_the_requested_ones(server: Any, redis: Redis) -> None:
    """Otherwise the test above would prove nothing."""
    states = ("failed", "completed", "active", "delayed", "waiting")
    jobs = [{"state": state, "opts": {"delay": 600_000} if state == "delayed" else {}} for state in states]
    made = [{"queue": "queue0", "jobs": jobs, "flow": True, "paused": False}]
    await asyncio.to_thread(run_node, STATES, [server.url("default", ADMIN), json.dumps(made)], bullmq=5)
    found = sorted(where for [where] in (await job_locations(redis, "queue0")).values())
    assert found == ["active", "completed", "delayed", "failed", "failed", "failed", "wait"]
