"""Prometheus' own settings: rule files, Alertmanagers and scrape jobs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from runbookctl.check.finding import CheckFinding
from runbookctl.check.rules import RuleSet
from runbookctl.check.yaml_file import LINE, duration, maps_in, texts_in
from runbookd.inventory import Inventory

_OUR_PORTS = (":9850", ":9851")
# adapters/processes.yml takes such a job for an exporter, which is no process of a stack.
_EXPORTER_JOB = re.compile(r"(node|windows|blackbox|elasticsearch|postgres|redis|kube)[_-](?!.*exporter).*")
_EXPORTER_PORTS = (":9100", ":9182", ":9115", ":9114", ":9187", ":9121", ":8080", ":8443", ":10250")
_LONGEST_INTERVAL = timedelta(minutes=2)
_EFFECTS = {
    "scrape_interval": "rates over five minutes need two samples, so that their alerts never fire",
    "evaluation_interval": "alerts fire and end late, and a series that a rule records lasts for five minutes only",
}


def findings(inventory: Inventory, rules: RuleSet) -> Iterator[CheckFinding]:
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
    jobs = maps_in(rules.document.get("scrape_configs"))
    yield from _renamed_labels(rules, jobs)
    yield from _long_intervals(rules, jobs)
    yield from _unwatched_processes(rules, jobs)
    if any(stack.remediations for stack in inventory.stacks.values()) and not _names_remediator(rules, jobs):
        yield CheckFinding(
            file,
            "no scrape job is called runbook_remediator, so that RemediatorDown never fires",
            "name the job of the remediator so, or runbook_remediator_NAME",
        )


def _names_remediator(rules: RuleSet, jobs: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the rules can see the remediator's job; relabeling and other files may name it as well."""
    relabeled = [rule for job in jobs for rule in maps_in(job.get("relabel_configs"))]
    return (
        "scrape_config_files" in rules.document
        or any(str(job.get("job_name")).startswith("runbook_remediator") for job in jobs)
        or any(rule.get("target_label") == "job" for rule in relabeled)
    )


def _long_intervals(rules: RuleSet, jobs: Sequence[Mapping[str, Any]]) -> Iterator[CheckFinding]:
    settings = rules.document.get("global")
    places: list[tuple[str, Mapping[str, Any]]] = [(str(rules.file), settings if isinstance(settings, dict) else {})]
    places += [(f"{rules.file}:{job[LINE]}", job) for job in jobs if _is_ours(job)]
    for place, values in places:
        for key, effect in _EFFECTS.items():
            if duration(values.get(key)) > _LONGEST_INTERVAL:
                yield CheckFinding(place, f"{key} is {values[key]}: {effect}", "write 15s, at most 2m")


def _unwatched_processes(rules: RuleSet, jobs: Sequence[Mapping[str, Any]]) -> Iterator[CheckFinding]:
    for job in jobs:
        targets = _targets(job)
        is_exporter = job.get("metrics_path") == "/probe" or any(target.endswith(_EXPORTER_PORTS) for target in targets)
        if targets and not is_exporter and _EXPORTER_JOB.fullmatch(name := str(job.get("job_name"))):
            yield CheckFinding(
                f"{rules.file}:{job[LINE]}",
                f"the job {name} counts as an exporter by its name, so that ProcessDown does not watch its targets",
                f"rename it, such as app_{name}; if it is an exporter, add exporter to its name",
            )


def _targets(job: Mapping[str, Any]) -> list[str]:
    return [target for group in maps_in(job.get("static_configs")) for target in texts_in(group.get("targets"))]


def _is_ours(job: Mapping[str, Any]) -> bool:
    return "runbook" in str(job.get("job_name")) or any(target.endswith(_OUR_PORTS) for target in _targets(job))


def _renamed_labels(rules: RuleSet, jobs: Sequence[Mapping[str, Any]]) -> Iterator[CheckFinding]:
    for job in jobs:
        if _is_ours(job) and job.get("honor_labels") is not True:
            yield CheckFinding(
                f"{rules.file}:{job[LINE]}",
                f"the job {job.get('job_name')} has no honor_labels: a target label `stack` would rename ours, and no"
                " alert would match its threshold",
                "add honor_labels: true",
            )
