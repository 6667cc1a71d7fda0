"""The first round trip: counts and ends of a queue's keys, all at the same time."""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from math import isfinite
from typing import Any, NamedTuple

from exporter.bullmq import Queue
from exporter.redis.connection import Command

LISTS = {"waiting": "wait", "paused": "paused", "active": "active"}
SORTED_SETS = ("prioritized", "delayed", "failed", "completed", "waiting-children")
STATES = (*LISTS, *SORTED_SETS)
RECENT_SECONDS = 3600
# Workers check for due jobs every few seconds; a shorter delay does not mean that a run was missed.
SCHEDULER_GRACE_SECONDS = 60
# Longest-running jobs of `active` whose locks are read.
MAX_HELD_JOBS = 5
# Schedulers that are due first, of which the exporter finds out whether they go on. Those that have ended come first.
MAX_SCHEDULER_RUNS = 1000
# A queue's score of a delayed job is its due time in milliseconds times this, plus a counter.
_DELAYED = 4096
# A queue's score of a prioritized job is its priority times this, plus a counter.
PRIORITY = 1 << 32
_MARKER = b"0:"
_MOST_DIGITS = 20  # with a sign


class Place(IntEnum):
    """The place of a reply among those to `snapshot_commands`."""

    WAITING, PAUSED, ACTIVE = range(3)
    PRIORITIZED, DELAYED, FAILED, COMPLETED = range(3, 7)
    META = 8
    WAIT_NEWEST, WAIT_OLDEST, PAUSED_NEWEST, PAUSED_OLDEST, ACTIVE_OLDEST = range(9, 14)
    FIRST_DUE, OVERDUE, FIRST_FAILED, LAST_FAILED, RECENTLY_FAILED, LAST_COMPLETED = range(14, 20)
    TEXTS = 20
    MARKER, COMPLETED_TOTAL, FAILED_TOTAL, SCHEDULERS, NEXT_RUN, MISSED = range(21, 27)


FIXED = 27
"""The number of replies before those about `prioritized`, whose number varies."""
IF_REFUSED: Mapping[int, Any] = {
    **dict.fromkeys((Place.META, Place.TEXTS), (None,) * 4),
    **dict.fromkeys((Place.FIRST_DUE, Place.FIRST_FAILED, Place.LAST_FAILED, Place.LAST_COMPLETED, Place.NEXT_RUN), ()),
    **dict.fromkeys((Place.OVERDUE, Place.RECENTLY_FAILED, Place.MARKER, Place.SCHEDULERS, Place.MISSED), 0),
    **dict.fromkeys((Place.COMPLETED_TOTAL, Place.FAILED_TOTAL)),
}
"""The reply to take for a refused command; without any other, the queue cannot be read."""
KEYS: Mapping[int, str] = dict(zip((Place.WAITING, Place.PAUSED, Place.ACTIVE), LISTS.values(), strict=True))
_LATE, _RECENT, _MISSED = b"<delayed-until->", b"<failed-from>", b"<must-run-at>"


def snapshot_commands(queue: Queue, points: Iterable[int], newest: int, oldest: int) -> list[Command]:
    """Return the commands that read `queue`, with placeholders for times; see `fill_times`.

    For each score in `points`, the first job of `prioritized` from that score on is read. `newest` and `oldest` are the
    numbers of entries to read from the ends of `wait` and `paused` where jobs enter and leave.
    """
    wait, paused, active, delayed = map(queue.key, ("wait", "paused", "active", "delayed"))
    failed, completed, repeat = map(queue.key, ("failed", "completed", "repeat"))
    return [
        *(("LLEN", queue.key(key)) for key in LISTS.values()),
        *(("ZCARD", queue.key(key)) for key in SORTED_SETS),
        ("HMGET", queue.key("meta"), "paused", "version", "concurrency", "max"),
        *(("LRANGE", key, start, end) for key in (wait, paused) for start, end in ((0, newest - 1), (-oldest, -1))),
        ("LRANGE", active, -MAX_HELD_JOBS, -1),
        ("ZRANGE", delayed, 0, 0, "WITHSCORES"),
        ("ZCOUNT", delayed, "-inf", _LATE),
        *(("ZRANGE", failed, place, place, "WITHSCORES") for place in (0, -1)),
        ("ZCOUNT", failed, _RECENT, "+inf"),
        ("ZRANGE", completed, -1, -1, "WITHSCORES"),
        ("MGET", *map(queue.key, ("id", "stalled-check", "limiter", "pc"))),
        ("EXISTS", queue.key("marker")),
        *(("HGET", queue.key(f"metrics:{state}"), "count") for state in ("completed", "failed")),
        ("ZCARD", repeat),
        ("ZRANGE", repeat, 0, MAX_SCHEDULER_RUNS - 1, "WITHSCORES"),
        ("ZCOUNT", repeat, "-inf", _MISSED),
        *(("ZRANGEBYSCORE", queue.key("prioritized"), p, "+inf", "WITHSCORES", "LIMIT", 0, 1) for p in points),
    ]


def fill_times(request: bytes, now: float) -> bytes:
    """Return packed commands with their times filled in; `now` is seconds since 1970."""
    milliseconds = int(now * 1000)
    late = milliseconds * _DELAYED
    since, missed = milliseconds - RECENT_SECONDS * 1000, milliseconds - SCHEDULER_GRACE_SECONDS * 1000
    for place, value in ((_LATE, late), (_RECENT, since), (_MISSED, missed)):
        request = request.replace(place, b"%0*d" % (len(place), value))
    return request


class SchedulerRun(NamedTuple):
    """A scheduler and when it is due, in seconds since 1970."""

    scheduler: bytes
    at: float


class QueueSnapshot(NamedTuple):
    """The state of a queue's keys. Times are seconds since 1970, or None.

    `waiting_ids` are the IDs at both ends of the lists and the first of each priority, `next_job` is the one that a
    worker gets next, `held_jobs` are the longest-running active jobs, the longest last; `levels` are the priorities
    seen.
    """

    jobs: dict[str, int]
    paused: bool
    version: str
    concurrency: int | None
    limit: int | None
    waiting_ids: tuple[bytes, ...]
    next_job: bytes | None
    levels: tuple[int, ...]
    held_jobs: tuple[bytes, ...]
    first_due: float | None
    overdue: int
    first_failed: float | None
    last_failed: float | None
    recently_failed: int
    last_completed: float | None
    added: int | None
    stalled_check: float | None
    started_in_limit: int | None
    completed_total: int | None
    failed_total: int | None
    schedulers: int
    scheduler_runs: tuple[SchedulerRun, ...]
    missed: int

    @property
    def waiting(self) -> int:
        """Jobs that a worker could take if the queue is not paused."""
        return self.jobs["waiting"] + self.jobs["paused"] + self.jobs["prioritized"]

    @property
    def unfinished_jobs(self) -> int:
        """All jobs except the completed ones."""
        return sum(self.jobs.values()) - self.jobs["completed"]


def snapshot_of(replies: Sequence[Any]) -> QueueSnapshot:
    """Parse the replies to `snapshot_commands`.

    Raises ValueError or TypeError if they are malformed.
    """
    counts, meta, (newest, oldest, paused_newest, paused_oldest) = replies[:8], replies[8], replies[9:13]
    held_jobs, due, overdue, first_failed, last_failed, recent, last_completed = replies[13:20]
    texts, marker, completed, failed, schedulers, next_run, missed = replies[20:FIXED]
    paused, version, concurrency, limit = meta
    added, check, limiter, counter = texts
    jobs = dict(zip(STATES, counts, strict=True))
    wait: Sequence[bytes] = ()
    paused_ids: Sequence[bytes] = ()
    if jobs["waiting"]:
        wait, markers = _entries(newest, oldest)
        jobs["waiting"] -= markers
    if jobs["paused"]:
        paused_ids, markers = _entries(paused_newest, paused_oldest)
        jobs["paused"] -= markers
    front = [pair for pair in replies[FIXED:] if pair]
    ids, scores = (*wait, *paused_ids, *(job for job, _ in front)), [float(score) for _, score in front]
    return QueueSnapshot(
        jobs,
        paused is not None,
        _version(version, marker, counter, jobs["prioritized"]),
        _number(concurrency),
        _number(limit),
        tuple(dict.fromkeys(ids)),
        _next_job(wait, paused_ids, [job for job, _ in front[:1]]),
        tuple({int(score) // PRIORITY: None for score in scores if isfinite(score)}),
        tuple(held_jobs),
        due_time(due) if due else None,
        overdue,
        seconds_of(first_failed[1]) if first_failed else None,
        seconds_of(last_failed[1]) if last_failed else None,
        recent,
        seconds_of(last_completed[1]) if last_completed else None,
        _number(added),
        None if check is None else seconds_of(check),
        _number(limiter),
        _number(completed),
        _number(failed),
        schedulers,
        tuple(
            SchedulerRun(scheduler, float(score) / 1000)
            for scheduler, score in zip(next_run[::2], next_run[1::2], strict=True)
        ),
        missed,
    )


def seconds_of(milliseconds: bytes) -> float | None:
    """Return a point in time in seconds, or None for an infinite one and for NaN. Raises ValueError for a text."""
    number = float(milliseconds)
    return number / 1000 if isfinite(number) else None


def due_time(entry: Sequence[bytes]) -> float:
    """Return when a delayed job is due, in seconds since 1970; `entry` is its id and its score."""
    return float(entry[1]) / (1000 * _DELAYED)


def _entries(newest: list[bytes], oldest: list[bytes]) -> tuple[tuple[bytes, ...], int]:
    """Return the IDs and the number of markers at the ends of a list, which may overlap."""
    entries = dict.fromkeys(newest + oldest)
    jobs = tuple(entry for entry in entries if not entry.startswith(_MARKER))
    return jobs, len(entries) - len(jobs)


def _next_job(*ends: Sequence[bytes]) -> bytes | None:
    """Return the last entry of the first of `ends` that is not empty."""
    return next((end[-1] for end in ends if end), None)


def _version(stated_version: bytes | None, marker: int, counter: bytes | None, prioritized: int) -> str:
    """Return the version from `meta`, or else the oldest major version with such keys."""
    if stated_version is not None:
        return stated_version.decode(errors="replace").removeprefix("bullmq:")
    if marker:
        return "5"
    return "4" if prioritized or counter is not None else ""


def _number(text: bytes | None) -> int | None:
    """Return the number, or None if it has more digits than Redis' 64-bit counters."""
    return None if text is None or len(text) > _MOST_DIGITS else int(text)
