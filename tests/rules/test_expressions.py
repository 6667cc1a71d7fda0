"""Lint the PromQL of alerts and recording rules."""

import re

import pytest
import yaml

from tests.rules.rulebook import ROOT, Rule, all_rules

RULES = [*all_rules()]
WITHOUT_STACK = {
    "InventoryReloadFailed",
    "RemediatorReloadFailed",
    "ExporterMissing",
    "RemediatorDown",
    "RemediatorReplicaDown",
    "RemediationNoLeader",
    "RemediationTwoLeaders",
    "RemediationWaitsForApproval",
    "RemediationEscalationUnsent",
    "RemediationDeliveriesRefused",
}
"""Alerts on a daemon as a whole."""

COUNTERS_WITHOUT_SUFFIX = {"node_vmstat_oom_kill"}
"""The kernel's name."""

AGGREGATIONS = r"sum|min|max|avg|count|group|topk|bottomk|quantile|stddev"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> int:
    return int(duration[:-1]) * SECONDS[duration[-1]]


def scrape_interval() -> int:
    return seconds(yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["global"]["scrape_interval"])


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_range_covers_at_least_four_scrapes(rule: Rule) -> None:
    """A lost or late scrape must not remove a rate."""
    assert all(seconds(window) >= 4 * scrape_interval() for window in re.findall(r"\[(\w+)\]", rule.expr))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_only_counters_have_a_rate(rule: Rule) -> None:
    for name in re.findall(r"\b(?:i?rate|increase)\(\s*([a-zA-Z_:]+)", rule.expr):
        assert re.search(r"_(total|bucket|sum|count)$", name) or name in COUNTERS_WITHOUT_SUFFIX


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_divisor_is_compared_with_zero(rule: Rule) -> None:
    """Each divisor is compared with 0 in its own parentheses."""
    for division in re.finditer(r"(?<=\s)/(?=\s)", rule.expr):
        below = re.sub(r"^\s*on \([^)]*\)", "", rule.expr[division.end() :]).strip()
        assert re.search(r"> 0$", _first_group(below).strip()), below


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_no_aggregation_drops_the_stack(rule: Rule) -> None:
    if rule.alert in WITHOUT_STACK:
        return
    for by in re.findall(rf"\b(?:{AGGREGATIONS})\b(?!\w)\s*(by \([^)]*\)|without \([^)]*\)|\()", rule.expr):
        assert re.match(r"by \(.*\bstack\b", by), by


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_vector_match_names_its_labels(rule: Rule) -> None:
    """Without `on`, a label added by a scrape job keeps the two sides from matching."""
    text = re.sub(r"\{[^}]*\}", "", rule.expr)
    operators = re.findall(r"(?:\b(?:unless|and)\b|(?<=\s)[<>]=?(?=\s))\s*(?:bool )?(\S+)", text)
    assert [after for after in operators if after != "on" and not re.match(r"[\d.]+", after)] == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.record], ids=str)
def test_recorded_name_contains_level_and_operation(rule: Rule) -> None:
    level, metric, operation = str(rule.record).split(":")
    assert level.split("_")[0] == "stack"
    assert re.fullmatch(r"[a-z0-9_]+", metric)
    assert re.fullmatch(r"[a-z0-9]+", operation)


def _first_group(text: str) -> str:
    """Return the contents of the parentheses at the start of `text`."""
    assert text.startswith("("), text
    depth = 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return text[1:at]
    return text
