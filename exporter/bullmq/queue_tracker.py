"""The state of a queue that is kept between two scrapes."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.ages import Ages, JobAges
from exporter.bullmq.request_plan import RequestPlan
from exporter.bullmq.schedulers import Schedulers
from exporter.bullmq.snapshot import IF_REFUSED, QueueSnapshot, snapshot_of

MALFORMED = "its keys hold something else than BullMQ writes"


class QueueTracker:
    """The history of one queue, which outlives the target's connections.

    Most queues are idle at most scrapes, so results are cached and reused for equal replies.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._late_count = self._ends_count = 0
        self.ages, self.schedulers = JobAges(queue), Schedulers(queue)
        self._head: tuple[bytes | None, float] = (None, 0.0)
        self._stalled_check: float | None = None
        self._snapshot_cache: tuple[Sequence[Any], QueueSnapshot | None] = ((), None)
        self._plan = RequestPlan(queue)
        self.fault: ResponseError | None = None
        """Why the last snapshot is None."""
        self.refused: Mapping[int, ResponseError] = {}
        """The errors of commands that cost only their own metrics, by place."""

    def request(self, *, slow: bool) -> tuple[bytes, int]:
        """Return the packed commands of the first round trip and their number; `slow` adds the slow ones."""
        return self._plan.request(slow=slow)

    def snapshot(self, replies: Sequence[Any], now: float) -> QueueSnapshot | None:
        """Return the snapshot in the replies to `request`; None if they are not a queue's, and `fault` has the reason.

        A refused command outside the counts and lists costs its own metrics; `refused` names its place.
        """
        self.fault = self._fault_of(replies)
        snapshot = None
        if self.fault is None:
            snapshot = self._snapshot(self._plan.complete(self._without_refusals(replies), now))
        if snapshot is None:
            self._plan.restart()
            self.fault = self.fault or ResponseError(MALFORMED)
        return snapshot

    def _fault_of(self, replies: Sequence[Any]) -> ResponseError | None:
        """Return the first error among the counts and lists, without which the queue cannot be read."""
        pairs = zip(self._plan.places, replies, strict=True)
        errors = (reply for place, reply in pairs if isinstance(reply, ResponseError) and place not in IF_REFUSED)
        return next(errors, None)

    def _without_refusals(self, replies: Sequence[Any]) -> Sequence[Any]:
        """Return the replies with each error replaced by an empty reply, and note its place."""
        if not self.refused and not any(isinstance(reply, ResponseError) for reply in replies):
            return replies
        pairs = list(zip(self._plan.places, replies, strict=True))
        errors = {place: reply for place, reply in pairs if isinstance(reply, ResponseError)}
        kept = {place: error for place, error in self.refused.items() if place not in self._plan.places}
        self.refused = kept | errors
        return [IF_REFUSED[place] if place in errors else reply for place, reply in pairs]

    def second_request(self, snapshot: QueueSnapshot, now: float, *, slow: bool) -> tuple[bytes, int]:
        """Return the packed commands of the second round trip and their number."""
        late, ends = self._plan.late_request(), self.schedulers.request(snapshot, now)
        ages = self.ages.request(snapshot, with_locks=slow)
        self._late_count, self._ends_count = late[1], ends[1]
        return late[0] + ends[0] + ages[0], late[1] + ends[1] + ages[1]

    def read(self, snapshot: QueueSnapshot, replies: Sequence[Any], now: float) -> tuple[QueueSnapshot, Ages]:
        """Return the snapshot with the replies to `second_request`, and the ages in them."""
        late = replies[: self._late_count]
        ends = replies[self._late_count : self._late_count + self._ends_count]
        self.schedulers.read(ends)
        ages = self.ages.read(snapshot, replies[len(late) + len(ends) :], now)
        return (self._snapshot(self._plan.add_late(late)) or snapshot) if late else snapshot, ages

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
    except (ValueError, TypeError, OverflowError, IndexError):  # not a number where BullMQ writes one
        return None
