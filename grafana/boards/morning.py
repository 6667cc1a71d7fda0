"""The board of the morning check: the daily and weekly lists of the runbooks, each line with its limit and state."""

from grafana.checks import DAILY, WEEKLY
from grafana.dashboard import board
from grafana.panels import (
    Json,
    coloured,
    column,
    from_value,
    graph,
    limits,
    override,
    query,
    row,
    table,
    wide,
)
from grafana.shared_panels import OVERDUE, backup_share, count_per_stack, limits_not_measured, limits_passed
from grafana.words import (
    ANY_IS_ORANGE,
    ANY_IS_RED,
    STACK,
    STATE,
)

NEVER = 1e10
"""An event that never happened is older than any age in a list, whose unit is at least seconds."""

NO_DATE = 1e9
"""A date that is over a year away, which the growth of one day cannot predict; no number in a list is that large."""


HIT, READ = (
    f"sum by (stack, target) (rate(pg_stat_database_blks_{what}_total{STACK}[$__rate_interval]))"
    for what in ("hit", "read")
)


def _lines(series: str, often: str) -> str:
    return f'{series} * on (quantity) group_left (check) runbook:check{{often="{often}"}}'


def _readings() -> str:
    """Return the readings, with a predicted date that is over a year away as NO_DATE."""
    far = 'stack_quantity_kind:reading:group{stack=~"$stack",quantity="host_disk_full_in_seconds"} > 365 * 86400'
    return f"(0 * ({far}) + {NO_DATE:.0f} * 86400 or stack_quantity_kind:reading:group{STACK})"


def _state(often: str) -> str:
    return (
        f"stack_quantity_kind:state:group{STACK}"
        f' + on (quantity) group_left (check) (0 * runbook:check{{often="{often}"}})'
    )


def _list(title: str, description: str, often: str) -> Json:
    return table(
        title,
        description,
        [
            column(_lines(_readings(), often), "NOW"),
            column(_lines(f"stack_quantity_kind:limit:group{STACK}", often), "FIRST"),
            column(_state(often), "STATE"),
        ],
        columns={
            "stack": "Stack",
            "check": "Check",
            "kind": "Kind",
            "Value #NOW": "Now",
            "Value #FIRST": "Limit",
            "Value #STATE": "State",
        },
        hidden=["quantity"],
        sort="State",
        units={"Limit": "none"},
        widths={"Kind": 90, "Now": 80, "Limit": 80, "State": 130},
        overrides=[
            override(
                "Now",
                unit="none",
                decimals=1,
                mappings=[from_value(NEVER, "never", "red"), from_value(NO_DATE, "no date", "text")],
            ),
            override("Limit", decimals=1),
            coloured("State", STATE),
        ],
        missing="nothing is measured: the exporter is not scraped, or the rules are not loaded",
    )


LISTS = [
    *row(
        "The list",
        4,
        limits_passed("If there are any, they are at the top of the lists."),
        limits_not_measured("If there are any, look at these things by hand until something measures them."),
        count_per_stack(
            "Alerts",
            "Alerts that fire. If there are any, open the stack's board: it shows what was already tried.",
            'count by (stack) (ALERTS{alertstate="firing",stack=~"$stack"})'
            f" or 0 * group by (stack) (runbook_exporter_collector_success{STACK})",
            ANY_IS_RED,
        ),
        count_per_stack(
            "Overdue duties",
            "Duties whose time is over. If there are any, do them and record it: `runbookctl done STACK DUTY`.",
            OVERDUE,
            ANY_IS_ORANGE,
        ),
    ),
    wide(
        _list(
            "Daily list",
            "Every line of the runbooks' daily lists: the worst value now, the first limit, and the state. Those over"
            " their limit stand first. If a line is over, its alert and its board say what to do.",
            DAILY,
        ),
        12,
    )
    | {"height": 17},
    wide(
        _list(
            "Weekly and monthly list",
            "Every line of the weekly and monthly lists. If a line is over, do it in this week's maintenance window."
            " A disk with `no date` is not full within a year at the growth of the last day.",
            WEEKLY,
        ),
        12,
    )
    | {"height": 17},
]

GRAPHS = row(
    "Since yesterday",
    8,
    graph(
        "Response time",
        "95th percentile of the response time. If it rose overnight, look at deploys (blue) and at the database.",
        [
            query(f"stack:application_response_p95_seconds:quantile{STACK}", "{{stack}}"),
            limits("application_response_p95_seconds"),
        ],
        unit="s",
        missing="not measured: scrape the application's /metrics with the label stack",
    ),
    graph(
        "Errors",
        "Share of requests that fail. If there is a step, something changed then: a deploy or a dependency.",
        [
            query(f"stack:application_error_ratio:ratio{STACK}", "{{stack}}"),
            limits("application_error_ratio"),
        ],
        unit="percentunit",
        least_top=0.01,
        missing="not measured: scrape the application's /metrics with the label stack",
    ),
    graph(
        "Hosts",
        "The fullest host of each stack. If one passes its limit, open the board of the application and hosts.",
        [
            query(f"max by (stack) (stack_host:host_cpu_used_ratio:ratio{STACK})", "{{stack}} CPU", "CPU"),
            query(f"max by (stack) (stack_host:host_memory_used_ratio:ratio{STACK})", "{{stack}} memory", "MEMORY"),
            query(f"max by (stack) (stack_host_volume:host_disk_used_ratio:ratio{STACK})", "{{stack}} disk", "DISK"),
            limits("host_cpu_used_ratio", "host_memory_used_ratio", "host_disk_used_ratio"),
        ],
        unit="percentunit",
        missing="not measured: scrape node_exporter or windows_exporter with the label stack",
    ),
    graph(
        "Database connections",
        "Share of the connections in use. If it rises day by day, a service leaks connections.",
        [
            query(f"max by (stack) (stack_target:pg_connections_used_ratio:ratio{STACK})", "{{stack}}"),
            limits("pg_connections_used_ratio"),
        ],
        unit="percentunit",
    ),
    graph(
        "Database cache hit ratio",
        "Share of blocks that PostgreSQL found in its own cache. If it falls below what is usual here (98 % or more for"
        " most), a query reads a large table: see the statements on the board of PostgreSQL.",
        [query(f"{HIT} / on (stack, target) ({HIT} + on (stack, target) {READ} > 0)", "{{stack}} {{target}}")],
        unit="percentunit",
        maximum=1,
    ),
    graph(
        "Active users",
        "Users who did something within a day. If there are far fewer than on the same day last week, look whether"
        " sign-in works before you look for a reason in the market.",
        [query(f"stack:application_active_users:max{STACK}", "{{stack}}")],
        unit="short",
        missing="not measured: a query or a number of the inventory with the name active_users brings it",
    ),
    graph(
        "Failed jobs",
        "Failed jobs of all queues. If there are more than yesterday, see their reasons before you retry them.",
        [
            query(f"sum by (stack) (stack_target_queue:bullmq_queue_failed_jobs:max{STACK})", "{{stack}}"),
            limits("bullmq_queue_failed_jobs"),
        ],
        unit="short",
    ),
    backup_share(),
    width=6,
)

BOARD = board(
    "morning",
    "morning check",
    "The daily and weekly lists of the runbooks on one screen: each line with its value, its limit and its state.",
    [*LISTS, *GRAPHS],
) | {"time": {"from": "now-24h", "to": "now"}}
