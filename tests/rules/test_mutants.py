"""The cases detect a wrong rule. `make mutants` tries every change; here is a sample of each kind."""

from pathlib import Path

import pytest

from tests.rules.mutants import Mutant, mutants
from tests.rules.rulebook import RULES
from tests.rules.tools import RunTool

STRIDE = 61
OTHERS = {"meta", "boards"}
"""Files without a number of their own: the alerts on the join, and the facts that `make dashboards` writes."""


def sample() -> list[Mutant]:
    """Return a fixed sample across all kinds and files."""
    return list(mutants())[::STRIDE]


@pytest.mark.parametrize("mutant", sample(), ids=str)
def test_wrong_rule_fails_a_case(promtool: RunTool, mutant: Mutant, tmp_path: Path) -> None:
    assert mutant.fails_a_case(promtool, tmp_path)


def test_unchanged_rule_fails_no_case(promtool: RunTool, tmp_path: Path) -> None:
    unchanged = Mutant(RULES / "http.yml", 0, "", "", "http")
    assert not unchanged.fails_a_case(promtool, tmp_path)


def test_mutants_cover_every_file_with_numbers_or_comparisons() -> None:
    mutated = {mutant.file for mutant in mutants()}
    compared = {file for file in RULES.glob("*.yml") if "runbook:" in file.read_text() and file.stem not in OTHERS}
    assert mutated >= {*compared, *(RULES / "thresholds").glob("*.yml")}
