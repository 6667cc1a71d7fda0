"""A pytest plugin that tells, in the file $RUNBOOK_REDS, which tests failed and whether an assertion of theirs did.

A test that can not even begin, or that stumbles over an import, says nothing about a guard.
"""

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

FILE = "RUNBOOK_REDS"
_TIMEOUT_PREFIX = "Timeout"  # as pytest-timeout begins


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """One line of JSON for each failure: `{test, asserted, how}`."""
    report = yield
    if report.failed and call.excinfo is not None:
        asserted = call.when == "call" and _is_assertion(call.excinfo.value)
        line = {"test": item.nodeid, "asserted": asserted, "how": _first_line(call.excinfo.value)}
        with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return report


def _is_assertion(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):  # hypothesis has found several
        return any(map(_is_assertion, error.exceptions))
    hung = isinstance(error, pytest.fail.Exception) and str(error).startswith(_TIMEOUT_PREFIX)
    return isinstance(error, AssertionError | pytest.fail.Exception) and not hung


def _first_line(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _first_line(next((each for each in error.exceptions if _is_assertion(each)), error.exceptions[0]))
    lines = str(error).strip().splitlines() or [""]
    return lines[0] if _is_assertion(error) else f"{type(error).__name__}: {lines[0]}"
