"""The exporter's reading of queues equals one of all keys, after random commands to real BullMQ.

Tests try the same 24 sequences per version; `make differential` tries 2000 new ones (RUNBOOK_SEQUENCES=2000).
"""

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from demo.servers.node import BULLMQ_MAJORS
from exporter.bullmq.collector import QueuesCollector
from exporter.collector import Client, Reading
from exporter.metric import single_samples
from runbookd.inventory import QueueTarget, RedisTarget, Stack
from tests.integration.exporter.bullmq.brute_force import QueueKeys, read_all, ready_since
from tests.integration.exporter.bullmq.product import Product

EXAMPLES = int(os.environ.get("RUNBOOK_SEQUENCES", "24"))
# After these commands an older job may be where no scrape has read: the age may be too low, but never too high.
HIDING = {"remove", "reprioritize", "retryAll", "drain", "promote", "check", "bulk"}
PLACES = st.integers(0, 5)
ORDERS = st.fixed_dictionaries(
    {
        "delay": st.sampled_from([0, 0, 0, 3, 600_000]),
        "priority": st.sampled_from([0, 0, 0, 1, 2, 7, 40]),
        "lifo": st.sampled_from([False, False, True]),
        "attempts": st.sampled_from([1, 3]),
        "backoff": st.sampled_from(
            [
                None,
                {"type": "fixed", "delay": 2},
                {"type": "exponential", "delay": 300_000},
                {"type": "fixed", "delay": 0},
            ]
        ),
    }
)
ADD = ORDERS.map(lambda order: {"does": "add", **order})
WORK = st.sampled_from(["take", "take", "take", "pause", "resume"]).map(lambda what: {"does": what})
END = st.builds(
    lambda what, place: {"does": what, "place": place}, st.sampled_from(["complete", "fail", "fail"]), PLACES
)
RARE = st.one_of(
    st.builds(lambda order, count: {"does": "bulk", "count": count, **order}, ORDERS, st.integers(2, 7)),
    st.sampled_from(["retryAll", "check", "drain", "obliterate", "limit"]).map(lambda what: {"does": what}),
    st.builds(
        lambda what, place: {"does": what, "place": place},
        st.sampled_from(["retry", "stall", "promote", "remove"]),
        PLACES,
    ),
    st.builds(lambda place, p: {"does": "reprioritize", "place": place, "priority": p}, PLACES, st.integers(1, 9)),
    st.sampled_from([3_600_000, 200]).map(lambda every: {"does": "schedule", "every": every}),
    st.integers(1, 9).map(lambda count: {"does": "concurrency", "count": count}),
)
USUAL = (ADD, ADD, ADD, ADD, WORK, WORK, END)
SEQUENCES = st.one_of(
    st.lists(st.one_of(*USUAL), min_size=15, max_size=40),
    st.lists(st.one_of(*USUAL, RARE, RARE, RARE), min_size=5, max_size=30),
)


@pytest.fixture(scope="module", params=BULLMQ_MAJORS)
def product(request, redis_server) -> Iterator[Product]:
    product = Product(redis_server.port, request.param)
    yield product
    product.close()


@pytest.fixture(scope="module")
def client(redis_server) -> Iterator[redis.Redis]:
    with redis.Redis(port=redis_server.port) as client:
        yield client


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


NUMBERS = count()
# These may be as old as `refresh`.
SLOW = {
    "bullmq_queue_workers",
    "bullmq_queue_active_unlocked_jobs",
    "bullmq_queue_recently_failed_jobs",
    "bullmq_queue_oldest_failed_timestamp_seconds",
    "bullmq_jobs_completed_total",
    "bullmq_jobs_failed_total",
    "bullmq_schedulers",
    "bullmq_schedulers_missed",
    "bullmq_scheduler_next_run_timestamp_seconds",
    "bullmq_queue_info",
}


def fast_values(reading: Reading) -> dict[tuple[str, ...], float]:
    samples = single_samples(reading.samples)
    return {(each.metric.name, *each.labels): each.value for each in samples if each.metric.name not in SLOW}


class ComparedQueue:
    """One queue, read twice after each step."""

    def __init__(self, runner: asyncio.Runner, url: str, client: redis.Redis, name: str) -> None:
        self._runner, self._client, self._name = runner, client, name
        # One reads at each scrape what changes slowly, the other one once.
        self._reader, self._slow_reader = (runner.run(self._connect(url, refresh)) for refresh in (0, 3600))
        self._first_seen: dict[tuple, float] = {}
        self._head: tuple[str | None, float] = (None, 0.0)
        self._check: float | None = None
        self.hidden = False

    async def _connect(self, url: str, refresh: int) -> Client:
        names, seconds = (self._name,), timedelta(seconds=refresh)
        target = QueueTarget(redis="main", prefix="b", names=names, dead_letter={"other": self._name}, refresh=seconds)
        stack = Stack(redis={"main": RedisTarget.model_validate({"url": url})}, queues={"q": target})
        return await QueuesCollector(stack, "q").scrape.connect(10)

    def close(self) -> None:
        for reader in (self._reader, self._slow_reader):
            self._runner.run(reader.close())

    def compare(self) -> None:
        now = time.time()
        reading, slow_reading = (self._runner.run(each.read(now)) for each in (self._reader, self._slow_reader))
        keys = read_all(self._client, f"b:{self._name}")
        assert reading.round_trips <= 2
        assert slow_reading.round_trips <= 2
        assert fast_values(slow_reading) == fast_values(reading)
        values = {(sample.metric.name, *sample.labels[1:]): sample.value for sample in single_samples(reading.samples)
                 if sample.labels[:1] == (self._name,)}  # fmt: skip
        expected = dict(self._expected(keys, now))
        waiting, paused = (values.pop(("bullmq_queue_jobs", state)) for state in ("waiting", "paused"))
        oldest = values.pop(("bullmq_queue_oldest_waiting_age_seconds",), None)
        assert values.pop(("bullmq_queue_workers",)) == 1
        # A marker in the middle of a list counts as a job, as in BullMQ itself.
        assert (
            0
            <= waiting - len(keys.ids("wait"))
            <= max(keys.markers("wait") - 1, 0) + (keys.markers("wait") and self.hidden)
        )
        assert 0 <= paused - len(keys.ids("paused")) <= keys.markers("paused")
        assert {key: values.get(key) for key in expected} == pytest.approx(expected, abs=2e-6)
        assert values.keys() <= expected.keys(), values.keys() - expected.keys()
        letters = [sample.value for sample in single_samples(reading.samples) if sample.labels == ("other",)]
        assert letters == [] or letters[0] >= len(keys.waiting())
        self._compare_age(keys, oldest, now)

    def _compare_age(self, keys: QueueKeys, age: float | None, now: float) -> None:
        since = self._ready_times(keys, now)
        if not since:
            assert age == (None if keys.waiting() else 0)
            return
        assert age is not None
        assert age <= now - min(since) + 1e-5, "too old"
        levels = {score // 2**32 for score in keys.scores("prioritized")}
        fully_visible = max(len(keys.at("wait")), len(keys.at("paused"))) <= 4 and len(levels) == len(
            keys.at("prioritized")
        )
        if fully_visible or not self.hidden:
            assert age == pytest.approx(now - min(since), abs=1e-5)

    def _ready_times(self, keys: QueueKeys, now: float) -> list[float]:
        """Return since when each waiting job could be processed: from its hash, or since it was first seen so."""
        points, first_seen = [], {}
        for name in keys.waiting():
            job = keys.job(name)
            if not job:
                continue
            since = ready_since(job)
            state = (name, *(job.get(field) for field in ("timestamp", "opts", "processedOn", "attemptsMade", "atm")))
            if state in self._first_seen or since is None or since / 1000 > now:
                first_seen[state] = self._first_seen.get(state, now)
                points.append(first_seen[state])
            else:
                points.append(since / 1000)
        self._first_seen = first_seen
        return points

    def _expected(self, keys: QueueKeys, now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        for state, name in (("active", "active"), *((state, state) for state in
                            ("prioritized", "delayed", "failed", "completed", "waiting-children"))):  # fmt: skip
            yield ("bullmq_queue_jobs", state), len(keys.ids(name))
        meta = {field.decode(): value.decode() for field, value in (keys.at("meta") or {}).items()}
        yield ("bullmq_queue_paused",), "paused" in meta
        yield ("bullmq_queue_head_unchanged_seconds",), self._head_unchanged(keys, now)
        yield from self._active(keys, now)
        yield from self._delayed(keys, now)
        yield from self._finished_jobs(keys, now)
        if "id" in keys.values:
            yield ("bullmq_jobs_added_total",), int(keys.at("id"))
        if keys.at("stalled-check"):
            self._check = int(keys.at("stalled-check")) / 1000
        if self._check is not None:
            yield ("bullmq_queue_worker_last_check_timestamp_seconds",), self._check
        yield ("bullmq_queue_rate_limited",), "limiter" in keys.values
        if "concurrency" in meta:
            yield ("bullmq_queue_concurrency_limit",), int(meta["concurrency"])
        runs = keys.scores("repeat")
        yield ("bullmq_schedulers",), len(runs)
        yield ("bullmq_schedulers_missed",), sum(run <= (now - 60) * 1000 for run in runs)
        if runs:
            yield ("bullmq_scheduler_next_run_timestamp_seconds",), min(runs) / 1000
        yield ("bullmq_queue_info", self._version(keys, meta)), 1

    def _version(self, keys: QueueKeys, meta: dict[str, str]) -> str:
        if "version" in meta:
            return meta["version"].split(":")[1]
        return "5" if keys.at("marker") else "4" if keys.at("prioritized") or "pc" in keys.values else ""

    def _head_unchanged(self, keys: QueueKeys, now: float) -> float:
        head = next((keys.ids(name)[-1] for name in ("wait", "paused") if keys.ids(name)), None)
        head = head or next(iter(keys.ids("prioritized")), None)
        if head is None or head != self._head[0]:
            self._head = head, now
        return now - self._head[1]

    def _active(self, keys: QueueKeys, now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        active = keys.ids("active")
        started = [int(keys.job(job)["processedOn"]) / 1000 for job in active]
        yield ("bullmq_queue_oldest_active_age_seconds",), max(now - min(started), 0) if started else 0
        yield ("bullmq_queue_active_unlocked_jobs",), sum(f"{job}:lock" not in keys.values for job in active[-5:])

    def _delayed(self, keys: QueueKeys, now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        due = [score / 4096 / 1000 for score in keys.scores("delayed")]
        late = [point for point in due if point <= int(now * 1000) / 1000]
        yield ("bullmq_queue_delayed_overdue_jobs",), len(late)
        yield ("bullmq_queue_delayed_overdue_max_seconds",), now - min(late) if late else 0

    def _finished_jobs(self, keys: QueueKeys, now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        failed, completed = sorted(keys.scores("failed")), sorted(keys.scores("completed"))
        yield ("bullmq_queue_recently_failed_jobs",), sum(score >= (now - 3600) * 1000 for score in failed)
        if failed:
            yield ("bullmq_queue_oldest_failed_timestamp_seconds",), failed[0] / 1000
            yield ("bullmq_queue_last_failed_timestamp_seconds",), failed[-1] / 1000
        if completed:
            yield ("bullmq_queue_last_completed_timestamp_seconds",), completed[-1] / 1000
        for state in ("completed", "failed"):
            metrics = keys.at(f"metrics:{state}")
            if metrics and b"count" in metrics:
                yield (f"bullmq_jobs_{state}_total",), int(metrics[b"count"])


@pytest.mark.timeout(600)
@settings(
    max_examples=EXAMPLES,
    derandomize="RUNBOOK_SEQUENCES" not in os.environ,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=SEQUENCES)
def test_reading_equals_a_reading_of_all_keys(product, client, runner, redis_server, steps) -> None:
    name = f"q{next(NUMBERS)}"
    product.do({"does": "open", "name": name, "prefix": "b"})
    compared = ComparedQueue(runner, redis_server.url(), client, name)
    try:
        for step in steps:
            product.do(step)
            compared.hidden |= step["does"] in HIDING or 0 < step.get("delay", 0) < 10
            compared.compare()
            compared.compare()  # nothing has changed, and less is read
    finally:
        compared.close()
