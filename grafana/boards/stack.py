"""The board that alerts link to: the health of a stack, and what runbookd did about it.

Limits are the `runbook:` series that the alerts compare with; this file contains no number of a runbook. Several
exporter replicas report the same value: `max by` merges them before any sum.
"""

from grafana.dashboard import board
from grafana.panels import bars, graph, limit, query, row, stat, states, steps, table, timeline

STACK = '{stack=~"$stack"}'

UP = states({0: ("down", "red"), 1: ("up", "green")})
UP_STEPS = steps((None, "red"), (1, "green"))
SEVERITY = states({0: ("none", "green"), 1: ("info", "blue"), 2: ("warning", "orange"), 3: ("critical", "red")})
NO_STEPS = steps((None, "green"))
ANY_IS_ORANGE = steps((None, "green"), (1, "orange"))


def _firing(severity: str) -> str:
    return f'group by (stack) (ALERTS{{alertstate="firing", severity="{severity}", stack=~"$stack"}})'


# `or` adds the right side only for stacks missing on the left: the worst severity wins. A stack without alerts is 0
# because the exporter knows the stack, not because the query found nothing.
WORST = (
    f"3 * {_firing('critical')} or 2 * {_firing('warning')} or 1 * {_firing('info')} "
    f"or 0 * group by (stack) (stack_info{STACK})"
)


def _up(title: str, metric: str, description: str) -> dict[str, object]:
    queries = [query(f"min by (stack) ({metric}{STACK})", "{{stack}}", instant=True)]
    return stat(title, description, queries, unit="none", steps=UP_STEPS, mappings=UP)


NOW = row(
    "Now",
    4,
    stat(
        "Worst alert",
        "The highest severity that is firing now, per stack.",
        [query(WORST, "{{stack}}", instant=True)],
        unit="none",
        steps=NO_STEPS,
        mappings=SEVERITY,
    ),
    _up("PostgreSQL", "pg_up", "Whether all PostgreSQL servers of the stack answer the exporter."),
    _up("Redis", "redis_up", "Whether all Redis servers of the stack answer the exporter."),
    _up("Queues", "bullmq_up", "Whether the exporter can read all BullMQ queues of the stack."),
    _up(
        "Backups", "backup_up", "Whether the exporter can list all backup folders, not whether the backups are recent."
    ),
    stat(
        "Backup age, % of limit",
        "Age of the newest backup per kind, as a percentage of its limit in the runbook; above 100 % it is too old.",
        [
            query(
                f"max by (stack, kind) (stack_target_kind:backup_age_seconds:min{STACK})"
                f" / on (stack, kind) runbook:backup_age_seconds:critical{STACK}",
                "{{stack}} {{kind}}",
                instant=True,
            )
        ],
        unit="percentunit",
        steps=steps((None, "green"), (1, "red")),
        mappings={},
    ),
    stat(
        "Remediator",
        "Needs an operator: runs waiting for approval (all stacks), open breakers, paused stacks.",
        [
            query("sum(remediation_approvals_waiting)", "waiting", "WAITING", instant=True),
            query(
                f"sum(remediation_breaker_open{STACK}) or 0 * sum(remediation_paused{STACK})",
                "breakers",
                "BREAKERS",
                instant=True,
            ),
            query(f"sum(max by (stack) (remediation_paused{STACK}))", "paused", "PAUSED", instant=True),
        ],
        unit="none",
        steps=ANY_IS_ORANGE,
        mappings={},
    ),
    width=3,
)

DATABASE = row(
    "Database and cache",
    8,
    graph(
        "Longest idle in transaction",
        "Age of the longest idle-in-transaction session. It keeps its locks and holds back vacuum.",
        [
            query(
                f"max by (stack, target) (pg_idle_in_transaction_max_age_seconds{STACK})",
                "{{stack}} {{target}}",
            ),
            limit(f"runbook:pg_idle_in_transaction_max_age_seconds:warning{STACK}", "{{stack}}"),
        ],
        unit="s",
    ),
    graph(
        "Sessions",
        "Sessions by state, sessions blocked by another session, and the maximum that the server admits.",
        [
            query(
                f"sum by (stack, target, state) (max by (stack, target, datname, state) (pg_connections{STACK}))",
                "{{stack}} {{target}} {{state}}",
            ),
            query(f"max by (stack, target) (pg_sessions_blocked{STACK})", "{{stack}} {{target}} blocked", "BLOCKED"),
            query(
                f"max by (stack, target) (pg_settings_max_connections{STACK})",
                "{{stack}} {{target}} admitted",
                "ADMITTED",
            ),
        ],
        unit="short",
    ),
    graph(
        "Redis hit rate",
        "Ratio of key lookups that hit. On a server with queues, their lookups distort the ratio.",
        [
            query(
                f"sum by (stack, target) (rate(redis_keyspace_hits_total{STACK}[$__rate_interval]))"
                f" / (sum by (stack, target) (rate(redis_keyspace_hits_total{STACK}[$__rate_interval]))"
                f" + sum by (stack, target) (rate(redis_keyspace_misses_total{STACK}[$__rate_interval])) > 0)",
                "{{stack}} {{target}}",
            )
        ],
        unit="percentunit",
    ),
)

QUEUES = row(
    "Queues and backups",
    8,
    graph(
        "Jobs by state",
        "Jobs of all queues of the stack by state, without completed jobs, which only accumulate.",
        [
            query(
                "sum by (stack, state) (max by (stack, target, queue, state)"
                ' (bullmq_queue_jobs{stack=~"$stack", state!="completed"}))',
                "{{stack}} {{state}}",
            )
        ],
        unit="short",
        stacked=True,
    ),
    graph(
        "Waiting jobs",
        "Jobs that wait for a worker, per queue: waiting, prioritized and paused. Excludes dead-letter queues.",
        [
            query(f"stack_target_queue:bullmq_queue_waiting_jobs:sum{STACK}", "{{stack}} {{queue}}"),
            limit(f"runbook:bullmq_queue_waiting_jobs:warning{STACK}", "{{stack}}"),
        ],
        unit="short",
    ),
    graph(
        "Oldest waiting job",
        "Time since the oldest waiting job was due, per queue. Excludes dead-letter queues.",
        [
            query(f"stack_target_queue:bullmq_queue_oldest_waiting_age_seconds:max{STACK}", "{{stack}} {{queue}}"),
            limit(f"runbook:bullmq_queue_oldest_waiting_age_seconds:critical{STACK}", "{{stack}}"),
        ],
        unit="s",
    ),
    graph(
        "Failed jobs",
        "Jobs that used up their attempts, per queue. They stay until you retry or remove them.",
        [
            query(
                'max by (stack, target, queue) (bullmq_queue_jobs{stack=~"$stack", state="failed"})',
                "{{stack}} {{queue}}",
            ),
            limit(f"runbook:bullmq_queue_failed_jobs:warning{STACK}", "{{stack}}"),
        ],
        unit="short",
    ),
    graph(
        "Dead-letter jobs",
        "Jobs in the dead-letter queue of each queue for which the inventory names one.",
        [
            query(
                f"max by (stack, target, queue) (bullmq_queue_dead_letter_jobs{STACK})",
                "{{stack}} {{queue}}",
            ),
            limit(f"runbook:bullmq_queue_dead_letter_jobs:warning{STACK}", "{{stack}}"),
        ],
        unit="short",
    ),
    graph(
        "Backup age",
        "Age of the newest backup per target, by the date in its name, and the limit of the runbook for its kind.",
        [
            query(f"stack_target_kind:backup_age_seconds:min{STACK}", "{{stack}} {{target}}"),
            limit(f"runbook:backup_age_seconds:critical{STACK}", "{{stack}} {{kind}}"),
        ],
        unit="s",
    ),
    width=8,
)

LOOP = row(
    "The loop",
    8,
    timeline(
        "Alerts",
        "When each alert was pending or firing.",
        [
            query(
                'max by (stack, alertname, target, queue) (ALERTS{alertstate="firing", stack=~"$stack"}) * 2'
                ' or max by (stack, alertname, target, queue) (ALERTS{alertstate="pending", stack=~"$stack"})',
                "{{stack}} {{alertname}} {{target}} {{queue}}",
            )
        ],
        unit="none",
        mappings=states({1: ("pending", "yellow"), 2: ("firing", "red")}),
    ),
    bars(
        "Runs by outcome",
        "Total number of runs per remediation and outcome. Runs are rare: a rate would miss the first one.",
        [
            query(
                f"sum by (stack, remediation, outcome) (remediation_runs_total{STACK})",
                "{{stack}} {{remediation}} {{outcome}}",
                instant=True,
            )
        ],
        unit="short",
    ),
    bars(
        "Refusals by bound",
        "Total number of runs that each bound refused or deferred. Runs are rare: a rate would miss the first one.",
        [
            query(
                "sum by (stack, remediation, bound) "
                f"(remediation_refusals_total{STACK} or remediation_deferrals_total{STACK})",
                "{{stack}} {{remediation}} {{bound}}",
                instant=True,
            )
        ],
        unit="short",
    ),
    table(
        "Last runs",
        "Time of the last run per remediation, target and outcome. The ledger has all runs.",
        [query(f"remediation_last_run_timestamp_seconds{STACK} * 1000", instant=True, table=True)],
        unit="dateTimeAsIso",
        columns={
            "stack": "Stack",
            "remediation": "Remediation",
            "target": "Target",
            "outcome": "Outcome",
            "Value": "When",
        },
    ),
    graph(
        "Collectors",
        "How long the exporter takes to read each target. Near the scrape timeout, readings start to be missing.",
        [
            query(
                f"max by (stack, collector, target) (runbook_exporter_collector_duration_seconds{STACK})",
                "{{stack}} {{collector}} {{target}}",
            )
        ],
        unit="s",
    ),
    width=8,
)

BOARD = board(
    "stack",
    "runbookd: stack",
    "The health of a stack compared with its runbook, and what runbookd did about it.",
    [*NOW, *DATABASE, *QUEUES, *LOOP],
)
