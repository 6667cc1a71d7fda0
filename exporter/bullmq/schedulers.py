"""Which schedulers of a queue go on: one that has reached its limit or end date keeps its last date in the past."""

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

from exporter.bullmq import Queue
from exporter.bullmq.snapshot import QueueSnapshot, SchedulerRun
from exporter.redis.connection import KeyCommand

_END = KeyCommand("HMGET", "limit", "ic", "endDate")
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
        keys = (self._queue.key("repeat:") + run.scheduler for run in self._requested)
        return _END.pack(keys), len(self._requested)

    def read(self, replies: Sequence[Any]) -> None:
        """Take the replies to `request`."""
        for run, reply in zip(self._requested, replies, strict=True):
            self._ends[run] = _end_of(run.scheduler, reply)

    def next_run(self, snapshot: QueueSnapshot, now: float) -> float | None:
        """Return when the next scheduler that goes on is due, in seconds since 1970."""
        return next((run.at for run in snapshot.scheduler_runs if not self._is_over(run, now)), None)

    def missed(self, snapshot: QueueSnapshot, now: float) -> int:
        """Return the overdue schedulers that go on."""
        return snapshot.missed - sum(self._is_over(run, now) for run in snapshot.scheduler_runs[: snapshot.missed])

    def _is_over(self, run: SchedulerRun, now: float) -> bool:
        end = self._ends.get(run)
        return end is not None and (end.reached or end.date < now)


def _end_of(scheduler: bytes, reply: Any) -> _End:
    """Return the end in a scheduler's hash, or up to BullMQ 4, which has none, in its name."""
    limit, count, date = map(_number, reply) if isinstance(reply, list) else (None, None, None)
    parts = scheduler.split(b":")
    if isinstance(reply, list) and not any(reply) and len(parts) >= _NAME_PARTS:
        date = _number(parts[2])
    return _End(limit is not None and (count or 0) >= limit, inf if date is None else date / 1000)


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (ValueError, TypeError):
        return None
