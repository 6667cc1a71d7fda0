"""`runbookctl check`: compares inventory, rules, thresholds, Prometheus' and Alertmanager's files with each other.

It connects to nothing; `runbookctl doctor` checks what needs a connection.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runbookctl.check import comparisons, limits, names, numbers, prometheus_settings, release, routing, settings
from runbookctl.check.alerts import PossibleAlert, possible_alerts
from runbookctl.check.finding import CheckFinding
from runbookctl.check.routes import Alertmanager, read_alertmanager
from runbookctl.check.rules import RuleSet, read_prometheus, read_shipped_rules
from runbookd.inventory import Inventory

__all__ = ["CheckFinding", "CheckResult", "Recipients", "examine"]


@dataclass(frozen=True)
class Recipients:
    """An alert that can fire, and the receivers that it reaches."""

    alert: PossibleAlert
    receivers: tuple[str, ...]


@dataclass(frozen=True)
class CheckResult:
    """The findings, the recipients of each alert, and notes on what could not be checked."""

    findings: Sequence[CheckFinding]
    recipients: Sequence[Recipients] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def examine(
    inventory: Inventory, file: Path | None, alertmanager_file: Path | None, prometheus_file: Path | None
) -> CheckResult:
    """Compare the files. Raises WrongUsage if one cannot be read."""
    settings_findings, notes = settings.findings(inventory, file)
    findings = [*settings_findings, *limits.findings(inventory)]
    if not inventory.stacks:
        repair = "add one below `stacks`; `runbookctl init DIR` writes one to start from"
        findings.append(CheckFinding(str(file or "environment"), "no stack is listed: nothing is measured", repair))
    rules = read_prometheus(prometheus_file) if prometheus_file is not None else None
    if rules is not None:
        findings += [*prometheus_settings.findings(inventory, rules), *numbers.findings(inventory, rules)]
        findings += [*comparisons.findings(rules), *names.findings(inventory, rules)]
        notes = [*notes, *release.notes(rules)]
    if alertmanager_file is None:
        return CheckResult(findings, notes=notes)
    alertmanager = read_alertmanager(alertmanager_file)
    return _with_routes(inventory, alertmanager, rules, CheckResult(findings, notes=notes))


def _with_routes(
    inventory: Inventory, alertmanager: Alertmanager, rules: RuleSet | None, result: CheckResult
) -> CheckResult:
    alerts = possible_alerts(inventory, rules if rules is not None else read_shipped_rules())
    recipients = [Recipients(alert, alertmanager.receivers_of(alert.labels)) for alert in alerts]
    reached = [(each.alert, each.receivers) for each in recipients]
    findings = routing.findings(inventory, alertmanager, reached)
    notes = [] if rules is not None else ["priorities are unknown without --prometheus, so all are taken as empty"]
    return CheckResult(
        [*result.findings, *findings], recipients, [*result.notes, *notes, *routing.notes(alertmanager, reached)]
    )
