"""Remove one guard at a time and check that its tests fail: `python -m tests.invariants.mutants [invariant…]`.

Each guard is removed in a temporary copy of the project. Exit 0: every test named by a guard failed an assertion.
Exit 1: the output lists the tests that did not, and how they failed otherwise.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.invariants.failure_log import LOG_VARIABLE
from tests.invariants.guards import FOLDER, ROOT, Guard, Invariant, invariants

WORKERS = 2
TIMEOUT_SECONDS = 300
SHARED = (".venv", ".tools", "demo/node/node_modules", "tests/node/node_modules")  # large and identical in every copy
NOT_COPIED = shutil.ignore_patterns(".*_cache", ".git", ".venv", ".tools", ".demo", ".hypothesis", "node_modules")
MAX_SHOWN = 100  # characters of a failure message


@dataclass(frozen=True)
class Answer:
    """The result of one test without one guard."""

    number: int
    guard: str
    test: str
    red: bool
    how: str

    def __str__(self) -> str:
        return f"{self.number:>2} | {self.guard} | {self.test} | {self.how[:MAX_SHOWN]}"


def run_without(number: int, guard: Guard) -> list[Answer]:
    """Run the tests of `guard` on a copy without it."""
    with tempfile.TemporaryDirectory(prefix="runbook-mutant-") as folder:
        project = copy_into(Path(folder))
        file = project / guard.file
        file.write_text(guard.remove_from(file.read_text(encoding="utf-8")), encoding="utf-8")
        last_line, failures = _run(project, guard.red)
    return [_answer(number, guard.guard, test, failures, last_line) for test in guard.red]


def copy_into(folder: Path) -> Path:
    """Copy the project; link what is large and identical."""
    folder.chmod(0o755)  # some tests switch to a user who owns nothing
    project = Path(shutil.copytree(ROOT, folder / "project", symlinks=True, ignore=NOT_COPIED))
    for name in SHARED:
        (project / name).symlink_to((ROOT / name).resolve())
    return project


def _run(project: Path, tests: Sequence[str]) -> tuple[str, list[Mapping[str, str]]]:
    """Return the last line of pytest's output, and every failure."""
    failure_log = project / "failures.jsonl"
    command = [
        str(ROOT / ".venv/bin/python"),
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.invariants.failure_log",
        *_OPTIONS,
        *tests,
    ]
    environment = {**os.environ, "PYTHONPATH": str(project), LOG_VARIABLE: str(failure_log)}
    process = subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    last_line = _last_line(process)
    lines = failure_log.read_text(encoding="utf-8").splitlines() if failure_log.exists() else []
    return last_line, [json.loads(line) for line in lines]


# Always the same examples, and none shrunk: only the failure counts.
_OPTIONS = ("-p", "no:cacheprovider", "--hypothesis-profile", "mutants", "--timeout", "180")


def _last_line(process: subprocess.Popen[bytes]) -> str:
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"not finished within {TIMEOUT_SECONDS} s"
    lines = output.decode(errors="replace").strip().splitlines()
    return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no output")


def _answer(number: int, guard: str, test: str, failures: Sequence[Mapping[str, str]], last_line: str) -> Answer:
    mine = [each for each in failures if each["test"] == test or each["test"].startswith((f"{test}[", f"{test}::"))]
    for each in mine:
        if each["asserted"]:
            return Answer(number, guard, test, True, each["how"])
    how = f"no assertion failed, but: {mine[0]['how']}" if mine else f"did not fail: {last_line}"
    return Answer(number, guard, test, False, how)


def answers(chosen: Sequence[tuple[int, Guard]]) -> Iterator[Answer]:
    """Yield the result of each test of each guard, in order, as soon as it is known."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for results in pool.map(lambda each: run_without(*each), chosen):
            yield from results


def guards_of(chosen: Sequence[Invariant]) -> list[tuple[int, Guard]]:
    """Return their guards, each with the number of its invariant."""
    return [(each.number, guard) for each in chosen for guard in each.guards]


def main(arguments: Sequence[str]) -> int:
    """Check all guards, or those of the named invariants; print the results and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.invariants.mutants", description=__doc__)
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="of invariants; default: all")
    arguments = parser.parse_args(arguments).numbers
    if unknown := set(arguments) - {str(each.number) for each in invariants()}:
        print(f"unknown invariant {', '.join(sorted(unknown))}; see {FOLDER.relative_to(ROOT)}", file=sys.stderr)
        return 2
    chosen = guards_of([each for each in invariants() if not arguments or str(each.number) in arguments])
    results = []
    for answer in answers(chosen):
        print(answer, flush=True)
        results.append(answer)
    undetected = [answer for answer in results if not answer.red]
    for answer in undetected:
        print(f"not detected: {answer}", file=sys.stderr)
    print(f"{len(chosen)} guards; {len(results) - len(undetected)} of {len(results)} tests failed")
    return 1 if undetected else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
