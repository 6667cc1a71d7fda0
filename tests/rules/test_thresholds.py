"""The numbers: each is there once, for a stack and a quantity that exist, and every gap was decided."""

import re
from collections import Counter

import pytest

from tests.rules.rulebook import (
    SILENT,
    Rule,
    alerts,
    published,
    silences,
    threshold_files,
    threshold_names,
    thresholds,
)

STACKS = {"pmcrm", "clientforge", "formula_pm", "deelrx", "life_platform"}

PARTS = {
    "pg_idle_in_transaction_max_age_seconds": STACKS,
    "bullmq_queue_failed_jobs": {"pmcrm", "clientforge"},
    "bullmq_queue_dead_letter_jobs": {"pmcrm", "clientforge"},
    "bullmq_queue_waiting_jobs": {"pmcrm", "clientforge"},
    "bullmq_queue_oldest_waiting_age_seconds": {"pmcrm", "clientforge"},
    "backup_age_seconds": STACKS,
    "backup_size_ratio": STACKS,
    "backup_verified_age_seconds": STACKS,
    "backup_restored_age_seconds": STACKS,
    "backup_restore_duration_seconds": STACKS,
    "backup_oldest_age_seconds": STACKS,
    "backup_encrypted": STACKS,
}
"""Which stacks have what a quantity is about: all have PostgreSQL and backups, two have queues."""

STATED_NOWHERE = {
    ("clientforge", "pg_idle_in_transaction_max_age_seconds", ""),
    ("formula_pm", "pg_idle_in_transaction_max_age_seconds", ""),
    ("deelrx", "pg_idle_in_transaction_max_age_seconds", ""),
    ("life_platform", "pg_idle_in_transaction_max_age_seconds", ""),
    ("clientforge", "bullmq_queue_failed_jobs", ""),
    ("pmcrm", "bullmq_queue_dead_letter_jobs", ""),
    ("pmcrm", "bullmq_queue_waiting_jobs", ""),
    ("pmcrm", "bullmq_queue_oldest_waiting_age_seconds", ""),
    ("formula_pm", "backup_age_seconds", "files"),
    *((stack, "backup_size_ratio", "") for stack in ("pmcrm", "formula_pm", "deelrx")),
    *((stack, "backup_verified_age_seconds", "") for stack in ("pmcrm", "clientforge", "formula_pm", "deelrx")),
    *((stack, "backup_restored_age_seconds", "") for stack in ("pmcrm", "formula_pm")),
    *((stack, "backup_restore_duration_seconds", "") for stack in ("pmcrm", "clientforge", "formula_pm")),
    *((stack, "backup_oldest_age_seconds", "") for stack in ("pmcrm", "clientforge")),
    *((stack, "backup_encrypted", "") for stack in ("pmcrm", "clientforge", "formula_pm")),
}
"""The gaps, a second time: turning a number into a silence takes two deliberate changes."""


def test_there_is_one_file_for_each_stack_and_it_speaks_of_no_other() -> None:
    assert {file.stem for file in threshold_files()} == STACKS
    assert all(rule.labels["stack"] == rule.file.stem for rule in published())


def test_no_number_is_published_twice() -> None:
    """Prometheus would take both in turn, and promtool looks into one file at a time."""
    times = Counter((rule.record, *sorted(_key(rule).items())) for rule in published())
    assert [name for name, count in times.items() if count > 1] == []


@pytest.mark.parametrize("rule", thresholds(), ids=str)
def test_a_threshold_is_a_number_with_the_labels_that_the_join_expects(rule: Rule) -> None:
    expected = {"stack", "priority"} | ({"kind"} if rule.quantity.startswith("backup_") else set())
    assert set(rule.labels) == expected
    assert rule.labels["priority"] in {"P0", "P1", "P2", "P3"}
    assert re.fullmatch(r"[\d\s.()+*/]+", rule.expr)


def test_every_quantity_of_every_stack_has_a_number_or_is_known_to_have_none() -> None:
    decided = {(rule.labels["stack"], rule.quantity) for rule in published()}
    assert decided == {(stack, quantity) for quantity, stacks in PARTS.items() for stack in stacks}


def test_the_silences_are_the_ones_that_were_decided() -> None:
    assert {(s.labels["stack"], s.quantity, s.labels.get("kind", "")) for s in silences()} == STATED_NOWHERE
    assert all(silence.expr == "1" for silence in silences())


def test_nothing_has_both_a_number_and_a_silence() -> None:
    numbers = {(t.labels["stack"], t.quantity, t.labels.get("kind", "")) for t in thresholds()}
    assert numbers & STATED_NOWHERE == set()


def test_every_threshold_is_compared_by_an_alert_and_watched_by_both_meta_alerts() -> None:
    names = {str(rule.record) for rule in thresholds()}
    meta = [rule for rule in alerts() if rule.labels["component"] == "monitoring"]
    compared = {name for rule in alerts() if rule not in meta for name in threshold_names(rule.expr)}
    assert compared == names
    for alert in ("ThresholdMissing", "MetricMissing"):
        assert {name for rule in meta if rule.alert == alert for name in threshold_names(rule.expr)} == names


def test_a_comment_says_the_section_and_whether_the_number_is_stated_or_inferred() -> None:
    for file in threshold_files():
        for comment in _comments_over_thresholds(file.read_text()):
            assert re.search(r"\b[Ss]tated\b|\b[Ii]nferred\b", comment), f"{file.name}: {comment}"
            assert " > " in comment, f"{file.name} names no section: {comment}"


def _comments_over_thresholds(text: str) -> list[str]:
    found = re.findall(r"((?:^ *#.*\n)*)^ *- record: (\S+)$", text, re.MULTILINE)
    return [comment for comment, record in found if record != SILENT]


def _key(rule: Rule) -> dict[str, str]:
    return {name: value for name, value in rule.labels.items() if name != "priority"}
