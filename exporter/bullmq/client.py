"""The readings of queues: all numbers in two round trips, the names in the background."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from redis.exceptions import ResponseError

from exporter.bullmq.ages import Ages
from exporter.bullmq.dead_letters import DeadLetters
from exporter.bullmq.metrics import QUEUE_METRICS, QUEUES, dead_letter_samples, queue_samples, worker_samples
from exporter.bullmq.queue_tracker import QueueTracker
from exporter.bullmq.snapshot import QueueSnapshot, fill_times
from exporter.bullmq.state import QueueState
from exporter.collector import NOT_YET, Client, Reading
from exporter.metric import Sample
from exporter.redis.connection import RawConnection, pack_commands, raise_target_error
from exporter.series import MAX_SERIES

_PING = pack_commands([("PING",)])  # so that a server without queues is checked as well
_CLIENTS = pack_commands([("CLIENT", "LIST", "TYPE", "normal")])
# Without the number of queues: a changed note is logged, and each new queue would change it.
_TRUNCATED_NOTES = (
    f"only the first {MAX_SERIES:,} queues (by name) are read; to choose others, list them under `names`",
)


class QueuesClient(Client):
    """Reads the numbers of the known queues."""

    def __init__(self, connection: RawConnection, state: QueueState, dead_letters: DeadLetters) -> None:
        self._connection, self._state, self._dead_letters = connection, state, dead_letters

    @property
    def usable(self) -> bool:
        """Whether the connection is open."""
        return self._connection.usable

    async def read(self, now: float) -> Reading:
        """Read all known queues, up to MAX_SERIES."""
        all_names = self._state.names
        if all_names is None:
            return Reading((), 0, NOT_YET)
        names = sorted(all_names)[:MAX_SERIES]  # the page has no room for more
        excess = len(all_names) - len(names)
        dead_letter_queues = self._dead_letters.queues_of(names)
        further_names = (queue for queue in dead_letter_queues.values() if queue is not None)
        trackers = self._state.trackers({*names, *further_names})
        snapshots = await self._snapshots(trackers, now)
        visible = [(trackers[name], snapshots[name]) for name in names if name in snapshots]
        ages, round_trips = await self._ages(visible, now) if visible else ([], 0)
        groups = (queue_samples(*each, age, now) for each, age in zip(visible, ages, strict=True))
        samples = (
            *chain.from_iterable(groups),
            *dead_letter_samples(dead_letter_queues, snapshots, in_failed=self._dead_letters.in_failed),
            *worker_samples(self._state.workers, (tracker.queue.name for tracker, _ in visible)),
            QUEUES(len(visible) + excess),
        )
        return _reading(samples, 1 + round_trips, excess)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _snapshots(self, trackers: Mapping[str, QueueTracker], now: float) -> dict[str, QueueSnapshot]:
        """Read all queues at once, without those whose keys have another type than BullMQ's."""
        clients = [_CLIENTS] if self._state.worker_count_due(now) else []
        request = b"".join([_PING, *clients, *(tracker.request for tracker in trackers.values())])
        count = 1 + len(clients) + sum(tracker.replies for tracker in trackers.values())
        replies = await self._connection.execute(fill_times(request, now), count)
        if clients:
            self._state.update_workers(replies[1], self._connection.database, now)
        parts = _parts(replies, 1 + len(clients), [tracker.replies for tracker in trackers.values()])
        try:
            snapshots = {
                name: tracker.snapshot(part) for (name, tracker), part in zip(trackers.items(), parts, strict=True)
            }
        except ResponseError as error:
            raise_target_error(error)
        return {name: snapshot for name, snapshot in snapshots.items() if snapshot is not None}

    async def _ages(self, visible: Sequence[tuple[QueueTracker, QueueSnapshot]], now: float) -> tuple[list[Ages], int]:
        """Return the ages of each queue's jobs, and the round trips that it took."""
        requests, counts = zip(*(tracker.ages.request(snapshot) for tracker, snapshot in visible), strict=True)
        replies = await self._connection.execute(b"".join(requests), sum(counts)) if any(counts) else []
        parts = _parts(replies, 0, counts)
        ages = [
            tracker.ages.read(snapshot, part, now) for (tracker, snapshot), part in zip(visible, parts, strict=True)
        ]
        return ages, int(any(counts))


class DiscoveryClient(Client):
    """Finds the names of the queues until a point in time (event loop's clock)."""

    def __init__(self, connection: RawConnection, state: QueueState, until: float) -> None:
        self._connection, self._state, self._until = connection, state, until

    async def read(self, now: float) -> Reading:
        """Count the workers, and scan for queues."""
        state, round_trips = self._state, 1
        (clients,) = await self._connection.execute(_CLIENTS, 1)
        state.update_workers(clients, self._connection.database, now)
        try:
            async for keys in state.scan.steps(self._connection, self._until):
                state.add_scanned(keys)
                round_trips += 1
        except BaseException:
            state.restart_scan()  # the next answer may come from another server
            raise
        state.finish_scan()
        return Reading((), round_trips)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def _reading(samples: tuple[Sample, ...], round_trips: int, excess: int) -> Reading:
    """Return the samples, and the number of series of the `excess` queues that were not read."""
    if not excess:
        return Reading(samples, round_trips)
    unread = {metric.name: excess * metric.parts for metric in QUEUE_METRICS}
    return Reading(samples, round_trips, notes=_TRUNCATED_NOTES, unread=unread)


def _parts(replies: Sequence[Any], start: int, lengths: Iterable[int]) -> Iterator[Sequence[Any]]:
    """Yield the replies from `start` on in pieces of these lengths."""
    for length in lengths:
        yield replies[start : start + length]
        start += length
