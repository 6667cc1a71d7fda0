"""The state of a queue that is kept between two scrapes."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.ages import JobAges
from exporter.bullmq.snapshot import PRIORITY, QueueSnapshot, snapshot_commands, snapshot_of
from exporter.redis.connection import pack_commands

# Common priorities; the tracker learns others, one more per scrape.
_FIRST_LEVELS = tuple(range(1, 11))
MOST_LEVELS = 20
# Entries read from both ends of a list: at the first scrape of a queue, and after that.
_FIRST_LOOK, _LOOK = (25, 25), (1, 3)


class QueueTracker:
    """The history of one queue, which outlives the target's connections.

    Most queues are idle at most scrapes, so results are cached and reused for equal replies.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.ages = JobAges(queue)
        self._head: tuple[bytes | None, float] = (None, 0.0)
        self._stalled_check: float | None = None
        self._snapshot_cache: tuple[Sequence[Any], QueueSnapshot | None] = ((), None)
        self._set_request(_FIRST_LEVELS, _FIRST_LOOK)

    def _set_request(self, levels: Sequence[int], look: tuple[int, int]) -> None:
        self._levels_and_look = levels, look
        # Reads the first job after each known priority.
        points = [0, *((level + 1) * PRIORITY for level in levels)]
        commands = snapshot_commands(self.queue, points, *look)
        self.request, self.replies = pack_commands(commands), len(commands)
        """The packed commands of the first round trip, and their number."""

    def snapshot(self, replies: Sequence[Any]) -> QueueSnapshot | None:
        """Return the snapshot in the replies to `request`, or None if the keys are not BullMQ's.

        Raises:
            ResponseError: Redis refused a command.
        """
        if replies != self._snapshot_cache[0]:
            self._snapshot_cache = replies, _snapshot(replies)
            if (snapshot := self._snapshot_cache[1]) is not None:
                self._learn(snapshot.levels)
        return self._snapshot_cache[1]

    def _learn(self, new_levels: Sequence[int]) -> None:
        """Read the priorities seen now and before from now on, because priorities come and go."""
        levels, look = self._levels_and_look
        known_levels = dict.fromkeys((*new_levels, *levels) if look == _LOOK else new_levels)
        levels_and_look = tuple(sorted(list(known_levels)[: MOST_LEVELS - 1])), _LOOK
        if levels_and_look != self._levels_and_look:
            self._set_request(*levels_and_look)

    def head_unchanged(self, snapshot: QueueSnapshot, now: float) -> float:
        """Return how long the next job has been the same, in seconds; 0 without a job."""
        job = snapshot.next_job
        if job is None or job != self._head[0]:
            self._head = job, now
        return now - self._head[1]

    def stalled_check(self, snapshot: QueueSnapshot) -> float | None:
        """Return when a worker last checked for stalled jobs; kept here, because the key expires."""
        self._stalled_check = snapshot.stalled_check or self._stalled_check
        return self._stalled_check


def _snapshot(replies: Sequence[Any]) -> QueueSnapshot | None:
    if ResponseError in map(type, replies):
        error = next(reply for reply in replies if isinstance(reply, ResponseError))
        if str(error).startswith("WRONGTYPE"):
            return None
        raise error
    try:
        return snapshot_of(replies)
    except (ValueError, TypeError):  # not a number where BullMQ writes one
        return None
