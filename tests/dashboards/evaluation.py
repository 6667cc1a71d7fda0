"""Evaluate queries of the boards with promtool, over the measured stack and the real rules."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.dashboards.measured_stack import NOW, input_series
from tests.rules.rulebook import adapter_files, alerts, subsystem_files, threshold_names
from tests.rules.tools import RunTool


def expect(expr: str, samples: Sequence[tuple[str, float]], moment: str = f"{NOW}s") -> dict[str, Any]:
    """Return what an expression has to return; labels are written like {stack="shop"}."""
    expected = [{"labels": labels, "value": value} for labels, value in samples]
    return {"expr": expr, "eval_time": moment, "exp_samples": expected}


def evaluate(promtool: RunTool, folder: Path, expectations: list[dict[str, Any]]) -> Any:
    """Run the expectations with every limit that an alert knows at 1."""
    names = sorted({name for alert in alerts() for name in threshold_names(alert.expr)})
    limits = [{"record": name, "labels": _labels(name), "expr": "1"} for name in names]
    (folder / "thresholds.yml").write_text(yaml.safe_dump({"groups": [{"name": "thresholds", "rules": limits}]}))
    cases = {
        "rule_files": [str(folder / "thresholds.yml"), *(str(file) for file in [*subsystem_files(), *adapter_files()])],
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": list(input_series()), "promql_expr_test": expectations}],
    }
    (folder / "queries_test.yml").write_text(yaml.safe_dump(cases))
    return promtool("test", "rules", folder / "queries_test.yml")


def _labels(name: str) -> dict[str, str]:
    kind = {"kind": "full"} if re.match("runbook:backup_", name) else {}
    return {"stack": "shop", "priority": "P1", "section": "Part", **kind}
