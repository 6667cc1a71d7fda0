"""`status` of a stack whose inventory says nothing of the remediation that only reads."""

from typing import Any

import pytest

from tests.unit.runbookctl.conftest import MAIN, Ctl


@pytest.fixture
def shops() -> dict[str, Any]:
    return {"shop": {"postgres": {"main": MAIN}, "remediations": {"analyze_tables": {"mode": "auto"}}}}


def test_remediation_that_only_reads_is_not_among_those_that_act(ctl: Ctl) -> None:
    (line,) = (each for each in ctl("status").splitlines() if each.startswith("stack shop: "))
    auto, *_, last = line.removeprefix("stack shop: ").split("; ")
    assert (auto, last) == ("auto analyze_tables", "built in, only reads: collect_diagnostics")
