"""Every query of the boards finds the series of the exporter, the rules and the remediator.

The series below describe a stack that was measured, alerted and remediated. The demo runs the same queries in a real
Prometheus; promtool finds a wrong label without starting it.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.dashboards.boards import dashboard_queries
from tests.rules.rulebook import RULES
from tests.rules.tools import RunTool

IDENTITY = 'stack="shop",target="main"'
SERIES = {
    'stack_info{stack="shop",runbook_url="https://runbooks.example/shop",dashboard_url=""}': "1x40",
    f"pg_up{{{IDENTITY}}}": "1x40",
    f'pg_connections{{{IDENTITY},datname="shop",state="active"}}': "3x40",
    f"pg_settings_max_connections{{{IDENTITY}}}": "100x40",
    f'pg_idle_in_transaction_max_age_seconds{{{IDENTITY},datname="shop"}}': "9x40",
    f"pg_sessions_blocked{{{IDENTITY}}}": "1x40",
    f"redis_up{{{IDENTITY}}}": "1x40",
    f"redis_keyspace_hits_total{{{IDENTITY}}}": "0+3x40",
    f"redis_keyspace_misses_total{{{IDENTITY}}}": "0+1x40",
    f"bullmq_up{{{IDENTITY}}}": "1x40",
    f'bullmq_queue_jobs{{{IDENTITY},queue="email",state="waiting"}}': "4x40",
    f'bullmq_queue_jobs{{{IDENTITY},queue="email",state="failed"}}': "2x40",
    f'bullmq_queue_oldest_waiting_age_seconds{{{IDENTITY},queue="email"}}': "5x40",
    f'bullmq_queue_dead_letter_jobs{{{IDENTITY},queue="email"}}': "0x40",
    f'backup_up{{{IDENTITY},kind="full"}}': "1x40",
    f'backup_last_success_timestamp_seconds{{{IDENTITY},kind="full"}}': "0x40",
    f'runbook_exporter_collector_duration_seconds{{{IDENTITY},collector="postgres"}}': "0.01x40",
    'remediation_runs_total{stack="shop",remediation="terminate_idle_transactions",outcome="succeeded"}': "1x40",
    'remediation_refusals_total{stack="shop",remediation="terminate_idle_transactions",bound="max_items"}': "1x40",
    "remediation_last_run_timestamp_seconds"
    '{stack="shop",target="main",remediation="terminate_idle_transactions",outcome="succeeded"}': "60x40",
    "remediation_approvals_waiting": "0x40",
    'remediation_paused{stack="shop"}': "0x40",
}
NUMBERS = {
    "runbook:pg_idle_in_transaction_max_age_seconds:warning": {},
    "runbook:bullmq_queue_failed_jobs:warning": {},
    "runbook:bullmq_queue_dead_letter_jobs:warning": {},
    "runbook:bullmq_queue_waiting_jobs:warning": {},
    "runbook:bullmq_queue_oldest_waiting_age_seconds:critical": {},
    "runbook:backup_age_seconds:critical": {"kind": "full"},
}


def test_every_query_returns_data_for_a_stack_that_was_remediated(promtool: RunTool, tmp_path: Path) -> None:
    result = _evaluate(promtool, tmp_path, [_finds_something(query.expr) for query in dashboard_queries()])
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_query_of_a_stack_returns_the_data_of_another(promtool: RunTool, tmp_path: Path) -> None:
    of_a_stack = [query for query in dashboard_queries(stack="another") if "stack=~" in query.expr]
    result = _evaluate(promtool, tmp_path, [_finds_nothing(query.expr) for query in of_a_stack])
    assert result.returncode == 0, result.stdout + result.stderr


def test_worst_alert_is_the_highest_severity_or_zero(promtool: RunTool, tmp_path: Path) -> None:
    worst = next(query.expr for query in dashboard_queries() if query.title == "Worst alert")
    none = {"expr": worst, "eval_time": "0s", "exp_samples": [{"labels": '{stack="shop"}', "value": 0}]}
    firing = [{"labels": f'{{severity="{severity}"}}', "value": 1} for severity in ("critical", "warning")]
    both = {"expr": 'group by (severity) (ALERTS{alertstate="firing"})', "eval_time": "5m", "exp_samples": firing}
    highest = {"expr": worst, "eval_time": "5m", "exp_samples": [{"labels": '{stack="shop"}', "value": 3}]}
    result = _evaluate(promtool, tmp_path, [none, both, highest])
    assert result.returncode == 0, result.stdout + result.stderr


def _finds_something(expr: str) -> dict[str, Any]:
    return {"expr": f"count({expr}) > bool 0", "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": 1}]}


def _finds_nothing(expr: str) -> dict[str, Any]:
    return {"expr": expr, "eval_time": "5m", "exp_samples": []}


def _evaluate(promtool: RunTool, folder: Path, expectations: list[dict[str, Any]]) -> Any:
    thresholds = [
        {"record": name, "labels": {"stack": "shop", "priority": "P1"} | labels, "expr": "1"}
        for name, labels in NUMBERS.items()
    ]
    (folder / "thresholds.yml").write_text(yaml.safe_dump({"groups": [{"name": "thresholds", "rules": thresholds}]}))
    cases = {
        "rule_files": [str(folder / "thresholds.yml"), *(str(file) for file in sorted(RULES.glob("*.yml")))],
        "evaluation_interval": "15s",
        "group_eval_order": ["thresholds"],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
                "promql_expr_test": expectations,
            }
        ],
    }
    (folder / "queries_test.yml").write_text(yaml.safe_dump(cases))
    return promtool("test", "rules", folder / "queries_test.yml")
