"""The board of all stacks: one line each, the worst first, and what is not watched at all."""

from grafana.dashboard import board
from grafana.panels import (
    coloured,
    column,
    graph,
    newest,
    override_query,
    query,
    row,
    stat,
    states,
    table,
    timeline,
    wide,
)
from grafana.shared_panels import backup_share, limits_not_measured, limits_passed, waits_for_a_person, worst_alert
from grafana.words import (
    ANY_IS_RED,
    SEVERITY,
    STACK,
    UP,
    UP_STEPS,
    WORST_ALERT,
    up,
)

MISSING = states({-1: ("reading", "orange"), -2: ("limit", "blue")})
JUDGED = '{stack=~"$stack",quantity!~"(duty|service)_.+"}'
RUNS = f"sum by (stack) (max by (stack, remediation, outcome) (remediation_runs_total{STACK}))"

NOW = row(
    "Now",
    5,
    worst_alert("If it is critical, open that stack first."),
    limits_passed("If there are any, the morning check names them."),
    limits_not_measured("If there are any, the list below names what would bring them."),
    wide(
        waits_for_a_person(
            "Runs that wait for approval, open breakers and paused stacks. If there are any, open the console's"
            " approvals."
        ),
        6,
    ),
    wide(
        stat(
            "Exporter",
            "Replicas of the exporter, and inventories that they refused. If there is none, nothing here is measured:"
            " start it.",
            [
                newest("count(runbook_exporter_build_info) or vector(0)", "replicas", "REPLICAS"),
                newest("count(runbook_exporter_config_last_reload_success == 0) or vector(0)", "refused", "REFUSED"),
            ],
            unit="none",
            steps=UP_STEPS,
            overrides=[override_query("REFUSED", thresholds=ANY_IS_RED)],
            alerts=["ExporterMissing", "InventoryReloadFailed"],
        ),
        6,
    ),
    width=4,
)

STACKS = row(
    "Every stack",
    7,
    wide(
        table(
            "Stacks",
            "One line per stack. If a cell is red or grey, choose the stack above and open the board of that column.",
            [
                column(WORST_ALERT, "WORST"),
                column(up("pg_up"), "POSTGRES"),
                column(up("redis_up"), "REDIS"),
                column(up("bullmq_up"), "QUEUES"),
                column(up("backup_up"), "BACKUPS"),
                column(up("probe_success"), "ENDPOINTS"),
                column(f"max by (stack) (stack_target_kind:backup_age_seconds:min{STACK})", "AGE"),
                column(f"sum by (stack) (stack_target_queue:bullmq_queue_failed_jobs:max{STACK})", "FAILED"),
                column(f"max by (stack) (stack_last_deploy_timestamp_seconds{STACK}) * 1000", "DEPLOY"),
            ],
            columns={
                "stack": "Stack",
                "Value #WORST": "Worst alert",
                "Value #POSTGRES": "PostgreSQL",
                "Value #REDIS": "Redis",
                "Value #QUEUES": "Queues",
                "Value #BACKUPS": "Backups",
                "Value #ENDPOINTS": "Endpoints",
                "Value #AGE": "Backup age",
                "Value #FAILED": "Failed jobs",
                "Value #DEPLOY": "Last deploy",
            },
            sort="Worst alert",
            units={"Backup age": "s", "Failed jobs": "short", "Last deploy": "dateTimeFromNow"},
            overrides=[
                coloured("Worst alert", SEVERITY),
                *(coloured(name, UP) for name in ("PostgreSQL", "Redis", "Queues", "Backups", "Endpoints")),
            ],
        ),
        16,
    ),
    wide(
        backup_share(),
        8,
    ),
)

ALERTS = row(
    "Alerts and gaps",
    7,
    wide(
        table(
            "Firing alerts",
            "Every alert that fires, and since when. If nobody has it, acknowledge it: `runbookctl ack`.",
            [
                column(
                    "min by (stack, alertname, severity, priority, target, queue) ("
                    '1000 * ALERTS_FOR_STATE{stack=~"$stack"} and ignoring (alertstate)'
                    ' ALERTS{alertstate="firing",stack=~"$stack"})'
                )
            ],
            columns={
                "Value": "Since",
                "stack": "Stack",
                "alertname": "Alert",
                "severity": "Severity",
                "priority": "Priority",
                "target": "Target",
                "queue": "Queue",
            },
            sort="Since",
            units={"Since": "dateTimeFromNow"},
            widths={"Severity": 90, "Priority": 80, "Target": 110, "Queue": 110},
            missing="no alert fires",
        ),
        12,
    ),
    wide(
        table(
            "Not measured",
            "Limits whose quantity nothing measures, with what would bring it, and quantities without a limit. If a"
            " stack does without one on purpose, say so in its thresholds: `runbook:unmeasured` or `runbook:silent`.",
            [
                column(
                    f"stack_quantity_kind:state:group{STACK} == -1 unless on (stack, quantity)"
                    f" runbook:unmeasured{STACK} or (stack_quantity_kind:state:group{JUDGED} == -2"
                    f" unless on (stack, quantity) runbook:silent{STACK})",
                    "MISSING",
                ),
                column(f"stack_quantity:unmeasured:group{STACK}", "BROUGHT"),
            ],
            columns={
                "stack": "Stack",
                "quantity": "Quantity",
                "kind": "Kind",
                "Value #MISSING": "Missing",
                "brought_by": "Brought by",
            },
            hidden=["Value #BROUGHT"],
            sort="Missing",
            units={"Missing": "none"},
            missing="every limit is measured",
            overrides=[coloured("Missing", MISSING)],
            alerts=["ThresholdUnmeasured", "MetricMissing", "ThresholdMissing"],
        ),
        12,
    ),
)

PAST = row(
    "In this range",
    8,
    timeline(
        "State of the stacks",
        "The worst severity of each stack over time. If a stack is red every night, its limit or its nightly job is"
        " wrong.",
        [query(WORST_ALERT, "{{stack}}")],
        mappings=SEVERITY,
    ),
    graph(
        "Runs",
        "Ended runs of each stack, since the ledger began. If they rise quickly, a remediation repairs the same thing"
        " again and again: repair the cause.",
        [query(RUNS, "{{stack}}")],
        unit="short",
        missing="the remediator is not scraped",
    ),
)

BOARD = board(
    "fleet",
    "fleet",
    "Every stack on one screen: the worst first, and what is not watched at all.",
    [*NOW, *STACKS, *ALERTS, *PAST],
)
