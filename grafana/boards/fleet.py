"""The board of all stacks: one line each, the worst first, and what is not watched at all."""

from grafana.dashboard import board
from grafana.panels import (
    bars,
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
from grafana.words import (
    ANY_IS_ORANGE,
    ANY_IS_RED,
    GREY_STEPS,
    LIMIT_IS_RED,
    NOT_MEASURED,
    SEVERITY,
    STACK,
    UP,
    UP_STEPS,
    WORST_ALERT,
    or_not_measured,
    up,
)


def _count(state: str) -> str:
    return f"sum by (stack) (stack_quantity_kind:state:group{STACK} {state})"


MISSING = states({-1: ("reading", "orange"), -2: ("limit", "blue")})
JUDGED = '{stack=~"$stack",quantity!~"(duty|service)_.+"}'
LABELS = ("component", "remediation", "kind", "sustained", "statistic", "source", "host", "volume", "quantity")
RUNS = f"sum by (stack) (remediation_runs_total{STACK})"

NOW = row(
    "Now",
    5,
    stat(
        "Worst alert",
        "The highest severity that fires, per stack. If it is critical, open that stack first; `not measured` means"
        " that no collector reports.",
        [newest(WORST_ALERT, "{{stack}}")],
        unit="none",
        steps=GREY_STEPS,
        mappings=SEVERITY,
    ),
    stat(
        "Limits passed",
        "Quantities past a limit of the runbook, per stack. If there are any, the morning check names them.",
        [newest(or_not_measured(_count("> bool 0")), "{{stack}}")],
        unit="none",
        steps=ANY_IS_RED,
        mappings=NOT_MEASURED,
    ),
    stat(
        "Limits not measured",
        "Limits whose quantity nothing measures, so that no alert can fire. If there are any, the list below names what"
        " would bring them.",
        [newest(or_not_measured(_count("== bool -1")), "{{stack}}")],
        unit="none",
        steps=ANY_IS_ORANGE,
        mappings=NOT_MEASURED,
    ),
    wide(
        stat(
            "Waits for a person",
            "Runs that wait for approval, open breakers and paused stacks. If there are any, open the console's"
            " approvals.",
            [
                newest("sum(remediation_approvals_waiting)", "approvals", "APPROVALS"),
                newest(
                    f"sum(remediation_breaker_open{STACK}) or 0 * sum(remediation_paused{STACK})",
                    "breakers",
                    "BREAKERS",
                ),
                newest(f"sum(max by (stack) (remediation_paused{STACK}))", "paused", "PAUSED"),
            ],
            unit="none",
            steps=ANY_IS_ORANGE,
            missing="the remediator is not scraped",
        ),
        6,
    ),
    wide(
        stat(
            "Exporter",
            "Replicas of the exporter, and inventories that they refused. If there is none, nothing here is measured:"
            " start it.",
            [
                newest("count(runbook_exporter_build_info)", "replicas", "REPLICAS"),
                newest("count(runbook_exporter_config_last_reload_success == 0) or vector(0)", "refused", "REFUSED"),
            ],
            unit="none",
            steps=UP_STEPS,
            missing="the exporter is not scraped",
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
        bars(
            "Backup age as share of the limit",
            "Age of the newest backup of each stack as a share of its limit. Above 100 %, start `run_backup`.",
            [
                newest(
                    f"max by (stack, kind) (stack_target_kind:backup_age_seconds:min{STACK})"
                    ' / on (stack, kind) group_left () (runbook:backup_age_seconds:critical{stack=~"$stack"} > 0)',
                    "{{stack}} {{kind}}",
                )
            ],
            unit="percentunit",
            steps=LIMIT_IS_RED,
        ),
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
                    '1000 * ALERTS_FOR_STATE{stack=~"$stack"} and ignoring (alertstate)'
                    ' ALERTS{alertstate="firing",stack=~"$stack"}'
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
            hidden=[
                "component",
                "remediation",
                "kind",
                "sustained",
                "statistic",
                "source",
                "host",
                "volume",
                "quantity",
            ],
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
