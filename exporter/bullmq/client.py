"""The readings of queues: all numbers in two round trips, the names in the background."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from exporter.bullmq.ages import Ages
from exporter.bullmq.dead_letters import DeadLetters
from exporter.bullmq.metrics import (
    QUEUE_METRICS,
    QUEUES,
    UNREADABLE,
    dead_letter_samples,
    queue_samples,
    worker_samples,
)
from exporter.bullmq.queue_tracker import MALFORMED, QueueTracker
from exporter.bullmq.snapshot import QueueSnapshot, fill_times
from exporter.bullmq.state import QueueState
from exporter.collector import NOT_YET, Client, Reading
from exporter.errors import TargetRefused
from exporter.metric import Rows, Sample
from exporter.redis.connection import RawConnection, pack_commands, raise_target_error
from exporter.redis.info import parse_info
from exporter.series import MAX_SERIES
from runbookd.redis_errors import redis_error_text

_SERVER = pack_commands([("PING",), ("INFO", "REPLICATION")])  # a server without queues is checked as well
T = TypeVar("T")
# Queues whose replies are read between two turns of other tasks.
_TURN = 25
_CLIENTS = pack_commands([("CLIENT", "LIST", "TYPE", "normal")])
# Without the number of queues: a changed note is logged, and each new queue would change it.
_TRUNCATED_NOTES = (
    f"only the first {MAX_SERIES:,} queues (by name) are read; to choose others, list them under `names`",
)


CLUSTER = (
    "the server is a node of a Redis Cluster, which holds only a part of the queues; clusters are not supported for "
    "queues, so remove the target"
)
_LOST = (
    "the server is a replica that has lost its primary, so its queues are outdated; repair the replication, or set the "
    "address of the primary"
)
LOST_SECONDS = 60
"""A connection to the primary that is back within this time costs nothing."""
_CLUSTER_ERRORS = ("MOVED ", "ASK ", "CROSSSLOT ", "CLUSTERDOWN ")
# Errors about a command that a rule or a proxy refuses.
_REFUSED_COMMAND = ("NOPERM ", "ERR unknown command")
# Errors about the keys of one queue.
_NOT_REFUSALS = ("WRONGTYPE ", MALFORMED)
_MOST_NAMED = 5


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
            QUEUES(len(all_names)),
            *_unreadable_samples([trackers[name].fault for name in names]),
        )
        notes = (*self._notes(), *_queue_notes([trackers[name] for name in names]))
        return _reading(samples, 1 + round_trips, excess, notes)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    def _notes(self) -> Iterator[str]:
        yield from self._connection.notes
        if self._state.workers_refusal:
            yield f"CLIENT LIST is refused, so workers are not counted: {self._state.workers_refusal}"

    async def _snapshots(
        self, trackers: Mapping[str, QueueTracker], now: float, slow: bool
    ) -> dict[str, QueueSnapshot]:
        """Read all queues at once, without those that cannot be read."""
        clients = [_CLIENTS] if self._state.worker_count_due(now) else []
        packed, counts = await _requests(list(trackers.values()), lambda tracker: tracker.request(slow=slow), now)
        request, count = b"".join([_SERVER, *clients, *packed]), 2 + len(clients) + sum(counts)
        replies = await self._connection.execute(request, count)
        _check_replica(replies[1])
        if clients:
            self._state.update_workers(replies[2], self._connection.database, now)
        snapshots: dict[str, QueueSnapshot] = {}
        parts = list(zip(trackers.items(), _parts(replies, 2 + len(clients), counts), strict=True))
        async for turn in _in_turns(parts):
            for (name, tracker), part in turn:
                if (snapshot := tracker.snapshot(part, now)) is not None:
                    snapshots[name] = snapshot
        _check_answers(replies[0], trackers.values(), snapshots)
        return snapshots

    async def _ages(
        self, visible: Sequence[tuple[QueueTracker, QueueSnapshot]], now: float, slow: bool
    ) -> tuple[list[tuple[QueueTracker, QueueSnapshot, Ages]], int]:
        """Return the queues with the ages of their jobs, and the round trips that it took."""
        packed, counts = await _requests(visible, lambda queue: queue[0].second_request(queue[1], now, slow=slow), now)
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


def _check_replica(text: object) -> None:
    """Raise TargetRefused if the server is a replica that lost its primary: it shows the queues of that time."""
    fields = parse_info(text) if isinstance(text, bytes) else {}
    seconds = int(fields.get("master_link_down_since_seconds", 0))  # -1 without any connection so far
    if fields.get("master_link_status") == "down" and not 0 <= seconds < LOST_SECONDS:
        raise TargetRefused(_LOST)


def _check_answers(ping: object, trackers: Collection[QueueTracker], snapshots: Mapping[str, QueueSnapshot]) -> None:
    """Raise TargetError if the server refused everything, or answered as a node of a cluster."""
    faults = [tracker.fault for tracker in trackers if tracker.fault is not None]
    if any(str(fault).startswith(_CLUSTER_ERRORS) for fault in faults):
        raise TargetRefused(CLUSTER)
    refusals = [fault for fault in faults if not str(fault).startswith(_NOT_REFUSALS)]
    if refusals and not snapshots and len(refusals) == len(trackers):
        raise_target_error(refusals[0])
    # A refused PING is an answer, too; the connection is logged in.
    if not trackers and isinstance(ping, ResponseError) and not str(ping).startswith(_REFUSED_COMMAND):
        raise_target_error(ping)


def _unreadable_samples(faults: Iterable[ResponseError | None]) -> Iterator[Sample]:
    """Yield the number of queues without metrics by reason."""
    foreign = [str(fault).startswith(_NOT_REFUSALS) for fault in faults if fault is not None]
    yield UNREADABLE(foreign.count(False), "refused")
    yield UNREADABLE(foreign.count(True), "foreign")


def _queue_notes(trackers: Iterable[QueueTracker]) -> Iterator[str]:
    """Yield which queues are not measured, or not completely, with the reason of the first."""
    faults = [(tracker.queue.name, tracker.fault) for tracker in trackers if tracker.fault is not None]
    if faults:
        yield f"queues that cannot be read: {_name_some(faults)}"
    parts = [
        (tracker.queue.name, next(iter(tracker.refused.values())))
        for tracker in trackers
        if tracker.fault is None and tracker.refused
    ]
    if parts:
        yield f"queues of which Redis refuses some metrics: {_name_some(parts)}"


def _name_some(queues: Sequence[tuple[str, ResponseError]]) -> str:
    names = ", ".join(repr(name) for name, _ in queues[:_MOST_NAMED])
    more = f" and {len(queues) - _MOST_NAMED} more" if len(queues) > _MOST_NAMED else ""
    return f"{names}{more} ({redis_error_text(queues[0][1])})"


def _reading(samples: tuple[Sample | Rows, ...], round_trips: int, excess: int, notes: tuple[str, ...]) -> Reading:
    """Return the samples, and the number of series of the `excess` queues that were not read."""
    if not excess:
        return Reading(samples, round_trips, notes=notes)
    unread = {metric.name: excess * metric.parts for metric in QUEUE_METRICS}
    return Reading(samples, round_trips, notes=(*_TRUNCATED_NOTES, *notes), unread=unread)


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
