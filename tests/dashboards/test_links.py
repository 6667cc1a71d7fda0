"""Every alert leads to the one panel that shows what it compares, and that panel leads to the alert's rule."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.links import compared_series, panels_of_alerts, rules_text
from tests.dashboards.boards import data_panels, load_boards
from tests.rules.rulebook import FACTS, Rule, alerts, all_rules
from tests.rules.tools import RunTool

PANELS = [(board["uid"], panel) for board in load_boards() for panel in data_panels(board)]
STACK_BOARD = "https://grafana.example/d/stack?var-stack=shop"

FIRED = {
    "queues": ("QueueHighLag", "stack_target_queue:bullmq_queue_oldest_waiting_age_seconds:max{QUEUE}", "critical"),
    "database": ("LongRunningQuery", "stack_target:pg_query_max_age_seconds:max{TARGET}", "warning"),
    "cache": ("RedisMemoryHigh", "stack_target:redis_memory_used_ratio:ratio{TARGET}", "warning"),
    "hosts": ("HighCPUUsage", "stack_host:host_cpu_used_ratio:ratio{HOST}", "info"),
    "application": ("HighErrorRate", "stack:application_error_ratio:ratio{STACK}", "critical"),
}
"""One alert of a file, the series that it compares, and the severity of the limit that is passed."""

JOINS = {"ThresholdMissing", "MetricMissing"}
"""They join all quantities with all limits by name; their panel reads the same join in alert_rules/state.yml."""

LABELS = {
    "QUEUE": {"target": "jobs", "queue": "email"},
    "TARGET": {"target": "main"},
    "HOST": {"host": "a"},
    "STACK": {},
}


def test_committed_facts_match_the_boards() -> None:
    assert FACTS.read_text() == rules_text(), "run make dashboards and commit"


def test_every_alert_has_exactly_one_panel() -> None:
    linked = [link["title"].removeprefix("Alert ") for _, panel in PANELS for link in panel["links"]]
    every = {str(alert.alert) for alert in alerts()}
    assert every - set(linked) == set(), "add alerts=[NAME] to one panel in grafana/boards/, and run make dashboards"
    assert sorted(linked) == sorted(every)


@pytest.mark.parametrize("name", sorted(set(panels_of_alerts()) - JOINS))
def test_panel_of_an_alert_shows_a_series_that_it_reads(name: str) -> None:
    board, number = panels_of_alerts()[name]
    panel = next(panel for uid, panel in PANELS if (uid, panel["id"]) == (board, number))
    shown = {series for target in panel["targets"] for series in _deeply(target["expr"])}
    read = {series for alert in alerts() if alert.alert == name for series in _deeply(alert.expr)}
    assert shown & read, (sorted(shown), sorted(read))


def test_every_alert_that_compares_a_recorded_series_finds_its_panel() -> None:
    """The others lead to the board of the stack: their expressions have no name left."""
    facts = {rule["labels"]["series"] for rule in _facts() if rule["record"] == "runbook:panel"}
    assert {series for _, series in compared_series()} == facts
    assert len(facts) > 50


@pytest.mark.parametrize("file", FIRED)
def test_dashboard_url_leads_to_the_panel(promtool: RunTool, tmp_path: Path, file: str) -> None:
    _, series, _ = FIRED[file]
    board, panel = _place(series.partition("{")[0])
    chosen = "".join(f"&var-{name}={value}" for name, value in _labels_of(series).items())
    result = _fire(
        promtool, tmp_path, file, STACK_BOARD, STACK_BOARD.replace("/d/stack", f"/d/{board}") + chosen, panel
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("own", "shown", "viewed"),
    [
        ("https://grafana.example/d/stack", "https://grafana.example/d/postgres?var-stack=shop&var-target=main", True),
        ("https://g.example/x/d/stack/runbookd-stack?a=1", "https://g.example/x/d/postgres?a=1&var-target=main", True),
        ("https://grafana.example/d/stacks?a=1", "https://grafana.example/d/stacks?a=1&var-target=main", False),
        ("https://wiki.example/shop?a=1", "https://wiki.example/shop?a=1&var-target=main", False),
    ],
)
def test_only_the_address_of_our_board_is_changed(
    promtool: RunTool, tmp_path: Path, own: str, shown: str, viewed: bool
) -> None:
    _, panel = _place("stack_target:pg_query_max_age_seconds:max")
    result = _fire(promtool, tmp_path, "database", own, shown, panel if viewed else "")
    assert result.returncode == 0, result.stdout + result.stderr


def _fire(promtool: RunTool, folder: Path, file: str, own: str, shown: str, panel: str) -> Any:
    """Let the alert of a file fire and expect its link."""
    name, series, severity = FIRED[file]
    labels = _labels_of(series)
    alert = next(each for each in alerts() if each.alert == name and each.labels["severity"] == severity)
    quantity = series.split(":")[1]
    limit = {"record": f"runbook:{quantity}:{severity}", "labels": {"stack": "shop", "priority": "P1"}, "expr": "1"}
    (folder / "limit.yml").write_text(yaml.safe_dump({"groups": [{"name": "limit", "rules": [limit]}]}))
    values = ",".join(f'{key}="{value}"' for key, value in {"stack": "shop", **labels}.items())
    info = f'stack_info{{stack="shop",runbook_url="https://runbooks.example",dashboard_url="{own}"}}'
    link = f"{shown}&viewPanel={panel}" if panel else shown
    query = f'ALERTS{{alertname="{name}"}}'
    case = {
        "rule_files": [str(folder / "limit.yml"), str(FACTS), str(_only(folder, file, alert, link))],
        "evaluation_interval": "60s",
        "tests": [
            {
                "interval": "60s",
                "input_series": [
                    {"series": f"{series.partition('{')[0]}{{{values}}}", "values": "2x30"},
                    {"series": info, "values": "1x30"},
                ],
                "alert_rule_test": [
                    {
                        "alertname": name,
                        "eval_time": "25m",
                        "exp_alerts": [
                            {
                                "exp_labels": {"stack": "shop", "priority": "P1", **labels, "severity": severity},
                                "exp_annotations": {"dashboard_url": link},
                            }
                        ],
                    }
                ],
                "promql_expr_test": [{"expr": f"count({query})", "eval_time": "25m", "exp_samples": [_one()]}],
            }
        ],
    }
    (folder / "links_test.yml").write_text(yaml.safe_dump(case, width=1000))
    return promtool("test", "rules", folder / "links_test.yml")


def _one() -> Mapping[str, Any]:
    return {"labels": "{}", "value": 1}


def _only(folder: Path, file: str, alert: Rule, _link: str) -> Path:
    """Write the alert with its link as its only text."""
    rule = {
        "alert": alert.alert,
        "expr": alert.expr,
        "for": alert.duration,
        "labels": {"severity": alert.labels["severity"]},
        "annotations": {"dashboard_url": alert.annotations["dashboard_url"]},
    }
    path = folder / f"{file}.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": file, "rules": [rule]}]}, width=1000))
    return path


def _labels_of(series: str) -> Mapping[str, str]:
    return LABELS[series.partition("{")[2].rstrip("}")]


def _place(series: str) -> tuple[str, str]:
    labels = next(rule["labels"] for rule in _facts() if rule["labels"].get("series") == series)
    return labels["board"], labels["panel"]


def _facts() -> Iterator[Mapping[str, Any]]:
    for group in yaml.safe_load(FACTS.read_text())["groups"]:
        yield from group["rules"]


RECORDED = {str(rule.record): rule.expr for rule in all_rules() if rule.record}
READING = re.compile(
    r"\b(?:stack\w*:\w+:\w+|(?:pg|redis|bullmq|backup|remediation|service|duty|runbook|stack)_\w+|up)\b"
)


def _deeply(expr: str) -> set[str]:
    """Return the series of an expression, and those that its recording rules read, down to the metrics."""
    names = set(READING.findall(expr))
    while new := {deeper for name in names for deeper in READING.findall(RECORDED.get(name, ""))} - names:
        names |= new
    return names
