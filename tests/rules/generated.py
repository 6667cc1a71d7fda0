"""Generate promtool tests for every alert and stack from the cases and the published thresholds.

Each alert must be quiet at its limit, fire past it with all labels and texts, end when the value is back, and stay
quiet for every stack without a number. promtool distinguishes alerts only by name, so each test file loads the
numbers of one severity.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import yaml

from tests.rules.formats import FORMATS
from tests.rules.rulebook import CASES, Rule, number_of, published_rules, rules_of

LONGEST_STEP = 60
"""Seconds between evaluations, unless an alert has a shorter `for`."""

LASTING, LASTING_STEP = 15 * 60, 5 * 60
"""Seconds: from this `for` on, an alert counts as lasting and is evaluated less often."""

OWNER, NEWCOMER = "owner", "newcomer"
"""Stacks without a threshold file: the first has the numbers that no runbook states, the second none."""


@dataclass(frozen=True)
class Case:
    """The expected behaviour of an alert per stack; texts contain <stack>, <value>, <limit> and <section>."""

    alert: str
    severity: str
    quantity: str
    series: str
    past: float
    duration: int
    keeps: int
    labels: Mapping[str, str]
    texts: Mapping[str, str]
    beside: Mapping[str, float]
    shown: str
    sustained: str
    fires_at_the_limit: bool

    def is_about(self, threshold: Rule) -> bool:
        if threshold.record != f"runbook:{self.quantity}:{self.severity}":
            return False
        excepted, _, duration = self.sustained.rpartition(" ")
        return not duration or (threshold.labels.get("sustained") == duration) != (excepted == "not")


def cases_of(subsystem: str) -> list[Case]:
    return [_case(raw) for raw in yaml.safe_load((CASES / "cases" / f"{subsystem}.yml").read_text())]


def subsystems() -> list[str]:
    return sorted(file.stem for file in (CASES / "cases").glob("*.yml"))


def write_tests(folder: Path, subsystem: str, rules: Path, severity: str) -> list[Path]:
    """Write the promtool tests for the alerts of one severity in `rules` and return the files.

    The expected values come from the committed numbers, even if those below `rules` differ. Alerts that last for long
    have a file of their own with a longer step.
    """
    cases = [case for case in cases_of(subsystem) if case.severity == severity]
    lasting = [case for case in cases if case.duration >= LASTING]
    parts = (("short", [case for case in cases if case not in lasting]), ("lasting", lasting))
    return [_write(folder, subsystem, rules, severity, pace, part) for pace, part in parts if part]


def _write(folder: Path, subsystem: str, rules: Path, severity: str, pace: str, cases: Sequence[Case]) -> Path:
    numbers = folder / f"numbers-{severity}-{pace}.yml"
    numbers.write_text(yaml.safe_dump(_numbers(rules, cases, severity)))
    step = LASTING_STEP if pace == "lasting" else min(LONGEST_STEP, *(case.duration for case in cases))
    content = {
        "rule_files": [str(numbers), str(rules / f"{subsystem}.yml")],
        "evaluation_interval": f"{step}s",
        "group_eval_order": ["numbers", *_groups(rules / f"{subsystem}.yml")],
        "tests": [*_tests(cases, step), _silence(step)],
    }
    file = folder / f"{subsystem}-{severity}-{pace}_test.yml"
    file.write_text(yaml.safe_dump(content, width=1000))
    return file


def _groups(file: Path) -> list[str]:
    return [group["name"] for group in yaml.safe_load(file.read_text())["groups"]]


def _numbers(rules: Path, cases: Sequence[Case], severity: str) -> dict[str, Any]:
    published_numbers = [rule for file in sorted((rules / "thresholds").glob("*.yml")) for rule in rules_of(file)]
    selected = [rule for rule in published_numbers if str(rule.record).split(":")[-1] in {severity, "minimum"}]
    entries = [{"record": rule.record, "labels": dict(rule.labels), "expr": rule.expr} for rule in selected]
    return {
        "groups": [{"name": "numbers", "rules": [*entries, *(_entry(case) for case in cases if _has_no_number(case))]}]
    }


def _has_no_number(case: Case) -> bool:
    return not any(case.is_about(rule) for rule in published_rules())


def _entry(case: Case) -> dict[str, Any]:
    owners = _owners(case)
    return {"record": owners.record, "labels": dict(owners.labels), "expr": owners.expr}


def _owners(case: Case) -> Rule:
    """Return the number that an owner may add one day where no runbook has one."""
    labels = {"stack": OWNER, "priority": "P1", "section": "Owner > Numbers"}
    return Rule(Path(), None, f"runbook:{case.quantity}:{case.severity}", "0.5", labels=labels)


def _tests(cases: Sequence[Case], step: int) -> Iterator[dict[str, Any]]:
    for case in cases:
        thresholds = [rule for rule in published_rules() if case.is_about(rule)] or [_owners(case)]
        for threshold in thresholds:
            others = {rule.labels["stack"] for rule in published_rules()} - {
                rule.labels["stack"] for rule in thresholds
            }
            yield _test(case, threshold, {*_without(case, others), NEWCOMER}, step)


def _without(case: Case, others: set[str]) -> set[str]:
    """Return the stacks without another number for this alert and severity, which another case covers."""
    record = f"runbook:{case.quantity}:{case.severity}"
    return others - {rule.labels["stack"] for rule in published_rules() if rule.record == record}


def _test(case: Case, threshold: Rule, others: set[str], step: int) -> dict[str, Any]:
    stack, limit = threshold.labels["stack"], number_of(threshold)
    quiet, past = (limit - case.past, limit) if case.fires_at_the_limit else (limit, limit + case.past)
    long, after = case.duration // step + 2, case.keeps // step + 2
    begins, ends = long * step, 2 * long * step
    values = f"{_steps(quiet, long)} {_steps(past, long)} {_steps(quiet, after)}"
    fires = [_expected(case, threshold, past, limit)]
    back = fires if case.keeps else []
    moments = [
        (begins - step, []),
        (begins + case.duration - step, []),
        (begins + case.duration, fires),
        (ends + case.keeps - step, back or fires),
        (ends + case.keeps, []),
    ]
    return {
        "name": f"{case.alert} {case.severity} {stack}",
        "interval": f"{step}s",
        "input_series": [
            {"series": case.series.replace("<stack>", stack), "values": values},
            *({"series": case.series.replace("<stack>", name), "values": f"{past!r}x999"} for name in sorted(others)),
            *_beside(case, {stack, *others}),
            {"series": _info(stack), "values": "1x999"},
        ],
        "alert_rule_test": [
            {"alertname": case.alert, "eval_time": f"{moment}s", "exp_alerts": alerts} for moment, alerts in moments
        ],
    }


def _steps(value: float, times: int) -> str:
    return f"{value!r}x{times - 1}"


def _beside(case: Case, stacks: set[str]) -> Iterator[dict[str, str]]:
    for series, value in case.beside.items():
        for stack in sorted(stacks):
            yield {"series": series.replace("<stack>", stack), "values": f"{value!r}x999"}


def _expected(case: Case, threshold: Rule, value: float, limit: float) -> dict[str, Any]:
    stack = threshold.labels["stack"]
    words = {"stack": stack, "section": threshold.labels["section"]}
    if case.shown:
        words |= {"value": FORMATS[case.shown](value), "limit": FORMATS[case.shown](limit)}
    texts = {name: _fill(text, words) for name, text in case.texts.items()}
    labels = {"stack": stack, "priority": threshold.labels["priority"], "severity": case.severity, **case.labels}
    variables = [name for name in ("target", "host", "queue", "volume") if name in case.labels]
    if case.labels.get("remediation") == "run_command":  # its target is a command, which the series does not name
        variables.remove("target")
    address = f"{_dashboard(stack)}{''.join(f'&var-{name}={quote_plus(case.labels[name])}' for name in variables)}"
    links = {"runbook_url": f"https://runbooks.example/{stack}", "dashboard_url": address}
    return {"exp_labels": labels, "exp_annotations": {**texts, **links}}


def _fill(text: str, words: Mapping[str, str]) -> str:
    if unknown := set(re.findall(r"<(value|limit)>", text)) - words.keys():
        raise ValueError(f"{text!r} has <{unknown.pop()}>: add `shown`, one of {', '.join(FORMATS)}, to its case")
    return re.sub(r"<(stack|value|limit|section)>", lambda found: words[found[1]], text)


def _info(stack: str) -> str:
    return f'stack_info{{stack="{stack}",runbook_url="https://runbooks.example/{stack}",dashboard_url="{_dashboard(stack)}"}}'


def _dashboard(stack: str) -> str:
    return f"https://grafana.example/d/stack?var-stack={stack}"


def _silence(step: int) -> dict[str, Any]:
    query = {"expr": "ALERTS", "eval_time": "10m", "exp_samples": []}
    return {"name": "no data", "interval": f"{step}s", "input_series": [], "promql_expr_test": [query]}


def _case(raw: Mapping[str, Any]) -> Case:
    return Case(
        alert=raw["alert"],
        severity=raw["severity"],
        quantity=raw["quantity"],
        series=raw["series"],
        past=raw["past"],
        duration=_seconds(raw["for"]),
        keeps=_seconds(raw.get("keep_firing_for", "0s")),
        labels=raw["labels"],
        texts={name: raw[name] for name in ("summary", "description", "impact", "commands")},
        beside=raw.get("beside", {}),
        shown=raw.get("shown", ""),
        sustained=raw.get("sustained", ""),
        fires_at_the_limit=raw.get("at_the_limit") == "fires",
    )


def _seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]
