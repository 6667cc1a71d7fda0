"""Each threshold exists once, for an existing stack and quantity, and every gap is a decision."""

import re
from collections import Counter

import pytest

from tests.rules.rulebook import (
    SILENT,
    Rule,
    alerts,
    minimums,
    number_of,
    published_rules,
    rules_of,
    silences,
    subsystem_files,
    threshold_files,
    threshold_names,
    thresholds,
)

STACKS = {"pmcrm", "clientforge", "formula_pm", "deelrx", "life_platform"}
WITH_QUEUES = {"pmcrm", "clientforge"}
RESPONSE = "runbook:respond_within_seconds"
NEVER_JUDGED = {"application_active_users"}
"""Quantities of the morning lists that no alert compares: a day with few users is no fault."""
FOR_A_KIND = "backup_"
"""Numbers for backups are per kind."""


def compared_quantities() -> set[str]:
    """Return the compared quantities without those of backups, which are per kind."""
    names = {name for alert in alerts() for name in threshold_names(alert.expr)}
    return {name.split(":")[1] for name in names if FOR_A_KIND not in name}


def test_each_stack_has_one_file_with_only_its_numbers() -> None:
    assert {file.stem for file in threshold_files()} == STACKS
    assert all(rule.labels["stack"] == rule.file.stem for rule in published_rules())


def test_no_number_is_published_twice() -> None:
    """Prometheus would store both in turn, and promtool checks only one file at a time."""
    times = Counter((rule.record, *(rule.labels.get(key) for key in _keys(rule))) for rule in published_rules())
    assert [name for name, count in times.items() if count > 1] == []


@pytest.mark.parametrize("rule", thresholds(), ids=str)
def test_threshold_is_a_number_with_the_labels_of_the_join(rule: Rule) -> None:
    kind = {"kind"} if rule.quantity.startswith(FOR_A_KIND) else set()
    assert set(rule.labels) - {"sustained"} == {"stack", "priority", "section"} | kind
    assert rule.labels["priority"] in {"P0", "P1", "P2", "P3"}
    assert number_of(rule) >= 0


def test_all_or_no_numbers_of_a_quantity_have_a_duration() -> None:
    named = {rule.quantity: set[bool]() for rule in thresholds()}
    for rule in thresholds():
        named[rule.quantity].add("sustained" in rule.labels)
    assert {quantity for quantity, both in named.items() if len(both) > 1} == set()


def test_more_severe_number_is_higher() -> None:
    limits = {(r.labels["stack"], r.quantity, str(r.record).split(":")[-1]): number_of(r) for r in thresholds()}
    for (stack, quantity, severity), limit in limits.items():
        worse = {"info": "warning", "warning": "critical"}.get(severity, "")
        assert (stack, quantity, worse) not in limits or limits[stack, quantity, worse] > limit


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_every_quantity_of_a_stack_has_a_number_or_a_silence(stack: str) -> None:
    numbers = {rule.quantity for rule in thresholds() if rule.labels["stack"] == stack}
    silent = {rule.quantity for rule in silences() if rule.labels["stack"] == stack and "kind" not in rule.labels}
    required = {name for name in compared_quantities() if stack in WITH_QUEUES or not name.startswith("bullmq_")}
    required |= NEVER_JUDGED
    silence = f"- {{record: runbook:silent, labels: {{stack: {stack}, quantity: QUANTITY}}, expr: 1}}"
    assert required - numbers - silent == set(), f"add its number to thresholds/{stack}.yml, or {silence}"
    assert {name for name in (numbers | silent) - required if FOR_A_KIND not in name} == set()
    assert {name for name in numbers & silent if FOR_A_KIND not in name} == set()


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_every_backup_quantity_has_a_number_or_a_silence(stack: str) -> None:
    names = {name.split(":")[1] for alert in alerts() for name in threshold_names(alert.expr) if FOR_A_KIND in name}
    assert names == {
        rule.quantity for rule in published_rules() if rule.labels["stack"] == stack and FOR_A_KIND in str(rule)
    }


def test_silence_has_a_stack_and_a_quantity() -> None:
    assert all(silence.expr == "1" for silence in silences())
    assert all(set(silence.labels) - {"kind"} == {"stack", "quantity"} for silence in silences())


def test_every_threshold_is_used_by_an_alert() -> None:
    names = {
        name for alert in alerts() if alert.labels["component"] != "monitoring" for name in threshold_names(alert.expr)
    }
    assert {str(rule.record) for rule in thresholds()} - names == set()


def test_every_minimum_is_used_and_published_for_each_stack_that_needs_it() -> None:
    rules = [rule for file in subsystem_files() for rule in rules_of(file)]
    users = {name: rule for rule in rules for name in re.findall(r"runbook:\w+:minimum", rule.expr)}
    assert {str(rule.record) for rule in minimums()} == set(users)
    published = {(rule.record, rule.labels["stack"]) for rule in minimums()}
    for rule in rules:
        for minimum in re.findall(r"runbook:\w+:minimum", rule.expr):
            quantities = {n.split(":")[1] for n in threshold_names(rule.expr)} or {str(rule.record).split(":")[1]}
            stacks = {t.labels["stack"] for t in thresholds() if t.quantity in quantities}
            assert {stack for stack in stacks if (minimum, stack) not in published} == set(), rule.expr


def test_response_times_grow_from_p0_to_p3() -> None:
    for file in threshold_files():
        times = [rule for rule in rules_of(file) if rule.record == RESPONSE]
        assert [rule.labels["priority"] for rule in times] == [f"P{number}" for number in range(len(times))]
        assert sorted(map(number_of, times)) == list(map(number_of, times))


def test_comment_names_section_row_and_origin_of_the_number() -> None:
    for file in threshold_files():
        sections = [rule.labels["section"] for rule in rules_of(file) if rule in thresholds()]
        for comment, section in zip(_comments_over_thresholds(file.read_text()), sections, strict=True):
            assert re.search(r"\b[Ss]tated\b|\b[Ii]nferred\b", comment), f"{file.name}: {comment}"
            assert section in comment, f"{file.name} names another section: {comment}"
            assert re.search(r"\(((pmcrm|cf|fpm|drx|lpm)-[\w-]+(, )?)+\)", comment), (
                f"{file.name} names no row: {comment}"
            )


def _keys(rule: Rule) -> tuple[str, ...]:
    return ("stack", "priority") if rule.record == RESPONSE else ("stack", "kind", "quantity")


def _comments_over_thresholds(text: str) -> list[str]:
    pairs = re.findall(r"((?:^ *#.*\n)*)^ *- record: (\S+)$", text, re.MULTILINE)
    comments = [comment for comment, record in pairs if record != SILENT and not record.endswith(":minimum")]
    return [" ".join(line.strip(" #") for line in comment.splitlines()) for comment in comments]
