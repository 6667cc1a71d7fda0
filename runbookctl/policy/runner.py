"""Runs the cases of several files; a file that cannot be used does not keep the others from being run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runbookctl.policy.player import CaseResult, play
from runbookctl.policy.suite import ReadyCase, Substitutes, read_suite
from runbookd.inventory import InventoryError, Problem


@dataclass(frozen=True)
class FileResult:
    """The outcome of the cases of one file, or why it cannot be used."""

    file: Path
    cases: Sequence[CaseResult] = ()
    problems: Sequence[Problem] = ()
    left_out: int = 0
    """The cases that the pattern does not match."""

    @property
    def failed(self) -> int:
        """How many cases have failed."""
        return sum(bool(each.failures) for each in self.cases)


def run_file(file: Path, substitutes: Substitutes, pattern: re.Pattern[str]) -> FileResult:
    """Play the cases in `file` whose names match `pattern`."""
    try:
        cases = read_suite(file, substitutes)
    except InventoryError as error:
        return FileResult(file, problems=error.problems)
    chosen: Sequence[ReadyCase] = [each for each in cases if pattern.search(each.case.name)]
    return FileResult(file, [play(each) for each in chosen], left_out=len(cases) - len(chosen))
