"""The readings of queues: all numbers in two round trips, the names in the background."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from exporter.bullmq.ages import Ages
from exporter.bullmq.dead_letters import DeadLetters
from exporter.bullmq.metrics import QUEUE_METRICS, QUEUES, dead_letter_samples, queue_samples, worker_samples
from exporter.bullmq.queue_tracker import QueueTracker
from exporter.bullmq.snapshot import QueueSnapshot, fill_times
from exporter.bullmq.state import QueueState
from exporter.collector import NOT_YET, Client, Reading
from exporter.metric import Rows, Sample
from exporter.redis.connection import RawConnection, pack_commands, raise_target_error
from exporter.series import MAX_SERIES

_PING = pack_commands([("PING",)])  # so that a server without queues is checked as well
T = TypeVar("T")
# Queues whose replies are read between two turns of other tasks.
_TURN = 25
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
        slow = self._state.slow_due(now)
        snapshots = await self._snapshots(trackers, now, slow)
        visible = [(trackers[name], snapshots[name]) for name in names if name in snapshots]
        queues, round_trips = await self._ages(visible, now, slow) if visible else ([], 0)
        if slow:
            self._state.note_slow(now)
        rows = [rows async for each in _in_turns(queues) for rows in queue_samples(each, now)]
        samples: tuple[Sample | Rows, ...] = (
            *rows,
            *dead_letter_samples(dead_letter_queues, snapshots, in_failed=self._dead_letters.in_failed),
            *worker_samples(self._state.workers, (tracker.queue.name for tracker, _ in visible)),
            QUEUES(len(visible) + excess),
        )
        return _reading(samples, 1 + round_trips, excess)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _snapshots(
        self, trackers: Mapping[str, QueueTracker], now: float, slow: bool
    ) -> dict[str, QueueSnapshot]:
        """Read all queues at once, without those whose keys have another type than BullMQ's."""
        clients = [_CLIENTS] if self._state.worker_count_due(now) else []
        packed, counts = await _requests(list(trackers.values()), lambda tracker: tracker.request(slow=slow), now)
        replies = await self._connection.execute(b"".join([_PING, *clients, *packed]), 1 + len(clients) + sum(counts))
        if clients:
            self._state.update_workers(replies[1], self._connection.database, now)
        snapshots: dict[str, QueueSnapshot] = {}
        parts = list(zip(trackers.items(), _parts(replies, 1 + len(clients), counts), strict=True))
        try:
            async for turn in _in_turns(parts):
                for (name, tracker), part in turn:
                    if (snapshot := tracker.snapshot(part, now)) is not None:
                        snapshots[name] = snapshot
        except ResponseError as error:
            raise_target_error(error)
        return snapshots

    async def _ages(
        self, visible: Sequence[tuple[QueueTracker, QueueSnapshot]], now: float, slow: bool
    ) -> tuple[list[tuple[QueueTracker, QueueSnapshot, Ages]], int]:
        """Return the queues with the ages of their jobs, and the round trips that it took."""
        packed, counts = await _requests(visible, lambda queue: queue[0].second_request(queue[1], slow=slow), now)
        replies = await self._connection.execute(b"".join(packed), sum(counts)) if any(counts) else []
        queues: list[tuple[QueueTracker, QueueSnapshot, Ages]] = []
        async for turn in _in_turns(list(zip(visible, _parts(replies, 0, counts), strict=True))):
            queues += [(tracker, *tracker.read(snapshot, part, now)) for (tracker, snapshot), part in turn]
        return queues, int(any(counts))


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


def _reading(samples: tuple[Sample | Rows, ...], round_trips: int, excess: int) -> Reading:
    """Return the samples, and the number of series of the `excess` queues that were not read."""
    if not excess:
        return Reading(samples, round_trips)
    unread = {metric.name: excess * metric.parts for metric in QUEUE_METRICS}
    return Reading(samples, round_trips, notes=_TRUNCATED_NOTES, unread=unread)


async def _in_turns(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield a few items at a time, and let other tasks run in between."""
    for start in range(0, len(items), _TURN):
        yield items[start : start + _TURN]
        await asyncio.sleep(0)


async def _requests(
    queues: Sequence[T], request: Callable[[T], tuple[bytes, int]], now: float
) -> tuple[list[bytes], list[int]]:
    """Return the packed commands of some queues at a time, with their times, and the number for each queue."""
    packed: list[bytes] = []
    counts: list[int] = []
    async for turn in _in_turns(queues):
        requests = [request(each) for each in turn]
        packed.append(fill_times(b"".join([commands for commands, _ in requests]), now))
        counts += [count for _, count in requests]
    return packed, counts


def _parts(replies: Sequence[Any], start: int, lengths: Iterable[int]) -> Iterator[Sequence[Any]]:
    """Yield the replies from `start` on in pieces of these lengths."""
    for length in lengths:
        yield replies[start : start + length]
        start += length
