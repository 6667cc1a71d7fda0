"""Findings about remediations that only the remediator recognizes."""

from dataclasses import replace

import pytest

from remediator.config_check import remediation_findings
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import Inventory


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        ({"mode": "auto"}, [("only_in",)]),
        ({"mode": "approve"}, []),
        ({"mode": "auto", "only_in": "night"}, []),
        ({"terminate": True}, [("terminate",)]),
    ],
)
def test_vacuum_by_itself_needs_a_window(settings: dict[str, object], places: list[tuple[str]]) -> None:
    window = {"days": ["sun"], "from": "02:00", "to": "04:00"}
    stack = {"windows": {"night": window}, "remediations": {"vacuum_tables": settings}}
    inventory = Inventory.model_validate({"stacks": {"shop": stack}})
    assert [finding.path[-1:] for finding in remediation_findings(inventory)] == places


@pytest.mark.parametrize("mode", ["off", "shadow", "approve", "auto"])
def test_remediation_that_needs_a_yes_is_refused_in_mode_auto(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REMEDIATIONS, "analyze_tables", replace(REMEDIATIONS["analyze_tables"], never_auto=True))
    inventory = Inventory.model_validate({"stacks": {"shop": {"remediations": {"analyze_tables": {"mode": mode}}}}})
    findings = [(finding.path[-1], finding.reason) for finding in remediation_findings(inventory)]
    refusal = ("mode", "analyze_tables never runs by itself; set mode: approve")
    assert findings == ([refusal] if mode == "auto" else [])
