"""Prints the result of `runbookctl test`: what differs, and what happened until then; JSON for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from runbookctl.policy.observation import Observation
from runbookctl.policy.player import CaseResult, Failure
from runbookctl.policy.runner import FileResult
from runbookctl.printing.answers import line
from runbookd.inventory import format_duration
from runbookd.inventory.yaml_places import dotted

MAX_SHOWN = 20  # runs, and messages, of what happened


def show_file(console: Console, result: FileResult) -> None:
    """Print the mistakes in a file, or its failed cases and how many have passed."""
    for problem in result.problems:
        line(console, str(problem))
    for case in result.cases:
        if case.failures:
            _show_case(console, case)
    if not result.problems:
        passed = f"{len(result.cases) - result.failed} of {len(result.cases)} cases passed"
        left_out = f", {result.left_out} left out" if result.left_out else ""
        line(console, f"{result.file}: {passed}{left_out}")


def _show_case(console: Console, case: CaseResult) -> None:
    line(console, f"FAILED {case.ready.source.file}:{case.ready.line}: {case.ready.case.name}", style="bold")
    for failure in case.failures:
        line(console, f"  {failure.place}: at {format_duration(failure.at)}: {dotted(failure.difference.path)}")
        line(console, _indented("    expected: ", failure.difference.expected))
        line(console, _indented("         got: ", failure.difference.got))
    line(console, f"  what happened until {format_duration(case.failures[-1].at)}:")
    for text in _story(case.failures[-1].seen):
        line(console, f"    {text}")


def _indented(label: str, text: str) -> str:
    return label + text.strip("\n").replace("\n", "\n" + " " * len(label))


def _story(seen: Observation) -> Iterator[str]:
    for number, run in list(enumerate(seen.runs, start=1))[-MAX_SHOWN:]:
        yield f"run {number}: {run}"
    for message in seen.messages[-MAX_SHOWN:]:
        yield f"message {message}"
    if not seen.runs and not seen.messages:
        yield "nothing"


def show_totals(console: Console, results: Sequence[FileResult]) -> None:
    """Print how many cases have passed and failed in all files."""
    failed, unusable = sum(each.failed for each in results), sum(bool(each.problems) for each in results)
    cases = [case for each in results for case in each.cases]
    text = f"{len(cases) - failed} passed, {failed} failed"
    text += f", {unusable} of {len(results)} files cannot be used" if unusable else ""
    line(console, f"{text} ({sum(each.seconds for each in cases):.1f} s)", style="bold")


def show_json(results: Sequence[FileResult]) -> None:
    """Print the same for programs."""
    files = [
        {
            "file": str(each.file),
            "problems": [
                {"place": problem.place, "path": problem.path, "reason": problem.reason} for problem in each.problems
            ],
            "cases": [_case_json(case) for case in each.cases],
        }
        for each in results
    ]
    failed = sum(each.failed for each in results)
    passed = sum(len(each.cases) for each in results) - failed
    print(json.dumps({"passed": passed, "failed": failed, "files": files}, indent=2))


def _case_json(case: CaseResult) -> Mapping[str, Any]:
    return {
        "name": case.ready.case.name,
        "line": case.ready.line,
        "passed": not case.failures,
        "seconds": round(case.seconds, 3),
        "failures": [_failure_json(each) for each in case.failures],
    }


def _failure_json(failure: Failure) -> Mapping[str, Any]:
    return {
        "place": failure.place,
        "at": format_duration(failure.at),
        "path": dotted(failure.difference.path),
        "expected": failure.difference.expected,
        "got": failure.difference.got,
    }
