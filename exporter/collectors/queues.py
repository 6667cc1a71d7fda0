"""BullMQ queues: jobs by state, the age of the oldest waiting one, dead letters; all queues in two round trips.

The names of the queues are discovered in the background, where they are not given.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from exporter.bullmq import (
    SCAN_COUNT,
    STATES,
    Counts,
    Queue,
    ask_counts,
    ask_job,
    counts_of,
    discover,
    ready_since,
    split_replies,
)
from exporter.collectors.base import NOT_YET, Client, Collector, Reading, Slow
from exporter.families import MAX_SERIES
from exporter.metric import Metric, Sample, gauge
from exporter.redis_pool import redis_client, worded
from inventory import Stack

UP = gauge("bullmq_up", "Whether the Redis of the queues answers and the queues are known (1).")
JOBS = gauge(
    "bullmq_queue_jobs",
    f"Jobs in the queue by state: {', '.join(STATES)}. A paused queue has its jobs under paused with BullMQ up to 5 "
    "and under waiting from 6 on.",
    "queue",
    "state",
)
PAUSED = gauge("bullmq_queue_paused", "Whether the queue is paused (1).", "queue")
OLDEST = gauge(
    "bullmq_queue_oldest_waiting_age_seconds",
    "How long the oldest job that is ready (waiting, paused or prioritized; a delay does not count) has been waiting, "
    "in seconds; 0 when there is none.",
    "queue",
)
DEAD_LETTERS = gauge(
    "bullmq_queue_dead_letter_jobs", "Jobs, completed ones apart, in the dead-letter queue of this queue.", "queue"
)


class DeadLetterNames:
    """How dead-letter queues are named after their queues: `{name}-dlq`. Without a pattern there are none."""

    def __init__(self, pattern: str | None) -> None:
        self._pattern = pattern or ""
        before, _, after = self._pattern.partition("{name}")
        self._shape = re.compile(f"{re.escape(before)}(.+){re.escape(after)}", re.DOTALL)

    def queue_of(self, name: str) -> str | None:
        """Return the queue that `name` is the dead-letter queue of, or None if it is none."""
        match = self._shape.fullmatch(name) if self._pattern else None
        return match[1] if match else None

    def pairs(self, names: Iterable[str]) -> dict[str, str]:
        """Return every queue with its dead-letter queue, whether either exists yet or not."""
        queues = (self.queue_of(name) or name for name in names)
        return {queue: self._pattern.replace("{name}", queue) for queue in queues} if self._pattern else {}


class QueuesClient(Client):
    """Reads the numbers of the known queues."""

    def __init__(self, redis: Redis, collector: "QueuesCollector") -> None:
        self._redis, self._collector = redis, collector

    async def read(self, now: float) -> Reading:
        names, letters = self._collector.names, self._collector.letters
        if names is None:
            return Reading((), 0, NOT_YET)
        dead = letters.pairs(names)
        try:
            counts = await self._counts(names | set(dead.values()))
            ready = {name: counts[name] for name in names if name in counts}
            oldest, round_trips = await self._oldest(ready, now)
        except (RedisError, OSError) as error:
            raise worded(error) from None
        numbers = (sample for name in sorted(names & counts.keys()) for sample in _numbers(name, counts[name]))
        ages = (OLDEST(now - since, name) for name, since in oldest.items())
        letters_left = (DEAD_LETTERS(counts[box].unfinished, queue) for queue, box in dead.items() if box in counts)
        return Reading((*numbers, *ages, *letters_left), 1 + round_trips)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _counts(self, names: Iterable[str]) -> dict[str, Counts]:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.ping()  # so that a server without queues is asked, too
        asked = sorted(names)
        for name in asked:
            ask_counts(pipeline, self._collector.queue(name))
        _, *replies = await pipeline.execute(raise_on_error=False)
        return {
            name: counts_of(part) for name, part in zip(asked, split_replies(replies), strict=True) if _is_queue(part)
        }

    async def _oldest(self, counts: Mapping[str, Counts], now: float) -> tuple[dict[str, float], int]:
        """Since when the oldest waiting job of each queue is ready, and the round trips: `now` in an empty queue.

        A queue in which every job that we looked at vanished meanwhile is left out.
        """
        oldest = {name: now for name, count in counts.items() if not count.waiting}
        jobs = [(name, job) for name, count in counts.items() for job in count.candidates]
        if not jobs:
            return oldest, 0
        pipeline = self._redis.pipeline(transaction=False)
        for name, job in jobs:
            ask_job(pipeline, self._collector.queue(name), job)
        for (name, _), fields in zip(jobs, await pipeline.execute(), strict=True):
            since = ready_since(fields, now)
            if since is not None:
                oldest[name] = min(since, oldest.get(name, now))
        return oldest, 1


class DiscoveryClient(Client):
    """Finds the names of the queues."""

    def __init__(self, redis: Redis, collector: "QueuesCollector") -> None:
        self._redis, self._collector = redis, collector

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - names have no age
        try:
            self._collector.names, round_trips = await discover(self._redis, self._collector.prefix)
        except (RedisError, OSError) as error:
            raise worded(error) from None
        return Reading((), round_trips)

    async def close(self) -> None:
        await self._redis.aclose()


class QueuesCollector(Collector):
    """All queues of one prefix in one Redis database."""

    metrics = (UP, JOBS, PAUSED, OLDEST, DEAD_LETTERS)
    up = UP
    round_trips = 2

    def __init__(self, stack: Stack, name: str) -> None:
        target = stack.queues[name]
        self._url = stack.redis[target.redis].url_secret()
        self.prefix = target.prefix
        self.letters = DeadLetterNames(target.dead_letter)
        self.names: frozenset[str] | None = None
        self.fast = self._connect
        if target.names == "discover":
            self.slow = Slow(self._connect_to_discover, target.refresh, f"1 SCAN for {SCAN_COUNT:,} keys of the server")
        else:
            self.names = frozenset(target.names)

    def queue(self, name: str) -> Queue:
        """Return the queue with this name."""
        return Queue(self.prefix, name)

    def most_series(self, metric: Metric) -> int:
        """One a queue, of its jobs one a state; the number of queues is known only where they are listed."""
        if self.slow is not None or not metric.labels:
            return super().most_series(metric)
        return min(len(self.names or ()) * (len(STATES) if metric is JOBS else 1), MAX_SERIES)

    async def _connect(self, budget: float) -> QueuesClient:  # noqa: ARG002 - Redis has no limit of its own to set
        return QueuesClient(redis_client(self._url), self)

    async def _connect_to_discover(self, budget: float) -> DiscoveryClient:  # noqa: ARG002
        return DiscoveryClient(redis_client(self._url), self)


def _numbers(name: str, counts: Counts) -> Iterator[Sample]:
    for state in STATES:
        yield JOBS(counts.jobs[state], name, state)
    yield PAUSED(counts.paused, name)


def _is_queue(replies: Sequence[Any]) -> bool:
    """Whether the keys are of BullMQ's types. Something else may have taken the name; any other error is an error."""
    errors = [reply for reply in replies if isinstance(reply, ResponseError)]
    for error in errors:
        if not str(error).startswith("WRONGTYPE"):
            raise error
    return not errors
