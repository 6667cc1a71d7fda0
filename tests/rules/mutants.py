"""Change one number or comparison at a time and check that a case fails: `python -m tests.rules.mutants`.

Each number is raised by 1; each comparison of an alert is reversed and made to include or exclude the limit; each
0 or 1 comparison of a rule is inverted. Exit 0: every change failed a case. Exit 1: the output lists the changes that
no case detected.
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.rules.generated import subsystems, write_tests
from tests.rules.rulebook import CASES, RULES, SEVERITIES, adapter_files, subsystem_files, threshold_files
from tests.rules.tools import RunTool, runner
from tools.toolchain import paths

FLIPPED = {">": (">=", "<"), "<": ("<=", ">"), ">=": (">", "<"), "<=": ("<", ">")}


@dataclass(frozen=True)
class Mutant:
    """A change to a rule file, with the severity of the changed rule (empty: any)."""

    file: Path
    at: int
    old: str
    new: str
    subsystem: str
    severity: str = ""

    def __str__(self) -> str:
        line = self.file.read_text()[: self.at].count("\n") + 1
        return f"{self.file.relative_to(RULES)}:{line} {self.old} -> {self.new}"

    def plant(self, rules: Path) -> None:
        target = rules / self.file.relative_to(RULES)
        text = target.read_text()
        target.write_text(text[: self.at] + self.new + text[self.at + len(self.old) :])

    def fails_a_case(self, promtool: RunTool, folder: Path) -> bool:
        """Return whether a case got an unexpected result; a rule that does not load proves nothing."""
        rules = Path(shutil.copytree(RULES, folder / "alert_rules"))
        cases = folder / "tests" / "rules"
        shutil.copytree(CASES, cases, ignore=shutil.ignore_patterns("*.py", "__pycache__", "cases"))
        self.plant(rules)
        return any("exp:" in _failure_output(promtool, file) for file in self._files(folder, rules, cases))

    def _files(self, folder: Path, rules: Path, cases: Path) -> Iterator[Path]:
        """Yield the test files for its rule, the quickest first."""
        if self.subsystem in subsystems():
            for severity in [self.severity] if self.severity else SEVERITIES:
                yield from write_tests(folder, self.subsystem, rules, severity)
        loaded = [test_file for test_file in cases.glob("*_test.yml") if self._is_loaded_by(test_file)]
        yield from sorted(loaded, key=lambda each: (each.stem != f"{self.subsystem}_test", each.stat().st_size))

    def _is_loaded_by(self, test_file: Path) -> bool:
        name = "adapters/" if self.subsystem == "adapters" else f"alert_rules/{self.subsystem}.yml"
        return name in test_file.read_text()


def mutants() -> Iterator[Mutant]:
    """Yield every change that a case must detect."""
    for file in threshold_files():
        yield from _numbers(file)
    for file in subsystem_files():
        yield from _comparisons(file)
    for file in [*subsystem_files(), *adapter_files()]:
        subsystem = "adapters" if file.parent.name == "adapters" else file.stem
        for old, new in ((" == 1", " == 0"), (" == 0", " == 1"), (" > 0)", " < 0)")):
            for match in re.finditer(re.escape(old), file.read_text()):
                yield Mutant(file, match.start(), old, new, subsystem)


def survivors(chosen: list[Mutant]) -> list[Mutant]:
    """Return the changes that no case detected."""
    promtool = runner(paths.launcher("promtool"))

    def is_detected(mutant: Mutant) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            return mutant.fails_a_case(promtool, Path(folder))

    with ThreadPoolExecutor(2) as pool:
        return [mutant for mutant, red in zip(chosen, pool.map(is_detected, chosen), strict=True) if not red]


def main() -> int:
    """Try all mutants, print the result, and return the exit status."""
    chosen = list(mutants())
    undetected = survivors(chosen)
    for mutant in undetected:
        print(f"no case detects {mutant}", file=sys.stderr)
    print(f"{len(chosen) - len(undetected)} of {len(chosen)} changes failed a case")
    return 1 if undetected else 0


def _numbers(file: Path) -> Iterator[Mutant]:
    record = r"record: runbook:(\w+):(critical|warning|info|minimum)\n(?:.*\n)*?\s+expr: (.+)\n"
    for match in re.finditer(record, file.read_text()):
        severity = "" if match[2] == "minimum" else match[2]
        yield Mutant(file, match.start(3), match[3], f"{match[3]} + 1", _subsystem_of(match[1]), severity)


def _subsystem_of(quantity: str) -> str:
    """Return the subsystem whose rules compare with the quantity."""
    name = re.compile(rf"runbook:{quantity}:\w")
    return next(file.stem for file in subsystem_files() if file.stem != "meta" and name.search(file.read_text()))


def _comparisons(file: Path) -> Iterator[Mutant]:
    text = file.read_text()
    for match in re.finditer(r"(?<=\s)([<>]=?)(?= on \([\w, ]+\) group_left \((?:priority)?\))", text):
        severity = re.compile(r"severity: (\w+)").search(text, match.end())
        for new in FLIPPED[match[1]]:
            yield Mutant(file, match.start(), match[1], new, file.stem, severity[1] if severity else "")


def _failure_output(promtool: RunTool, file: Path) -> str:
    result = promtool("test", "rules", file)
    return result.stdout + result.stderr if result.returncode != 0 else ""


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.rules.mutants", description=__doc__).parse_args()
    sys.exit(main())
