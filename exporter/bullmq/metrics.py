"""The metrics of queues, and their samples."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from exporter.bullmq.ages import Ages
from exporter.bullmq.queue_tracker import QueueTracker
from exporter.bullmq.snapshot import (
    MAX_HELD_JOBS,
    MAX_SCHEDULER_RUNS,
    RECENT_SECONDS,
    SCHEDULER_GRACE_SECONDS,
    STATES,
    Place,
    QueueSnapshot,
)
from exporter.metric import Metric, Row, Rows, Sample, counter, gauge

UP = gauge(
    "bullmq_up",
    "Whether the queues' Redis answers and the queues are known (1); 0 on a replica that has lost its primary.",
    source="PING, INFO replication",
)
QUEUES = gauge(
    "bullmq_discovered_queues",
    "Queues known so far.",
    source="SCAN PREFIX:*:meta, CLIENT LIST, inventory",
)
UNREADABLE = gauge(
    "bullmq_unreadable_queues",
    "Queues without metrics by reason: refused (Redis does not show their keys) or foreign (their keys are not "
    "BullMQ's); the debug page names them.",
    "reason",
    source="as bullmq_queue_jobs",
)
DEAD_LETTERS = gauge(
    "bullmq_queue_dead_letter_jobs",
    "Jobs in the queue's dead-letter queue, without completed ones; 0 for a queue without one.",
    "queue",
    source="as bullmq_queue_jobs",
)
JOBS = gauge(
    "bullmq_queue_jobs",
    f"Jobs in the queue by state: {', '.join(STATES)}. The jobs of a paused queue are under paused up to BullMQ 5 and "
    "under waiting from 6 on. Jobs with a priority are under waiting with BullMQ 3.",
    "queue",
    "state",
    source="LLEN, ZCARD",
    parts=len(STATES),
)
PAUSED = gauge("bullmq_queue_paused", "Whether the queue is paused (1).", "queue", source="meta: paused")
OLDEST = gauge(
    "bullmq_queue_oldest_waiting_age_seconds",
    "How long the oldest ready job (waiting, paused or prioritized) has been waiting, without delay and backoff, in "
    "seconds; 0 if there is none.",
    "queue",
    source="hashes of the jobs at the ends",
)
HEAD_UNCHANGED = gauge(
    "bullmq_queue_head_unchanged_seconds",
    "How long the job that a worker gets next has been the same, in seconds, as seen since the exporter's start; 0 if "
    "there is none.",
    "queue",
    source="the end of wait or paused, the front of prioritized",
)
OLDEST_ACTIVE = gauge(
    "bullmq_queue_oldest_active_age_seconds",
    "Age of the longest-running active job, in seconds; 0 if there is none.",
    "queue",
    source="active, processedOn",
)
UNLOCKED = gauge(
    "bullmq_queue_active_unlocked_jobs",
    f"Jobs without a lock among the {MAX_HELD_JOBS} longest-running active ones: their worker died. Another worker, if "
    "any, soon marks them as stalled. Cached.",
    "queue",
    source="active, locks",
)
OVERDUE = gauge(
    "bullmq_queue_delayed_overdue_jobs",
    "Delayed jobs past their due time: no worker has picked them up.",
    "queue",
    source="ZCOUNT delayed",
)
OVERDUE_MAX = gauge(
    "bullmq_queue_delayed_overdue_max_seconds",
    "Time since the first delayed job was due, in seconds; 0 if none is due.",
    "queue",
    source="ZRANGE delayed",
)
FIRST_FAILED = gauge(
    "bullmq_queue_oldest_failed_timestamp_seconds",
    "Failure time of the oldest failed job still stored, in seconds since 1970; absent if there is none. Cached.",
    "queue",
    source="ZRANGE failed",
)
LAST_FAILED = gauge(
    "bullmq_queue_last_failed_timestamp_seconds",
    "Failure time of the newest failed job still stored, in seconds since 1970; absent if there is none. Cached.",
    "queue",
    source="ZRANGE failed",
)
RECENTLY_FAILED = gauge(
    "bullmq_queue_recently_failed_jobs",
    f"Failed jobs still stored that failed within the last {RECENT_SECONDS} seconds. Cached.",
    "queue",
    source="ZCOUNT failed",
)
LAST_COMPLETED = gauge(
    "bullmq_queue_last_completed_timestamp_seconds",
    "Completion time of the newest completed job still stored, in seconds since 1970; absent if there is none. Cached.",
    "queue",
    source="ZRANGE completed",
)
ADDED = counter(
    "bullmq_jobs_added_total",
    "Calls that added a job, including those whose job already existed.",
    "queue",
    source="id",
)
COMPLETED_TOTAL = counter(
    "bullmq_jobs_completed_total",
    "Jobs completed; absent unless a worker keeps metrics. Cached.",
    "queue",
    source="metrics:completed",
)
FAILED_TOTAL = counter(
    "bullmq_jobs_failed_total",
    "Jobs that failed for good; absent unless a worker keeps metrics. Cached.",
    "queue",
    source="metrics:failed",
)
LAST_CHECK = gauge(
    "bullmq_queue_worker_last_check_timestamp_seconds",
    "When a worker last checked for stalled jobs (by default every 30 seconds), in seconds since 1970; absent if the "
    "exporter has not seen a check.",
    "queue",
    source="stalled-check",
)
WORKERS = gauge(
    "bullmq_queue_workers",
    "Connected workers; absent if Redis refuses CLIENT LIST. Cached.",
    "queue",
    source="CLIENT LIST",
)
RATE_LIMITED = gauge(
    "bullmq_queue_rate_limited",
    "Whether a rate limit keeps jobs from starting (1); absent while a limit applies that only workers know.",
    "queue",
    source="limiter, meta: max",
)
CONCURRENCY = gauge(
    "bullmq_queue_concurrency_limit",
    "Jobs of the queue that may be active at the same time over all workers; absent without a limit.",
    "queue",
    source="meta: concurrency",
    since="5.9",
)
SCHEDULERS = gauge(
    "bullmq_schedulers", "Job schedulers and repeatable jobs of the queue. Cached.", "queue", source="ZCARD repeat"
)
NEXT_RUN = gauge(
    "bullmq_scheduler_next_run_timestamp_seconds",
    f"When the next scheduler that goes on is due, in seconds since 1970; absent if there is none among the first "
    f"{MAX_SCHEDULER_RUNS}. Cached.",
    "queue",
    source="ZRANGE repeat, hashes of the schedulers",
)
MISSED = gauge(
    "bullmq_schedulers_missed",
    f"Schedulers that were due more than {SCHEDULER_GRACE_SECONDS} seconds ago and have not run since, without those "
    "that have reached their limit or end date. The limit of a repeatable job is known while its last job is stored. "
    "Cached.",
    "queue",
    source="ZCOUNT repeat, hashes of the schedulers",
)
INFO = gauge(
    "bullmq_queue_info",
    "Always 1; library_version is the version that the queue states, or else the oldest major version with such keys "
    "(4, 5), or empty. Cached.",
    "queue",
    "library_version",
    source="meta: version; marker, pc",
)
QUEUE_METRICS = (
    JOBS,
    PAUSED,
    OLDEST,
    HEAD_UNCHANGED,
    OLDEST_ACTIVE,
    UNLOCKED,
    OVERDUE,
    OVERDUE_MAX,
    FIRST_FAILED,
    LAST_FAILED,
    RECENTLY_FAILED,
    LAST_COMPLETED,
    ADDED,
    COMPLETED_TOTAL,
    FAILED_TOTAL,
    LAST_CHECK,
    RATE_LIMITED,
    CONCURRENCY,
    SCHEDULERS,
    NEXT_RUN,
    MISSED,
    INFO,
)
METRICS = (UP, QUEUES, UNREADABLE, *QUEUE_METRICS, DEAD_LETTERS, WORKERS)
# `Worker.rateLimit` writes this for any limit.
_MANUAL_LIMIT = (1 << 53) - 1


# Any other text in the field would make a series of its own.
_VERSION = re.compile(r"\d[\w.+-]{0,30}")
# The places of the replies that a metric is made of, if Redis may refuse them on their own.
_PLACES: Mapping[Metric, frozenset[Place]] = {
    PAUSED: frozenset({Place.META}),
    OVERDUE: frozenset({Place.OVERDUE}),
    OVERDUE_MAX: frozenset({Place.FIRST_DUE, Place.OVERDUE}),
    RECENTLY_FAILED: frozenset({Place.RECENTLY_FAILED}),
    RATE_LIMITED: frozenset({Place.META, Place.TEXTS}),
    SCHEDULERS: frozenset({Place.SCHEDULERS}),
    MISSED: frozenset({Place.MISSED, Place.NEXT_RUN}),
}
NUMBERS = tuple(metric for metric in QUEUE_METRICS if metric not in (JOBS, INFO))
"""The metrics with one series per queue, in the order of `_numbers`."""


def queue_samples(queues: Iterable[tuple[QueueTracker, QueueSnapshot, Ages]], now: float) -> Iterator[Rows]:
    """Yield the samples of some queues."""
    numbers: list[Row] = []
    jobs: list[Row] = []
    versions: list[Row] = []
    for tracker, snapshot, ages in queues:
        name = tracker.queue.name
        numbers.append(((name,), _without_refused(_numbers(tracker, snapshot, ages, now), tracker.refused)))
        jobs += [((name, state), (count,)) for state, count in snapshot.jobs.items()]
        versions.append(((name, _library_version(snapshot, tracker.refused)), (1,)))
    yield from (Rows(NUMBERS, numbers), Rows((JOBS,), jobs), Rows((INFO,), versions))


def _numbers(tracker: QueueTracker, snapshot: QueueSnapshot, ages: Ages, now: float) -> Sequence[float | None]:
    """Return the values of NUMBERS."""
    overdue = snapshot.first_due is not None and snapshot.overdue > 0
    return (
        snapshot.paused,
        ages.waiting,
        tracker.head_unchanged(snapshot, now),
        ages.active,
        ages.unlocked,
        snapshot.overdue,
        now - (snapshot.first_due or now) if overdue else 0,
        snapshot.first_failed,
        snapshot.last_failed,
        snapshot.recently_failed,
        snapshot.last_completed,
        snapshot.added,
        snapshot.completed_total,
        snapshot.failed_total,
        tracker.stalled_check(snapshot),
        _rate_limited(snapshot),
        snapshot.concurrency,
        snapshot.schedulers,
        tracker.schedulers.next_run(snapshot, now),
        tracker.schedulers.missed(snapshot, now),
    )


def _without_refused(values: Sequence[float | None], refused: Collection[int]) -> Sequence[float | None]:
    """Return the values of NUMBERS without those whose commands Redis refused."""
    if not refused:
        return values
    return [
        value if _PLACES.get(metric, frozenset()).isdisjoint(refused) else None
        for metric, value in zip(NUMBERS, values, strict=True)
    ]


def _library_version(snapshot: QueueSnapshot, refused: Collection[int]) -> str:
    """Return the version, or empty if it is a guess from keys that Redis refused to show, or no version."""
    stated = _VERSION.fullmatch(snapshot.version) is not None
    guessed = "." not in snapshot.version and not {Place.META, Place.TEXTS, Place.MARKER}.isdisjoint(refused)
    return snapshot.version if stated and not guessed else ""


def dead_letter_samples(
    queues: Mapping[str, str | None], snapshots: Mapping[str, QueueSnapshot], *, in_failed: bool
) -> Iterator[Sample]:
    """Yield the dead letters of each queue.

    `queues` maps a queue to its dead-letter queue (see `DeadLetters`).
    """
    if in_failed:
        yield from (DEAD_LETTERS(each.jobs["failed"], name) for name, each in snapshots.items())
    for queue, dead_letter_queue in queues.items():
        if dead_letter_queue is None:
            yield DEAD_LETTERS(0, queue)
        elif dead_letter_queue in snapshots:
            yield DEAD_LETTERS(snapshots[dead_letter_queue].unfinished_jobs, queue)


def worker_samples(workers: Mapping[str, int] | None, names: Iterable[str]) -> Iterator[Sample]:
    """Yield the workers of each queue, if they are known."""
    if workers is not None:
        yield from (WORKERS(workers.get(name, 0), name) for name in names)


def _rate_limited(snapshot: QueueSnapshot) -> bool | None:
    started_jobs = snapshot.started_in_limit
    if started_jobs is None:
        return False
    if started_jobs >= _MANUAL_LIMIT:
        return True
    return None if snapshot.limit is None else started_jobs >= snapshot.limit
