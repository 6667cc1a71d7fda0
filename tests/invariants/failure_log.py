"""A pytest plugin that logs failed tests to $RUNBOOK_FAILURE_LOG, with whether an assertion failed.

A test that fails in its setup or at an import proves nothing about a guard.
"""

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

LOG_VARIABLE = "RUNBOOK_FAILURE_LOG"
_TIMEOUT_PREFIX = "Timeout"  # the start of the message of pytest-timeout


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Append one line of JSON per failure: `{test, asserted, how}`."""
    report = yield
    if report.failed and call.excinfo is not None:
        asserted = call.when == "call" and _is_assertion(call.excinfo.value)
        line = {"test": item.nodeid, "asserted": asserted, "how": _first_line(call.excinfo.value)}
        with Path(os.environ[LOG_VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return report


def _is_assertion(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):  # hypothesis found several failures
        return any(map(_is_assertion, error.exceptions))
    hung = isinstance(error, pytest.fail.Exception) and str(error).startswith(_TIMEOUT_PREFIX)
    return isinstance(error, AssertionError | pytest.fail.Exception) and not hung


def _first_line(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _first_line(next((each for each in error.exceptions if _is_assertion(each)), error.exceptions[0]))
    lines = str(error).strip().splitlines() or [""]
    return lines[0] if _is_assertion(error) else f"{type(error).__name__}: {lines[0]}"
