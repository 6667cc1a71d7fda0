"""The cases notice a wrong rule. `make mutants` tries every small change; here is a sample of each kind."""

from pathlib import Path

import pytest

from tests.rules.mutants import Mutant, mutants
from tests.rules.rulebook import RULES
from tests.rules.tools import RunTool

EVERY = 41


def sample() -> list[Mutant]:
    """Always the same ones, of every kind and file in turn."""
    return list(mutants())[::EVERY]


@pytest.mark.parametrize("mutant", sample(), ids=str)
def test_wrong_rule_fails_a_case(promtool: RunTool, mutant: Mutant, tmp_path: Path) -> None:
    assert mutant.turns_a_case_red(promtool, tmp_path)


def test_unchanged_rule_fails_no_case(promtool: RunTool, tmp_path: Path) -> None:
    right = Mutant(RULES / "queues.yml", 0, "", "", "queues")
    assert not right.turns_a_case_red(promtool, tmp_path)


def test_mutants_cover_every_file_with_numbers_or_comparisons() -> None:
    spoiled = {mutant.file for mutant in mutants()}
    compared = {file for file in RULES.glob("*.yml") if "runbook:" in file.read_text() and file.stem != "meta"}
    assert spoiled >= {*compared, *(RULES / "thresholds").glob("*.yml")}
