"""Each duty of the five sets is quiet while it is due, and raises DutyOverdue past its grace."""

from pathlib import Path
from typing import Any

import yaml

from runbookd.inventory import Duty
from tests.rules.rulebook import ROOT, RULES
from tests.rules.tools import RunTool

SETS = ROOT / "deploy" / "runbooks"
HOUR = 3_600
SEVERITIES = {"P2": "warning", "P3": "info"}


def duties() -> dict[tuple[str, str], Duty]:
    found = {}
    for file in sorted(SETS.glob("*/inventory.yml")):
        stack = yaml.safe_load(file.read_text(encoding="utf-8"))["stacks"][file.parent.name]
        for name, duty in stack.get("duties", {}).items():
            found[file.parent.name, name] = Duty.model_validate(duty)
    return found


def series(stack: str, name: str, duty: Duty) -> list[dict[str, str]]:
    """Return the remediator's series for a duty whose grace ends after one hour."""
    labels = f'stack="{stack}",duty="{name}",instance="a:9851"'
    every, grace = duty.every.total_seconds(), duty.grace.total_seconds()
    values = {
        f"duty_last_done_timestamp_seconds{{{labels}}}": HOUR - every - grace,
        f"duty_interval_seconds{{{labels}}}": every,
        f"duty_grace_seconds{{{labels}}}": grace,
        f'duty_info{{{labels},priority="{duty.priority}",runbook_url=""}}': 1,
    }
    return [{"series": name, "values": f"{value:.0f}x30"} for name, value in values.items()]


def labels_of(stack: str, name: str, duty: Duty) -> dict[str, str]:
    labels = {"stack": stack, "duty": name, "component": "duties", "priority": duty.priority}
    return {"alertname": "DutyOverdue", **labels, "severity": SEVERITIES[duty.priority]}


def firing(*key: str, duty: Duty) -> dict[str, Any]:
    labels = ",".join(f'{name}="{value}"' for name, value in labels_of(*key, duty).items())
    return {"labels": f'ALERTS{{alertstate="firing",{labels}}}', "value": 1}


def require(promtool: RunTool, folder: Path, inputs: list[dict[str, str]], overdue: list[dict[str, Any]]) -> None:
    """Require that nothing fires 15 minutes after the grace, and the alerts of `overdue` ten minutes later."""
    expressions = [
        {"expr": 'ALERTS{alertstate="firing"}', "eval_time": at, "exp_samples": samples}
        for at, samples in (("75m", []), ("85m", overdue))
    ]
    case = {"interval": "5m", "input_series": inputs, "promql_expr_test": expressions}
    document = {"rule_files": [str(RULES / "duties.yml")], "evaluation_interval": "5m", "tests": [case]}
    file = folder / "duties_test.yml"
    file.write_text(yaml.safe_dump(document))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_duty_of_the_sets_is_overdue_after_its_grace(promtool: RunTool, tmp_path: Path) -> None:
    found = duties()
    assert {duty.priority for duty in found.values()} == set(SEVERITIES)
    inputs = [each for key, duty in found.items() for each in series(*key, duty)]
    require(promtool, tmp_path, inputs, [firing(*key, duty=duty) for key, duty in found.items()])


def test_two_remediators_raise_one_alert(promtool: RunTool, tmp_path: Path) -> None:
    duty = Duty.model_validate({"every": "31d", "priority": "P2"})
    first = series("shop", "drill", duty)
    second = [{**each, "series": each["series"].replace("a:9851", "b:9851")} for each in first]
    require(promtool, tmp_path, [*first, *second], [firing("shop", "drill", duty=duty)])
