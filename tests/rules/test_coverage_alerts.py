"""Every alert that answers a row of a runbook fires with the set and the numbers of that runbook's stack."""

from pathlib import Path

import pytest
import yaml

from tests.rules.healthy import STACKS, healthy_series
from tests.rules.rulebook import THRESHOLDS, adapter_files, subsystem_files
from tests.rules.sick import Sickness, is_observed, scenarios, sicknesses
from tests.rules.tools import RunTool
from tools.docs.coverage_files import covered_rows

# Its platform has no hosts to measure. The set says so, and ThresholdUnmeasured lists their numbers.
JOBS_TO_ADD = {"deelrx": {"node"}}


@pytest.mark.parametrize("stack", STACKS)
def test_every_alert_of_the_coverage_fires_with_the_set_of_its_stack(
    promtool: RunTool, tmp_path: Path, stack: str
) -> None:
    every = [sickness for alert in answering_alerts(stack) for sickness in sicknesses(stack, alert)]
    assert {str(sickness.alert.alert) for sickness in every} == answering_alerts(stack)
    file = tmp_path / "sick.yml"
    file.write_text(yaml.safe_dump(cases_of(stack, every), width=1000))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_set_observes_the_source_of_every_alert_of_the_coverage(stack: str) -> None:
    every = [sickness for alert in answering_alerts(stack) for sickness in sicknesses(stack, alert)]
    sources = {each.source for each in every if not is_observed(stack, each.source)}
    assert sources == JOBS_TO_ADD.get(stack, set())


def answering_alerts(stack: str) -> set[str]:
    return {alert for row in covered_rows() if row.stack == stack for alert in row.answers.alert}


def cases_of(stack: str, every: list[Sickness]) -> dict[str, object]:
    """Return promtool's tests. Numbers come first, so that steps may be longer than Prometheus looks back."""
    subsystems = [file for file in subsystem_files() if file.stem not in {"meta", "remediator"}]
    files = [THRESHOLDS / f"{stack}.yml", *adapter_files(), *subsystems]
    return {
        "rule_files": [str(file) for file in files],
        "evaluation_interval": "10m",
        "group_eval_order": [group for file in files for group in group_names(file)],
        "tests": [case_of(stack, scenario) for scenario in scenarios(every)],
    }


def group_names(file: Path) -> list[str]:
    return [group["name"] for group in yaml.safe_load(file.read_text())["groups"]]


def case_of(stack: str, scenario: list[Sickness]) -> dict[str, object]:
    """Return a healthy stack with the series of a scenario in place of its own, and the alerts that must fire."""
    series: dict[str, str | None] = dict(healthy_series(stack, JOBS_TO_ADD.get(stack, set())))
    for sickness in scenario:
        series |= sickness.series
    names = "|".join(sorted({str(sickness.alert.alert) for sickness in scenario}))
    firing = {(str(sickness.alert.alert), sickness.alert.labels["severity"]) for sickness in scenario}
    labels = [f'{{alertname="{name}",severity="{severity}"}}' for name, severity in sorted(firing)]
    query = f'group by (alertname, severity) (ALERTS{{alertstate="firing",stack="{stack}",alertname=~"{names}"}})'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items() if values],
        "promql_expr_test": [
            {"expr": query, "eval_time": "3h", "exp_samples": [{"labels": each, "value": 1} for each in labels]}
        ],
    }
