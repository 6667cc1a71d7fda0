"""Which schedulers of a queue go on: one that has reached its limit or end date keeps its last date in the past.

The limit is in the scheduler's hash, and that of a repeatable job only in the options of its last job, if that is still
stored.
"""

import json
from collections.abc import Sequence
from hashlib import md5
from math import inf
from typing import Any, NamedTuple

from exporter.bullmq import Queue
from exporter.bullmq.snapshot import QueueSnapshot, SchedulerRun
from exporter.redis.connection import KeyCommand

_END = KeyCommand("HMGET", "limit", "ic", "endDate")
_LAST_JOB = KeyCommand("HGET", "opts")
_NAME_PARTS = 5


class _End(NamedTuple):
    """Whether a scheduler's next run was its last by the limit, and its end date, in seconds since 1970."""

    reached: bool
    date: float


class Schedulers:
    """The ends of one queue's overdue schedulers, each read once per run."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._ends: dict[SchedulerRun, _End] = {}
        self._requested: Sequence[SchedulerRun] = ()

    def request(self, snapshot: QueueSnapshot, now: float) -> tuple[bytes, int]:
        """Return the packed commands about overdue schedulers that are not known yet, and their number."""
        if not (snapshot.scheduler_runs or self._ends):
            self._requested = ()
            return b"", 0
        runs = set(snapshot.scheduler_runs)
        self._ends = {run: end for run, end in self._ends.items() if run in runs}
        self._requested = [run for run in snapshot.scheduler_runs if run.at < now and run not in self._ends]
        ends = _END.pack(self._queue.key("repeat:") + run.scheduler for run in self._requested)
        last_jobs = _LAST_JOB.pack(self._queue.key("repeat:") + _job_of(run) for run in self._requested)
        return ends + last_jobs, 2 * len(self._requested)

    def read(self, replies: Sequence[Any]) -> None:
        """Take the replies to `request`."""
        count = len(self._requested)
        for run, reply, options in zip(self._requested, replies[:count], replies[count:], strict=True):
            self._ends[run] = _end_of(run.scheduler, reply, options)

    def next_run(self, snapshot: QueueSnapshot, now: float) -> float | None:
        """Return when the next scheduler that goes on is due, in seconds since 1970."""
        return next((run.at for run in snapshot.scheduler_runs if not self._is_over(run, now)), None)

    def missed(self, snapshot: QueueSnapshot, now: float) -> int:
        """Return the overdue schedulers that go on."""
        return snapshot.missed - sum(self._is_over(run, now) for run in snapshot.scheduler_runs[: snapshot.missed])

    def _is_over(self, run: SchedulerRun, now: float) -> bool:
        end = self._ends.get(run)
        return end is not None and (end.reached or end.date < now)


def _job_of(run: SchedulerRun) -> bytes:
    """Return the job of a run: up to BullMQ 4, whose schedulers are named by their settings, it has a hash of these."""
    scheduler, parts = run.scheduler, run.scheduler.split(b":")
    if len(parts) >= _NAME_PARTS:
        scheduler = _hash(parts[0] + parts[1] + _hash(scheduler))
    return b"%b:%.0f" % (scheduler, run.at * 1000)


def _hash(text: bytes) -> bytes:
    return md5(text, usedforsecurity=False).hexdigest().encode()


def _end_of(scheduler: bytes, reply: Any, options: Any) -> _End:
    """Return the end in a scheduler's hash or its last job's options; up to BullMQ 4, the date is in its name."""
    limit, count, date = map(_number, reply) if isinstance(reply, list) else (None, None, None)
    if limit is None:
        limit, count = _limit_and_count(options)
    parts = scheduler.split(b":")
    if isinstance(reply, list) and not any(reply) and len(parts) >= _NAME_PARTS:
        date = _number(parts[2])
    return _End(limit is not None and (count or 0) >= limit, inf if date is None else date / 1000)


def _limit_and_count(options: Any) -> tuple[float | None, float | None]:
    """Return the limit of a repeatable job and the number of its run, from the options of that run's job."""
    try:
        repeat = json.loads(options)["repeat"]
        return _number(repeat.get("limit")), _number(repeat.get("count"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # the job is gone, or not BullMQ's
        return None, None


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (ValueError, TypeError):
        return None
