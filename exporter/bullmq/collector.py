"""BullMQ queues: jobs by state, ages, failures, workers, dead letters; all queues in two round trips.

The names of the queues are discovered in the background, where they are not given.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.dead_letters import DeadLetters
from exporter.bullmq.discovery import count_workers, escape_glob, queue_bases
from exporter.bullmq.metrics import DEAD_LETTERS, METRICS, QUEUE_METRICS, QUEUES, UP, WORKERS, queue_samples
from exporter.bullmq.queue_tracker import Ages, QueueTracker
from exporter.bullmq.snapshot import QueueSnapshot, fill_times
from exporter.clock import monotonic
from exporter.collector import NOT_YET, BackgroundReading, Client, Collector, Reading
from exporter.metric import Metric, Sample
from exporter.page import MAX_SERIES
from exporter.redis.connection import RawConnection, pack_commands, raise_target_error
from exporter.redis.scan import STEP_KEYS, KeyScan
from runbookd.inventory import Stack

_PING = pack_commands([("PING",)])  # so that a server without queues is asked, too
_CLIENTS = pack_commands([("CLIENT", "LIST", "TYPE", "normal")])
# The same words however many there are, lest each new queue be logged.
_TRUNCATED_NOTES = (f"of the queues the first {MAX_SERIES:,} by name are read; list those that matter under names",)
# Of the time that a reading in the background has. What is left is for the answer under way.
_SCAN_SHARE = 0.8


class QueuesClient(Client):
    """Reads the numbers of the known queues."""

    def __init__(self, connection: RawConnection, collector: "QueuesCollector") -> None:
        self._connection, self._collector = connection, collector

    @property
    def usable(self) -> bool:
        return self._connection.usable

    async def read(self, now: float) -> Reading:
        all_names = self._collector.names
        if all_names is None:
            return Reading((), 0, NOT_YET)
        names = sorted(all_names)[:MAX_SERIES]  # of more, the page would have no room
        excess = len(all_names) - len(names)
        dead_letter_queues = self._collector.dead_letters.queues_of(names)
        trackers = self._collector.trackers(
            {*names, *(queue for queue in dead_letter_queues.values() if queue is not None)}
        )
        snapshots = await self._snapshots(trackers, now)
        visible = [(trackers[name], snapshots[name]) for name in names if name in snapshots]
        ages, round_trips = await self._ages(visible, now) if visible else ([], 0)
        groups = (queue_samples(*each, age, now) for each, age in zip(visible, ages, strict=True))
        all_samples = [
            *chain.from_iterable(groups),
            *self._dead_letter_samples(dead_letter_queues, snapshots),
            *self._worker_samples(tracker.queue.name for tracker, _ in visible),
            QUEUES(len(visible) + excess),
        ]
        unread = {metric.name: excess * metric.parts for metric in QUEUE_METRICS} if excess else {}
        return Reading(tuple(all_samples), 1 + round_trips, notes=_TRUNCATED_NOTES if excess else (), unread=unread)

    async def close(self) -> None:
        await self._connection.close()

    async def _snapshots(self, trackers: Mapping[str, QueueTracker], now: float) -> dict[str, QueueSnapshot]:
        """Ask about all queues at once. Those are left out whose keys something else has taken."""
        clients = [_CLIENTS] if self._collector.worker_count_due(now) else []
        request = b"".join([_PING, *clients, *(tracker.request for tracker in trackers.values())])
        count = 1 + len(clients) + sum(tracker.replies for tracker in trackers.values())
        replies = await self._connection.execute(fill_times(request, now), count)
        if clients:
            self._collector.update_workers(replies[1], self._connection.database, now)
        parts = _parts(replies, 1 + len(clients), [tracker.replies for tracker in trackers.values()])
        try:
            snapshots = {
                name: tracker.snapshot(part) for (name, tracker), part in zip(trackers.items(), parts, strict=True)
            }
        except ResponseError as error:
            raise_target_error(error)
        return {name: snapshot for name, snapshot in snapshots.items() if snapshot is not None}

    async def _ages(self, visible: Sequence[tuple[QueueTracker, QueueSnapshot]], now: float) -> tuple[list[Ages], int]:
        """How long the jobs of each queue wait and are held, and the round trips that it took."""
        requests, counts = zip(*(tracker.job_request(snapshot) for tracker, snapshot in visible), strict=True)
        replies = await self._connection.execute(b"".join(requests), sum(counts)) if any(counts) else []
        parts = _parts(replies, 0, counts)
        ages = [tracker.ages(snapshot, part, now) for (tracker, snapshot), part in zip(visible, parts, strict=True)]
        return ages, int(any(counts))

    def _dead_letter_samples(
        self, dead_letter_queues: Mapping[str, str | None], snapshots: Mapping[str, QueueSnapshot]
    ) -> Iterator[Sample]:
        if self._collector.dead_letters.in_failed:
            yield from (DEAD_LETTERS(each.jobs["failed"], name) for name, each in snapshots.items())
        for queue, dead_letter_queue in dead_letter_queues.items():
            if dead_letter_queue is None:
                yield DEAD_LETTERS(0, queue)
            elif dead_letter_queue in snapshots:
                yield DEAD_LETTERS(snapshots[dead_letter_queue].unfinished_jobs, queue)

    def _worker_samples(self, names: Iterable[str]) -> Iterator[Sample]:
        counts = self._collector.workers
        return (WORKERS(counts.get(name, 0), name) for name in names) if counts is not None else iter(())


class DiscoveryClient(Client):
    """Finds the names of the queues."""

    def __init__(self, connection: RawConnection, collector: "QueuesCollector", until: float) -> None:
        self._connection, self._collector, self._until = connection, collector, until

    async def read(self, now: float) -> Reading:
        collector, round_trips = self._collector, 1
        (clients,) = await self._connection.execute(_CLIENTS, 1)
        collector.update_workers(clients, self._connection.database, now)
        try:
            async for keys in collector.scan.steps(self._connection, self._until):
                collector.scan_names |= {collector.name_of(*each) for each in queue_bases(keys, collector.prefixes)}
                round_trips += 1
        except BaseException:
            collector.restart_scan()  # what answers next may be another server
            raise
        collector.finish_scan()
        return Reading((), round_trips)

    async def close(self) -> None:
        await self._connection.close()


class QueuesCollector(Collector):
    """All queues of some prefixes in one Redis database."""

    metrics = METRICS
    up = UP
    round_trips = 2

    def __init__(self, stack: Stack, name: str) -> None:
        self._target = target = stack.queues[name]
        self._url = stack.redis[target.redis].url_secret()
        self.prefixes = target.prefixes
        self.dead_letters = DeadLetters(target.dead_letter)
        self.names: frozenset[str] | None = None
        self.workers: Mapping[str, int] | None = None
        self._workers_at: float | None = None
        self._trackers: dict[str, QueueTracker] = {}
        self.fast = self._connect
        if target.names == "discover":
            self.restart_scan()
            self.slow = BackgroundReading(
                self._connect_to_discover, target.refresh, f"1 SCAN for {STEP_KEYS:,} keys of the server"
            )
        else:
            self.names = frozenset(target.names)

    def name_of(self, prefix: str, queue: str) -> str:
        """Return a queue's name on the page; with several prefixes it begins with its own."""
        return queue if len(self.prefixes) == 1 else f"{prefix}:{queue}"

    def trackers(self, names: Iterable[str]) -> dict[str, QueueTracker]:
        """Return what is known of these queues; what is known of others is forgotten."""
        previous = self._trackers
        self._trackers = {name: previous.get(name) or QueueTracker(self._queue(name)) for name in sorted(names)}
        return self._trackers

    def worker_count_due(self, now: float) -> bool:
        """Whether a scrape has to look who is connected: now and then, where nothing is read in the background."""
        if self.slow is not None:
            return False
        return self._workers_at is None or now - self._workers_at >= self._target.refresh.total_seconds()

    def update_workers(self, clients: bytes | ResponseError, database: int, now: float) -> None:
        """Note the answer to CLIENT LIST, or that it was refused."""
        self._workers_at, self.workers = now, None
        if isinstance(clients, bytes):
            counts = count_workers(clients, database, self.prefixes)
            self.workers = {self.name_of(*queue): count for queue, count in counts.items()}

    def restart_scan(self) -> None:
        """Forget the walk that is under way."""
        pattern = f"{escape_glob(self.prefixes[0])}:*:meta" if len(self.prefixes) == 1 else "*:meta"
        self.scan = KeyScan("MATCH", pattern, "TYPE", "hash")
        self.scan_names: set[str] = set()

    def finish_scan(self) -> None:
        """Take over what the walk found: queues that are gone are known to be so at its end only."""
        connected_queues = set(self.workers or ())
        self.names = frozenset(
            self.scan_names | connected_queues | (set() if self.scan.complete else self.names or set())
        )
        if self.scan.complete:
            self.scan_names.clear()

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
        return QueuesClient(await RawConnection.connect(self._url), self)

    async def _connect_to_discover(self, budget: float) -> DiscoveryClient:
        until = monotonic() + budget * _SCAN_SHARE
        return DiscoveryClient(await RawConnection.connect(self._url), self, until)


def _parts(replies: Sequence[Any], start: int, lengths: Iterable[int]) -> Iterator[Sequence[Any]]:
    """The replies from `start` on, in pieces of these lengths."""
    for length in lengths:
        yield replies[start : start + length]
        start += length
