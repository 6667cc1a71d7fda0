"""Every query of the boards finds the series of the exporter, the rules and the remediator, and computes with them.

The demo runs the same queries in a real Prometheus; promtool finds a wrong label or factor without starting it.
"""

from pathlib import Path
from typing import Any

from tests.dashboards.boards import dashboard_queries
from tests.dashboards.evaluation import evaluate, expect
from tests.rules.tools import RunTool

EMPTY: dict[str, str] = {
    "Not measured/MISSING": "every limit is measured",
    "Not measured/BROUGHT": "every limit is measured",
}
"""The queries without data for a stack of which everything is measured, as title/refId, with the reason."""


def _name(key: str, title: str) -> str:
    return f"{title}/{key.rsplit('/', 1)[1]}"


def test_every_query_returns_data_for_a_stack_that_is_measured(promtool: RunTool, tmp_path: Path) -> None:
    queries = {query.key: query for query in dashboard_queries()}
    found = {key: _finds(query.expr, _name(key, query.title) not in EMPTY) for key, query in queries.items()}
    result = evaluate(promtool, tmp_path, list(found.values()))
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_query_of_a_stack_returns_the_data_of_another(promtool: RunTool, tmp_path: Path) -> None:
    of_a_stack = [query for query in dashboard_queries(stack="another") if "stack=~" in query.expr]
    known = [query for query in of_a_stack if "vector(0)" not in query.expr]
    result = evaluate(promtool, tmp_path, [expect(query.expr, []) for query in known])
    assert result.returncode == 0, result.stdout + result.stderr


def test_worst_alert_is_the_highest_severity_or_none(promtool: RunTool, tmp_path: Path) -> None:
    worst = next(query.expr for query in dashboard_queries() if query.title == "Worst alert")
    none = expect(worst, [('{stack="shop"}', 0)], moment="0s")
    firing = [(f'{{severity="{severity}"}}', 1) for severity in ("critical", "info", "warning")]
    all_three = expect('group by (severity) (ALERTS{alertstate="firing"})', firing, moment="1500s")
    highest = expect(worst, [('{stack="shop"}', 3)], moment="1500s")
    result = evaluate(promtool, tmp_path, [none, all_three, highest])
    assert result.returncode == 0, result.stdout + result.stderr


def _finds(expr: str, data: bool) -> dict[str, Any]:
    return expect(f"count({expr}) > bool 0 or vector(0)", [("{}", int(data))])
