"""How BullMQ keeps a queue in Redis, and how to read it without changing it (versions 3 to 6).

`PREFIX:QUEUE:wait` and `:paused` are lists that get new jobs on the left and give them from the right. A paused queue
has its jobs in `paused` up to version 5 and in `wait` from version 6 on, so both always count. Jobs with a priority
stand in `wait` up to version 3 and in `prioritized` from 4 on. Entries that begin with `0:` are no jobs but markers
that wake workers (3 and 4). BullMQ's own counting script removes markers, so it must not be called from here.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

_LISTS = {"waiting": "wait", "paused": "paused", "active": "active"}
_SORTED_SETS = ("prioritized", "delayed", "failed", "completed", "waiting-children")
STATES = (*_LISTS, *_SORTED_SETS)
# LIFO and stalled jobs and released parents are put at the end that gives, so the oldest job is only near it, and a
# job that was delayed for long is put at the other end.
_ENDS = ((0, 1), (-3, -1))
_REPLIES = len(STATES) + 1 + 2 * len(_ENDS) + 1
SCAN_COUNT = 1000
_MARKER = "0:"


@dataclass(frozen=True)
class Queue:
    """A queue by its prefix and name."""

    prefix: str
    name: str

    def key(self, part: str) -> str:
        """Return the key of a list or set of the queue, or of a job by its id."""
        return f"{self.prefix}:{self.name}:{part}"


@dataclass(frozen=True)
class Counts:
    """What the first round trip tells of a queue. `candidates` are ids of jobs that may be the oldest waiting."""

    jobs: dict[str, int]
    paused: bool
    candidates: tuple[str, ...]

    @property
    def unfinished(self) -> int:
        """Jobs that still want something: all but the completed ones."""
        return sum(self.jobs.values()) - self.jobs["completed"]

    @property
    def waiting(self) -> int:
        """Jobs that a worker could take, or could if the queue were not paused."""
        return self.jobs["waiting"] + self.jobs["paused"] + self.jobs["prioritized"]


def ask_counts(pipeline: "Pipeline", queue: Queue) -> None:
    """Put the questions about a queue into `pipeline`; `split_replies` and `counts_of` read the answers."""
    for part in _LISTS.values():
        pipeline.llen(queue.key(part))
    for part in _SORTED_SETS:
        pipeline.zcard(queue.key(part))
    pipeline.hexists(queue.key("meta"), "paused")
    for part in ("wait", "paused"):
        for start, end in _ENDS:
            pipeline.lrange(queue.key(part), start, end)
    pipeline.zrange(queue.key("prioritized"), 0, 0)


def split_replies(replies: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Return the answers queue by queue."""
    return (replies[start : start + _REPLIES] for start in range(0, len(replies), _REPLIES))


def counts_of(replies: Sequence[Any]) -> Counts:
    """Return what the answers about one queue say."""
    jobs = dict(zip(STATES, replies, strict=False))
    paused, *lists, prioritized = replies[len(STATES) :]
    for state, ends in (("waiting", lists[:2]), ("paused", lists[2:])):
        markers = {entry for end in ends for entry in end if entry.startswith(_MARKER)}
        jobs[state] = max(jobs[state] - len(markers), 0)
    entries = [entry for end in (*lists, prioritized) for entry in end]
    return Counts(jobs, bool(paused), tuple(dict.fromkeys(e for e in entries if not e.startswith(_MARKER))))


def ask_job(pipeline: "Pipeline", queue: Queue, job: str) -> None:
    """Put the question when a job became ready into `pipeline`; `ready_since` reads the answer. Never asks for data."""
    pipeline.hmget(queue.key(job), ["timestamp", "opts", "processedOn"])


def ready_since(fields: Sequence[str | None], now: float) -> float | None:
    """Return since when (seconds since 1970, never after `now`) a waiting job could be worked on; None if it is gone.

    A delay counts as asked for when the job was added, because it is zeroed when it is over. A job that was tried
    before waits since that try at the most. One that was promoted before its time counts from now.
    """
    timestamp, options, processed = fields
    if timestamp is None:
        return None
    ready = max(float(timestamp) + _delay(options), float(processed or 0))
    return min(ready / 1000, now)


def _delay(options: str | None) -> float:
    """The milliseconds of `delay` among a job's options."""
    found = json.loads(options or "{}").get("delay")
    return float(found or 0)


async def discover(redis: "Redis", prefix: str) -> tuple[frozenset[str], int]:
    """Return the names of all queues with `prefix`, and the round trips that it took.

    Every job is a key of its own, so this walks the whole key space: in steps of about a millisecond, and never on a
    scrape.
    """
    names: set[str] = set()
    cursor, round_trips = 0, 0
    while True:
        pattern = f"{_literal(prefix)}:*:meta"
        cursor, keys = await redis.scan(cursor, match=pattern, count=SCAN_COUNT, _type="HASH")
        names.update(str(key)[len(prefix) + 1 : -len(":meta")] for key in keys)
        round_trips += 1
        if cursor == 0:
            return frozenset(names), round_trips


def _literal(text: str) -> str:
    """`text` as a pattern that matches only itself."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)
