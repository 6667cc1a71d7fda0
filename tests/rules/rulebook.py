"""The rule files as plain values, for the tests that read them instead of evaluating them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "alert_rules"
THRESHOLDS = RULES / "thresholds"
CASES = Path(__file__).parent

FACTS = RULES / "boards.yml"
"""Written by `make dashboards`: facts about panels and checks, without an expression."""

SILENT = "runbook:silent"
SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True)
class Rule:
    """An alerting or recording rule, with its file."""

    file: Path
    alert: str | None
    record: str | None
    expr: str
    duration: str | None = None
    keep_firing_for: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.file.stem}-{self.alert or self.record}-{'-'.join(self.labels.values())}"

    @property
    def quantity(self) -> str:
        """Return the quantity of a threshold or a silence."""
        assert self.record is not None
        return self.labels["quantity"] if self.record == SILENT else self.record.split(":")[1]


def subsystem_files() -> list[Path]:
    return sorted(RULES.glob("*.yml"))


def threshold_files() -> list[Path]:
    return sorted(THRESHOLDS.glob("*.yml"))


def adapter_files() -> list[Path]:
    return sorted((RULES / "adapters").glob("*.yml"))


def all_rules() -> list[Rule]:
    """Return the rules of the subsystems and adapters, without the thresholds and the facts."""
    files = [*subsystem_files(), *adapter_files()]
    return [rule for file in files if file != FACTS for rule in _cached_rules_of(file)]


def alerts() -> list[Rule]:
    return [rule for file in subsystem_files() for rule in _cached_rules_of(file) if rule.alert]


def published_rules() -> list[Rule]:
    """Return the thresholds, minimums and silences of all stacks."""
    return [rule for file in threshold_files() for rule in _cached_rules_of(file)]


def thresholds() -> list[Rule]:
    """Return the numbers that alerts compare with."""
    return [rule for rule in published_rules() if str(rule.record).split(":")[-1] in SEVERITIES]


def minimums() -> list[Rule]:
    """Return the traffic minimums below which ratios and means are ignored."""
    return [rule for rule in published_rules() if str(rule.record).endswith(":minimum")]


def silences() -> list[Rule]:
    return [rule for rule in published_rules() if rule.record == SILENT]


@cache
def _cached_rules_of(file: Path) -> list[Rule]:
    return rules_of(file)


def rules_of(file: Path) -> list[Rule]:
    document = yaml.safe_load(file.read_text())
    return [_rule(file, raw) for group in document["groups"] for raw in group["rules"]]


def number_of(threshold: Rule) -> float:
    """Evaluate the arithmetic expression of a threshold."""
    assert re.fullmatch(r"[\d\s.()+*/-]+", threshold.expr), threshold.expr
    return float(eval(threshold.expr, {"__builtins__": {}}))  # noqa: S307 - digits and signs only, as asserted


def threshold_names(text: str) -> set[str]:
    """Return the thresholds named in an expression or an annotation."""
    return set(re.findall(r"runbook:\w+:(?:critical|warning|info)", text))


def _rule(file: Path, raw: Mapping[str, Any]) -> Rule:
    return Rule(
        file=file,
        alert=raw.get("alert"),
        record=raw.get("record"),
        expr=str(raw["expr"]),
        duration=raw.get("for"),
        keep_firing_for=raw.get("keep_firing_for"),
        labels=raw.get("labels", {}),
        annotations=raw.get("annotations", {}),
    )
