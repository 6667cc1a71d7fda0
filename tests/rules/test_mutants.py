"""The cases notice a wrong rule: each of these small changes makes at least one of them fail."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rules.rulebook import CASES, RULES, SILENT, subsystem_files, threshold_files
from tests.rules.tools import Run

SUBJECTS = {":pg_": "database", ":bullmq_": "queues", ":backup_": "backup"}


@dataclass(frozen=True)
class Mutant:
    """One change to one rule file."""

    file: Path
    at: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file.stem}-{self.at}-{self.new.strip()}"

    @property
    def subject(self) -> str:
        """How the cases are named that speak of it: by the file, or for a number by the quantity that it is about."""
        if self.file.parent == RULES:
            return self.file.stem
        record = re.findall(r"record: (\S+)", self.file.read_text()[: self.at + len(self.old)])[-1]
        return next((name for sign, name in SUBJECTS.items() if sign in record), "meta")

    def plant(self, rules: Path) -> None:
        target = rules / self.file.relative_to(RULES)
        text = target.read_text()
        assert text[self.at :].startswith(self.old)
        target.write_text(text[: self.at] + self.new + text[self.at + len(self.old) :])


def mutants() -> Iterator[Mutant]:
    for file in subsystem_files():
        yield from _replaced(file, r"> on \(", ">= on (", "< on (")
        yield from _replaced(file, r"< on \(", "<= on (", "> on (")
        yield from _replaced(file, r" == 1", " == 0")
        yield from _replaced(file, r" == 0", " == 1")
        yield from _replaced(file, r" > 0\n", " >= 0\n")
        yield from _replaced(file, r"for: 15s", "for: 1m")
    for file in threshold_files():
        yield from _replaced(file, r"expr: (?!1\n).*", "{} + 1", "{} - 1")
        yield from _replaced(file, rf"record: {SILENT}\n", "record: runbook:gone\n")


def _replaced(file: Path, pattern: str, *replacements: str) -> Iterator[Mutant]:
    for found in re.finditer(pattern, file.read_text()):
        for new in replacements:
            yield Mutant(file, found.start(), found[0], new.format(found[0]))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The rules and their cases, where they may be spoiled."""
    shutil.copytree(RULES, tmp_path / "alert_rules")
    shutil.copytree(CASES, tmp_path / "tests" / "rules", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return tmp_path


@pytest.mark.parametrize("mutant", list(mutants()), ids=str)
def test_a_wrong_rule_turns_a_case_red(promtool: Run, mutant: Mutant, copy: Path) -> None:
    mutant.plant(copy / "alert_rules")
    assert any(_red(promtool, file) for file in _nearest_first(copy, mutant.subject))


def test_the_copy_alone_is_green(promtool: Run, copy: Path) -> None:
    assert [file.name for file in _nearest_first(copy, "") if promtool("test", "rules", file).returncode != 0] == []


def _red(promtool: Run, file: Path) -> bool:
    """Whether a case saw something else than it expected; a rule that can not be loaded would prove nothing."""
    result = promtool("test", "rules", file)
    return result.returncode != 0 and "exp:" in result.stdout + result.stderr


def _nearest_first(copy: Path, subject: str) -> list[Path]:
    """All cases, those first that should notice."""
    return sorted((copy / "tests" / "rules").glob("*_test.yml"), key=lambda file: subject.rstrip("s") not in file.name)
