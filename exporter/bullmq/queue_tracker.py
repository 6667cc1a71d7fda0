"""The state of a queue that is kept between two scrapes."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.ages import Ages, JobAges
from exporter.bullmq.request_plan import RequestPlan
from exporter.bullmq.snapshot import QueueSnapshot, snapshot_of


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
        self._plan = RequestPlan(queue)

    def request(self, *, slow: bool) -> tuple[bytes, int]:
        """Return the packed commands of the first round trip and their number; `slow` adds the slow ones."""
        return self._plan.request(slow=slow)

    def snapshot(self, replies: Sequence[Any], now: float) -> QueueSnapshot | None:
        """Return the snapshot in the replies to `request`, or None if the keys are not BullMQ's.

        Raises:
            ResponseError: Redis refused a command.
        """
        error = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
        snapshot = self._snapshot(self._plan.complete(replies, now)) if error is None else None
        if snapshot is None:
            self._plan.restart()
        if error is not None and not str(error).startswith("WRONGTYPE"):
            raise error
        return snapshot

    def second_request(self, snapshot: QueueSnapshot, *, slow: bool) -> tuple[bytes, int]:
        """Return the packed commands of the second round trip and their number."""
        late, ages = self._plan.late_request(), self.ages.request(snapshot, with_locks=slow)
        return late[0] + ages[0], late[1] + ages[1]

    def read(self, snapshot: QueueSnapshot, replies: Sequence[Any], now: float) -> tuple[QueueSnapshot, Ages]:
        """Return the snapshot with the replies to `second_request`, and the ages in them."""
        count = self._plan.late_request()[1]
        ages = self.ages.read(snapshot, replies[count:], now)
        return (self._snapshot(self._plan.add_late(replies[:count])) or snapshot) if count else snapshot, ages

    def _snapshot(self, replies: Sequence[Any]) -> QueueSnapshot | None:
        if replies != self._snapshot_cache[0]:
            self._snapshot_cache = replies, _snapshot_or_none(replies)
            if (snapshot := self._snapshot_cache[1]) is not None:
                self._plan.learn(snapshot.levels)
        return self._snapshot_cache[1]

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


def _snapshot_or_none(replies: Sequence[Any]) -> QueueSnapshot | None:
    try:
        return snapshot_of(replies)
    except (ValueError, TypeError):  # not a number where BullMQ writes one
        return None
