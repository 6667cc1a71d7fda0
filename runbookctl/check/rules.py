"""Prometheus' file and its rule files: the alerts, and the numbers that they compare with."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbookctl.check.yaml_file import LINE, maps_in, read_map, texts_in
from runbookctl.starter.shipped import shipped

SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True)
class Rule:
    """An alerting or recording rule, with its place."""

    place: str
    name: str
    is_alert: bool
    expression: str
    labels: Mapping[str, str]

    @property
    def file(self) -> str:
        """The file of its place."""
        return self.place.rpartition(":")[0]

    @property
    def quantity(self) -> str:
        """The quantity of a threshold, such as `pg_up`; empty for any other rule."""
        parts = self.name.split(":")
        is_number = not self.is_alert and len(parts) == 3 and parts[0] == "runbook" and parts[2] in SEVERITIES
        return parts[1] if is_number else ""


@dataclass(frozen=True)
class RuleSet:
    """The rules that a Prometheus loads, and its file."""

    file: Path
    rules: Sequence[Rule]
    document: Mapping[str, Any] = field(default_factory=dict)
    empty_patterns: Sequence[str] = ()
    files: Sequence[Path] = ()

    @property
    def alerts(self) -> list[Rule]:
        """The alerting rules."""
        return [rule for rule in self.rules if rule.is_alert]

    @property
    def thresholds(self) -> list[Rule]:
        """The numbers that alerts compare with."""
        return [rule for rule in self.rules if rule.quantity]


def read_prometheus(file: Path) -> RuleSet:
    """Read Prometheus' file and the rule files that it names. Raises WrongUsage."""
    document = read_map(file)
    patterns = texts_in(document.get("rule_files"))
    # Path.glob takes no absolute pattern.
    found = {pattern: sorted(glob.glob(str(file.parent / pattern))) for pattern in patterns}  # noqa: PTH207
    files = [Path(name) for name in dict.fromkeys(name for names in found.values() for name in names)]
    rules = [rule for each in files for rule in _rules_of(each)]
    return RuleSet(file, rules, document, [pattern for pattern, names in found.items() if not names], files)


def read_shipped_rules() -> RuleSet:
    """Read the alerts that runbookd ships; they have no numbers. Raises InitError."""
    folder = shipped("alert_rules")
    return RuleSet(folder, [rule for file in sorted(folder.glob("*.yml")) for rule in _rules_of(file)])


def _rules_of(file: Path) -> Iterator[Rule]:
    for group in maps_in(read_map(file).get("groups")):
        for entry in maps_in(group.get("rules")):
            labels = entry.get("labels")
            yield Rule(
                f"{file}:{entry[LINE]}",
                str(entry.get("alert") or entry.get("record") or ""),
                "alert" in entry,
                str(entry.get("expr", "")),
                {str(name): str(value) for name, value in (labels or {}).items() if name != LINE},
            )
