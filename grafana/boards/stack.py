"""The board that alerts link to: the health of a stack on one screen, and what runbookd did about it.

Limits are the `runbook:` series that the alerts compare with; the boards contain no number of a runbook. Several
exporter replicas report the same value: `max by` merges them before any sum.
"""

from grafana.dashboard import board
from grafana.panels import (
    coloured,
    column,
    graph,
    limits,
    newest,
    override_matching,
    query,
    row,
    stat,
    states,
    table,
    timeline,
    wide,
)
from grafana.shared_panels import last_runs, limits_passed, worst_alert
from grafana.words import (
    ALERT_WORDS,
    ALERTS_OVER_TIME,
    STACK,
    UP,
    UP_STEPS,
    up,
)

READING = "stack, collector, target"


def _up(title: str, metric: str, description: str) -> dict[str, object]:
    return stat(title, description, [newest(up(metric), "{{stack}}")], unit="none", steps=UP_STEPS, mappings=UP)


NOW = row(
    "Now",
    4,
    worst_alert("If it is not `none`, the alerts below say what it is."),
    limits_passed("If there are any, the board of the morning check names them."),
    _up("PostgreSQL", "pg_up", "Whether all PostgreSQL servers of the stack answer. If not, read the server's log."),
    _up("Redis", "redis_up", "Whether all Redis servers of the stack answer. If not, read the server's log."),
    _up("Queues", "bullmq_up", "Whether the exporter can read all queues. If not, check its Redis user's rights."),
    _up("Backups", "backup_up", "Whether all backup folders can be listed. If not, their age is unknown."),
    _up("Endpoints", "probe_success", "Whether all endpoints answer as expected. If not, restart what they belong to."),
    _up("Services", "service_up", "Whether all services run, as their managers report. If not, `restart_service`."),
    width=3,
)

SIGNALS = row(
    "Against the runbook",
    8,
    graph(
        "Response time and errors",
        "95th percentile of the response time (left), and the share of failed requests (right). If one passes its"
        " limit, open the board of the application.",
        [
            query(f"stack:application_response_p95_seconds:quantile{STACK}", "{{stack}} p95"),
            query(f"stack:application_error_ratio:ratio{STACK}", "{{stack}} errors", "ERRORS"),
            limits("application_response_p95_seconds", "application_error_ratio"),
        ],
        unit="s",
        overrides=[
            override_matching(
                "/errors$|error_ratio/", unit="percentunit", custom__axisSoftMax=0.01, custom__axisPlacement="right"
            )
        ],
        missing="not measured: scrape the application's /metrics with the label stack",
    ),
    graph(
        "Sessions",
        "Share of the connections in use, per server. If it rises, open the board of PostgreSQL: it names states, waits"
        " and statements.",
        [
            query(f"stack_target:pg_connections_used_ratio:ratio{STACK}", "{{stack}} {{target}}"),
            limits("pg_connections_used_ratio"),
        ],
        unit="percentunit",
    ),
    graph(
        "Oldest waiting job",
        "Time since the oldest waiting job of each queue was due. If it rises, open the board of the queues.",
        [
            query(f"stack_target_queue:bullmq_queue_oldest_waiting_age_seconds:max{STACK}", "{{stack}} {{queue}}"),
            limits("bullmq_queue_oldest_waiting_age_seconds"),
        ],
        unit="s",
    ),
)

LOOP = row(
    "The loop",
    9,
    wide(
        timeline(
            "Alerts",
            "When each alert was pending or firing. If one fires and nothing ran, `runbookctl why` gives the reason.",
            [query(ALERTS_OVER_TIME, "{{stack}} {{alertname}} {{target}} {{queue}}")],
            mappings=ALERT_WORDS,
            missing="no alert in this range",
        ),
        7,
    ),
    wide(
        last_runs("dateTimeFromNow", {"Stack": 55, "Remediation": 190, "Outcome": 88, "When": 130}),
        10,
    ),
    wide(
        table(
            "Collectors",
            "Each target of the exporter: whether its last reading worked, how long it took, and samples that were"
            " dropped. If one failed, the exporter's page says why; near the scrape timeout, readings go missing.",
            [
                column(f"min by ({READING}) (runbook_exporter_collector_success{STACK})", "WORKED"),
                column(f"max by ({READING}) (runbook_exporter_collector_duration_seconds{STACK})", "SECONDS"),
                column(f"max by ({READING}) (runbook_exporter_dropped_series{STACK}) > 0", "DROPPED"),
            ],
            columns={
                "stack": "Stack",
                "collector": "Collector",
                "target": "Target",
                "Value #WORKED": "Reading",
                "Value #SECONDS": "Took",
                "Value #DROPPED": "Dropped",
            },
            sort="Took",
            widths={"Stack": 70, "Collector": 90, "Reading": 80, "Took": 80, "Dropped": 70},
            units={"Took": "s", "Dropped": "short"},
            overrides=[coloured("Reading", states({0: ("failed", "red"), 1: ("worked", "green")}))],
            alerts=["CollectorFailing", "SeriesDropped"],
        ),
        7,
    ),
)

BOARD = board(
    "stack",
    "stack",
    "The health of a stack compared with its runbook, and what runbookd did about it.",
    [*NOW, *SIGNALS, *LOOP],
)
