"""The cases of the five runbooks hold for the shipped inventories, and each notices a change of its policy."""

from pathlib import Path

import pytest
import yaml

from runbookctl.inventory_changes import read_changes
from runbookctl.policy.player import play
from runbookctl.policy.suite import Substitutes, read_suite
from tools.toolchain.paths import ROOT

SETS = ROOT / "deploy" / "runbooks"
MUTANTS = yaml.safe_load((Path(__file__).parent / "mutants.yml").read_text(encoding="utf-8"))
CASES = [(stack, name) for stack in MUTANTS for name in MUTANTS[stack]]
STACK_KEYS = ("commands", "escalation", "reminders")


def change(stack: str, mutant: str) -> str:
    """Return the whole path of a mutant's key: of a remediation by default."""
    first = mutant.split(".")[0]
    if first == "limits":
        return mutant
    return f"stacks.{stack}.{mutant}" if first in STACK_KEYS else f"stacks.{stack}.remediations.{mutant}"


def failed_paths(stack: str, name: str, *changes: str) -> list[str]:
    suite = read_suite(SETS / stack / "policy_tests.yml", Substitutes(changes=read_changes(changes)))
    [ready] = [each for each in suite if each.case.name == name]
    return [each.place for each in play(ready).failures]


@pytest.mark.parametrize("stack", MUTANTS)
def test_every_shipped_case_has_a_mutant(stack: str) -> None:
    names = [each.case.name for each in read_suite(SETS / stack / "policy_tests.yml")]
    assert names == list(MUTANTS[stack])


@pytest.mark.parametrize(("stack", "name"), CASES)
def test_a_shipped_case_passes_and_its_mutant_fails(stack: str, name: str) -> None:
    assert failed_paths(stack, name) == []
    assert failed_paths(stack, name, change(stack, MUTANTS[stack][name]))


@pytest.mark.parametrize("stack", MUTANTS)
def test_every_shipped_case_says_which_section_it_is_from(stack: str) -> None:
    lines = (SETS / stack / "policy_tests.yml").read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("  - name:")]
    assert all(lines[number - 1].startswith("  #") for number in starts)
