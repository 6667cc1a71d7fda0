"""docs/explanation/runbook-review.md answers every trap with existing alerts and metrics."""

import re
from pathlib import Path

from tools.docs.coverage_files import covered_rows
from tools.docs.coverage_pointers import link

DOCS = Path(__file__).parents[4] / "docs" / "explanation"
TEXT = (DOCS / "runbook-review.md").read_text(encoding="utf-8")
LINES = [re.split(r"(?<!\\)\|", line)[1:-1] for line in TEXT.splitlines() if line.startswith("| `")]


def test_every_trap_is_answered_once() -> None:
    named = [trap for cells in LINES for trap in re.findall(r"`(.+?)`", cells[0])]
    assert sorted(named) == sorted(trap for row in covered_rows() for trap in row.traps)


def test_every_line_has_a_problem_and_an_answer() -> None:
    for traps, wrong, done in LINES:
        assert wrong.strip().endswith("."), traps
        assert done.strip().endswith("."), traps


def test_alerts_and_metrics_named_in_the_review_exist() -> None:
    """Check quoted names in the form of an alert or of a metric of the exporter."""
    quoted = set(re.findall(r"`(.+?)`", TEXT))
    for name in quoted:
        if re.fullmatch(r"(?:[A-Z]+[a-z]+){2,}", name):
            assert link("alert", name)
        if re.fullmatch(r"(?:pg|redis|bullmq|backup|probe)_\w+", name):
            assert link("metric", name)


def test_links_of_the_review_exist() -> None:
    for place in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (DOCS / place).exists(), place
