"""`python -m tests.rules.mutants` spoils one number or one comparison at a time, and wants a case to notice.

Each number of each stack is raised by 1, each comparison of an alert is turned round and made to include or leave out
the limit itself, and so is each yes-or-no of the rules between. Exit 0: every one turned a case red. Exit 1: it lists
those that no case noticed.
"""

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
    """One change to one rule file, and the severity of the rule that it is in (empty: any)."""

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

    def turns_a_case_red(self, promtool: RunTool, folder: Path) -> bool:
        """Whether a case saw something else than it expected; a rule that can not be loaded would prove nothing."""
        rules = Path(shutil.copytree(RULES, folder / "alert_rules"))
        cases = folder / "tests" / "rules"
        shutil.copytree(CASES, cases, ignore=shutil.ignore_patterns("*.py", "__pycache__", "cases"))
        self.plant(rules)
        return any("exp:" in _failure_output(promtool, file) for file in self._files(folder, rules, cases))

    def _files(self, folder: Path, rules: Path, cases: Path) -> Iterator[Path]:
        """The cases that are about it, the quickest first."""
        if self.subsystem in subsystems():
            for severity in [self.severity] if self.severity else SEVERITIES:
                test_file = write_tests(folder, self.subsystem, rules, severity)
                yield from [test_file] if test_file else []
        yield from sorted(cases.glob(f"{self.subsystem.removesuffix('s')}*_test.yml"))


def mutants() -> Iterator[Mutant]:
    """Every small change that some case has to notice."""
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
    """Those that no case noticed."""
    promtool = runner(paths.launcher("promtool"))

    def is_noticed(mutant: Mutant) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            return mutant.turns_a_case_red(promtool, Path(folder))

    with ThreadPoolExecutor(2) as pool:
        return [mutant for mutant, red in zip(chosen, pool.map(is_noticed, chosen), strict=True) if not red]


def main() -> int:
    """Try all of them, say what came of it, and return the exit status."""
    everyone = list(mutants())
    alive = survivors(everyone)
    for mutant in alive:
        print(f"no case notices {mutant}", file=sys.stderr)
    print(f"{len(everyone) - len(alive)} of {len(everyone)} changes turned a case red")
    return 1 if alive else 0


def _numbers(file: Path) -> Iterator[Mutant]:
    record = r"record: runbook:(\w+):(critical|warning|info|minimum)\n(?:.*\n)*?\s+expr: (.+)\n"
    for match in re.finditer(record, file.read_text()):
        severity = "" if match[2] == "minimum" else match[2]
        yield Mutant(file, match.start(3), match[3], f"{match[3]} + 1", _subsystem_of(match[1]), severity)


def _subsystem_of(quantity: str) -> str:
    """The one whose rules compare with it."""
    name = re.compile(rf"runbook:{quantity}:\w")
    return next(file.stem for file in subsystem_files() if file.stem != "meta" and name.search(file.read_text()))


def _comparisons(file: Path) -> Iterator[Mutant]:
    text = file.read_text()
    for match in re.finditer(r"(?<=\s)([<>]=?)(?= on \([\w, ]+\) group_left \(priority\))", text):
        severity = re.compile(r"severity: (\w+)").search(text, match.end())
        for new in FLIPPED[match[1]]:
            yield Mutant(file, match.start(), match[1], new, file.stem, severity[1] if severity else "")


def _failure_output(promtool: RunTool, file: Path) -> str:
    result = promtool("test", "rules", file)
    return result.stdout + result.stderr if result.returncode != 0 else ""


if __name__ == "__main__":
    sys.exit(main())
