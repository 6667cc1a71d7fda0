"""The first round trip: what the keys of a queue say, all at one time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.bullmq import Queue
from exporter.redis_wire import Command

LISTS = {"waiting": "wait", "paused": "paused", "active": "active"}
SORTED_SETS = ("prioritized", "delayed", "failed", "completed", "waiting-children")
STATES = (*LISTS, *SORTED_SETS)
RECENT_SECONDS = 3600
# Workers ask for what is due every few seconds at the latest; less than this says nothing about them.
SCHEDULER_GRACE_SECONDS = 60
# Jobs of `active` whose locks are looked at, those that are held longest.
HELD = 5
# A queue's score of a delayed job is its due time in milliseconds times this, plus a counter.
_DELAYED = 4096
# A queue's score of a prioritized job is its priority times this, plus a counter.
PRIORITY = 1 << 32
_MARKER = b"0:"
_LATE, _RECENT, _MISSED = b"<delayed-until->", b"<failed-from>", b"<must-run-at>"


def questions(queue: Queue, points: Iterable[int], newest: int, oldest: int) -> list[Command]:
    """Return the questions about `queue`. Points in time have places to fill; see `at`.

    `points` are scores in `prioritized` from which on the first job is asked for; `newest` and `oldest` say how many
    entries of `wait` and `paused` are, from the end that jobs come to and from the one that they leave at.
    """
    wait, paused, active, delayed = map(queue.key, ("wait", "paused", "active", "delayed"))
    failed, completed, repeat = map(queue.key, ("failed", "completed", "repeat"))
    return [
        *(("LLEN", queue.key(key)) for key in LISTS.values()),
        *(("ZCARD", queue.key(key)) for key in SORTED_SETS),
        ("HMGET", queue.key("meta"), "paused", "version", "concurrency", "max"),
        *(("LRANGE", key, start, end) for key in (wait, paused) for start, end in ((0, newest - 1), (-oldest, -1))),
        ("LRANGE", active, -HELD, -1),
        ("ZRANGE", delayed, 0, 0, "WITHSCORES"),
        ("ZCOUNT", delayed, "-inf", _LATE),
        *(("ZRANGE", failed, place, place, "WITHSCORES") for place in (0, -1)),
        ("ZCOUNT", failed, _RECENT, "+inf"),
        ("ZRANGE", completed, -1, -1, "WITHSCORES"),
        ("MGET", *map(queue.key, ("id", "stalled-check", "limiter", "pc"))),
        ("EXISTS", queue.key("marker")),
        *(("HGET", queue.key(f"metrics:{state}"), "count") for state in ("completed", "failed")),
        ("ZCARD", repeat),
        ("ZRANGE", repeat, 0, 0, "WITHSCORES"),
        ("ZCOUNT", repeat, "-inf", _MISSED),
        *(("ZRANGEBYSCORE", queue.key("prioritized"), p, "+inf", "WITHSCORES", "LIMIT", 0, 1) for p in points),
    ]


def at(request: bytes, now: float) -> bytes:
    """Return packed questions with their points in time filled in; `now` is seconds since 1970."""
    milliseconds = int(now * 1000)
    late = milliseconds * _DELAYED
    since, missed = milliseconds - RECENT_SECONDS * 1000, milliseconds - SCHEDULER_GRACE_SECONDS * 1000
    for place, value in ((_LATE, late), (_RECENT, since), (_MISSED, missed)):
        request = request.replace(place, b"%0*d" % (len(place), value))
    return request


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the keys of a queue say. Points in time are seconds since 1970, None where there is none.

    `waiting_ids` are ids from both ends of the lists and the first of each priority, `next_job` the one that a worker
    gets next, `held` the active jobs that are held longest, the longest last; `levels` the priorities seen.
    """

    jobs: dict[str, int]
    paused: bool
    version: str
    concurrency: int | None
    limit: int | None
    waiting_ids: tuple[bytes, ...]
    next_job: bytes | None
    levels: tuple[int, ...]
    held: tuple[bytes, ...]
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
    next_run: float | None
    missed: int

    @property
    def waiting(self) -> int:
        """Jobs that a worker could take, or could if the queue were not paused."""
        return self.jobs["waiting"] + self.jobs["paused"] + self.jobs["prioritized"]

    @property
    def unfinished(self) -> int:
        """Jobs that still want something: all but the completed ones."""
        return sum(self.jobs.values()) - self.jobs["completed"]


def snapshot_of(replies: Sequence[Any]) -> Snapshot:
    """Return what the replies to `questions` say."""
    (*numbers, meta, newest, oldest, paused_newest, paused_oldest, held, due, overdue), rest = (
        replies[:16],
        replies[16:],
    )
    first_failed, last_failed, recent, last_completed, texts, marker, completed, failed, *schedulers = rest[:11]
    paused, version, concurrency, limit = meta
    added, check, limiter, counter = texts
    jobs, first = dict(zip(STATES, numbers, strict=True)), [pair for pair in rest[11:] if pair]
    jobs["waiting"] -= _markers(newest, oldest)
    jobs["paused"] -= _markers(paused_newest, paused_oldest)
    wait, parked, front = _ids(newest + oldest), _ids(paused_newest + paused_oldest), [job for job, _ in first]
    scheduler_count, next_run, missed = schedulers
    return Snapshot(
        jobs=jobs,
        paused=paused is not None,
        version=_version(version, marker, counter, jobs["prioritized"]),
        concurrency=_number(concurrency),
        limit=_number(limit),
        waiting_ids=tuple(dict.fromkeys(wait + parked + front)),
        next_job=next((ids[-1] for ids in (wait, parked) if ids), front[0] if front else None),
        levels=tuple(dict.fromkeys(int(float(score)) // PRIORITY for _, score in first)),
        held=tuple(held),
        first_due=_score(due, 1000 * _DELAYED),
        overdue=overdue,
        first_failed=_score(first_failed),
        last_failed=_score(last_failed),
        recently_failed=recent,
        last_completed=_score(last_completed),
        added=_number(added),
        stalled_check=None if check is None else float(check) / 1000,
        started_in_limit=_number(limiter),
        completed_total=_number(completed),
        failed_total=_number(failed),
        schedulers=scheduler_count,
        next_run=_score(next_run),
        missed=missed,
    )


def _ids(entries: Iterable[bytes]) -> list[bytes]:
    return [entry for entry in entries if not entry.startswith(_MARKER)]


def _markers(*ends: Sequence[bytes]) -> int:
    """How many markers stand at the ends of a list; of a short list both ends are the same."""
    return len({entry for end in ends for entry in end if entry.startswith(_MARKER)})


def _version(stated: bytes | None, marker: int, counter: bytes | None, prioritized: int) -> str:
    """The library's version as it stands in `meta`, or the oldest major one that makes the keys that are there."""
    if stated is not None:
        return stated.decode(errors="replace").removeprefix("bullmq:")
    if marker:
        return "5"
    return "4" if prioritized or counter is not None else ""


def _number(text: bytes | None) -> int | None:
    return None if text is None else int(float(text))


def _score(pair: Sequence[bytes], unit: int = 1000) -> float | None:
    return float(pair[1]) / unit if pair else None
