"""What is known of a queue between two scrapes, and which of its jobs to look at."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.job_age import FIELDS, UNKNOWN_SINCE, JobFields, ready_since
from exporter.bullmq.snapshot import PRIORITY, QueueSnapshot, snapshot_commands, snapshot_of
from exporter.redis.connection import Command, KeyCommand, pack_commands

_HASH = KeyCommand("HMGET", *FIELDS)

# The priorities that people use; others are learnt, one more with each scrape.
_FIRST_LEVELS = tuple(range(1, 11))
MOST_LEVELS = 20
# Jobs somewhere in the middle that are looked at again: LIFO jobs and, in version 3, jobs with a priority come between
# the oldest job and the end of the list.
WATCHED_JOBS = 3
_OLDEST_HELD = 2
# Entries from both ends of a list: of a queue seen for the first time, and after that.
_FIRST_LOOK, _LOOK = (25, 25), (1, 3)


class Ages(NamedTuple):
    """What the second round trip found, in seconds; None where every job that we looked at vanished meanwhile."""

    waiting: float | None
    active: float | None
    unlocked: int


class JobTimes(NamedTuple):
    """Since when the oldest waiting and the oldest active job are so (seconds since 1970), and `Ages.unlocked`."""

    waiting: float | None
    active: float | None
    unlocked: int


class QueueTracker:
    """A queue as the exporter has seen it so far; belongs to one target's `QueueState` and outlives its connections.

    Most queues of a product are idle at most scrapes: what was made of the same replies is used again.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._watched: dict[bytes, JobFields] = {}
        self._first_seen: dict[tuple[bytes | None, ...], float] = {}
        self._head: tuple[bytes | None, float] = (None, 0.0)
        self._stalled_check: float | None = None
        self._snapshot_cache: tuple[Sequence[Any], QueueSnapshot | None] = ((), None)
        self._candidates: Sequence[bytes] = ()
        self._held_cache: tuple[Sequence[bytes], bytes, int] = ((), b"", 0)
        self._request_snapshot: QueueSnapshot | None = None
        self._times_cache: tuple[Sequence[Any] | None, JobTimes] = (None, JobTimes(None, None, 0))
        self._set_request(_FIRST_LEVELS, _FIRST_LOOK)

    def _set_request(self, levels: Sequence[int], look: tuple[int, int]) -> None:
        self._levels_and_look = levels, look
        # After each priority that is known, the first job of the next one.
        points = [0, *((level + 1) * PRIORITY for level in levels)]
        commands = snapshot_commands(self.queue, points, *look)
        self.request, self.replies = pack_commands(commands), len(commands)
        """The questions of the first round trip, and how many they are."""

    def snapshot(self, replies: Sequence[Any]) -> QueueSnapshot | None:
        """Return what the replies to `request` say, or None if the keys are not of BullMQ's making.

        Raises:
            ResponseError: a question was refused.
        """
        if replies != self._snapshot_cache[0]:
            self._snapshot_cache = replies, _snapshot(replies)
            if (snapshot := self._snapshot_cache[1]) is not None:
                self._learn(snapshot.levels)
        return self._snapshot_cache[1]

    def _learn(self, new_levels: Sequence[int]) -> None:
        """Ask for the priorities that are there and those that were, which come and go, from now on."""
        levels, look = self._levels_and_look
        known_levels = dict.fromkeys((*new_levels, *levels) if look == _LOOK else new_levels)
        levels_and_look = tuple(sorted(list(known_levels)[: MOST_LEVELS - 1])), _LOOK
        if levels_and_look != self._levels_and_look:
            self._set_request(*levels_and_look)

    def head_unchanged(self, snapshot: QueueSnapshot, now: float) -> float:
        """For how long the job that comes next has been the same, in seconds; 0 without one."""
        job = snapshot.next_job
        if job is None or job != self._head[0]:
            self._head = job, now
        return now - self._head[1]

    def stalled_check(self, snapshot: QueueSnapshot) -> float | None:
        """When a worker last looked for stalled jobs; the key itself expires after that."""
        self._stalled_check = snapshot.stalled_check or self._stalled_check
        return self._stalled_check

    def job_request(self, snapshot: QueueSnapshot) -> tuple[bytes, int]:
        """Return the questions of the second round trip, packed, and how many they are; `ages` reads the replies."""
        if snapshot is not self._request_snapshot:
            waiting_ids = snapshot.waiting_ids
            # Where nothing is hidden, a watched job that is not among them no longer waits.
            watched = self._watched if snapshot.waiting > len(waiting_ids) else ()
            self._candidates = (*waiting_ids, *(job for job in watched if job not in waiting_ids))
            if snapshot.held_jobs != self._held_cache[0]:
                commands = self._held_commands(snapshot.held_jobs)
                self._held_cache = snapshot.held_jobs, pack_commands(commands), len(commands)
            request = _HASH.pack(map(self.queue.job_key, self._candidates)) + self._held_cache[1]
            self._job_request = request, len(self._candidates) + self._held_cache[2]
            self._request_snapshot, self._times_cache = snapshot, (None, self._times_cache[1])
        return self._job_request

    def _held_commands(self, jobs: Sequence[bytes]) -> list[Command]:
        if not jobs:
            return []
        start_commands: list[Command] = [
            ("HGET", self.queue.job_key(job), "processedOn") for job in jobs[-_OLDEST_HELD:]
        ]
        locks: Command = ("MGET", *(self.queue.job_key(job, b":lock") for job in jobs))
        return [*start_commands, locks, ("LRANGE", self.queue.key("active"), -2 * len(jobs), -1)]

    def ages(self, snapshot: QueueSnapshot, replies: Sequence[Any], now: float) -> Ages:
        """Return what the replies to `job_request` say."""
        if replies != self._times_cache[0]:
            self._times_cache = replies, self._job_times(snapshot, replies, now)
        waiting, active, unlocked = self._times_cache[1]
        return Ages(
            None if waiting is None and snapshot.waiting else max(now - (waiting or now), 0.0),
            None if active is None and snapshot.held_jobs else max(now - (active or now), 0.0),
            unlocked,
        )

    def _job_times(self, snapshot: QueueSnapshot, replies: Sequence[Any], now: float) -> JobTimes:
        count = len(self._candidates)
        oldest = self._oldest(snapshot, dict(zip(self._candidates, replies[:count], strict=True)), now)
        try:
            return JobTimes(oldest, *_held_jobs(snapshot.held_jobs, replies[count:]))
        except (ValueError, TypeError):  # the locks may not be read, or there is no list any more
            return JobTimes(oldest, None, 0)

    def _oldest(self, snapshot: QueueSnapshot, fields_by_job: Mapping[bytes, JobFields], now: float) -> float | None:
        """Since when the job waits that waits longest, of those that we look at."""
        since = []
        for job, fields in fields_by_job.items():
            # A watched job whose hash is as it was has not been started, and so it still waits.
            if job in self._watched and job not in snapshot.waiting_ids and self._watched[job] != fields:
                continue
            point = self._waiting_since_or_none(job, fields, now)
            if point is not None:
                since.append((point, job))
        since.sort()
        self._update_watched(since, fields_by_job)
        return since[0][0] if since else None

    def _update_watched(self, since: Sequence[tuple[float, bytes]], fields_by_job: Mapping[bytes, JobFields]) -> None:
        """Watch some jobs, and forget what no longer waits."""
        before = self._watched.keys()
        self._watched = {job: fields_by_job[job] for job in _pick_watched(since)}
        if self._watched.keys() != before:
            self._request_snapshot = None  # the next questions are others
        if self._first_seen:
            waiting = {job for _, job in since}
            self._first_seen = {key: point for key, point in self._first_seen.items() if key[0] in waiting}

    def _waiting_since_or_none(self, job: bytes, fields: JobFields, now: float) -> float | None:
        """As `_waiting_since`; an odd job costs no more than its own age."""
        try:
            return self._waiting_since(job, fields, now) if self._first_seen else self._since_by_hash(job, fields, now)
        except (ValueError, TypeError, OverflowError, RecursionError):  # a hash that is no job's, or no hash at all
            return None

    def _waiting_since(self, job: bytes, fields: JobFields, now: float) -> float | None:
        """Since when the job waits; where its hash does not tell, since we first saw it in this state."""
        point = self._first_seen.get((job, *fields))
        return point if point is not None else self._since_by_hash(job, fields, now)

    def _since_by_hash(self, job: bytes, fields: JobFields, now: float) -> float | None:
        since = ready_since(fields, now)
        return since if since != UNKNOWN_SINCE else self._first_seen.setdefault((job, *fields), now)


def _snapshot(replies: Sequence[Any]) -> QueueSnapshot | None:
    if ResponseError in map(type, replies):
        error = next(reply for reply in replies if isinstance(reply, ResponseError))
        if str(error).startswith("WRONGTYPE"):
            return None
        raise error
    try:
        return snapshot_of(replies)
    except (ValueError, TypeError):  # a number that is none
        return None


def _held_jobs(jobs: Sequence[bytes], replies: Sequence[Any]) -> tuple[float | None, int]:
    """Since when the active job that is held longest is, and how many of `jobs` have no lock."""
    if not jobs:
        return None, 0
    *start_times, locks, still_held = replies
    points = [point for each in start_times for point in _milliseconds(each)]
    unlocked = {job for job, lock in zip(jobs, locks, strict=True) if lock is None}
    # A job that ended between the two questions has no lock either, but is no longer active.
    return min(points, default=None), len(unlocked.intersection(still_held))


def _milliseconds(text: Any) -> Iterator[float]:
    """The point in time that is told, if it is one."""
    with suppress(ValueError, TypeError):
        yield float(text) / 1000


def _pick_watched(since: Sequence[tuple[float, bytes]]) -> list[bytes]:
    """The oldest job, the newest, and the one nearest to the middle of their times."""
    if len(since) <= WATCHED_JOBS:
        return [job for _, job in since]
    middle = bisect(since, ((since[0][0] + since[-1][0]) / 2, b""), 1, len(since) - 1)
    return list({since[place][1]: None for place in (0, middle, len(since) - 1)})
