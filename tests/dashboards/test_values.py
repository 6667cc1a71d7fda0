"""Every query of the boards that computes returns the exact value for the measured stack."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from grafana.boards.morning import NO_DATE
from tests.dashboards.boards import DashboardQuery, dashboard_queries
from tests.dashboards.evaluation import evaluate, expect
from tests.rules.tools import RunTool

COMPUTES = re.compile(r" [-+*/] |rate\(|deriv\(|bool|topk|clamp| (?:==|>|<) |\bcount[ (]|sum by|sum\(|count\(")


class Value(NamedTuple):
    """The expected sum of a query's result; `of` narrows or counts the result `{}`."""

    value: float
    of: str = "sum({})"


def _line(quantity: str) -> str:
    return f'sum(({{}}) and on (quantity) runbook:check{{{{quantity=~"{quantity}"}}}})'


AS_MANY_AS_FIRE = 'sum({}) - count(ALERTS{{alertstate="firing",stack="shop"}})'
LISTED = 'count by (stack, alertname, severity, priority, target, queue) (ALERTS{{alertstate="firing",stack="shop"}})'
EXPECTED = {
    "application/Endpoints and services/RED": Value(1 - 0),
    "application/Endpoints and services/MAINTENANCE": Value(1 - 0),
    "application/annotation/Deploys": Value(30_000),
    "application/annotation/Ends of runs": Value(60_000),
    "backups/Listing/A": Value(1),
    "backups/Listing/REASON": Value(1),
    "backups/Age as share of the limit/A": Value(600 / 1),
    "backups/Encryption/A": Value(1),
    "backups/Backups/NEWEST": Value(0),
    "backups/Backups/CHECKED": Value(590_000),
    "backups/Proofs/A": Value(1),
    "duties/Overdue/A": Value(1),
    "duties/Due within a week/A": Value(1),
    "duties/Next duty/A": Value(100 + 400 - 600),
    "duties/Duties/DONE": Value(100_000),
    "duties/Duties/DUE": Value(500_000),
    "duties/Duties/STATE": Value(2),
    "duties/Share of the interval/A": Value(500 / 400),
    "duties/Overdue by/A": Value(600 - 100 - 400 - 50),
    "duties/Problems that come back/A": Value(4),
    "fleet/Worst alert/A": Value(3),
    "fleet/Limits passed/A": Value(0, "sum({}) - count(stack_quantity_kind:state:group > 0)"),
    "fleet/Limits not measured/A": Value(0),
    "fleet/Waits for a person/APPROVALS": Value(1),
    "fleet/Waits for a person/BREAKERS": Value(0),
    "fleet/Waits for a person/PAUSED": Value(0),
    "fleet/Exporter/REPLICAS": Value(1),
    "fleet/Exporter/REFUSED": Value(0),
    "fleet/Stacks/POSTGRES": Value(1),
    "fleet/Stacks/REDIS": Value(1),
    "fleet/Stacks/QUEUES": Value(1),
    "fleet/Stacks/BACKUPS": Value(1),
    "fleet/Stacks/ENDPOINTS": Value(1),
    "fleet/Stacks/FAILED": Value(7),
    "fleet/Stacks/DEPLOY": Value(30_000),
    "fleet/Backup age as share of the limit/A": Value(600 / 1),
    "fleet/Firing alerts/A": Value(0, f"count({{}}) - count({LISTED})"),
    "fleet/Runs/A": Value(2 + 5),
    "morning/Alerts/A": Value(0, AS_MANY_AS_FIRE),
    "morning/Daily list/NOW": Value((1 - 20 / 100) * 100, _line("host_disk_used_ratio")),
    "morning/Daily list/FIRST": Value(100, _line("host_disk_used_ratio")),
    "morning/Daily list/STATE": Value(3, _line("pg_query_max_age_seconds")),
    "morning/Weekly and monthly list/NOW": Value(NO_DATE + 5, _line("host_disk_full_in_seconds|pg_transaction_id_age")),
    "morning/Weekly and monthly list/FIRST": Value(1, _line("redis_evicted_keys")),
    "morning/Weekly and monthly list/STATE": Value(2, _line("pg_transaction_id_age")),
    "morning/Database cache hit ratio/A": Value(99 / (99 + 1)),
    "postgres/Server/BLIND": Value(0),
    "postgres/Sessions/A": Value(3 + 7),
    "postgres/Statements/LOAD": Value(6 / 15),
    "postgres/Statements/MEAN": Value(6 / 30),
    "postgres/Statements/CALLS": Value(30 / 15),
    "postgres/Statements/TEXT": Value(1),
    "postgres/Tables/SIZE": Value(8192),
    "postgres/Tables/BLOAT": Value(1024),
    "postgres/Tables/DEAD": Value(5),
    "postgres/Tables/VACUUM": Value(60_000),
    "postgres/Tables/ANALYZE": Value(120_000),
    "postgres/Size and growth/GROWTH": Value(15 / 15 * 24 * 3600),
    "queue-metrics/Throughput/A": Value(30 / 15),
    "queue-metrics/Throughput/COMPLETED": Value(15 / 15),
    "queue-metrics/Throughput/FAILED": Value(1 / 15),
    "queue-metrics/Jobs by state/A": Value(4 + 5 + 6 + 7),
    "queue-metrics/Queues/NEXT": Value(900_000),
    "redis/Memory/MAXIMUM": Value(200),
    "redis/Highest counters/A": Value(17),
    "redis/Slowest commands/A": Value(0.02 / 10),
    "redis/Commands/A": Value(30 / 15),
    "remediation/Waits for a person/UNSENT": Value(0),
    "remediation/Runs under way/A": Value(1 + 2),
    "remediation/Runs by outcome/A": Value(2 + 5),
    "remediation/Refusals by bound/A": Value(1),
    "remediation/Deferrals by bound/A": Value(1),
    "remediation/Shadow against auto/SHADOW": Value(5),
    "remediation/Shadow against auto/ACTED": Value(2),
    "remediation/Time to repair/A": Value(50 / 2),
    "remediation/Time to acknowledge/A": Value(90 / 3),
    "remediation/Waiting for an answer/A": Value(600 - 60),
    "remediation/Open episodes/A": Value(1),
    "remediation/Open episodes/UNACKNOWLEDGED": Value(1),
    "remediation/Deliveries/A": Value(1 / 15),
    "search/Cluster/RED": Value(1 - 0),
    "search/Cluster/YELLOW": Value(1 - 0),
    "search/Searches per second/A": Value(30 / 15),
    "search/Time of a search/A": Value(3 / 30),
    "search/Documents indexed per second/A": Value(15 / 15),
    "stack/Services/A": Value(1),
    "stack/Alerts/A": Value(2, 'sum(({}) and on (alertname) ALERTS{{alertname="VeryLongRunningQuery"}})'),
    "stack/Collectors/DROPPED": Value(7),
}
"""The values by board/panel/query; a query with the same expression elsewhere is the same query."""

NOTHING_TO_SUM = {"fleet/Not measured/MISSING"}
"""Without a result for a stack of which everything is measured."""


def _computing() -> dict[str, list[DashboardQuery]]:
    """Return the queries that compute, by their expression."""
    queries: dict[str, list[DashboardQuery]] = {}
    for query in dashboard_queries():
        if query.ref != "LIMIT" and "/variable/" not in query.key and COMPUTES.search(query.expr):
            queries.setdefault(query.expr, []).append(query)
    return queries


def test_every_query_that_computes_has_an_expected_value() -> None:
    for same in _computing().values():
        assert {query.place for query in same} & {*EXPECTED, *NOTHING_TO_SUM}, same[0].place
    assert set(EXPECTED) - {query.place for query in dashboard_queries()} == set()


def test_every_query_that_computes_returns_its_value(promtool: RunTool, tmp_path: Path) -> None:
    exprs = {query.place: query.expr for query in dashboard_queries()}
    near = [
        expect(f"abs({each.of.format(exprs[place])} - {each.value!r}) < bool 1e-9", [("{}", 1)])
        for place, each in EXPECTED.items()
    ]
    result = evaluate(promtool, tmp_path, near)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("place", ["postgres/Statements/MEAN", "duties/Next duty/A"])
def test_wrong_value_is_noticed(promtool: RunTool, tmp_path: Path, place: str) -> None:
    expr = next(query.expr for query in dashboard_queries() if query.place == place)
    wrong = expect(f"abs(sum({expr}) - {EXPECTED[place].value + 0.01!r}) < bool 1e-9", [("{}", 1)])
    assert evaluate(promtool, tmp_path, [wrong]).returncode != 0
