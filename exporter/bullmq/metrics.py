"""The metrics of queues, and the samples that a reading makes of them."""

from collections.abc import Iterable, Iterator, Mapping

from exporter.bullmq.ages import Ages
from exporter.bullmq.queue_tracker import QueueTracker
from exporter.bullmq.snapshot import MAX_HELD_JOBS, RECENT_SECONDS, SCHEDULER_GRACE_SECONDS, STATES, QueueSnapshot
from exporter.metric import Sample, counter, gauge

UP = gauge("bullmq_up", "Whether the Redis of the queues answers and the queues are known (1).", source="PING")
QUEUES = gauge(
    "bullmq_discovered_queues",
    "Queues that are known by now.",
    source="SCAN PREFIX:*:meta, CLIENT LIST, inventory",
)
DEAD_LETTERS = gauge(
    "bullmq_queue_dead_letter_jobs",
    "Jobs, completed ones apart, in the dead-letter queue of this queue; 0 for a queue without one.",
    "queue",
    source="as bullmq_queue_jobs",
)
JOBS = gauge(
    "bullmq_queue_jobs",
    f"Jobs in the queue by state: {', '.join(STATES)}. A paused queue has its jobs under paused with BullMQ up to 5 "
    "and under waiting from 6 on. Jobs with a priority are under waiting with BullMQ 3.",
    "queue",
    "state",
    source="LLEN, ZCARD",
    parts=len(STATES),
)
PAUSED = gauge("bullmq_queue_paused", "Whether the queue is paused (1).", "queue", source="meta: paused")
OLDEST = gauge(
    "bullmq_queue_oldest_waiting_age_seconds",
    "How long the oldest job that is ready (waiting, paused or prioritized; neither a delay nor a backoff counts) has "
    "been waiting, in seconds; 0 when there is none.",
    "queue",
    source="hashes of the jobs at the ends",
)
HEAD_UNCHANGED = gauge(
    "bullmq_queue_head_unchanged_seconds",
    "For how long the job that a worker gets next has been the same, in seconds, as the exporter has seen it since its "
    "start; 0 when there is none.",
    "queue",
    source="the end of wait or paused, the front of prioritized",
)
OLDEST_ACTIVE = gauge(
    "bullmq_queue_oldest_active_age_seconds",
    "How long ago the active job that is held longest was started, in seconds; 0 when there is none.",
    "queue",
    source="active, processedOn",
)
UNLOCKED = gauge(
    "bullmq_queue_active_unlocked_jobs",
    f"Jobs without a lock among the {MAX_HELD_JOBS} active ones that are held longest: their worker died, and they are "
    "found stalled soon if another one runs.",
    "queue",
    source="active, locks",
)
OVERDUE = gauge(
    "bullmq_queue_delayed_overdue_jobs",
    "Delayed jobs whose time has come: no worker has looked for them.",
    "queue",
    source="ZCOUNT delayed",
)
OVERDUE_MAX = gauge(
    "bullmq_queue_delayed_overdue_max_seconds",
    "For how long the delayed job that is due first has been so, in seconds; 0 when none is due.",
    "queue",
    source="ZRANGE delayed",
)
FIRST_FAILED = gauge(
    "bullmq_queue_oldest_failed_timestamp_seconds",
    "When the oldest of the failed jobs that are kept failed, in seconds since 1970; absent without one.",
    "queue",
    source="ZRANGE failed",
)
LAST_FAILED = gauge(
    "bullmq_queue_last_failed_timestamp_seconds",
    "When the newest of the failed jobs that are kept failed, in seconds since 1970; absent without one.",
    "queue",
    source="ZRANGE failed",
)
RECENTLY_FAILED = gauge(
    "bullmq_queue_recently_failed_jobs",
    f"Failed jobs that are kept and failed within the last {RECENT_SECONDS} seconds.",
    "queue",
    source="ZCOUNT failed",
)
LAST_COMPLETED = gauge(
    "bullmq_queue_last_completed_timestamp_seconds",
    "When the newest of the completed jobs that are kept was completed, in seconds since 1970; absent without one.",
    "queue",
    source="ZRANGE completed",
)
ADDED = counter(
    "bullmq_jobs_added_total",
    "Calls that added a job, those that found it there already included.",
    "queue",
    source="id",
)
COMPLETED_TOTAL = counter(
    "bullmq_jobs_completed_total",
    "Jobs completed; absent unless a worker keeps metrics.",
    "queue",
    source="metrics:completed",
)
FAILED_TOTAL = counter(
    "bullmq_jobs_failed_total",
    "Jobs that failed for good; absent unless a worker keeps metrics.",
    "queue",
    source="metrics:failed",
)
LAST_CHECK = gauge(
    "bullmq_queue_worker_last_check_timestamp_seconds",
    "When a worker last looked for stalled jobs, as each does every 30 seconds unless told otherwise, in seconds since "
    "1970; absent if that has not been seen.",
    "queue",
    source="stalled-check",
)
WORKERS = gauge(
    "bullmq_queue_workers",
    "Workers that are connected; absent where CLIENT LIST is refused. Cached.",
    "queue",
    source="CLIENT LIST",
)
RATE_LIMITED = gauge(
    "bullmq_queue_rate_limited",
    "Whether no job is started because of a rate limit (1); absent while a limit counts that only workers know.",
    "queue",
    source="limiter, meta: max",
)
CONCURRENCY = gauge(
    "bullmq_queue_concurrency_limit",
    "Jobs of the queue that may be active at a time, over all workers; absent without such a limit.",
    "queue",
    source="meta: concurrency",
    since="5.9",
)
SCHEDULERS = gauge(
    "bullmq_schedulers", "Job schedulers and repeatable jobs of the queue.", "queue", source="ZCARD repeat"
)
NEXT_RUN = gauge(
    "bullmq_scheduler_next_run_timestamp_seconds",
    "When the scheduler that is due first is due, in seconds since 1970; absent without one.",
    "queue",
    source="ZRANGE repeat",
)
MISSED = gauge(
    "bullmq_schedulers_missed",
    f"Schedulers that were due over {SCHEDULER_GRACE_SECONDS} seconds ago and have not run since.",
    "queue",
    source="ZCOUNT repeat",
)
INFO = gauge(
    "bullmq_queue_info",
    "Always 1; library_version is what the queue says of itself, or else the oldest major version that makes such keys "
    "(4, 5), or empty.",
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
METRICS = (UP, QUEUES, *QUEUE_METRICS, DEAD_LETTERS, WORKERS)
# What `Worker.rateLimit` writes, whatever the limit.
_MANUAL_LIMIT = (1 << 53) - 1


def queue_samples(tracker: QueueTracker, snapshot: QueueSnapshot, ages: Ages, now: float) -> list[Sample]:
    """Return the samples of one queue."""
    name = tracker.queue.name
    queue = (name,)
    overdue = snapshot.first_due is not None and snapshot.overdue > 0
    numbers = (
        (PAUSED, snapshot.paused),
        (OLDEST, ages.waiting),
        (HEAD_UNCHANGED, tracker.head_unchanged(snapshot, now)),
        (OLDEST_ACTIVE, ages.active),
        (UNLOCKED, ages.unlocked),
        (OVERDUE, snapshot.overdue),
        (OVERDUE_MAX, now - (snapshot.first_due or now) if overdue else 0),
        (FIRST_FAILED, snapshot.first_failed),
        (LAST_FAILED, snapshot.last_failed),
        (RECENTLY_FAILED, snapshot.recently_failed),
        (LAST_COMPLETED, snapshot.last_completed),
        (ADDED, snapshot.added),
        (COMPLETED_TOTAL, snapshot.completed_total),
        (FAILED_TOTAL, snapshot.failed_total),
        (LAST_CHECK, tracker.stalled_check(snapshot)),
        (RATE_LIMITED, _rate_limited(snapshot)),
        (CONCURRENCY, snapshot.concurrency),
        (SCHEDULERS, snapshot.schedulers),
        (NEXT_RUN, snapshot.next_run),
        (MISSED, snapshot.missed),
    )
    result = [Sample(metric, queue, value) for metric, value in numbers if value is not None]
    result += [Sample(JOBS, (name, state), count) for state, count in snapshot.jobs.items()]
    result.append(Sample(INFO, (name, snapshot.version), 1))
    return result


def dead_letter_samples(
    queues: Mapping[str, str | None], snapshots: Mapping[str, QueueSnapshot], *, in_failed: bool
) -> Iterator[Sample]:
    """Yield the dead letters of each of `queues`, which maps them to their dead-letter queues (see `DeadLetters`)."""
    if in_failed:
        yield from (DEAD_LETTERS(each.jobs["failed"], name) for name, each in snapshots.items())
    for queue, dead_letter_queue in queues.items():
        if dead_letter_queue is None:
            yield DEAD_LETTERS(0, queue)
        elif dead_letter_queue in snapshots:
            yield DEAD_LETTERS(snapshots[dead_letter_queue].unfinished_jobs, queue)


def worker_samples(workers: Mapping[str, int] | None, names: Iterable[str]) -> Iterator[Sample]:
    """Yield the workers of each queue; nothing while they are unknown."""
    if workers is not None:
        yield from (WORKERS(workers.get(name, 0), name) for name in names)


def _rate_limited(snapshot: QueueSnapshot) -> bool | None:
    started_jobs = snapshot.started_in_limit
    if started_jobs is None:
        return False
    if started_jobs >= _MANUAL_LIMIT:
        return True
    return None if snapshot.limit is None else started_jobs >= snapshot.limit
