"""The board of the queues: what waits, who works, what failed, and what was forgotten."""

from grafana.dashboard import QUEUES, board, targets_of
from grafana.panels import column, graph, limits, query, row, states, table, timeline, wide
from grafana.words import QUEUE

EACH = "{{stack}} {{queue}}"
NEXT = f"max by (stack, target, queue) (bullmq_scheduler_next_run_timestamp_seconds{QUEUE})"


def _rate(counter: str) -> str:
    return f"max by (stack, target, queue) (rate({counter}{QUEUE}[$__rate_interval]))"


def _jobs(state: str) -> str:
    return (
        "max by (stack, target, queue)"
        f' (bullmq_queue_jobs{{stack=~"$stack",target=~"$target",queue=~"$queue",state="{state}"}})'
    )


LAG = row(
    "Waiting",
    8,
    graph(
        "Oldest waiting job",
        "Time since the oldest waiting job was due, without dead-letter queues. If it rises and the throughput is zero,"
        " the workers hang or are gone; if both rise, add workers.",
        [
            query(f"stack_target_queue:bullmq_queue_oldest_waiting_age_seconds:max{QUEUE}", EACH),
            limits("bullmq_queue_oldest_waiting_age_seconds"),
        ],
        unit="s",
        alerts=["QueueHighLag"],
    ),
    graph(
        "Waiting jobs",
        "Jobs that wait for a worker: waiting, prioritized and paused, without dead-letter queues. If it grows, compare"
        " what is added with what is completed, then scale the workers.",
        [
            query(f"stack_target_queue:bullmq_queue_waiting_jobs:sum{QUEUE}", EACH),
            limits("bullmq_queue_waiting_jobs"),
        ],
        unit="short",
        alerts=["QueueHighWaitingCount", "QueueNeedsWorkers"],
    ),
    graph(
        "Throughput",
        "Jobs added, completed and failed for good, per second. If more are added than completed, the queue grows: look"
        " for the cause of the rise. Completed and failed need a worker with BullMQ's `metrics` option.",
        [
            query(_rate("bullmq_jobs_added_total"), f"{EACH} added"),
            query(_rate("bullmq_jobs_completed_total"), f"{EACH} completed", "COMPLETED"),
            query(_rate("bullmq_jobs_failed_total"), f"{EACH} failed", "FAILED"),
        ],
        unit="cps",
    ),
)

WORKERS = row(
    "Working",
    8,
    graph(
        "Workers",
        "Connected workers of each queue. If there are none, or fewer than the limit, start the worker's service again;"
        " its log says why it ended.",
        [
            query(f"stack_target_queue:bullmq_queue_workers:max{QUEUE}", EACH),
            limits("bullmq_queue_workers"),
        ],
        unit="short",
        missing="not measured: Redis refuses CLIENT LIST",
        alerts=["QueueWorkersMissing"],
    ),
    graph(
        "Longest-running job",
        "Age of the oldest active job. If it is far above the usual, the job hangs: find it by its id in the worker's"
        " log before you restart anything.",
        [query(f"max by (stack, target, queue) (bullmq_queue_oldest_active_age_seconds{QUEUE})", EACH)],
        unit="s",
    ),
    graph(
        "Active jobs without a lock",
        "Active jobs whose worker died. Another worker marks them as stalled within a minute; if they stay, no worker"
        " is alive: start one.",
        [
            query(f"stack_target_queue:bullmq_queue_active_unlocked_jobs:max{QUEUE}", EACH),
            limits("bullmq_queue_active_unlocked_jobs"),
        ],
        unit="short",
        alerts=["QueueJobsWithoutLock"],
    ),
)

FAILED = row(
    "Failed",
    8,
    graph(
        "Failed jobs",
        "Jobs that used up their attempts. They stay until they are retried or removed. If the cause is repaired, start"
        " `retry_failed_jobs`; if not, repair it first.",
        [
            query(f"stack_target_queue:bullmq_queue_failed_jobs:max{QUEUE}", EACH),
            limits("bullmq_queue_failed_jobs"),
        ],
        unit="short",
        alerts=["QueueFailedJobs"],
    ),
    graph(
        "Dead-letter jobs",
        "Jobs in the dead-letter queue of each queue for which the inventory names one. If there are any, read their"
        " reasons before you retry or clear them.",
        [
            query(f"stack_target_queue:bullmq_queue_dead_letter_jobs:max{QUEUE}", EACH),
            limits("bullmq_queue_dead_letter_jobs"),
        ],
        unit="short",
        missing="not measured, or no dead-letter queue is configured",
        alerts=["QueueDLQJobsPresent", "QueueDLQGrowing"],
    ),
    graph(
        "Jobs by state",
        "All jobs by state, without completed ones, which only accumulate. If one state grows steadily, its panel above"
        " or below says what to do.",
        [
            query(
                "sum by (stack, state) (max by (stack, target, queue, state) (bullmq_queue_jobs"
                '{stack=~"$stack",target=~"$target",queue=~"$queue",state!="completed"}))',
                "{{stack}} {{state}}",
            )
        ],
        unit="short",
        stacked=True,
    ),
)

FORGOTTEN = row(
    "Forgotten",
    8,
    graph(
        "Overdue delayed jobs",
        "Time since the first delayed job was due. If it rises, no worker promotes delayed jobs: start one.",
        [
            query(f"stack_target_queue:bullmq_queue_delayed_overdue_seconds:max{QUEUE}", EACH),
            limits("bullmq_queue_delayed_overdue_seconds"),
        ],
        unit="s",
        alerts=["QueueDelayedJobsOverdue"],
    ),
    graph(
        "Missed schedulers",
        "Job schedulers that were due and have not run since. If there are any, no worker runs, or the scheduler's last"
        " job was removed: add the scheduler again.",
        [
            query(f"stack_target_queue:bullmq_schedulers_missed:max{QUEUE}", EACH),
            limits("bullmq_schedulers_missed"),
        ],
        unit="short",
        alerts=["QueueSchedulersMissed"],
    ),
    timeline(
        "Paused",
        "When each queue was paused. If nobody knows why a queue is paused, ask before you resume it.",
        [query(f"stack_target_queue:bullmq_queue_paused:max{QUEUE}", EACH)],
        mappings=states({0: ("runs", "green"), 1: ("paused", "orange")}),
        alerts=["QueuePaused", "QueuePauseNotEnded"],
    ),
)

LIST = row(
    "All queues",
    8,
    wide(
        table(
            "Queues",
            "The jobs of every queue now. If a queue stands out, choose it above: all panels then show it alone.",
            [
                column(f"stack_target_queue:bullmq_queue_waiting_jobs:sum{QUEUE}", "WAITING"),
                column(_jobs("active"), "ACTIVE"),
                column(_jobs("delayed"), "DELAYED"),
                column(_jobs("failed"), "FAILED"),
                column(_jobs("completed"), "COMPLETED"),
                column(f"max by (stack, target, queue) (bullmq_schedulers{QUEUE})", "SCHEDULERS"),
                column(
                    f"max by (stack, target, queue) (bullmq_scheduler_next_run_timestamp_seconds{QUEUE}) * 1000", "NEXT"
                ),
            ],
            columns={
                "stack": "Stack",
                "target": "Target",
                "queue": "Queue",
                "Value #WAITING": "Waiting",
                "Value #ACTIVE": "Active",
                "Value #DELAYED": "Delayed",
                "Value #FAILED": "Failed",
                "Value #COMPLETED": "Completed, kept",
                "Value #SCHEDULERS": "Schedulers",
                "Value #NEXT": "Next scheduled",
            },
            sort="Waiting",
            units={"Next scheduled": "dateTimeFromNow"},
        ),
        24,
    ),
)

BOARD = board(
    "queue-metrics",
    "queues",
    "Every BullMQ queue: what waits and for how long, who works, what failed, and what was forgotten.",
    [*LAG, *WORKERS, *FAILED, *FORGOTTEN, *LIST],
    [targets_of("bullmq_up"), QUEUES],
)
