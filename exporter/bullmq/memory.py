"""What is known of a queue between two scrapes, and which of its jobs to look at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.bullmq import Queue
from exporter.bullmq.jobs import FIELDS, Fields, ready
from exporter.bullmq.snapshot import PRIORITY, Snapshot, questions
from exporter.redis_wire import Command, packed

# The priorities that people use; others are learnt, one more with each scrape.
_FIRST_LEVELS = range(1, 11)
MOST_LEVELS = 20
# Jobs somewhere in the middle that are looked at again: LIFO jobs and, in version 3, jobs with a priority come between
# the oldest job and the end of the list.
WATCHED = 3
_OLDEST_HELD = 2
# Entries from both ends of a list: of a queue seen for the first time, and after that.
_FIRST_LOOK, _LOOK = (25, 25), (1, 3)


@dataclass(frozen=True, slots=True)
class Ages:
    """What the second round trip found, in seconds; None where every job that we looked at vanished meanwhile."""

    waiting: float | None
    active: float | None
    unlocked: int


class Memory:
    """A queue as the exporter has seen it so far; belongs to one collector and survives its connections."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._watched: dict[bytes, Fields] = {}
        self._first_seen: dict[tuple[bytes | None, ...], float] = {}
        self._head: tuple[bytes | None, float] = (None, 0.0)
        self._stalled_check: float | None = None
        self._asks_for(frozenset(_FIRST_LEVELS), _FIRST_LOOK)

    def _asks_for(self, levels: frozenset[int], look: tuple[int, int]) -> None:
        self._asked_for = levels, look
        # After each priority that is known, the first job of the next one.
        points = [0, *((level + 1) * PRIORITY for level in sorted(levels)[: MOST_LEVELS - 1])]
        asked = questions(self.queue, points, *look)
        self.request, self.replies = packed(asked), len(asked)
        """The questions of the first round trip, and how many they are."""

    def head_unchanged(self, snapshot: Snapshot, now: float) -> float:
        """For how long the job that comes next has been the same, in seconds; 0 without one."""
        job = snapshot.next_job
        if job is None or job != self._head[0]:
            self._head = job, now
        return now - self._head[1] if job is not None else 0.0

    def stalled_check(self, snapshot: Snapshot) -> float | None:
        """When a worker last looked for stalled jobs; the key itself expires after that."""
        self._stalled_check = snapshot.stalled_check or self._stalled_check
        return self._stalled_check

    def job_questions(self, snapshot: Snapshot) -> Iterator[Command]:
        """Yield the questions of the second round trip; `ages` reads the replies."""
        wanted = frozenset(snapshot.levels), _LOOK
        if wanted != self._asked_for:
            self._asks_for(*wanted)
        for job in self._candidates(snapshot):
            yield ("HMGET", self.queue.job_key(job), *FIELDS)
        if snapshot.held:
            for job in snapshot.held[-_OLDEST_HELD:]:
                yield ("HGET", self.queue.job_key(job), "processedOn")
            yield ("MGET", *(self.queue.job_key(job, b":lock") for job in snapshot.held))
            yield ("LRANGE", self.queue.key("active"), -2 * len(snapshot.held), -1)

    def ages(self, snapshot: Snapshot, replies: Sequence[Any], now: float) -> Ages:
        """Return what the replies to `job_questions` say."""
        candidates = self._candidates(snapshot)
        fields, held = replies[: len(candidates)], replies[len(candidates) :]
        waiting = self._oldest(snapshot, dict(zip(candidates, fields, strict=True)), now)
        if not held:
            return Ages(waiting, 0.0, 0)
        *started, locks, still_held = held
        ages = [now - float(each) / 1000 for each in started if each is not None]
        unlocked = (job for job, lock in zip(snapshot.held, locks, strict=True) if lock is None)
        # A job that ended between the two questions has no lock either, but is no longer active.
        return Ages(waiting, max(ages, default=None), len(set(unlocked) & set(still_held)))

    def _candidates(self, snapshot: Snapshot) -> tuple[bytes, ...]:
        return tuple(dict.fromkeys((*snapshot.waiting_ids, *self._watched)))

    def _oldest(self, snapshot: Snapshot, found: Mapping[bytes, Fields], now: float) -> float | None:
        """The greatest age of a waiting job in seconds; 0 without one."""
        seen = set(snapshot.waiting_ids)
        # A watched job whose hash is as it was has not been started, and so it still waits.
        waits = {job: fields for job, fields in found.items() if job in seen or self._watched[job] == fields}
        since = {job: point for job, fields in waits.items() if (point := self._since(job, fields, now)) is not None}
        self._first_seen = {key: point for key, point in self._first_seen.items() if key[0] in since}
        self._watched = {job: found[job] for job in _spread(since)} if snapshot.waiting > len(seen) else {}
        if not since:
            return None if snapshot.waiting else 0.0
        return max(now - min(since.values()), 0.0)

    def _since(self, job: bytes, fields: Fields, now: float) -> float | None:
        """Since when the job waits; where its hash does not tell, since we first saw it in this state."""
        found = ready(fields, now)
        if found is None:
            return None
        key = (job, *fields)
        if key in self._first_seen:
            return self._first_seen[key]
        if found.since is None:
            return self._first_seen.setdefault(key, now)
        return found.since


def _spread(since: Mapping[bytes, float]) -> list[bytes]:
    """The oldest job, the newest, and those nearest to even steps between them."""
    jobs = sorted(since, key=lambda job: (since[job], job))
    if len(jobs) <= WATCHED:
        return jobs
    first, last = since[jobs[0]], since[jobs[-1]]
    steps = (first + (last - first) * step / (WATCHED - 1) for step in range(WATCHED))
    return list(dict.fromkeys(min(jobs, key=lambda job: abs(since[job] - step)) for step in steps))
