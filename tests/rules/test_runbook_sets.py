"""The five sets in deploy/runbooks are complete, and a healthy stack is quiet with each."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from runbookctl.starter.runbook_sets import Runbook, runbook_set
from tests.rules.healthy import JOBS, SETS, STACKS, healthy_series, jobs_of, targets_of
from tests.rules.rulebook import THRESHOLDS, adapter_files, subsystem_files, thresholds
from tests.rules.tools import RunTool
from tools.docs.runbook_routes import runbook_routes

OTHERS = re.compile(r"(application|host|service|elasticsearch|tls)_.+|pg_checksum_failures|redis_hit_ratio")


@pytest.mark.parametrize("stack", STACKS)
def test_healthy_stack_is_quiet_but_for_what_its_set_does_not_scrape(
    promtool: RunTool, tmp_path: Path, stack: str
) -> None:
    """Four hours of a healthy stack, with the targets of the inventory and the jobs of the set."""
    file = tmp_path / "healthy.yml"
    file.write_text(yaml.safe_dump(_healthy(stack), width=1000))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_set_has_every_target_that_its_thresholds_judge(stack: str) -> None:
    inventory = targets_of(stack)
    kinds = {target.get("kind", "full") for target in inventory["backups"].values()}
    for number in (rule for rule in thresholds() if rule.labels["stack"] == stack):
        kind = {"pg": "postgres", "redis": "redis", "bullmq": "queues", "probe": "http"}.get(
            number.quantity.split("_")[0]
        )
        assert kind is None or inventory[kind], number.quantity
        assert "kind" not in number.labels or number.labels["kind"] in kinds, number


@pytest.mark.parametrize("stack", STACKS)
def test_every_mode_of_a_set_is_shadow_and_names_what_the_runbook_implies(stack: str) -> None:
    text = (SETS / stack / "inventory.yml").read_text()
    lines = [line for line in text.splitlines() if "mode:" in line]
    assert lines
    assert all(re.search(r"mode: shadow\b.*# runbook: (auto|approve)$", line) for line in lines)
    written = yaml.safe_load(runbook_set(cast("Runbook", stack), stack, "runbook")["inventory.yml"])
    modes = written["stacks"][stack]["remediations"]
    assert {settings["mode"] for settings in modes.values()} <= {"auto", "approve"}


@pytest.mark.parametrize("stack", STACKS)
def test_set_contains_no_number_that_a_threshold_states(stack: str) -> None:
    assert not re.search(r"\b(record|expr):", "".join(file.read_text() for file in (SETS / stack).iterdir()))


@pytest.mark.parametrize("stack", STACKS)
def test_page_reaches_the_pager_once(stack: str) -> None:
    """Alertmanager pages, so the ladder begins with the chat."""
    document = yaml.safe_load((SETS / stack / "inventory.yml").read_text())
    assert document["stacks"][stack]["escalation"]["first"] == {"contacts": ["chat"]}
    assert not [name for name in document["contacts"] if "pager" in name]


def test_alertmanager_files_match_the_common_routes() -> None:
    for file, text in runbook_routes():
        assert file.read_text(encoding="utf-8") == text, f"run make docs: {file}"


def _healthy(stack: str) -> dict[str, Any]:
    series = healthy_series(stack)
    unmeasured = sorted(_unmeasured(stack))
    quiet = 'ALERTS{alertname!="ThresholdUnmeasured"}'
    return {
        "rule_files": [str(file) for file in [*subsystem_files(), *adapter_files(), THRESHOLDS / f"{stack}.yml"]],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": quiet, "eval_time": "4h", "exp_samples": []},
                    {
                        "expr": "count by (quantity) (stack_quantity:unmeasured:group)",
                        "eval_time": "4h",
                        "exp_samples": [{"labels": f'{{quantity="{name}"}}', "value": 1} for name in unmeasured],
                    },
                ],
            }
        ],
    }


def _unmeasured(stack: str) -> set[str]:
    needed = {
        rule.quantity for rule in thresholds() if rule.labels["stack"] == stack and OTHERS.fullmatch(rule.quantity)
    }
    brought = {quantity for job in jobs_of(stack) for quantity in JOBS[job]}
    brought |= {"tls_certificate_remaining_seconds"} if targets_of(stack)["http"] else set()
    brought |= {
        quantity for quantity in needed if quantity.startswith("elasticsearch_") and targets_of(stack)["search"]
    }
    shared = bool(targets_of(stack)["queues"])
    brought |= {"application_errors_per_hour"} if targets_of(stack)["numbers"] else set()
    return needed - brought - ({"redis_hit_ratio"} if not shared else set())
