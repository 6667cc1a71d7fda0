"""`python -m tests.invariants.mutants [invariant…]` takes out one guard at a time, and wants its tests to notice.

Each works on a copy of the project in a temporary folder. Exit 0: every test that a guard names turned red, by an
assertion of its own. Exit 1: it lists those that did not, and how they failed if they did.
"""

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

from tests.invariants.failure_log import FILE
from tests.invariants.guards import FOLDER, ROOT, Guard, Invariant, invariants

SIDE_BY_SIDE = 2
SECONDS = 300
SHARED = (".venv", ".tools", "demo/node/node_modules")  # large, and the same for every copy
LEFT_OUT = shutil.ignore_patterns(".*_cache", ".git", ".venv", ".tools", ".demo", ".hypothesis", "node_modules")
SHOWN = 100  # characters of how a test failed


@dataclass(frozen=True)
class Answer:
    """What became of one test without one guard."""

    number: int
    guard: str
    test: str
    red: bool
    how: str

    def __str__(self) -> str:
        return f"{self.number:>2} | {self.guard} | {self.test} | {self.how[:SHOWN]}"


def try_out(number: int, guard: Guard) -> list[Answer]:
    """Run the tests that `guard` names on a copy without it."""
    with tempfile.TemporaryDirectory(prefix="runbook-mutant-") as folder:
        project = copy_into(Path(folder))
        file = project / guard.file
        file.write_text(guard.remove_from(file.read_text(encoding="utf-8")), encoding="utf-8")
        said, failures = _run(project, guard.red)
    return [_answer(number, guard.guard, test, failures, said) for test in guard.red]


def copy_into(folder: Path) -> Path:
    """Copy the project, but for what is large and the same for all."""
    folder.chmod(0o755)  # some tests become somebody who owns nothing
    project = Path(shutil.copytree(ROOT, folder / "project", symlinks=True, ignore=LEFT_OUT))
    for name in SHARED:
        (project / name).symlink_to((ROOT / name).resolve())
    return project


def _run(project: Path, tests: Sequence[str]) -> tuple[str, list[Mapping[str, str]]]:
    """The last line that pytest said, and every failure."""
    reds = project / "reds.jsonl"
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
    environment = {**os.environ, "PYTHONPATH": str(project), FILE: str(reds)}
    process = subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    said = _last_line(process)
    lines = reds.read_text(encoding="utf-8").splitlines() if reds.exists() else []
    return said, [json.loads(line) for line in lines]


# Always the same examples, and none made smaller: that it is red is all that counts.
_OPTIONS = ("-p", "no:cacheprovider", "--hypothesis-profile", "mutants")


def _last_line(process: subprocess.Popen[bytes]) -> str:
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"did not end within {SECONDS} s"
    lines = said.decode(errors="replace").strip().splitlines()
    return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "said nothing")


def _answer(number: int, guard: str, test: str, failures: Sequence[Mapping[str, str]], said: str) -> Answer:
    mine = [each for each in failures if each["test"] == test or each["test"].startswith((f"{test}[", f"{test}::"))]
    for each in mine:
        if each["asserted"]:
            return Answer(number, guard, test, True, each["how"])
    how = f"no assertion failed, but: {mine[0]['how']}" if mine else f"it did not notice: {said}"
    return Answer(number, guard, test, False, how)


def answers(chosen: Sequence[tuple[int, Guard]]) -> Iterator[Answer]:
    """Of every guard and each of its tests, in order, as they come."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for some in pool.map(lambda each: try_out(*each), chosen):
            yield from some


def guards_of(some: Sequence[Invariant]) -> list[tuple[int, Guard]]:
    """Their guards, each with the number of its invariant."""
    return [(each.number, guard) for each in some for guard in each.guards]


def main(arguments: Sequence[str]) -> int:
    """Try out all guards, or those of the invariants that are named; print what came of it, and return the status."""
    if unknown := set(arguments) - {str(each.number) for each in invariants()}:
        print(f"there is no invariant {', '.join(sorted(unknown))}; see {FOLDER.relative_to(ROOT)}", file=sys.stderr)
        return 2
    chosen = guards_of([each for each in invariants() if not arguments or str(each.number) in arguments])
    seen = []
    for answer in answers(chosen):
        print(answer, flush=True)
        seen.append(answer)
    unnoticed = [answer for answer in seen if not answer.red]
    for answer in unnoticed:
        print(f"not noticed: {answer}", file=sys.stderr)
    print(f"{len(chosen)} guards; {len(seen) - len(unnoticed)} of {len(seen)} tests turned red")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
