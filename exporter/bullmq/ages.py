"""The ages of a queue's oldest waiting and active jobs, from the second round trip."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from exporter.bullmq import Queue
from exporter.bullmq.ready_since import FIELDS, UNKNOWN_SINCE, JobFields, ready_since
from exporter.bullmq.snapshot import QueueSnapshot
from exporter.redis.connection import Command, KeyCommand, pack_commands

_HASH = KeyCommand("HMGET", *FIELDS)
# Jobs from the middle that are read again: LIFO jobs and, in version 3, jobs with a priority are between the oldest job
# and the end of the list.
WATCHED_JOBS = 3
_OLDEST_HELD = 2


class Ages(NamedTuple):
    """Ages in seconds from the second round trip; None if all jobs read had already vanished."""

    waiting: float | None
    active: float | None
    unlocked: int


class JobTimes(NamedTuple):
    """Start times of the oldest waiting and active job, in seconds since 1970."""

    waiting: float | None
    active: float | None
    unlocked: int


class JobAges:
    """The jobs of a queue that a scrape reads, and their state at the previous scrape."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._watched: dict[bytes, JobFields] = {}
        self._first_seen: dict[tuple[bytes | None, ...], float] = {}
        self._candidates: Sequence[bytes] = ()
        self._held_cache: tuple[Sequence[bytes], bytes, int] = ((), b"", 0)
        self._request_snapshot: QueueSnapshot | None = None
        self._request: tuple[bytes, int] = (b"", 0)
        self._times_cache: tuple[Sequence[Any] | None, JobTimes] = (None, JobTimes(None, None, 0))

    def request(self, snapshot: QueueSnapshot) -> tuple[bytes, int]:
        """Return the packed commands of the second round trip, and their number."""
        if snapshot is not self._request_snapshot:
            waiting_ids = snapshot.waiting_ids
            # If all waiting jobs are listed, a watched job that is missing no longer waits.
            watched = self._watched if snapshot.waiting > len(waiting_ids) else ()
            self._candidates = (*waiting_ids, *(job for job in watched if job not in waiting_ids))
            if snapshot.held_jobs != self._held_cache[0]:
                commands = self._held_commands(snapshot.held_jobs)
                self._held_cache = snapshot.held_jobs, pack_commands(commands), len(commands)
            request = _HASH.pack(map(self._queue.job_key, self._candidates)) + self._held_cache[1]
            self._request = request, len(self._candidates) + self._held_cache[2]
            self._request_snapshot, self._times_cache = snapshot, (None, self._times_cache[1])
        return self._request

    def _held_commands(self, jobs: Sequence[bytes]) -> list[Command]:
        if not jobs:
            return []
        start_commands: list[Command] = [
            ("HGET", self._queue.job_key(job), "processedOn") for job in jobs[-_OLDEST_HELD:]
        ]
        locks: Command = ("MGET", *(self._queue.job_key(job, b":lock") for job in jobs))
        return [*start_commands, locks, ("LRANGE", self._queue.key("active"), -2 * len(jobs), -1)]

    def read(self, snapshot: QueueSnapshot, replies: Sequence[Any], now: float) -> Ages:
        """Return the ages in the replies to `request`."""
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
        except (ValueError, TypeError):  # Redis refused the locks, or the list is gone
            return JobTimes(oldest, None, 0)

    def _oldest(self, snapshot: QueueSnapshot, fields_by_job: Mapping[bytes, JobFields], now: float) -> float | None:
        """Return since when the longest-waiting of the read jobs has been waiting."""
        since = []
        for job, fields in fields_by_job.items():
            # A watched job with an unchanged hash has not been started, so it still waits.
            if job in self._watched and job not in snapshot.waiting_ids and self._watched[job] != fields:
                continue
            point = self._waiting_since_or_none(job, fields, now)
            if point is not None:
                since.append((point, job))
        since.sort()
        self._update_watched(since, fields_by_job)
        return since[0][0] if since else None

    def _update_watched(self, since: Sequence[tuple[float, bytes]], fields_by_job: Mapping[bytes, JobFields]) -> None:
        """Pick the jobs to watch, and forget those that no longer wait."""
        before = self._watched.keys()
        self._watched = {job: fields_by_job[job] for job in _pick_watched(since)}
        if self._watched.keys() != before:
            self._request_snapshot = None  # the commands have changed
        if self._first_seen:
            waiting = {job for _, job in since}
            self._first_seen = {key: point for key, point in self._first_seen.items() if key[0] in waiting}

    def _waiting_since_or_none(self, job: bytes, fields: JobFields, now: float) -> float | None:
        """Return `_waiting_since`, or None for a malformed job, so that it loses only its own age."""
        try:
            return self._waiting_since(job, fields, now) if self._first_seen else self._since_by_hash(job, fields, now)
        except (ValueError, TypeError, OverflowError, RecursionError):  # not a job's hash, or not a hash
            return None

    def _waiting_since(self, job: bytes, fields: JobFields, now: float) -> float | None:
        """Return since when the job waits, from its hash or since the exporter first saw it so."""
        point = self._first_seen.get((job, *fields))
        return point if point is not None else self._since_by_hash(job, fields, now)

    def _since_by_hash(self, job: bytes, fields: JobFields, now: float) -> float | None:
        since = ready_since(fields, now)
        return since if since != UNKNOWN_SINCE else self._first_seen.setdefault((job, *fields), now)


def _held_jobs(jobs: Sequence[bytes], replies: Sequence[Any]) -> tuple[float | None, int]:
    """Return the start of the longest-running active job, and how many of `jobs` have no lock."""
    if not jobs:
        return None, 0
    *start_times, locks, still_held = replies
    points = [point for each in start_times for point in _milliseconds(each)]
    unlocked = {job for job, lock in zip(jobs, locks, strict=True) if lock is None}
    # A job that ended between the two commands has no lock either, but is no longer active.
    return min(points, default=None), len(unlocked.intersection(still_held))


def _milliseconds(text: Any) -> Iterator[float]:
    """Yield the point in time in `text`, if it is valid."""
    with suppress(ValueError, TypeError):
        yield float(text) / 1000


def _pick_watched(since: Sequence[tuple[float, bytes]]) -> list[bytes]:
    """Return the oldest job, the newest, and the one nearest to the middle of their times."""
    if len(since) <= WATCHED_JOBS:
        return [job for _, job in since]
    middle = bisect(since, ((since[0][0] + since[-1][0]) / 2, b""), 1, len(since) - 1)
    return list({since[place][1]: None for place in (0, middle, len(since) - 1)})
