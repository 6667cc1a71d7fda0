"""The ages of a queue's oldest waiting and active jobs, from the second round trip."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from exporter.bullmq import Queue
from exporter.bullmq.ready_since import FIELDS, UNKNOWN_SINCE, JobFields, ready_since
from exporter.bullmq.snapshot import QueueSnapshot, seconds_of
from exporter.redis.connection import Command, KeyCommand, pack_commands

_HASH = KeyCommand("HMGET", *FIELDS)
# Jobs from the middle that are read again: LIFO jobs and, in version 3, jobs with a priority are between the oldest job
# and the end of the list.
WATCHED_JOBS = 3
_OLDEST_HELD = 2


class Ages(NamedTuple):
    """Ages in seconds from the second round trip; None if all jobs read had already vanished.

    `unlocked` is None if Redis refuses to show the locks.
    """

    waiting: float | None
    active: float | None
    unlocked: int | None


class JobAges:
    """The jobs of a queue that a scrape reads, and their state at the previous scrape.

    When the first round trip finds the queue as it was, its jobs hardly changed: the oldest one is read again and one
    other, in turn. If one of these did change, the next scrape reads all again.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._watched: dict[bytes, JobFields] = {}
        self._first_seen: dict[tuple[bytes | None, ...], float] = {}
        self._snapshot: QueueSnapshot | None = None
        self._fields: Mapping[bytes, JobFields] = {}
        self._reads_all = True
        self._oldest: tuple[float, bytes] | None = None
        self._requested_jobs: Sequence[bytes] = ()
        self._turn = 0
        self._with_locks = False
        self._unlocked: frozenset[bytes] | None = frozenset()

    def request(self, snapshot: QueueSnapshot, *, with_locks: bool) -> tuple[bytes, int]:
        """Return the packed commands of the second round trip and their number; `read` takes the replies."""
        self._reads_all = snapshot is not self._snapshot
        self._requested_jobs = self._all_jobs(snapshot) if self._reads_all else self._known_jobs()
        self._with_locks = with_locks and bool(snapshot.held_jobs)
        held_commands = self._held_commands(snapshot.held_jobs)
        request = _HASH.pack(map(self._queue.job_key, self._requested_jobs)) + pack_commands(held_commands)
        return request, len(self._requested_jobs) + len(held_commands)

    def read(self, snapshot: QueueSnapshot, replies: Sequence[Any], now: float) -> Ages:
        """Return the ages in the replies to `request`."""
        count = len(self._requested_jobs)
        self._read_waiting(snapshot, dict(zip(self._requested_jobs, replies[:count], strict=True)), now)
        waiting = self._oldest[0] if self._oldest is not None else None
        active = self._read_held(snapshot.held_jobs, replies[count:])
        return Ages(
            None if waiting is None and snapshot.waiting else max(now - (waiting or now), 0.0),
            None if active is None and snapshot.held_jobs else max(now - (active or now), 0.0),
            None if self._unlocked is None else len(self._unlocked.intersection(snapshot.held_jobs)),
        )

    def _all_jobs(self, snapshot: QueueSnapshot) -> Sequence[bytes]:
        waiting_ids = snapshot.waiting_ids
        # If all waiting jobs are listed, a watched job that is missing no longer waits.
        watched = self._watched if snapshot.waiting > len(waiting_ids) else ()
        return (*waiting_ids, *(job for job in watched if job not in waiting_ids))

    def _known_jobs(self) -> Sequence[bytes]:
        """Return the oldest job, and at every other scrape one of the others, in turn."""
        jobs = list(self._fields)
        if not jobs:
            return ()
        self._turn = (self._turn + 1) % (2 * len(jobs))
        oldest = self._oldest[1] if self._oldest is not None else jobs[0]
        return tuple({oldest: None, jobs[self._turn // 2]: None}) if self._turn % 2 else (oldest,)

    def _held_commands(self, jobs: Sequence[bytes]) -> list[Command]:
        commands: list[Command] = [("HGET", self._queue.job_key(job), "processedOn") for job in jobs[-_OLDEST_HELD:]]
        if self._with_locks:
            commands.append(("MGET", *(self._queue.job_key(job, b":lock") for job in jobs)))
            commands.append(("LRANGE", self._queue.key("active"), -2 * len(jobs), -1))
        return commands

    def _read_held(self, jobs: Sequence[bytes], replies: Sequence[Any]) -> float | None:
        """Return the start of the longest-running active job, and note which of `jobs` have no lock."""
        starts = replies[: len(jobs[-_OLDEST_HELD:])]
        if self._with_locks:
            locks, still_held = replies[len(starts) :]
            # A job that ended between the two commands has no lock either, but is no longer active.
            self._unlocked = _unlocked(jobs, locks, still_held)
        return min((point for each in starts for point in _milliseconds(each)), default=None)

    def _read_waiting(self, snapshot: QueueSnapshot, fields_by_job: Mapping[bytes, JobFields], now: float) -> None:
        """Find the oldest job again, unless all jobs are as they were."""
        known = fields_by_job if self._reads_all else {**self._fields, **fields_by_job}
        if self._reads_all or known != self._fields:
            self._snapshot = snapshot if self._reads_all else None  # after a change, the next scrape reads all
            self._fields = known
            self._oldest = self._find_oldest(snapshot, known, now)

    def _find_oldest(
        self, snapshot: QueueSnapshot, fields_by_job: Mapping[bytes, JobFields], now: float
    ) -> tuple[float, bytes] | None:
        """Return the longest-waiting of the read jobs, and since when it has been waiting."""
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
        return since[0] if since else None

    def _update_watched(self, since: Sequence[tuple[float, bytes]], fields_by_job: Mapping[bytes, JobFields]) -> None:
        """Pick the jobs to watch, and forget those that no longer wait."""
        before = self._watched.keys()
        self._watched = {job: fields_by_job[job] for job in _pick_watched(since)}
        if self._watched.keys() != before:
            self._snapshot = None  # the jobs to read have changed
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


def _unlocked(jobs: Sequence[bytes], locks: Any, still_held: Any) -> frozenset[bytes] | None:
    """Return which of `jobs` have no lock and are still active; None if Redis refused to show the locks."""
    if not isinstance(locks, list) or not isinstance(still_held, list):
        return None
    return frozenset(job for job, lock in zip(jobs, locks, strict=True) if lock is None).intersection(still_held)


def _milliseconds(text: Any) -> Iterator[float]:
    """Yield the point in time in `text`, if it is valid."""
    with suppress(ValueError, TypeError):
        if (point := seconds_of(text)) is not None:
            yield point


def _pick_watched(since: Sequence[tuple[float, bytes]]) -> list[bytes]:
    """Return the oldest job, the newest, and the one nearest to the middle of their times."""
    if len(since) <= WATCHED_JOBS:
        return [job for _, job in since]
    middle = bisect(since, ((since[0][0] + since[-1][0]) / 2, b""), 1, len(since) - 1)
    return list({since[place][1]: None for place in (0, middle, len(since) - 1)})
