"""The rule files as PrometheusRules, the form in which the Prometheus operator takes them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from runbookd.yaml_text import load_yaml

_PARTS = ("alert_rules/*.yml", "alert_rules/adapters/*.yml", "thresholds.yml")
_TARGET = Path("deploy", "kubernetes", "operator", "rules.yml")


def write_prometheus_rules(folder: Path) -> None:
    """Write deploy/kubernetes/operator/rules.yml from the rule files in `folder`."""
    text = yaml.safe_dump_all(prometheus_rules(folder), sort_keys=False, width=120)
    (folder / _TARGET).write_text(text, encoding="utf-8")


def prometheus_rules(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield one PrometheusRule per rule file."""
    for file in (file for part in _PARTS for file in sorted(folder.glob(part))):
        groups = load_yaml(file.read_text(encoding="utf-8"))["groups"]
        name = f"runbookd-{file.parent.name if file.parent != folder else ''}-{file.stem}"
        yield {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": name.replace("_", "-").replace("--", "-")},
            "spec": {"groups": groups},
        }
