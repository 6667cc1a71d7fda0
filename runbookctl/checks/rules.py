"""The alerts and thresholds of Prometheus' rule files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbookctl.checks.errors import UnusableFile
from runbookctl.checks.yaml_file import read_mapping

_THRESHOLD = re.compile(r"runbook:(?P<quantity>\w+):(?P<severity>critical|warning|info)")


@dataclass(frozen=True)
class Threshold:
    """A number of one stack, with the labels that its alerts get."""

    record: str
    quantity: str
    severity: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Rules:
    """The alerting rules, and the thresholds that they compare with."""

    alerts: Sequence[Mapping[str, Any]]
    thresholds: Sequence[Threshold]

    def alert_labels(self, stack: str) -> Iterator[Mapping[str, str]]:
        """Yield the fixed labels of each alert that the stack's thresholds make possible."""
        by_record = {each.record: each for each in self.thresholds if each.labels.get("stack") == stack}
        for rule in self.alerts:
            compared = [
                by_record[match[0]] for match in _THRESHOLD.finditer(str(rule["expr"])) if match[0] in by_record
            ]
            for threshold in {each.record: each for each in compared}.values():
                labels = {name: str(value) for name, value in rule.get("labels", {}).items() if "{{" not in str(value)}
                inherited = {"severity": threshold.severity, **threshold.labels}
                yield {**inherited, **labels, "stack": stack, "alertname": str(rule["alert"])}


def read_rules(prometheus_file: Path) -> Rules:
    """Read the rule files that Prometheus' configuration names.

    Raises:
        UnusableFile: a file cannot be read, or no rule file matches.
    """
    patterns = read_mapping(prometheus_file).get("rule_files") or ()
    files = [file for pattern in patterns for file in sorted(prometheus_file.parent.glob(str(pattern)))]
    if not files:
        raise UnusableFile(f"{prometheus_file}: rule_files matches no file; put alert_rules/ next to it")
    rules = [rule for file in files for rule in _rules_of(file)]
    return Rules([rule for rule in rules if "alert" in rule], list(_thresholds(rules)))


def _rules_of(file: Path) -> list[Mapping[str, Any]]:
    try:
        return [rule for group in read_mapping(file)["groups"] for rule in group["rules"]]
    except (KeyError, TypeError):
        raise UnusableFile(f"{file}: not a rule file; it needs groups with rules") from None


def _thresholds(rules: Sequence[Mapping[str, Any]]) -> Iterator[Threshold]:
    for rule in rules:
        if match := _THRESHOLD.fullmatch(str(rule.get("record", ""))):
            labels = {name: str(value) for name, value in rule.get("labels", {}).items()}
            yield Threshold(match[0], match["quantity"], match["severity"], labels)
