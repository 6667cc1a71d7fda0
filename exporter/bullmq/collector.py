"""BullMQ queues: jobs by state, ages, failures, workers, dead letters; all queues in two round trips.

The names of the queues are discovered in the background, where they are not given.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.dead_letters import DeadLetters
from exporter.bullmq.discovery import literal, queue_bases, workers
from exporter.bullmq.metrics import METRICS, WORKERS, samples
from exporter.bullmq.queue_tracker import Ages, Memory
from exporter.bullmq.snapshot import Snapshot, at
from exporter.collector import NOT_YET, Client, Collector, Reading, Slow
from exporter.metric import Metric, Sample, gauge
from exporter.page import MAX_SERIES
from exporter.redis.connection import Wire, packed, raise_worded
from exporter.redis.scan import STEP_KEYS, Walk
from runbookd.inventory import Stack

UP = gauge("bullmq_up", "Whether the Redis of the queues answers and the queues are known (1).", source="PING")
QUEUES = gauge(
    "bullmq_discovered_queues",
    "Queues that are known by now.",
    source="SCAN PREFIX:*:meta, CLIENT LIST, inventory",
)
DEAD_LETTERS = gauge(
    "bullmq_queue_dead_letter_jobs",
    "Jobs, completed ones apart, in the dead-letter queue of this queue; 0 for a queue without one.",
    "queue",
    source="as bullmq_queue_jobs",
)
_PING = packed([("PING",)])  # so that a server without queues is asked, too
_CLIENTS = packed([("CLIENT", "LIST", "TYPE", "normal")])
# The same words however many there are, lest each new queue be logged.
_TOO_MANY = (f"of the queues the first {MAX_SERIES:,} by name are read; list those that matter under names",)
# Of the time that a reading in the background has. What is left is for the answer under way.
_WALK_SHARE = 0.8


class QueuesClient(Client):
    """Reads the numbers of the known queues."""

    def __init__(self, wire: Wire, collector: "QueuesCollector") -> None:
        self._wire, self._collector = wire, collector

    @property
    def usable(self) -> bool:
        return self._wire.usable

    async def read(self, now: float) -> Reading:
        known = self._collector.names
        if known is None:
            return Reading((), 0, NOT_YET)
        names = sorted(known)[:MAX_SERIES]  # of more, the page would have no room
        beyond = len(known) - len(names)
        boxes = self._collector.letters.boxes(names)
        memories = self._collector.memories({*names, *(box for box in boxes.values() if box is not None)})
        snapshots = await self._snapshots(memories, now)
        shown = [(memories[name], snapshots[name]) for name in names if name in snapshots]
        ages, round_trips = await self._ages(shown, now) if shown else ([], 0)
        groups = (samples(*each, age, now) for each, age in zip(shown, ages, strict=True))
        found = [
            *chain.from_iterable(groups),
            *self._dead_letters(boxes, snapshots),
            *self._workers(memory.queue.name for memory, _ in shown),
            QUEUES(len(shown) + beyond),
        ]
        unread = {metric.name: beyond * metric.parts for metric in METRICS} if beyond else {}
        return Reading(tuple(found), 1 + round_trips, notes=_TOO_MANY if beyond else (), unread=unread)

    async def close(self) -> None:
        await self._wire.close()

    async def _snapshots(self, memories: Mapping[str, Memory], now: float) -> dict[str, Snapshot]:
        """Ask about all queues at once. Those are left out whose keys something else has taken."""
        clients = [_CLIENTS] if self._collector.wants_workers(now) else []
        request = b"".join([_PING, *clients, *(memory.request for memory in memories.values())])
        count = 1 + len(clients) + sum(memory.replies for memory in memories.values())
        replies = await self._wire.ask(at(request, now), count)
        if clients:
            self._collector.saw_clients(replies[1], self._wire.database, now)
        parts = _parts(replies, 1 + len(clients), [memory.replies for memory in memories.values()])
        try:
            found = {name: memory.snapshot(part) for (name, memory), part in zip(memories.items(), parts, strict=True)}
        except ResponseError as error:
            raise_worded(error)
        return {name: snapshot for name, snapshot in found.items() if snapshot is not None}

    async def _ages(self, shown: Sequence[tuple[Memory, Snapshot]], now: float) -> tuple[list[Ages], int]:
        """How long the jobs of each queue wait and are held, and the round trips that it took."""
        requests, counts = zip(*(memory.job_request(snapshot) for memory, snapshot in shown), strict=True)
        replies = await self._wire.ask(b"".join(requests), sum(counts)) if any(counts) else []
        parts = _parts(replies, 0, counts)
        found = [memory.ages(snapshot, part, now) for (memory, snapshot), part in zip(shown, parts, strict=True)]
        return found, int(any(counts))

    def _dead_letters(self, boxes: Mapping[str, str | None], snapshots: Mapping[str, Snapshot]) -> Iterator[Sample]:
        if self._collector.letters.in_failed:
            yield from (DEAD_LETTERS(each.jobs["failed"], name) for name, each in snapshots.items())
        for queue, box in boxes.items():
            if box is None:
                yield DEAD_LETTERS(0, queue)
            elif box in snapshots:
                yield DEAD_LETTERS(snapshots[box].unfinished, queue)

    def _workers(self, names: Iterable[str]) -> Iterator[Sample]:
        counts = self._collector.workers
        return (WORKERS(counts.get(name, 0), name) for name in names) if counts is not None else iter(())


class DiscoveryClient(Client):
    """Finds the names of the queues."""

    def __init__(self, wire: Wire, collector: "QueuesCollector", until: float) -> None:
        self._wire, self._collector, self._until = wire, collector, until

    async def read(self, now: float) -> Reading:
        collector, round_trips = self._collector, 1
        (clients,) = await self._wire.ask(_CLIENTS, 1)
        collector.saw_clients(clients, self._wire.database, now)
        try:
            async for keys in collector.walk.steps(self._wire, self._until):
                collector.found |= {collector.name_of(*each) for each in queue_bases(keys, collector.prefixes)}
                round_trips += 1
        except BaseException:
            collector.begins_to_walk()  # what answers next may be another server
            raise
        collector.walked()
        return Reading((), round_trips)

    async def close(self) -> None:
        await self._wire.close()


class QueuesCollector(Collector):
    """All queues of some prefixes in one Redis database."""

    metrics = (UP, QUEUES, *METRICS, DEAD_LETTERS, WORKERS)
    up = UP
    round_trips = 2

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = target = stack.queues[name]
        self._url = stack.redis[target.redis].url_secret()
        self.prefixes = target.prefixes
        self.letters = DeadLetters(target.dead_letter)
        self.names: frozenset[str] | None = None
        self.workers: Mapping[str, int] | None = None
        self._workers_at: float | None = None
        self._memories: dict[str, Memory] = {}
        self.fast = self._connect
        if target.names == "discover":
            self.begins_to_walk()
            self.slow = Slow(self._connect_to_discover, target.refresh, f"1 SCAN for {STEP_KEYS:,} keys of the server")
        else:
            self.names = frozenset(target.names)

    def name_of(self, prefix: str, queue: str) -> str:
        """Return a queue's name on the page; with several prefixes it begins with its own."""
        return queue if len(self.prefixes) == 1 else f"{prefix}:{queue}"

    def memories(self, names: Iterable[str]) -> dict[str, Memory]:
        """Return what is known of these queues; what is known of others is forgotten."""
        known = self._memories
        self._memories = {name: known.get(name) or Memory(self._queue(name)) for name in sorted(names)}
        return self._memories

    def wants_workers(self, now: float) -> bool:
        """Whether a scrape has to look who is connected: now and then, where nothing is read in the background."""
        if self.slow is not None:
            return False
        return self._workers_at is None or now - self._workers_at >= self._target.refresh.total_seconds()

    def saw_clients(self, clients: bytes | ResponseError, database: int, now: float) -> None:
        """Note the answer to CLIENT LIST, or that it was refused."""
        self._workers_at, self.workers = now, None
        if isinstance(clients, bytes):
            found = workers(clients, database, self.prefixes)
            self.workers = {self.name_of(*queue): count for queue, count in found.items()}

    def begins_to_walk(self) -> None:
        """Forget the walk that is under way."""
        pattern = f"{literal(self.prefixes[0])}:*:meta" if len(self.prefixes) == 1 else "*:meta"
        self.walk = Walk("MATCH", pattern, "TYPE", "hash")
        self.found: set[str] = set()

    def walked(self) -> None:
        """Take over what the walk found: queues that are gone are known to be so at its end only."""
        connected = set(self.workers or ())
        self.names = frozenset(self.found | connected | (set() if self.walk.complete else self.names or set()))
        if self.walk.complete:
            self.found.clear()

    def most_series(self, metric: Metric) -> int:
        """One a queue, or its parts; the number of queues is known only where they are listed."""
        if self.slow is not None or not metric.labels:
            return super().most_series(metric)
        return min(len(self.names or ()), MAX_SERIES) * metric.parts

    def _queue(self, name: str) -> Queue:
        base = self._target.key_of(name)
        assert base is not None, name  # noqa: S101 - the inventory has seen to that
        return Queue(name, base)

    async def _connect(self, budget: float) -> QueuesClient:  # noqa: ARG002 - Redis has no limit of its own to set
        return QueuesClient(await Wire.connect(self._url), self)

    async def _connect_to_discover(self, budget: float) -> DiscoveryClient:
        until = asyncio.get_running_loop().time() + budget * _WALK_SHARE
        return DiscoveryClient(await Wire.connect(self._url), self, until)


def _parts(replies: Sequence[Any], start: int, lengths: Iterable[int]) -> Iterator[Sequence[Any]]:
    """The replies from `start` on, in pieces of these lengths."""
    for length in lengths:
        yield replies[start : start + length]
        start += length
