"""Prometheus' own settings: rule files, Alertmanagers and scrape jobs."""

from collections.abc import Iterator

from runbookctl.check.finding import CheckFinding
from runbookctl.check.rules import RuleSet
from runbookctl.check.yaml_file import LINE, maps_in, texts_in

_OUR_PORTS = (":9850", ":9851")


def findings(rules: RuleSet) -> Iterator[CheckFinding]:
    """Report what keeps alerts from firing, or from leaving Prometheus."""
    file = str(rules.file)
    if not rules.alerts:
        patterns = ", ".join(rules.empty_patterns) or "none"
        yield CheckFinding(
            file, f"no alert is loaded (rule_files without a file: {patterns})", "copy alert_rules/ beside this file"
        )
    alerting = rules.document.get("alerting")
    if not (isinstance(alerting, dict) and maps_in(alerting.get("alertmanagers"))):
        yield CheckFinding(file, "it names no Alertmanager, so that no alert leaves it", "add alerting.alertmanagers")
    yield from _renamed_labels(rules)


def _renamed_labels(rules: RuleSet) -> Iterator[CheckFinding]:
    for job in maps_in(rules.document.get("scrape_configs")):
        targets = [target for group in maps_in(job.get("static_configs")) for target in texts_in(group.get("targets"))]
        is_ours = "runbook" in str(job.get("job_name")) or any(target.endswith(_OUR_PORTS) for target in targets)
        if is_ours and job.get("honor_labels") is not True:
            yield CheckFinding(
                f"{rules.file}:{job[LINE]}",
                f"the job {job.get('job_name')} has no honor_labels: a target label `stack` would rename ours, and no"
                " alert would match its threshold",
                "add honor_labels: true",
            )
